package command

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/page"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

const mostRows = 50 // of a page of a list, as the model says

// Characters of output that GetCommandInvocation answers.
const (
	maxStdout = 24_000
	maxStderr = 8_000
	cutMark   = "--output truncated--"
)

// cursor is where a page ends: newest first.
type cursor struct {
	Requested int64  `json:"r"`
	Command   string `json:"c"`
	Node      string `json:"n,omitzero"`
}

func readCursor(token *string) (*cursor, error) {
	if token == nil {
		return nil, nil
	}
	var c cursor
	if err := page.Parse(*token, &c); err != nil {
		return nil, &ssm.InvalidNextToken{Message: "The specified token is not valid."}
	}
	return &c, nil
}

// ListCommands lists commands, newest first.
func (s *Service) ListCommands(ctx context.Context, in *ssm.ListCommandsInput) (*ssm.ListCommandsOutput, error) {
	from, err := readCursor(in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &ssm.ListCommandsOutput{Commands: []ssm.Command{}}
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		f := scoped(tx)
		if from != nil {
			f.And("(requested < ? or requested = ? and id < ?)", from.Requested, from.Requested, from.Command)
		}
		if in.CommandId != nil {
			f.And("id = ?", *in.CommandId)
		}
		if in.InstanceId != nil {
			f.And(`exists (select 1 from command_invocation i where i.account = command_command.account and i.region = command_command.region
				and i.command_id = command_command.id and i.node_id = ?)`, *in.InstanceId)
		}
		if err := commandFilters(f, in.Filters, commandDetails); err != nil {
			return err
		}
		size := page.Limit(in.MaxResults, mostRows)
		list, err := commandsWhere(tx, f, size+1)
		if err != nil {
			return err
		}
		if len(list) > size {
			list = list[:size]
			last := list[size-1]
			out.NextToken = new(page.Token(cursor{Requested: db.Micros(last.Requested), Command: last.ID}))
		}
		if len(list) == 0 && in.CommandId != nil && from == nil && len(in.Filters) == 0 && in.InstanceId == nil {
			return errCommand(*in.CommandId)
		}
		for i := range list {
			c, err := s.project(ctx, &list[i])
			if err != nil {
				return err
			}
			out.Commands = append(out.Commands, *c)
		}
		return nil
	})
	return out, err
}

// ListCommandInvocations lists invocations, newest first; Details adds their
// steps.
func (s *Service) ListCommandInvocations(ctx context.Context, in *ssm.ListCommandInvocationsInput) (*ssm.ListCommandInvocationsOutput, error) {
	from, err := readCursor(in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &ssm.ListCommandInvocationsOutput{CommandInvocations: []ssm.CommandInvocation{}}
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		f := scoped(tx)
		if from != nil {
			f.And("(requested < ? or requested = ? and (command_id < ? or command_id = ? and node_id > ?))",
				from.Requested, from.Requested, from.Command, from.Command, from.Node)
		}
		if in.CommandId != nil {
			f.And("command_id = ?", *in.CommandId)
		}
		if in.InstanceId != nil {
			f.And("node_id = ?", *in.InstanceId)
		}
		if err := commandFilters(f, in.Filters, invocationDetails); err != nil {
			return err
		}
		size := page.Limit(in.MaxResults, mostRows)
		list, err := listInvocations(tx, f, "requested desc, command_id desc, node_id", size+1)
		if err != nil {
			return err
		}
		if len(list) > size {
			list = list[:size]
			last := list[size-1]
			out.NextToken = new(page.Token(cursor{db.Micros(last.Requested), last.CommandID, last.NodeID}))
		}
		out.CommandInvocations, err = s.projectInvocations(tx, list, in.Details != nil && *in.Details)
		return err
	})
	return out, err
}

func (s *Service) projectInvocations(tx *db.Tx, list []invocation, details bool) ([]ssm.CommandInvocation, error) {
	out := make([]ssm.CommandInvocation, 0, len(list))
	commands := map[string]*command{}
	for i := range list {
		c := commands[list[i].CommandID]
		if c == nil {
			var err error
			if c, err = findCommand(tx, list[i].CommandID, false); err != nil {
				return nil, err
			}
			commands[list[i].CommandID] = c
		}
		p := list[i].project(c)
		if details {
			steps, err := s.listSteps(tx, list[i].CommandID, list[i].NodeID)
			if err != nil {
				return nil, err
			}
			for n := range steps {
				p.CommandPlugins = append(p.CommandPlugins, steps[n].project(c, list[i].NodeID))
			}
		}
		out = append(out, p)
	}
	return out, nil
}

// The details behind each value of the filter Status.
var (
	commandDetails = map[string][]string{
		"Pending": {"Pending"}, "InProgress": {"InProgress"}, "Success": {"Success"}, "Cancelled": {"Cancelled"}, "Cancelling": {"Cancelling"},
		"Failed":   {"Failed", "Incomplete", "NoInstancesInTag", "Undeliverable", "Terminated", "InvalidPlatform", "AccessDenied"},
		"TimedOut": {"DeliveryTimedOut", "ExecutionTimedOut"},
	}
	invocationDetails = map[string][]string{
		"Pending": {"Pending"}, "Delayed": {"Delayed"}, "InProgress": {"InProgress"}, "Success": {"Success"}, "Cancelled": {"Cancelled"}, "Cancelling": {"Cancelling"},
		"Failed":   {"Failed", "Undeliverable", "Terminated", "InvalidPlatform", "AccessDenied"},
		"TimedOut": {"DeliveryTimedOut", "ExecutionTimedOut"},
	}
	openDetails = []string{"Pending", "Delayed", "InProgress", "Cancelling"}
)

// commandFilters adds conditions. A value of Status may also be a detail.
func commandFilters(f *db.Filter, filters []ssm.CommandFilter, details map[string][]string) error {
	for _, x := range filters {
		v := ptr.Value(x.Value)
		switch x.Key {
		case ssm.CommandFilterKeyStatus:
			fine := details[v]
			if fine == nil {
				fine = []string{v}
			}
			f.In("status", fine)
		case ssm.CommandFilterKeyDocumentName:
			f.And("document_name = ?", v)
		case ssm.CommandFilterKeyExecutionStage:
			switch v {
			case "Executing":
				f.In("status", openDetails)
			case "Complete":
				f.And("status not in (?, ?, ?, ?)", openDetails[0], openDetails[1], openDetails[2], openDetails[3])
			default:
				return &ssm.InvalidFilterKey{Message: "ExecutionStage is Executing or Complete."}
			}
		case ssm.CommandFilterKeyInvokedAfter, ssm.CommandFilterKeyInvokedBefore:
			at, err := time.Parse(time.RFC3339, v)
			if err != nil {
				return &ssm.InvalidFilterKey{Message: "The value of " + string(x.Key) + " must be a time such as 2026-07-07T00:00:00Z."}
			}
			sign := map[ssm.CommandFilterKey]string{ssm.CommandFilterKeyInvokedAfter: ">", ssm.CommandFilterKeyInvokedBefore: "<"}[x.Key]
			f.And("requested "+sign+" ?", db.Micros(at))
		default:
			return &ssm.InvalidFilterKey{Message: "The filter key " + string(x.Key) + " is not valid."}
		}
	}
	return nil
}

// GetCommandInvocation answers what a command did on a node. With several
// steps PluginName picks one by its name; without it the answer is about the
// whole invocation and holds no output.
func (s *Service) GetCommandInvocation(ctx context.Context, in *ssm.GetCommandInvocationInput) (*ssm.GetCommandInvocationOutput, error) {
	var out *ssm.GetCommandInvocationOutput
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		i, err := findInvocation(tx, *in.CommandId, *in.InstanceId)
		if err != nil {
			return err
		}
		if i == nil {
			return &ssm.InvocationDoesNotExist{Message: "The command " + *in.CommandId + " has no invocation on " + *in.InstanceId + "."}
		}
		c, err := findCommand(tx, i.CommandID, false)
		if err != nil {
			return err
		}
		steps, err := s.listSteps(tx, i.CommandID, i.NodeID)
		if err != nil {
			return err
		}
		out, err = answer(c, i, steps, in.PluginName)
		return err
	})
	return out, err
}

func answer(c *command, i *invocation, steps []step, name *string) (*ssm.GetCommandInvocationOutput, error) {
	out := &ssm.GetCommandInvocationOutput{
		CloudWatchOutputConfig: c.Spec.CloudWatchOutputConfig, CommandId: &i.CommandID, Comment: new(ptr.Value(c.Spec.Comment)), DocumentName: &i.DocumentName,
		DocumentVersion: &c.DocumentVersion, InstanceId: &i.NodeID, Status: i.Status.invocationStatus(), StatusDetails: new(string(i.Status)),
		ResponseCode: new(int32(-1)), StandardOutputContent: new(""), StandardErrorContent: new(""), StandardOutputUrl: new(""), StandardErrorUrl: new(""),
		ExecutionStartDateTime: new(""), ExecutionElapsedTime: new(""), ExecutionEndDateTime: new(""),
	}
	if name == nil && len(steps) != 1 {
		addTimes(out, steps)
		return out, nil
	}
	n := pick(steps, ptr.Value(name))
	if n < 0 {
		return nil, &ssm.InvalidPluginName{Message: "The document has no step " + ptr.Value(name) + "."}
	}
	st := &steps[n]
	st.fill(out)
	st.addURLs(c, i.NodeID, out)
	if len(steps) > 1 {
		out.PluginName, out.Status, out.StatusDetails = &st.Name, st.Status.invocationStatus(), new(string(st.Status))
	}
	return out, nil
}

// addTimes tells the time from the first step's start to the last one's end.
func addTimes(out *ssm.GetCommandInvocationOutput, steps []step) {
	var whole step
	for n := range steps {
		st := &steps[n]
		if whole.Started.IsZero() || !st.Started.IsZero() && st.Started.Before(whole.Started) {
			whole.Started = st.Started
		}
		if st.Finished.After(whole.Finished) {
			whole.Finished = st.Finished
		}
	}
	whole.times(out)
}

func (st *step) times(out *ssm.GetCommandInvocationOutput) {
	if !st.Started.IsZero() {
		out.ExecutionStartDateTime = new(mgs.FormatTime(st.Started))
	}
	if !st.Finished.IsZero() {
		out.ExecutionEndDateTime = new(mgs.FormatTime(st.Finished))
		out.ExecutionElapsedTime = new(fmt.Sprintf("PT%gS", st.Finished.Sub(st.Started).Truncate(time.Millisecond).Seconds()))
	}
}

func (st *step) fill(out *ssm.GetCommandInvocationOutput) {
	out.PluginName = &st.Plugin
	st.times(out)
	if !st.Status.final() {
		return
	}
	out.ResponseCode = new(int32(st.Code))
	out.StandardOutputContent, out.StandardErrorContent = new(cut(st.Stdout, maxStdout)), new(cut(st.Stderr, maxStderr))
}

// cut shortens s to n characters and marks it.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(strings.TrimSuffix(s, cutMark))[:n-len(cutMark)]) + cutMark
}

func (c *command) project() *ssm.Command {
	out := c.Spec
	out.CommandId, out.DocumentName, out.DocumentVersion = &c.ID, &c.DocumentName, &c.DocumentVersion
	out.RequestedDateTime, out.ExpiresAfter = &c.Requested, &c.Expires
	out.Status, out.StatusDetails = c.Status.commandStatus(), new(string(c.Status))
	out.TargetCount, out.CompletedCount, out.ErrorCount = new(int32(c.Targets)), new(int32(c.Tally.completed())), new(int32(c.Tally.errors()))
	out.DeliveryTimedOutCount = new(int32(c.Tally[deliveryTimedOut]))
	if out.Comment == nil {
		out.Comment = new("")
	}
	if out.InstanceIds == nil {
		out.InstanceIds = []string{}
	}
	if out.Targets == nil {
		out.Targets = []ssm.Target{}
	}
	return &out
}

func (i *invocation) project(c *command) ssm.CommandInvocation {
	return ssm.CommandInvocation{
		CloudWatchOutputConfig: c.Spec.CloudWatchOutputConfig, CommandId: &i.CommandID, CommandPlugins: []ssm.CommandPlugin{}, Comment: new(ptr.Value(c.Spec.Comment)),
		DocumentName: &i.DocumentName, DocumentVersion: &c.DocumentVersion, InstanceId: &i.NodeID, InstanceName: new(i.NodeName),
		NotificationConfig: c.Spec.NotificationConfig, RequestedDateTime: &i.Requested, ServiceRole: new(ptr.Value(c.Spec.ServiceRole)),
		Status: i.Status.invocationStatus(), StatusDetails: new(string(i.Status)), TraceOutput: ptr.OrNil(i.Trace), StandardOutputUrl: new(""), StandardErrorUrl: new(""),
	}
}

func (st *step) project(c *command, nodeID string) ssm.CommandPlugin {
	return ssm.CommandPlugin{
		Name: &st.Name, Output: new(st.Output), OutputS3BucketName: new(ptr.Value(c.Spec.OutputS3BucketName)), OutputS3KeyPrefix: new(ptr.Value(c.Spec.OutputS3KeyPrefix)),
		OutputS3Region: c.Spec.OutputS3Region, ResponseCode: new(int32(st.Code)), ResponseStartDateTime: ptr.OrNil(st.Started), ResponseFinishDateTime: ptr.OrNil(st.Finished),
		StandardErrorUrl: new(c.outputURL(nodeID, st, "stderr")), StandardOutputUrl: new(c.outputURL(nodeID, st, "stdout")), Status: ssm.CommandPluginStatus(st.Status.invocationStatus()), StatusDetails: new(string(st.Status)),
	}
}
