package command

import (
	"math"
	"strconv"
	"strings"

	"github.com/watchbill/watchbill/internal/api/ssm"
)

// detail is a status in its fine form, StatusDetails on the wire.
type detail string

// The details of an invocation; the first group is not final.
const (
	pending    detail = "Pending"
	delayed    detail = "Delayed" // the node had no room, it is asked again
	inProgress detail = "InProgress"
	cancelling detail = "Cancelling"

	success           detail = "Success"
	failed            detail = "Failed"
	cancelled         detail = "Cancelled"
	deliveryTimedOut  detail = "DeliveryTimedOut"
	executionTimedOut detail = "ExecutionTimedOut"
	undeliverable     detail = "Undeliverable"
	terminated        detail = "Terminated"
	invalidPlatform   detail = "InvalidPlatform"
	accessDenied      detail = "AccessDenied"
)

// The details that only a command has.
const (
	incomplete       detail = "Incomplete"
	noInstancesInTag detail = "NoInstancesInTag"
	rateExceeded     detail = "RateExceeded" // more targets than the hub takes
)

func (d detail) final() bool {
	switch d {
	case pending, delayed, inProgress, cancelling:
		return false
	}
	return true
}

// invocationStatus is the coarse form of an invocation's detail.
func (d detail) invocationStatus() ssm.CommandInvocationStatus {
	switch d {
	case deliveryTimedOut, executionTimedOut:
		return ssm.CommandInvocationStatusTimedOut
	case undeliverable, terminated, invalidPlatform, accessDenied:
		return ssm.CommandInvocationStatusFailed
	}
	return ssm.CommandInvocationStatus(d)
}

// commandStatus is the coarse form of a command's detail.
//
// Assumption: Incomplete and NoInstancesInTag collapse to Failed; the
// enumeration has no nearer value.
func (d detail) commandStatus() ssm.CommandStatus {
	switch d {
	case deliveryTimedOut, executionTimedOut:
		return ssm.CommandStatusTimedOut
	case incomplete, noInstancesInTag, rateExceeded, undeliverable, terminated, invalidPlatform, accessDenied:
		return ssm.CommandStatusFailed
	case delayed:
		return ssm.CommandStatusPending
	}
	return ssm.CommandStatus(d)
}

// event is what happens to an invocation.
type event int

// The events. Those a node sends come at least once and in any order.
const (
	nodeAccepted   event = iota + 1 // the node has the job (also: had it already)
	nodeBusy                        // the node has no room for the job now
	nodeRefused                     // the node will never take the job
	nodeProgress                    // a report without an end
	nodeSucceeded                   // final reports
	nodeFailed                      //
	nodeTimedOut                    //
	nodeCancelled                   //
	deliveryOver                    // the delivery timeout is past
	executionOver                   // delivery and execution timeout together are past
	cancelUnsent                    // cancelled, and the job was never sent
	cancelSent                      // cancelled, and the node may have the job
	errorsExceeded                  // the command had too many errors; the job was never sent
	nodeGone                        // the node was deregistered
)

// next is the detail after an event. A final one never changes; an event that
// does not fit the state changes nothing.
func next(d detail, e event) detail {
	if d.final() {
		return d
	}
	switch e {
	case nodeSucceeded:
		return success
	case nodeFailed:
		return failed
	case nodeTimedOut:
		return executionTimedOut
	case nodeCancelled, cancelUnsent:
		return cancelled
	case nodeRefused, nodeGone:
		return undeliverable
	case executionOver:
		return deliveryTimedOut
	case errorsExceeded:
		return terminated
	case cancelSent:
		return cancelling
	}
	if d == cancelling {
		// The node may have the job: only the total timeout ends its silence.
		return cancelling
	}
	return nextWaiting(d, e)
}

func nextWaiting(d detail, e event) detail {
	switch e {
	case nodeAccepted, nodeProgress:
		return inProgress
	case nodeBusy:
		if d == pending {
			return delayed
		}
	case deliveryOver:
		if d != inProgress {
			return deliveryTimedOut
		}
	}
	return d
}

// tally counts the invocations of a command by detail.
type tally map[detail]int

// move counts an invocation that goes from one detail to another.
func (t tally) move(from, to detail) {
	if t[from]--; t[from] <= 0 {
		delete(t, from)
	}
	t[to]++
}

func (t tally) total() (n int) {
	for _, c := range t {
		n += c
	}
	return n
}

// completed counts the final ones.
func (t tally) completed() (n int) {
	for d, c := range t {
		if d.final() {
			n += c
		}
	}
	return n
}

// errors counts those that use up MaxErrors.
func (t tally) errors() int { return t[failed] + t[executionTimedOut] }

// commandDetail is the state of a command from its invocations. Cancel says
// that CancelCommand was called for the whole of it.
func commandDetail(t tally, maxErrors int, cancel bool) detail {
	total := t.total()
	switch {
	case total == 0:
		return noInstancesInTag
	case t.completed() < total:
		return runningDetail(t, cancel)
	case t[success] == total:
		return success
	case t.errors() > maxErrors:
		return failed
	case t[cancelled] > 0:
		return cancelled
	case t.errors() > 0:
		return incomplete
	case t[deliveryTimedOut] == total:
		return deliveryTimedOut
	case t[deliveryTimedOut] > 0:
		return incomplete
	case t[success] > 0: // the rest could not be reached at all
		return success
	}
	return failed
}

func runningDetail(t tally, cancel bool) detail {
	switch {
	case cancel:
		return cancelling
	case t[pending]+t[delayed] == t.total():
		return pending
	}
	return inProgress
}

// limit reads MaxConcurrency or MaxErrors, a number or a percentage, for a
// number of targets. A percentage is rounded down. The model has checked the
// form.
func limit(s string, targets int) int {
	if percent, ok := strings.CutSuffix(s, "%"); ok {
		n, _ := strconv.Atoi(percent)
		return targets * n / 100
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return math.MaxInt32
	}
	return n
}

// ramp says what to do with the invocations of c that wait for their turn: how
// many to start now, or to stop them all. A ramped command starts with one and
// lets two follow each that has ended, up to MaxConcurrency at a time.
func ramp(c *command) (start int, stop bool) {
	if c.Tally.errors() > c.MaxErrors {
		return 0, true
	}
	window := max(1, c.MaxConcurrency)
	if c.Ramped {
		window = min(window, 1+c.Tally.completed())
	}
	running := c.Tally.total() - c.Tally.completed() - c.Waiting
	return min(max(0, window-running), c.Waiting), false
}
