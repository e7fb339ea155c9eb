// Command watchbill is the hub, the node agent and the tools around them, in one
// binary.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

var version = "dev" // set when it is built

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, nil)))
	if err := root().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "watchbill: "+err.Error())
		stop()
		os.Exit(1)
	}
}

func root() *cobra.Command {
	c := &cobra.Command{
		Use:           "watchbill",
		Short:         "A self-hosted operations hub that speaks the protocols of AWS Systems Manager and Incident Manager",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	c.AddCommand(serverCommand(), envCommand(), agentCommand(), releaseCommand(), opsCommand(), auditCommand(), versionCommand())
	c.AddCommand(sessionsCommand(), replayCommand(), lockCommand())
	return c
}

func versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, Run: func(c *cobra.Command, _ []string) {
		_, _ = fmt.Fprintln(c.OutOrStdout(), "watchbill "+version)
	}}
}
