package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/cli/hub"
	"github.com/watchbill/watchbill/internal/cli/lock"
	"github.com/watchbill/watchbill/internal/cli/replay"
	"github.com/watchbill/watchbill/internal/cli/session"
)

// onTerminal says that w is a terminal, which control sequences are meant for.
func onTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func sessionsCommand() *cobra.Command {
	c := sessionsListCommand("sessions")
	c.Short = "List, watch, join and end sessions"
	c.AddCommand(sessionsListCommand("list"), sessionsWatchCommand(), sessionsJoinCommand(), sessionsKillCommand())
	return c
}

func sessionsListCommand(use string) *cobra.Command {
	var history, asJSON bool
	var node, owner string
	most := 200
	c := &cobra.Command{Use: use, Short: "List sessions, newest first", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		api, err := hub.FromEnvironment()
		if err != nil {
			return err
		}
		var filters []ssm.SessionFilter
		if node != "" {
			filters = append(filters, ssm.SessionFilter{Key: ssm.SessionFilterKeyTarget, Value: &node})
		}
		if owner != "" {
			filters = append(filters, ssm.SessionFilter{Key: ssm.SessionFilterKeyOwner, Value: &owner})
		}
		list, err := session.List(c.Context(), api, history, filters, most)
		if err != nil {
			return err
		}
		if asJSON {
			return json.NewEncoder(c.OutOrStdout()).Encode(list)
		}
		return session.Table(c.OutOrStdout(), list, time.Local)
	}}
	f := c.Flags()
	f.BoolVar(&history, "history", false, "sessions that ended in place of those that are active")
	f.StringVar(&node, "node", "", "only those on this node")
	f.StringVar(&owner, "owner", "", "only those of this owner, an ARN")
	f.IntVar(&most, "limit", most, "how many at most")
	f.BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func sessionsWatchCommand() *cobra.Command {
	return &cobra.Command{Use: "watch SESSION", Short: "Show the recording of a session as it is made", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		api, err := hub.FromEnvironment()
		if err != nil {
			return err
		}
		w := c.OutOrStdout()
		return ended(c, replay.Play(c.Context(), replay.Fetch(c.Context(), api, args[0], true), w, replay.Options{Raw: onTerminal(w)}))
	}}
}

// ended makes no error of the user's Ctrl-C.
func ended(c *cobra.Command, err error) error {
	if c.Context().Err() != nil {
		return nil
	}
	return err
}

func sessionsJoinCommand() *cobra.Command {
	var o session.JoinOptions
	c := &cobra.Command{Use: "join SESSION", Short: "See a session while it goes on, and be its second person", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		api, err := hub.FromEnvironment()
		if err != nil {
			return err
		}
		said, err := session.Join(c.Context(), api, args[0], o, shown(c.OutOrStdout()))
		if said != "" {
			_, _ = fmt.Fprintln(c.ErrOrStderr(), said)
		}
		return ended(c, err)
	}}
	c.Flags().BoolVar(&o.Second, "second-person", false, "let input of the session's owner flow while you are there")
	c.Flags().StringVar(&o.Reason, "reason", "", "why, for the journal")
	return c
}

// shown is w without control sequences, unless it is a terminal.
func shown(w io.Writer) io.Writer {
	if onTerminal(w) {
		return w
	}
	return &plainWriter{w: w}
}

type plainWriter struct {
	w     io.Writer
	plain replay.Plain
}

func (p *plainWriter) Write(b []byte) (int, error) {
	_, err := io.WriteString(p.w, p.plain.Text(string(b)))
	return len(b), err
}

func sessionsKillCommand() *cobra.Command {
	return &cobra.Command{Use: "kill SESSION...", Short: "End sessions", Args: cobra.MinimumNArgs(1), RunE: func(c *cobra.Command, args []string) error {
		api, err := hub.FromEnvironment()
		if err != nil {
			return err
		}
		for _, id := range args {
			if e := session.Kill(c.Context(), api, id); e != nil {
				err = errors.Join(err, fmt.Errorf("%s: %w", id, e))
			}
		}
		return err
	}}
}

func replayCommand() *cobra.Command {
	o := replay.Options{Speed: 1, Pause: 3 * time.Second}
	var search, export string
	c := &cobra.Command{Use: "replay [SESSION]", Short: "Play, search or export the recording of a session; list recordings", Args: cobra.MaximumNArgs(1), RunE: func(c *cobra.Command, args []string) error {
		api, err := hub.FromEnvironment()
		if err != nil {
			return err
		}
		w := c.OutOrStdout()
		if len(args) == 0 {
			return replay.List(c.Context(), api, w, time.Local)
		}
		r := replay.Fetch(c.Context(), api, args[0], false)
		switch {
		case search != "":
			return replaySearch(r, w, search)
		case export == "asciicast":
			_, err := io.Copy(w, r)
			return err
		case export == "text":
			return replay.Text(r, w)
		case export != "":
			return fmt.Errorf("--export %q: asciicast or text", export)
		}
		o.Raw = onTerminal(w)
		return ended(c, replay.Play(c.Context(), r, w, o))
	}}
	f := c.Flags()
	f.Float64Var(&o.Speed, "speed", o.Speed, "how many times as fast; 0 shows everything at once")
	f.DurationVar(&o.Pause, "pause", o.Pause, "the longest pause that is kept; 0 keeps all")
	f.StringVar(&search, "search", "", "print the lines that hold this text, with their times")
	f.StringVar(&export, "export", "", "write the recording unchanged: asciicast, or text (the output alone)")
	return c
}

func replaySearch(r io.Reader, w io.Writer, text string) error {
	found, err := replay.Search(r, text)
	for _, m := range found {
		_, _ = fmt.Fprintf(w, "%s  %s\n", replay.Clock(m.At), m.Line)
	}
	if err == nil && len(found) == 0 {
		return errors.New("no line holds it")
	}
	return err
}

func lockCommand() *cobra.Command {
	c := &cobra.Command{Use: "lock", Short: "Lock users, roles, keys, nodes and documents"}
	c.AddCommand(lockAddCommand(), lockListCommand(), lockRemoveCommand())
	return c
}

func lockAddCommand() *cobra.Command {
	var reason string
	var lasts time.Duration
	c := &cobra.Command{Use: "add user|role|key|node|document TARGET", Short: "Lock something at once, and end the sessions it is in", Args: cobra.ExactArgs(2), RunE: func(c *cobra.Command, args []string) error {
		kind, err := lock.Kind(args[0])
		if err != nil {
			return err
		}
		api, err := hub.FromEnvironment()
		if err != nil {
			return err
		}
		l, err := lock.Add(c.Context(), api, kind, args[1], reason, lasts)
		if err == nil {
			_, _ = fmt.Fprintln(c.OutOrStdout(), *l.LockId)
		}
		return err
	}}
	c.Flags().StringVar(&reason, "reason", "", "why (required)")
	c.Flags().DurationVar(&lasts, "for", 0, "how long; without it until it is removed")
	_ = c.MarkFlagRequired("reason")
	return c
}

func lockListCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "list", Short: "List the locks that hold", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		api, err := hub.FromEnvironment()
		if err != nil {
			return err
		}
		all, err := lock.List(c.Context(), api)
		if err != nil {
			return err
		}
		if asJSON {
			return json.NewEncoder(c.OutOrStdout()).Encode(all)
		}
		return lock.Table(c.OutOrStdout(), all, time.Local)
	}}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func lockRemoveCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{Use: "remove LOCK", Short: "Take a lock away", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		api, err := hub.FromEnvironment()
		if err != nil {
			return err
		}
		return lock.Remove(c.Context(), api, args[0], reason)
	}}
	c.Flags().StringVar(&reason, "reason", "", "why (required)")
	_ = c.MarkFlagRequired("reason")
	return c
}
