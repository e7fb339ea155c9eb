// Package ledger is a node's memory of the commands it was given. It makes a
// command start at most once, across restarts and crashes: a job is on the
// disk before it is acknowledged, its start is on the disk before the first
// process, and its replies are on the disk before they are sent and until the
// hub has acknowledged them.
//
// Each job has a directory of its own, open/<command id> until the last reply
// is acknowledged and done/<command id> after that, with the file record.json.
// Only open jobs are held in memory.
package ledger
