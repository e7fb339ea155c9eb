package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/watchbill/watchbill/internal/cli/hub"
	"github.com/watchbill/watchbill/internal/cli/shell"
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
