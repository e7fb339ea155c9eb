package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	api "github.com/watchbill/watchbill/internal/api/watchbill"
)

// Caller calls operations; *client.Client is one.
type Caller interface {
	Call(ctx context.Context, service, operation string, in, out any) error
}

// Options say where and how a command line runs.
type Options struct {
	Targets          []string      // see Targets
	MaxConcurrency   string        // "" for all at once
	MaxErrors        string        // "" for any number, in a rollout for none
	Timeout          time.Duration // in which a node must take the command; 0 for the hub's
	ExecutionTimeout time.Duration // of the script; 0 for the document's
	Comment          string
	JSON             bool
	Rollout          *Rollout // nil: all nodes at once
}

// Terminal is where results and progress go.
type Terminal struct {
	Out, Err io.Writer
	Progress bool            // Err is a terminal
	Stop     <-chan struct{} // a value asks to cancel, a second one to leave at once
}

// ErrLeft says that the command goes on without us.
var ErrLeft = errors.New("left before the end")

// Run runs a script on nodes, shows what came of it and answers the exit code.
func Run(ctx context.Context, c Caller, o Options, script string, t Terminal) (code int, err error) {
	ids, targets, err := Targets(o.Targets)
	if err != nil {
		return 0, err
	}
	if o.Rollout != nil {
		return o.roll(ctx, c, ids, targets, script, t)
	}
	in := &ssm.SendCommandInput{
		DocumentName: new(document), InstanceIds: ids, Targets: targets, Parameters: o.parameters(script),
		MaxConcurrency: new(or(o.MaxConcurrency, "100%")), MaxErrors: new(or(o.MaxErrors, "100%")),
	}
	if o.Comment != "" {
		in.Comment = &o.Comment
	}
	if o.Timeout > 0 {
		in.TimeoutSeconds = new(int32(o.Timeout / time.Second))
	}
	var sent ssm.SendCommandOutput
	if err := c.Call(ctx, "ssm", "SendCommand", in, &sent); err != nil {
		return 0, err
	}
	f := follower{caller: c, terminal: t, id: *sent.Command.CommandId, show: newShow(o.JSON, t.Out, t.Err)}
	if err := f.follow(ctx); err != nil {
		return 0, err
	}
	return f.show.finish(), f.complain()
}

// document runs the lines of its parameter commands.
const document = "AWS-RunShellScript"

func (o *Options) parameters(script string) map[string][]string {
	p := map[string][]string{"commands": {script}}
	if o.ExecutionTimeout > 0 {
		p["executionTimeout"] = []string{strconv.Itoa(int(o.ExecutionTimeout / time.Second))}
	}
	return p
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// complain is the error of a command that reached no node.
func (f *follower) complain() error {
	if f.last != nil && *f.last.TargetCount == 0 {
		return fmt.Errorf("no node was selected (command %s: %s)", f.id, *f.last.StatusDetails)
	}
	return nil
}

// wait is the longest that one call of a long poll lasts.
const wait = 20

// follower follows a command to its end.
type follower struct {
	caller    Caller
	terminal  Terminal
	id        string
	show      *show
	last      *api.DescribeCommandTargetsOutput
	live      *live // nil: outputs are shown at the end
	cancelled bool
}

func (f *follower) follow(ctx context.Context) error {
	var since int64
	var b *bar
	for {
		out, err := f.next(ctx, since)
		if b == nil && err == nil { // the first answer: one node is heard live, of many there is a bar
			t := f.terminal
			t.Progress = t.Progress && *out.TargetCount > 1
			b = newBar(t)
			defer b.end()
			f.listen(ctx, out)
		}
		if err != nil {
			return err
		}
		since, f.last = *out.Version, out
		b.set(int64(*out.TargetCount), int64(*out.CompletedCount), int64(*out.ErrorCount))
		if over(*out.Status) {
			return f.heard()
		}
	}
}

func over(status string) bool {
	return status != "Pending" && status != "InProgress" && status != "Cancelling"
}

// next reads what has changed since a version. While it waits a person may
// cancel the command.
func (f *follower) next(ctx context.Context, since int64) (*api.DescribeCommandTargetsOutput, error) {
	in := &api.DescribeCommandTargetsInput{CommandId: &f.id, SinceVersion: &since, WaitSeconds: new(int32(wait)), IncludeOutput: new(true)}
	for {
		out, err := f.page(ctx, in)
		if err != nil {
			return nil, err
		}
		for n := range out.Targets {
			if out.Targets[n].EndedAt == nil {
				continue
			}
			if err := f.ended(ctx, &out.Targets[n]); err != nil {
				return nil, err
			}
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return out, nil
		}
	}
}

func (f *follower) page(ctx context.Context, in *api.DescribeCommandTargetsInput) (*api.DescribeCommandTargetsOutput, error) {
	type answer struct {
		out api.DescribeCommandTargetsOutput
		err error
	}
	came := make(chan *answer, 1)
	go func() {
		a := &answer{}
		a.err = f.caller.Call(ctx, "watchbill", "DescribeCommandTargets", in, &a.out)
		came <- a
	}()
	for {
		select {
		case a := <-came:
			return &a.out, a.err
		case <-f.terminal.Stop:
			if f.cancelled {
				return nil, fmt.Errorf("command %s: %w", f.id, ErrLeft)
			}
			f.cancelled = true
			if err := f.caller.Call(ctx, "ssm", "CancelCommand", &ssm.CancelCommandInput{CommandId: &f.id}, nil); err != nil {
				return nil, err
			}
			_, _ = fmt.Fprintf(f.terminal.Err, "\ncancelling command %s; interrupt again to leave it alone\n", f.id)
		}
	}
}

// ended takes the result of a node, with all of its output.
func (f *follower) ended(ctx context.Context, t *api.CommandTarget) error {
	r := result{
		CommandID: f.id, InstanceID: *t.InstanceId, Name: value(t.Name), Status: *t.Status, StatusDetails: *t.StatusDetails, Why: value(t.Why),
		Stdout: value(t.StandardOutputContent), Stderr: value(t.StandardErrorContent),
	}
	if t.ResponseCode != nil {
		r.ExitCode = new(int(*t.ResponseCode))
	}
	if f.live == nil && t.OutputComplete != nil && !*t.OutputComplete {
		for stream, text := range map[api.OutputStream]*string{api.OutputStreamStandardOutput: &r.Stdout, api.OutputStreamStandardError: &r.Stderr} {
			whole, err := f.output(ctx, *t.InstanceId, stream)
			if err != nil {
				return err
			}
			*text = string(whole)
		}
	}
	return f.show.add(r)
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// output reads all of a stream of a node that has ended.
func (f *follower) output(ctx context.Context, node string, stream api.OutputStream) (all []byte, err error) {
	in := &api.GetCommandOutputInput{CommandId: &f.id, InstanceId: &node, Stream: stream, Offset: new(int64(0)), WaitSeconds: new(int32(wait)), MaxBytes: new(int32(512 << 10))}
	for {
		var out api.GetCommandOutputOutput
		if err := f.caller.Call(ctx, "watchbill", "GetCommandOutput", in, &out); err != nil {
			return nil, err
		}
		all = append(all, out.Content...)
		if *out.Complete || len(out.Content) == 0 {
			return all, nil
		}
		in.Offset = out.NextOffset
	}
}
