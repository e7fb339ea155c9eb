package command_test

import (
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	api "github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

func (x fixture) targetsOf(in *api.DescribeCommandTargetsInput) *api.DescribeCommandTargetsOutput {
	x.t.Helper()
	out, err := x.DescribeCommandTargets(x.ctx, in)
	x.must(err)
	return out
}

func TestDescribeCommandTargets(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		ids := x.nodes(3)
		c := *x.send(&ssm.SendCommandInput{InstanceIds: ids, MaxConcurrency: new("2"), MaxErrors: new("3")}).CommandId
		got := x.targetsOf(&api.DescribeCommandTargetsInput{CommandId: &c})
		why := map[string]int{}
		for _, target := range got.Targets {
			why[(*target.Why)[:12]]++
		}
		if len(got.Targets) != 3 || why["waits for it"] != 1 || why["the node is "] != 2 || *got.TargetCount != 3 {
			t.Errorf("targets %+v, %v", got.Targets, why)
		}
		var first string
		for _, id := range ids {
			if len(x.take(id)) > 0 {
				first = id
				break
			}
		}
		x.reply(first, c, "Failed", map[string]mgs.StepStatus{"run": {Status: "Failed", Code: 3, StandardOutput: "out", StandardError: "err"}})
		changed := x.targetsOf(&api.DescribeCommandTargetsInput{CommandId: &c, SinceVersion: got.Version, IncludeOutput: new(true)})
		if len(changed.Targets) != 2 { // the one that ended, and the one whose turn came
			t.Fatalf("changed %+v", changed.Targets)
		}
		for _, target := range changed.Targets {
			if *target.InstanceId != first {
				continue
			}
			if *target.ResponseCode != 3 || *target.Why != "a step ended with exit code 3" || *target.StandardOutputContent != "out" || !*target.OutputComplete {
				t.Errorf("target %+v", target)
			}
		}
		var all []string
		in := &api.DescribeCommandTargetsInput{CommandId: &c, MaxResults: new(int32(1))}
		for {
			out := x.targetsOf(in)
			for _, target := range out.Targets {
				all = append(all, *target.InstanceId)
			}
			if in.NextToken = out.NextToken; in.NextToken == nil {
				break
			}
		}
		if len(all) != 3 {
			t.Errorf("pages %v", all)
		}
		_, err := x.DescribeCommandTargets(x.ctx, &api.DescribeCommandTargetsInput{CommandId: new("11111111-2222-3333-4444-555555555555")})
		x.wantCode(err, "DoesNotExistException")
		_, err = x.DescribeCommandTargets(x.ctx, &api.DescribeCommandTargetsInput{CommandId: &c, NextToken: new("x")})
		x.wantCode(err, "InvalidNextToken")
	})
}

func TestDescribeCommandTargetsWaits(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		n := x.nodes(1)[0]
		c := *x.send(&ssm.SendCommandInput{InstanceIds: []string{n}}).CommandId
		x.take(n)
		now := x.targetsOf(&api.DescribeCommandTargetsInput{CommandId: &c, WaitSeconds: new(int32(20))})
		answer := make(chan *api.DescribeCommandTargetsOutput)
		go func() {
			out, err := x.DescribeCommandTargets(x.ctx, &api.DescribeCommandTargetsInput{CommandId: &c, SinceVersion: now.Version, WaitSeconds: new(int32(20))})
			if err != nil {
				t.Error(err)
			}
			answer <- out
		}()
		x.reply(n, c, "Success", map[string]mgs.StepStatus{"run": {Status: "Success"}})
		if out := <-answer; out == nil || len(out.Targets) != 1 || *out.Targets[0].Status != "Success" || *out.Status != "Success" {
			t.Errorf("answer %+v", out)
		}
	})
	inBubble(t, func(t *testing.T, x fixture) {
		n := x.nodes(1)[0]
		c := *x.send(&ssm.SendCommandInput{InstanceIds: []string{n}}).CommandId
		now, began := x.targetsOf(&api.DescribeCommandTargetsInput{CommandId: &c}), time.Now()
		out := x.targetsOf(&api.DescribeCommandTargetsInput{CommandId: &c, SinceVersion: now.Version, WaitSeconds: new(int32(7))})
		if len(out.Targets) != 0 || time.Since(began) != 7*time.Second {
			t.Errorf("%d targets after %s", len(out.Targets), time.Since(began))
		}
	})
}
