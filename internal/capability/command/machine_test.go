package command

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/api/ssm"
)

func TestNext(t *testing.T) {
	for _, c := range []struct {
		from detail
		on   event
		want detail
	}{
		{pending, nodeAccepted, inProgress},
		{pending, nodeProgress, inProgress},
		{pending, nodeBusy, delayed},
		{pending, nodeRefused, undeliverable},
		{pending, nodeSucceeded, success}, // the final report came first
		{pending, deliveryOver, deliveryTimedOut},
		{pending, executionOver, deliveryTimedOut},
		{pending, cancelUnsent, cancelled},
		{pending, cancelSent, cancelling},
		{pending, errorsExceeded, terminated},
		{pending, nodeGone, undeliverable},
		{delayed, nodeAccepted, inProgress},
		{delayed, nodeBusy, delayed},
		{delayed, deliveryOver, deliveryTimedOut},
		{inProgress, nodeAccepted, inProgress},
		{inProgress, nodeBusy, inProgress},
		{inProgress, nodeSucceeded, success},
		{inProgress, nodeFailed, failed},
		{inProgress, nodeTimedOut, executionTimedOut},
		{inProgress, nodeCancelled, cancelled},
		{inProgress, deliveryOver, inProgress},
		{inProgress, executionOver, deliveryTimedOut}, // received, but no end was heard of
		{inProgress, cancelSent, cancelling},
		{cancelling, nodeAccepted, cancelling},
		{cancelling, nodeProgress, cancelling},
		{cancelling, nodeBusy, cancelling},
		{cancelling, deliveryOver, cancelling},
		{cancelling, nodeCancelled, cancelled},
		{cancelling, nodeSucceeded, success}, // it was faster than the cancel
		{cancelling, executionOver, deliveryTimedOut},
	} {
		if got := next(c.from, c.on); got != c.want {
			t.Errorf("next(%s, %d) = %s, want %s", c.from, c.on, got, c.want)
		}
	}
}

func TestFinalStaysAndEndIsReached(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := pending
		for _, e := range rapid.SliceOf(rapid.IntRange(int(nodeAccepted), int(nodeGone))).Draw(t, "events") {
			n := next(d, event(e))
			if d.final() && n != d {
				t.Fatalf("final %s became %s on %d", d, n, e)
			}
			if d == inProgress && (n == pending || n == delayed) {
				t.Fatalf("moved back to %s on %d", n, e)
			}
			d = n
		}
		if !next(d, executionOver).final() {
			t.Fatalf("%s does not end with the total timeout", d)
		}
	})
}

func TestStatusesAreInTheModel(t *testing.T) {
	for _, c := range []struct {
		d    detail
		want ssm.CommandInvocationStatus
	}{
		{delayed, ssm.CommandInvocationStatusDelayed},
		{success, ssm.CommandInvocationStatusSuccess},
		{deliveryTimedOut, ssm.CommandInvocationStatusTimedOut},
		{executionTimedOut, ssm.CommandInvocationStatusTimedOut},
		{undeliverable, ssm.CommandInvocationStatusFailed},
		{terminated, ssm.CommandInvocationStatusFailed},
		{cancelling, ssm.CommandInvocationStatusCancelling},
	} {
		if got := c.d.invocationStatus(); got != c.want {
			t.Errorf("%s is %s, want %s", c.d, got, c.want)
		}
	}
	if got := delayed.commandStatus(); got != ssm.CommandStatusPending {
		t.Errorf("a delayed command is %s", got)
	}
}

func TestCommandDetail(t *testing.T) {
	for name, c := range map[string]struct {
		t         tally
		maxErrors int
		cancel    bool
		want      detail
	}{
		"no target":                    {tally{}, 0, false, noInstancesInTag},
		"all wait":                     {tally{pending: 2, delayed: 1}, 0, false, pending},
		"one runs":                     {tally{pending: 2, inProgress: 1}, 0, false, inProgress},
		"one is done":                  {tally{pending: 2, success: 1}, 0, false, inProgress},
		"cancel":                       {tally{cancelling: 1, success: 1}, 0, true, cancelling},
		"cancelled":                    {tally{cancelled: 1, success: 1}, 0, true, cancelled},
		"cancel came too late":         {tally{success: 2}, 0, true, success},
		"all succeeded":                {tally{success: 3}, 0, false, success},
		"one error of none allowed":    {tally{success: 3, failed: 1}, 0, false, failed},
		"one error of one allowed":     {tally{success: 3, failed: 1}, 1, false, incomplete},
		"timeouts count as errors":     {tally{executionTimedOut: 1, failed: 1}, 1, false, failed},
		"the rest was stopped":         {tally{failed: 1, terminated: 9}, 0, false, failed},
		"none was reached in time":     {tally{deliveryTimedOut: 2}, 0, false, deliveryTimedOut},
		"one was not reached in time":  {tally{deliveryTimedOut: 1, success: 1}, 0, false, incomplete},
		"none can be reached":          {tally{undeliverable: 5}, 0, false, failed},
		"one of five could be reached": {tally{undeliverable: 4, success: 1}, 0, false, success},
	} {
		if got := commandDetail(c.t, c.maxErrors, c.cancel); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestLimitAndRamp(t *testing.T) {
	for _, c := range []struct {
		s       string
		targets int
		want    int
	}{{"0", 9, 0}, {"50", 9, 50}, {"10%", 50, 5}, {"10%", 5, 0}, {"100%", 7, 7}} {
		if got := limit(c.s, c.targets); got != c.want {
			t.Errorf("limit(%s, %d) = %d, want %d", c.s, c.targets, got, c.want)
		}
	}
	for name, c := range map[string]struct {
		t            tally
		waiting      int
		most, budget int
		ramped       bool
		start        int
		stop         bool
	}{
		"first":                 {tally{pending: 5}, 5, 2, 0, false, 2, false},
		"full":                  {tally{pending: 3, inProgress: 2}, 3, 2, 0, false, 0, false},
		"one more":              {tally{pending: 3, inProgress: 1, success: 1}, 3, 2, 0, false, 1, false},
		"never below one":       {tally{pending: 3}, 3, 0, 0, false, 1, false},
		"n errors go on":        {tally{pending: 3, failed: 1}, 3, 2, 1, false, 2, false},
		"error n+1 stops":       {tally{pending: 3, failed: 2}, 3, 2, 1, false, 0, true},
		"undelivered go on":     {tally{pending: 3, deliveryTimedOut: 9}, 3, 2, 0, false, 2, false},
		"more than the limit":   {tally{pending: 3, inProgress: 4}, 3, 2, 0, false, 0, false},
		"no more than wait":     {tally{pending: 1}, 1, 50, 0, false, 1, false},
		"ramp: one":             {tally{pending: 99}, 99, 50, 0, true, 1, false},
		"ramp: two more":        {tally{pending: 98, success: 1}, 98, 50, 0, true, 2, false},
		"ramp: then double":     {tally{pending: 96, success: 3}, 96, 50, 0, true, 4, false},
		"ramp: up to the limit": {tally{pending: 40, success: 59}, 40, 20, 0, true, 20, false},
		"ramp: a slow node":     {tally{pending: 90, success: 5, inProgress: 5}, 90, 50, 0, true, 1, false},
	} {
		cmd := &command{Tally: c.t, Waiting: c.waiting, MaxConcurrency: c.most, MaxErrors: c.budget, Ramped: c.ramped}
		if start, stop := ramp(cmd); start != c.start || stop != c.stop {
			t.Errorf("%s: ramp = %d, %v; want %d, %v", name, start, stop, c.start, c.stop)
		}
	}
}
