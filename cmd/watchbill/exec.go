package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	api "github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/cli/exec"
	"github.com/watchbill/watchbill/internal/cli/hub"
	"github.com/watchbill/watchbill/internal/wire/client"
)

func execCommand() *cobra.Command {
	var o exec.Options
	var w waveFlags
	var script string
	c := &cobra.Command{
		Use:   "exec --target TARGET [flags] -- COMMAND [ARGUMENT...]",
		Short: "Run a command on nodes",
		Long: `Run a command on nodes and show what came of it. A TARGET is a node's id,
tag:KEY=VALUE, tag-key=KEY or all. The exit code is the worst of the nodes', 255
for a node that has none.`,
		RunE: func(c *cobra.Command, args []string) error {
			if (len(args) == 0) == (script == "") {
				return fmt.Errorf("write a command behind --, or a line of shell with --script")
			}
			if script == "" {
				script = exec.Quote(args)
			}
			o.Rollout = w.rollout()
			return runExec(c, o, script)
		},
	}
	f := c.Flags()
	f.StringArrayVarP(&o.Targets, "target", "t", nil, "nodes: an id, tag:KEY=VALUE[,VALUE], tag-key=KEY or all (may be repeated)")
	f.StringVar(&script, "script", "", "a line of shell instead of a command and its arguments")
	f.StringVar(&o.MaxConcurrency, "max-concurrency", "", "nodes at a time, a number or a percentage (default all)")
	f.StringVar(&o.MaxErrors, "max-errors", "", "stop when more nodes than this fail, a number or a percentage (default never; 0 with waves)")
	f.DurationVar(&o.Timeout, "timeout", 0, "time in which a node must take the command (default 1h)")
	f.DurationVar(&o.ExecutionTimeout, "execution-timeout", 0, "time after which the script is stopped (default 1h)")
	f.StringVar(&o.Comment, "comment", "", "kept with the command")
	f.BoolVar(&o.JSON, "json", false, "print a line of JSON for each node")
	w.add(c)
	return c
}

// waveFlags are the flags that make a rollout of a command.
type waveFlags struct {
	kind             string
	sizes            []string
	bake             time.Duration
	health, rollBack string
}

func (w *waveFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&w.kind, "wave", "", "canary: one node, then 5%, 25% and the rest")
	f.StringSliceVar(&w.sizes, "waves", nil, "how far each wave goes, such as 1,5%,25%,100%")
	f.DurationVar(&w.bake, "bake", 0, "time between waves (default 10m with --wave canary)")
	f.StringVar(&w.health, "health", "", "a line of shell that must succeed on each node of a wave before the next")
	f.StringVar(&w.rollBack, "roll-back", "", "a line of shell that undoes the change, for watchbill rollout rollback")
	c.MarkFlagsMutuallyExclusive("wave", "waves")
}

// rollout is nil when no flag asks for one.
func (w *waveFlags) rollout() *exec.Rollout {
	if w.kind == "" && w.sizes == nil && w.bake == 0 && w.health == "" && w.rollBack == "" {
		return nil
	}
	return &exec.Rollout{Waves: w.sizes, Bake: w.bake, Health: w.health, RollBack: w.rollBack}
}

// exitCode ends the program with a code and without words.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

func runExec(c *cobra.Command, o exec.Options, script string) error {
	hub, err := hub.FromEnvironment()
	if err != nil {
		return err
	}
	stop := make(chan struct{})
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt)
	defer signal.Stop(signals)
	go func() {
		for range signals {
			stop <- struct{}{}
		}
	}()
	// The command line outlives the first interrupt: it cancels the command and
	// shows what that came to.
	ctx := context.WithoutCancel(c.Context())
	code, err := exec.Run(ctx, hub, o, script, exec.Terminal{Out: c.OutOrStdout(), Err: c.ErrOrStderr(), Progress: term.IsTerminal(int(os.Stderr.Fd())), Stop: stop})
	if err == nil && code != 0 {
		err = exitCode(code)
	}
	return err
}

func rolloutCommand() *cobra.Command {
	c := &cobra.Command{Use: "rollout", Short: "Look after commands that go over the nodes in waves"}
	c.AddCommand(
		rolloutShowCommand(), rolloutListCommand(),
		rolloutChangeCommand("halt", "Begin no further wave", func(ctx context.Context, hub *client.Client, id, why *string) (*api.Rollout, error) {
			var out api.HaltRolloutOutput
			err := hub.Call(ctx, "watchbill", "HaltRollout", &api.HaltRolloutInput{RolloutId: id, Reason: why}, &out)
			return out.Rollout, err
		}),
		rolloutChangeCommand("resume", "Go on with a halted rollout", func(ctx context.Context, hub *client.Client, id, why *string) (*api.Rollout, error) {
			var out api.ResumeRolloutOutput
			err := hub.Call(ctx, "watchbill", "ResumeRollout", &api.ResumeRolloutInput{RolloutId: id, Reason: why}, &out)
			return out.Rollout, err
		}),
		rolloutChangeCommand("rollback", "Undo a rollout, newest wave first", func(ctx context.Context, hub *client.Client, id, why *string) (*api.Rollout, error) {
			var out api.RollBackRolloutOutput
			err := hub.Call(ctx, "watchbill", "RollBackRollout", &api.RollBackRolloutInput{RolloutId: id, Reason: why}, &out)
			return out.Rollout, err
		}),
	)
	return c
}

func rolloutShowCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "show ROLLOUT", Short: "Show a rollout and its waves", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		hub, err := hub.FromEnvironment()
		if err != nil {
			return err
		}
		var out api.GetRolloutOutput
		if err := hub.Call(c.Context(), "watchbill", "GetRollout", &api.GetRolloutInput{RolloutId: &args[0]}, &out); err != nil {
			return err
		}
		return tellRollout(c, out.Rollout, asJSON)
	}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func tellRollout(c *cobra.Command, r *api.Rollout, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(c.OutOrStdout()).Encode(r)
	}
	exec.Tell(c.OutOrStdout(), r)
	return nil
}

func rolloutListCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "list", Short: "List rollouts, newest first", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		hub, err := hub.FromEnvironment()
		if err != nil {
			return err
		}
		return eachRollout(c.Context(), hub, func(r *api.Rollout) error {
			if asJSON {
				return tellRollout(c, r, true)
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "%s  %s  %-11s  %-32s  %d nodes\n", *r.RolloutId, r.RequestedAt.Format(time.RFC3339), r.Status, *r.StatusDetails, *r.TargetCount)
			return err
		})
	}}
	c.Flags().BoolVar(&asJSON, "json", false, "print a line of JSON for each rollout")
	return c
}

func eachRollout(ctx context.Context, hub *client.Client, f func(*api.Rollout) error) error {
	in := &api.ListRolloutsInput{}
	for {
		var out api.ListRolloutsOutput
		if err := hub.Call(ctx, "watchbill", "ListRollouts", in, &out); err != nil {
			return err
		}
		for i := range out.Rollouts {
			if err := f(&out.Rollouts[i]); err != nil {
				return err
			}
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return nil
		}
	}
}

func rolloutChangeCommand(name, short string, change func(ctx context.Context, hub *client.Client, id, why *string) (*api.Rollout, error)) *cobra.Command {
	var reason string
	c := &cobra.Command{Use: name + " ROLLOUT --reason WHY", Short: short, Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		hub, err := hub.FromEnvironment()
		if err != nil {
			return err
		}
		out, err := change(c.Context(), hub, &args[0], &reason)
		if err != nil {
			return err
		}
		return tellRollout(c, out, false)
	}}
	c.Flags().StringVar(&reason, "reason", "", "kept in the journal (required)")
	_ = c.MarkFlagRequired("reason")
	return c
}
