// Package agent is Watchbill's own node program. It registers a machine with a
// hub, keeps one control channel open and runs the commands that arrive on it,
// as any user. It speaks the measured protocol of the stock agent and adds to
// it: credentials and channels are renewed at once when they are refused, a
// reconnect waits 30 s at most, a result is sent again until the hub has
// acknowledged it, and a command starts at most once whatever crashes (see
// package ledger).
package agent
