// Package loggroup serves the part of CloudWatch Logs that outputs of commands and
// logs of sessions need: groups, streams, events with their times, reading them
// forward and backward, filtering by plain words, and retention.
//
// Times of events are whole milliseconds, as clients give them. Events of one time keep
// the order in which they came. Sequence tokens are given and never asked for, as on
// AWS since 2023. A group without a retention keeps its events for ever; one with it
// is pruned each hour.
//
// A node writes streams of its own only: COMMAND/NODE/…, and those named for a session
// of its own. It sees groups by their full name only, and reads no events.
//
// Facts: loggroup.created, loggroup.deleted, loggroup.retention. Streams and events
// leave the record of the call. Tasks: loggroup.prune.
package loggroup
