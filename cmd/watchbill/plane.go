package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/watchbill/watchbill/internal/cli/cp"
	"github.com/watchbill/watchbill/internal/cli/hub"
	"github.com/watchbill/watchbill/internal/cli/shell"
	"github.com/watchbill/watchbill/internal/cli/tunnel"
)

func shellCommand() *cobra.Command {
	o := shell.Options{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	c := &cobra.Command{
		Use: "shell NODE [-- COMMAND [ARGUMENT...]]", Short: "Open a shell on a node, or run a command there",
		Args: cobra.MinimumNArgs(1), RunE: func(c *cobra.Command, args []string) error {
			client, err := hub.FromEnvironment()
			if err != nil {
				return err
			}
			o.Target, o.Command = args[0], args[1:]
			return shell.Run(c.Context(), client, o)
		},
	}
	c.Flags().StringVar(&o.Document, "document", "", "session document to use")
	c.Flags().StringVar(&o.Reason, "reason", "", "why, for the journal")
	return c
}

func cpCommand() *cobra.Command {
	o := cp.Options{Err: os.Stderr, Out: os.Stdout}
	quiet := false
	c := &cobra.Command{
		Use: "cp FROM TO", Short: "Copy files to or from a node; one side is NODE:PATH",
		Args: cobra.ExactArgs(2), RunE: func(c *cobra.Command, args []string) error {
			client, err := hub.FromEnvironment()
			if err != nil {
				return err
			}
			o.From, o.To = args[0], args[1]
			if quiet {
				o.Out = nil
			}
			return cp.Run(c.Context(), client, o)
		},
	}
	f := c.Flags()
	f.BoolVarP(&o.Recursive, "recursive", "r", false, "copy a directory with all that is in it")
	f.BoolVarP(&quiet, "quiet", "q", false, "print no sums")
	f.StringVar(&o.Document, "document", "", "session document to use")
	f.StringVar(&o.Reason, "reason", "", "why, for the journal")
	return c
}

func tunnelCommand() *cobra.Command {
	o := tunnel.Options{Out: os.Stdout, Err: os.Stderr}
	c := &cobra.Command{
		Use: "tunnel NODE", Short: "Open ports of this machine that lead to hosts which a node reaches",
		Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
			client, err := hub.FromEnvironment()
			if err != nil {
				return err
			}
			o.Target = args[0]
			return tunnel.Run(c.Context(), client, o)
		},
	}
	f := c.Flags()
	f.StringArrayVarP(&o.Forwards, "local", "L", nil, "[BIND:]PORT:HOST:PORT, any number of them")
	f.StringVar(&o.Socks, "socks", "", "[BIND:]PORT of a SOCKS 5 proxy")
	f.StringVar(&o.Document, "document", "", "session document to use for all connections")
	f.StringVar(&o.Reason, "reason", "", "why, for the journal")
	return c
}
