// Package schedule reads the schedule expressions of ssm and tells when they
// fall: cron(Minutes Hours Day-of-month Month Day-of-week Year), optionally with
// seconds in front or without the year, rate(VALUE UNIT), and
// at(YYYY-MM-DDThh:mm:ss). It is pure: the caller gives the time and the zone.
//
// Clock changes neither skip nor double a time: one that the clock jumps over
// falls at the jump, one that the clock passes twice falls the first time.
// Schedules for every hour go on in both.
//
// https://docs.aws.amazon.com/systems-manager/latest/userguide/reference-cron-and-rate-expressions.html
package schedule
