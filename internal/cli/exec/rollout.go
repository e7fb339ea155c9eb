package exec

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/api/ssm"
	api "github.com/watchbill/watchbill/internal/api/watchbill"
)

// Rollout says how a command line goes over the nodes in waves.
type Rollout struct {
	Waves    []string      // sizes such as 1, 5%, 25%, 100%; none for the hub's
	Bake     time.Duration // between waves; 0 with Waves nil is the hub's
	Health   string        // script that tells whether a wave went well, "" for none
	RollBack string        // script that undoes the change, "" for none
}

func (r *Rollout) waves() (out []api.Wave) {
	sizes := r.Waves
	if len(sizes) == 0 && r.Bake > 0 {
		sizes = []string{"1", "5%", "25%", "100%"}
	}
	for _, size := range sizes {
		out = append(out, api.Wave{Size: &size, BakeSeconds: new(int32(r.Bake / time.Second))})
	}
	return out
}

// roll starts a rollout and follows it until it is over or halted.
func (o *Options) roll(ctx context.Context, c Caller, ids []string, targets []ssm.Target, script string, t Terminal) (int, error) {
	in := &api.StartRolloutInput{
		ClientToken: new(uuid.NewString()), InstanceIds: ids, Waves: o.Rollout.waves(), MaxErrors: new(or(o.MaxErrors, "0")), MaxConcurrency: new(or(o.MaxConcurrency, "100%")),
		Command: o.command(script), HealthCheck: o.command(o.Rollout.Health), RollBack: o.command(o.Rollout.RollBack),
	}
	for _, x := range targets {
		in.Targets = append(in.Targets, api.Target{Key: x.Key, Values: x.Values})
	}
	if o.Comment != "" {
		in.Comment = &o.Comment
	}
	if o.Timeout > 0 {
		in.TimeoutSeconds = new(int32(o.Timeout / time.Second))
	}
	var out api.StartRolloutOutput
	if err := c.Call(ctx, "watchbill", "StartRollout", in, &out); err != nil {
		return 0, err
	}
	_, _ = fmt.Fprintf(t.Err, "rollout %s\n", *out.RolloutId)
	w := watcher{caller: c, terminal: t, told: map[string]string{}}
	r, err := w.watch(ctx, *out.RolloutId)
	if err != nil {
		return 0, err
	}
	return o.outcome(ctx, c, r, t)
}

func (o *Options) command(script string) *api.RolloutCommand {
	if script == "" {
		return nil
	}
	return &api.RolloutCommand{DocumentName: new(document), Parameters: o.parameters(script)}
}

// outcome shows the results of all waves.
func (o *Options) outcome(ctx context.Context, c Caller, r *api.Rollout, t Terminal) (int, error) {
	all := newShow(o.JSON, t.Out, t.Err)
	for _, w := range r.Waves {
		for _, id := range []*string{w.CommandId, w.HealthCheckCommandId} {
			if id == nil || id == w.HealthCheckCommandId && *w.Status == "Success" {
				continue
			}
			f := follower{caller: c, terminal: Terminal{Out: t.Out, Err: t.Err, Stop: t.Stop}, id: *id, show: all}
			if _, err := f.next(ctx, 0); err != nil && !unknownCommand(err) {
				return 0, err
			}
		}
	}
	code := all.finish()
	if r.Status != api.RolloutStatusSuccess {
		_, _ = fmt.Fprintf(t.Err, "the rollout is %s: %s\n", r.Status, value(r.Why))
		if r.Status == api.RolloutStatusHalted {
			_, _ = fmt.Fprintf(t.Err, "go on with: watchbill rollout resume %s --reason WHY\n", *r.RolloutId)
		}
		code = max(code, 1)
	}
	return code, nil
}

// unknownCommand: the command was decided and never sent.
func unknownCommand(err error) bool { return strings.Contains(err.Error(), "DoesNotExist") }

// watcher follows a rollout.
type watcher struct {
	caller   Caller
	terminal Terminal
	told     map[string]string // what was said of each wave last
	halted   bool
}

// watch follows a rollout until it is over or halted.
func (w *watcher) watch(ctx context.Context, id string) (*api.Rollout, error) {
	var since int64
	for {
		r, err := w.next(ctx, id, since)
		if err != nil {
			return nil, err
		}
		since = *r.Version
		w.tell(r)
		if Settled(r.Status) {
			return r, nil
		}
	}
}

// Settled says that a rollout does nothing by itself any more.
func Settled(s api.RolloutStatus) bool {
	switch s {
	case api.RolloutStatusSuccess, api.RolloutStatusHalted, api.RolloutStatusRolledBack, api.RolloutStatusFailed, api.RolloutStatusCancelled:
		return true
	}
	return false
}

func (w *watcher) next(ctx context.Context, id string, since int64) (*api.Rollout, error) {
	type answer struct {
		out api.GetRolloutOutput
		err error
	}
	came := make(chan *answer, 1)
	go func() {
		a := &answer{}
		a.err = w.caller.Call(ctx, "watchbill", "GetRollout", &api.GetRolloutInput{RolloutId: &id, SinceVersion: &since, WaitSeconds: new(int32(wait))}, &a.out)
		came <- a
	}()
	for {
		select {
		case a := <-came:
			return a.out.Rollout, a.err
		case <-w.terminal.Stop:
			if w.halted {
				return nil, fmt.Errorf("rollout %s: %w", id, ErrLeft)
			}
			w.halted = true
			if err := w.caller.Call(ctx, "watchbill", "HaltRollout", &api.HaltRolloutInput{RolloutId: &id, Reason: new("interrupted at the terminal")}, nil); err != nil {
				return nil, err
			}
		}
	}
}

// tell writes a line for each wave that changed.
func (w *watcher) tell(r *api.Rollout) {
	for i := range r.Waves {
		text := waveLine(&r.Waves[i], len(r.Waves))
		if w.told[text] == "" && *r.Waves[i].Status != "Pending" {
			_, _ = fmt.Fprintln(w.terminal.Err, text)
		}
		w.told[text] = text
	}
}

func waveLine(v *api.RolloutWave, of int) string {
	text := fmt.Sprintf("wave %d of %d, %d nodes: %s", *v.Number, of, *v.TargetCount, *v.Status)
	if v.Why != nil {
		text += ", " + *v.Why
	}
	if v.CommandId != nil {
		text += " (command " + *v.CommandId + ")"
	}
	return text
}

// Tell writes a rollout for people.
func Tell(w io.Writer, r *api.Rollout) {
	_, _ = fmt.Fprintf(w, "rollout   %s\nstatus    %s (%s)\n", *r.RolloutId, r.Status, value(r.StatusDetails))
	for _, line := range [][2]string{{"why", value(r.Why)}, {"comment", value(r.Comment)}, {"document", value(r.DocumentName) + " version " + value(r.DocumentVersion)}, {"by", value(r.RequestedBy)}} {
		if line[1] != "" {
			_, _ = fmt.Fprintf(w, "%-9s %s\n", line[0], line[1])
		}
	}
	_, _ = fmt.Fprintf(w, "nodes     %d, %d errors (at most %s)\nstarted   %s\n", *r.TargetCount, *r.ErrorCount, value(r.MaxErrors), r.RequestedAt.Format(time.RFC3339))
	for i := range r.Waves {
		_, _ = fmt.Fprintln(w, waveLine(&r.Waves[i], len(r.Waves)))
	}
	for _, s := range r.Skipped {
		_, _ = fmt.Fprintf(w, "skipped %s: %s\n", *s.InstanceId, value(s.Why))
	}
}
