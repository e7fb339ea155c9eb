package command_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/capability/command"
	"github.com/watchbill/watchbill/internal/capability/node"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/wire"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

func TestCommandRuns(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		n := x.nodes(1)[0]
		c := x.send(&ssm.SendCommandInput{InstanceIds: []string{n}, Comment: new("hello")})
		if c.Status != ssm.CommandStatusPending || *c.TargetCount != 1 {
			t.Errorf("command %+v", c)
		}
		jobs := x.take(n)
		if len(jobs) != 1 || jobs[0].JobID != mgs.JobID(*c.CommandId, n) || jobs[0].Topic != mgs.TopicSendCommand {
			t.Fatalf("jobs %+v", jobs)
		}
		var job mgs.SendCommand
		x.must(mgs.Decode([]byte(jobs[0].Content), &job))
		if string(job.Parameters["commands"]) != `["id"]` || string(job.Parameters["user"]) != `"root"` || job.CommandID != *c.CommandId {
			t.Errorf("job %+v", job)
		}
		x.ack(n, *c.CommandId, mgs.AckOK)
		x.want(*c.CommandId, n, "InProgress")
		done := map[string]mgs.StepStatus{"run": {
			Status: "Failed", Code: 3, Name: "aws:runShellScript", Output: "out", StandardOutput: "out", StandardError: "err",
			StartDateTime: "2026-11-22T10:00:00.000Z", EndDateTime: "2026-11-22T10:00:01.500Z",
		}}
		x.reply(n, *c.CommandId, "InProgress", nil)
		x.reply(n, *c.CommandId, "Failed", done)
		got := x.get(*c.CommandId, n, nil)
		if *got.ResponseCode != 3 || *got.StandardOutputContent != "out" || *got.StandardErrorContent != "err" || *got.ExecutionElapsedTime != "PT1.5S" ||
			*got.PluginName != "aws:runShellScript" || got.Status != ssm.CommandInvocationStatusFailed {
			t.Errorf("invocation %+v", got)
		}
		x.wantCommand(*c.CommandId, "Failed")
		want := []string{"command.sent", "command.delivered", "command.invocation.finished", "command.finished"}
		if diff := cmp.Diff(want, x.facts(*c.CommandId)); diff != "" {
			t.Errorf("facts (-want +got):\n%s", diff)
		}
		list, err := x.ListCommandInvocations(x.ctx, &ssm.ListCommandInvocationsInput{CommandId: c.CommandId, Details: new(true)})
		x.must(err)
		if p := list.CommandInvocations[0].CommandPlugins; len(p) != 1 || *p[0].Output != "out" || *p[0].ResponseCode != 3 {
			t.Errorf("plugins %+v", p)
		}
	})
}

func TestReportsInAnyOrder(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		n := x.nodes(1)[0]
		c := *x.send(&ssm.SendCommandInput{InstanceIds: []string{n}, DocumentName: new("Two")}).CommandId
		x.take(n)
		step := func(text string) mgs.StepStatus { return mgs.StepStatus{Status: "Success", StandardOutput: text} }
		x.reply(n, c, "InProgress", map[string]mgs.StepStatus{"two": step("second")})
		x.reply(n, c, "Success", nil) // the last one overtook the first step's
		x.reply(n, c, "InProgress", map[string]mgs.StepStatus{"one": step("first")})
		x.reply(n, c, "InProgress", map[string]mgs.StepStatus{"one": step("again")})
		x.ack(n, c, mgs.AckOK)
		x.wantCommand(c, "Success")
		for name, text := range map[string]string{"one": "first", "two": "second"} {
			if got := x.get(c, n, &name); *got.StandardOutputContent != text || *got.ResponseCode != 0 {
				t.Errorf("step %s: %q, code %d", name, *got.StandardOutputContent, *got.ResponseCode)
			}
		}
		if got := x.get(c, n, nil); *got.StandardOutputContent != "" || got.Status != ssm.CommandInvocationStatusSuccess {
			t.Errorf("the whole of two steps: %+v", got)
		}
		_, err := x.GetCommandInvocation(x.ctx, &ssm.GetCommandInvocationInput{CommandId: &c, InstanceId: &n, PluginName: new("three")})
		x.wantCode(err, "InvalidPluginName")
		if jobs := x.take(n); len(jobs) != 0 {
			t.Errorf("jobs after the end: %+v", jobs)
		}
	})
}

func TestSendRefuses(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		n := x.nodes(1)[0]
		good := map[string][]string{"commands": {"id"}}
		for name, c := range map[string]struct {
			in   ssm.SendCommandInput
			code string
		}{
			"no target":         {ssm.SendCommandInput{DocumentName: new("Run"), Parameters: good}, "ValidationException"},
			"both targets":      {ssm.SendCommandInput{DocumentName: new("Run"), InstanceIds: []string{n}, Targets: []ssm.Target{{Key: new("InstanceIds")}}}, "ValidationException"},
			"node twice":        {ssm.SendCommandInput{DocumentName: new("Run"), InstanceIds: []string{n, n}}, "DuplicateInstanceId"},
			"unknown node":      {ssm.SendCommandInput{DocumentName: new("Run"), InstanceIds: []string{n, "mi-0"}, Parameters: good}, "InvalidInstanceId"},
			"unknown document":  {ssm.SendCommandInput{DocumentName: new("X"), InstanceIds: []string{n}}, "InvalidDocument"},
			"automation":        {ssm.SendCommandInput{DocumentName: new("Auto"), InstanceIds: []string{n}}, "InvalidDocument"},
			"hash":              {ssm.SendCommandInput{DocumentName: new("Run"), InstanceIds: []string{n}, Parameters: good, DocumentHash: new("00")}, "InvalidDocument"},
			"missing parameter": {ssm.SendCommandInput{DocumentName: new("Run"), InstanceIds: []string{n}}, "InvalidParameters"},
			"unknown parameter": {ssm.SendCommandInput{DocumentName: new("Two"), InstanceIds: []string{n}, Parameters: good}, "InvalidParameters"},
			"target key":        {ssm.SendCommandInput{DocumentName: new("Run"), Parameters: good, Targets: []ssm.Target{{Key: new("x"), Values: []string{"y"}}}}, "InvalidTarget"},
		} {
			out, err := x.SendCommand(x.ctx, &c.in)
			if err == nil {
				t.Errorf("%s: sent %+v", name, out.Command)
			}
			x.wantCode(err, c.code)
		}
		if out, err := x.ListCommands(x.ctx, &ssm.ListCommandsInput{}); err != nil || len(out.Commands) != 0 {
			t.Errorf("commands %+v, %v", out, err)
		}
		if jobs := x.take(n); len(jobs) != 0 {
			t.Errorf("jobs %+v", jobs)
		}
	})
}

func TestRepeatedCallIsOneCommand(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		n := x.nodes(1)[0]
		x.ctx = wire.WithInvocationID(x.ctx, "call-1")
		first := x.send(&ssm.SendCommandInput{InstanceIds: []string{n}})
		again := x.send(&ssm.SendCommandInput{InstanceIds: []string{n}})
		other := x.send(&ssm.SendCommandInput{InstanceIds: []string{n}, Comment: new("other")})
		if *first.CommandId != *again.CommandId || *other.CommandId == *first.CommandId {
			t.Errorf("commands %s, %s, %s", *first.CommandId, *again.CommandId, *other.CommandId)
		}
		if jobs := x.take(n); len(jobs) != 2 {
			t.Errorf("%d jobs, want 2", len(jobs))
		}
	})
}

func TestForeignReportsChangeNothing(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		ids := x.nodes(2)
		mine, other := ids[0], ids[1]
		c := *x.send(&ssm.SendCommandInput{InstanceIds: []string{mine}}).CommandId
		x.take(mine)
		for _, jobID := range []string{mgs.JobID(c, mine), mgs.JobID(c, other), mgs.JobID("unknown", other), "nonsense"} {
			content := `{"documentStatus":"Success"}`
			if err := x.Replied(x.ctx, other, mgs.AgentJobReply{JobID: jobID, Content: content}); !errors.Is(err, command.ErrForeign) {
				t.Errorf("reply about %s: %v", jobID, err)
			}
			if err := x.Acked(x.ctx, other, mgs.AgentJobAck{JobID: jobID, StatusCode: mgs.AckOK}); !errors.Is(err, command.ErrForeign) {
				t.Errorf("ack about %s: %v", jobID, err)
			}
			if _, _, err := x.Output(x.ctx, other, mgs.JobOutput{JobID: jobID, Step: "run", Stream: "stdout", Data: []byte("x")}); !errors.Is(err, command.ErrForeign) {
				t.Errorf("output about %s: %v", jobID, err)
			}
		}
		x.want(c, mine, "Pending")
		if got := x.facts(other); len(got) != 1+12 || got[12] != "command.report.refused" {
			t.Errorf("facts %v", got)
		}
	})
}

func TestCancel(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		ids := x.nodes(2)
		c := *x.send(&ssm.SendCommandInput{InstanceIds: ids}).CommandId
		x.take(ids[0])
		x.ack(ids[0], c, mgs.AckOK)
		_, err := x.CancelCommand(x.ctx, &ssm.CancelCommandInput{CommandId: &c})
		x.must(err)
		x.want(c, ids[0], "Cancelling")
		x.want(c, ids[1], "Cancelled") // was never sent
		x.wantCommand(c, "Cancelling")
		if jobs := x.take(ids[1]); len(jobs) != 0 {
			t.Errorf("jobs of a cancelled invocation: %+v", jobs)
		}
		jobs := x.take(ids[0])
		if len(jobs) != 1 || jobs[0].Topic != mgs.TopicCancelCommand || !strings.Contains(jobs[0].Content, mgs.JobID(c, ids[0])) {
			t.Fatalf("jobs %+v", jobs)
		}
		x.must(x.Acked(x.ctx, ids[0], mgs.AgentJobAck{JobID: jobs[0].JobID, StatusCode: mgs.AckOK}))
		x.reply(ids[0], c, "Cancelled", map[string]mgs.StepStatus{"run": {Status: "Cancelled", Code: 137}})
		x.wantCommand(c, "Cancelled")
		if got := x.get(c, ids[0], nil); *got.ResponseCode != 137 {
			t.Errorf("code %d", *got.ResponseCode)
		}
		_, err = x.CancelCommand(x.ctx, &ssm.CancelCommandInput{CommandId: &c}) // too late: no harm
		x.must(err)
		_, err = x.CancelCommand(x.ctx, &ssm.CancelCommandInput{CommandId: new("11111111-2222-3333-4444-555555555555")})
		x.wantCode(err, "InvalidCommandId")
		_, err = x.CancelCommand(x.ctx, &ssm.CancelCommandInput{CommandId: &c, InstanceIds: []string{"mi-0"}})
		x.wantCode(err, "InvalidInstanceId")
	})
}

func TestTimeouts(t *testing.T) {
	inBubble(t, func(t *testing.T, x fixture) {
		ids := x.nodes(2)
		c := *x.send(&ssm.SendCommandInput{InstanceIds: ids, TimeoutSeconds: new(int32(30))}).CommandId
		x.take(ids[0])
		x.ack(ids[0], c, mgs.AckOK)
		<-time.After(30 * time.Second)
		x.must(x.Tasks.RunDue(x.ctx))
		x.want(c, ids[0], "InProgress")
		x.want(c, ids[1], "DeliveryTimedOut")
		if jobs := x.take(ids[1]); len(jobs) != 0 {
			t.Errorf("jobs after the delivery timeout: %+v", jobs)
		}
		<-time.After(60 * time.Second) // executionTimeout
		x.must(x.Tasks.RunDue(x.ctx))
		x.want(c, ids[0], "DeliveryTimedOut")
		x.wantCommand(c, "DeliveryTimedOut")
		x.reply(ids[0], c, "Success", nil) // too late
		x.want(c, ids[0], "DeliveryTimedOut")
		<-time.After(time.Hour)
		x.must(x.Tasks.RunDue(x.ctx))
	})
}

func TestBusyNodeIsAskedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, x fixture) {
		n := x.nodes(1)[0]
		c := *x.send(&ssm.SendCommandInput{InstanceIds: []string{n}}).CommandId
		x.take(n)
		x.ack(n, c, mgs.AckBufferFull)
		x.want(c, n, "Delayed")
		if jobs := x.take(n); len(jobs) != 0 {
			t.Errorf("jobs at once: %+v", jobs)
		}
		<-time.After(15 * time.Second)
		if jobs := x.take(n); len(jobs) != 1 || jobs[0].JobID != mgs.JobID(c, n) {
			t.Errorf("jobs after a pause: %+v", jobs)
		}
		x.ack(n, c, mgs.AckDuplicate)
		x.want(c, n, "InProgress")
	})
}

func TestRampAndErrorBudget(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		ids := x.nodes(5)
		c := *x.send(&ssm.SendCommandInput{
			DocumentName: new("Run"), Parameters: map[string][]string{"commands": {"id"}},
			Targets: []ssm.Target{{Key: new("InstanceIds"), Values: ids}}, MaxConcurrency: new("2"), MaxErrors: new("1"),
		}).CommandId
		reached := func() (with []string) {
			for _, id := range ids {
				if len(x.take(id)) > 0 {
					with = append(with, id)
				}
			}
			return with
		}
		first := reached()
		if len(first) != 1 {
			t.Fatalf("%d nodes at first, want 1", len(first))
		}
		x.reply(first[0], c, "Failed", nil)
		second := reached()
		if len(second) != 2 {
			t.Fatalf("%d nodes after the first error, want 2", len(second))
		}
		x.reply(second[0], c, "Failed", nil)
		if more := reached(); len(more) != 0 {
			t.Fatalf("went on after error n+1: %v", more)
		}
		x.reply(second[1], c, "Success", nil)
		x.wantCommand(c, "Failed")
		got := x.command(c)
		if *got.CompletedCount != 5 || *got.ErrorCount != 2 || *got.TargetCount != 5 {
			t.Errorf("command %+v", got)
		}
		out, err := x.ListCommandInvocations(x.ctx, &ssm.ListCommandInvocationsInput{
			CommandId: &c, Filters: []ssm.CommandFilter{{Key: ssm.CommandFilterKeyStatus, Value: new("Terminated")}},
		})
		x.must(err)
		if len(out.CommandInvocations) != 2 {
			t.Errorf("%d terminated, want 2", len(out.CommandInvocations))
		}
	})
}

func TestSelectedNodesOfAnotherPlatform(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		n := x.nodes(1)[0]
		x.must(x.Nodes.Report(x.ctx, n, node.Report{PlatformType: "Windows"}))
		_, err := x.SendCommand(x.ctx, &ssm.SendCommandInput{DocumentName: new("Run"), Parameters: map[string][]string{"commands": {"id"}}, InstanceIds: []string{n}})
		x.wantCode(err, "UnsupportedPlatformType")
		c := x.send(&ssm.SendCommandInput{Targets: []ssm.Target{{Key: new("InstanceIds"), Values: []string{"*"}}}})
		x.want(*c.CommandId, n, "InvalidPlatform")
		none := x.send(&ssm.SendCommandInput{Targets: []ssm.Target{{Key: new("InstanceIds"), Values: []string{"mi-0"}}}})
		if *none.StatusDetails != "NoInstancesInTag" || *none.TargetCount != 0 {
			t.Errorf("command without a node: %+v", none)
		}
	})
}

func TestDeregisteredNode(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		n := x.nodes(1)[0]
		c := *x.send(&ssm.SendCommandInput{InstanceIds: []string{n}}).CommandId
		_, err := x.Nodes.DeregisterManagedInstance(x.ctx, &ssm.DeregisterManagedInstanceInput{InstanceId: &n})
		x.must(err)
		x.must(x.Journal.Dispatch(x.ctx))
		x.want(c, n, "Undeliverable")
		x.wantCommand(c, "Failed")
	})
}

func TestOutputsAreCut(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		n := x.nodes(1)[0]
		c := *x.send(&ssm.SendCommandInput{InstanceIds: []string{n}}).CommandId
		x.take(n)
		long := strings.Repeat("ä", 25_000)
		x.reply(n, c, "Success", map[string]mgs.StepStatus{"run": {Status: "Success", StandardOutput: long, StandardError: long + "\x00", Output: long}})
		got := x.get(c, n, nil)
		if o, e := len([]rune(*got.StandardOutputContent)), len([]rune(*got.StandardErrorContent)); o != 24_000 || e != 8_000 {
			t.Errorf("%d and %d characters", o, e)
		}
		if !strings.HasSuffix(*got.StandardErrorContent, "--output truncated--") {
			t.Error("the cut is not marked")
		}
	})
}

func TestListPagesAndFilters(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		ids := x.nodes(2)
		var sent []string
		for range 3 {
			sent = append([]string{*x.send(&ssm.SendCommandInput{InstanceIds: ids}).CommandId}, sent...)
		}
		var got []string
		in := &ssm.ListCommandsInput{MaxResults: new(int32(2)), InstanceId: &ids[0]}
		for {
			out, err := x.ListCommands(x.ctx, in)
			x.must(err)
			for _, c := range out.Commands {
				got = append(got, *c.CommandId)
			}
			if in.NextToken = out.NextToken; in.NextToken == nil {
				break
			}
		}
		if diff := cmp.Diff(sent, got); diff != "" {
			t.Errorf("commands (-want +got):\n%s", diff)
		}
		n := 0
		list := &ssm.ListCommandInvocationsInput{MaxResults: new(int32(4)), Filters: []ssm.CommandFilter{{Key: ssm.CommandFilterKeyExecutionStage, Value: new("Executing")}}}
		for {
			out, err := x.ListCommandInvocations(x.ctx, list)
			x.must(err)
			n += len(out.CommandInvocations)
			if list.NextToken = out.NextToken; list.NextToken == nil {
				break
			}
		}
		if n != 6 {
			t.Errorf("%d invocations, want 6", n)
		}
		_, err := x.ListCommands(x.ctx, &ssm.ListCommandsInput{Filters: []ssm.CommandFilter{{Key: ssm.CommandFilterKeyInvokedAfter, Value: new("yesterday")}}})
		x.wantCode(err, "InvalidFilterKey")
		_, err = x.ListCommands(x.ctx, &ssm.ListCommandsInput{NextToken: new("x")})
		x.wantCode(err, "InvalidNextToken")
		_, err = x.GetCommandInvocation(x.ctx, &ssm.GetCommandInvocationInput{CommandId: new("x"), InstanceId: &ids[0]})
		x.wantCode(err, "InvocationDoesNotExist")
	})
}

func TestSelectedNodesAreAuthorizedEach(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		ids := x.nodes(2)
		x.Allow = func(_ context.Context, action string, resources ...string) error {
			if action != "ssm:SendCommand" || len(resources) != 1 || strings.HasSuffix(resources[0], ids[0]) {
				return fault.AccessDenied("no")
			}
			return nil
		}
		c := x.send(&ssm.SendCommandInput{Targets: []ssm.Target{{Key: new("InstanceIds"), Values: ids}}})
		x.want(*c.CommandId, ids[0], "AccessDenied")
		x.want(*c.CommandId, ids[1], "Pending")
		if jobs := x.take(ids[0]); len(jobs) != 0 {
			t.Errorf("jobs on a node that is not allowed: %+v", jobs)
		}
		x.Allow = func(context.Context, string, ...string) error { return errors.New("store is away") }
		_, err := x.SendCommand(x.ctx, &ssm.SendCommandInput{DocumentName: new("Run"), Targets: []ssm.Target{{Key: new("InstanceIds"), Values: ids}}})
		if err == nil {
			t.Error("sent without knowing whether it is allowed")
		}
	})
}

func TestParametersAreSealed(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		n := x.nodes(1)[0]
		const canary = "canary-7f3a"
		c := *x.send(&ssm.SendCommandInput{DocumentName: new("Run"), InstanceIds: []string{n}, Parameters: map[string][]string{"commands": {canary}}}).CommandId
		x.must(x.DB.View(x.ctx, func(tx *db.Tx) error {
			var parameters, job, payload []byte
			var spec string
			if err := tx.QueryRow("select parameters, job, spec from command_command").Scan(&parameters, &job, &spec); err != nil {
				return err
			}
			err := tx.QueryRow("select payload from mailbox_message").Scan(&payload)
			if strings.Contains(string(parameters)+string(job)+spec+string(payload), canary) {
				t.Error("a parameter is stored as it is")
			}
			return err
		}))
		if got := x.command(c); got.Parameters["commands"][0] != canary {
			t.Errorf("ListCommands shows %v", got.Parameters)
		}
		if jobs := x.take(n); !strings.Contains(jobs[0].Content, canary) {
			t.Error("the node does not get the parameter")
		}
		x.reply(n, c, "Success", nil)
		if b, err := x.Job(x.ctx, n, mgs.JobID(c, n)); err != nil || b != nil {
			t.Errorf("the job of a finished command: %s, %v", b, err)
		}
	})
}

func TestCancelledJobIsNotSentAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, x fixture) {
		n := x.nodes(1)[0]
		c := *x.send(&ssm.SendCommandInput{InstanceIds: []string{n}}).CommandId
		x.take(n)
		x.ack(n, c, mgs.AckBufferFull)
		_, err := x.CancelCommand(x.ctx, &ssm.CancelCommandInput{CommandId: &c})
		x.must(err)
		<-time.After(time.Minute)
		for _, job := range x.take(n) {
			if job.Topic != mgs.TopicCancelCommand {
				t.Errorf("sent after the cancel: %+v", job)
			}
		}
		<-time.After(3 * time.Hour)
		x.must(x.Tasks.RunDue(x.ctx))
		x.want(c, n, "DeliveryTimedOut") // nobody knows
	})
}

// TestManyNodes drives a command over many nodes to its end.
func TestManyNodes(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		ids := x.nodes(200)
		c := *x.send(&ssm.SendCommandInput{Targets: []ssm.Target{{Key: new("InstanceIds"), Values: []string{"*"}}}, MaxConcurrency: new("25%")}).CommandId
		for range 12 {
			for _, id := range ids {
				if jobs := x.take(id); len(jobs) > 0 {
					x.reply(id, c, "Success", nil)
				}
			}
		}
		x.wantCommand(c, "Success")
		if got := x.command(c); *got.CompletedCount != 200 {
			t.Errorf("command %+v", got)
		}
	})
}

func TestCommandIsForgotten(t *testing.T) {
	inBubble(t, func(t *testing.T, x fixture) {
		n := x.nodes(1)[0]
		c := *x.send(&ssm.SendCommandInput{InstanceIds: []string{n}}).CommandId
		x.take(n)
		x.reply(n, c, "Success", nil)
		<-time.After(30*24*time.Hour - time.Second)
		x.must(x.Tasks.RunDue(x.ctx))
		x.wantCommand(c, "Success")
		<-time.After(time.Second)
		x.must(x.Tasks.RunDue(x.ctx))
		if _, err := x.ListCommands(x.ctx, &ssm.ListCommandsInput{CommandId: &c}); err == nil {
			t.Error("still there after 30 days")
		}
		for _, table := range []string{"command_command", "command_invocation", "command_step", "command_output", "mailbox_message"} {
			var rows int
			x.must(x.DB.View(x.ctx, func(tx *db.Tx) error { return tx.QueryRow("select count(*) from " + table).Scan(&rows) }))
			if rows != 0 {
				t.Errorf("%d rows in %s", rows, table)
			}
		}
	})
}
