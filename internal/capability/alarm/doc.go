// Package alarm is the register of alarms that other systems watch for: for each
// one whether it stands, since when, how often it was delivered, and the incident
// or OpsItem that it became.
//
// Invariants: whatever order the deliveries of an alarm come in, and however often
// each comes, the register ends in the same state; a delivery is never refused
// for what it says; an alarm that stands is never taken for settled because of a
// delivery that came late.
//
// Facts: alarm.opened (also when it stands again: "again" is true then),
// alarm.repeated (at most one a minute for an alarm, with how many deliveries it
// stands for), alarm.resolved. Their subject is the id of the alarm, and what it
// became is among the related.
package alarm
