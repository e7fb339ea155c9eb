// Command watchbill is the hub, the node agent and the tools around them, in one
// binary.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/watchbill/watchbill/internal/cli/plane"
)

var version = "dev" // set when it is built

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, nil)))
	if err := root().ExecuteContext(ctx); err != nil {
		stop()
		os.Exit(report(err))
	}
}

// report tells an error and answers the exit code: that of a remote program where that
// is all the error says; an exitCode was told already.
func report(err error) int {
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	if e, ok := errors.AsType[*plane.Exit](err); ok {
		return e.ExitCode()
	}
	fmt.Fprintln(os.Stderr, "watchbill: "+err.Error())
	return 1
}

func root() *cobra.Command {
	c := &cobra.Command{
		Use:           "watchbill",
		Short:         "A self-hosted operations hub that speaks the protocols of AWS Systems Manager and Incident Manager",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	c.AddCommand(
		serverCommand(), envCommand(), agentCommand(), nodesCommand(), nodeCommand(), execCommand(), rolloutCommand(), shellCommand(),
		cpCommand(), tunnelCommand(), sessionsCommand(), replayCommand(), lockCommand(), releaseCommand(),
		opsCommand(), auditCommand(), versionCommand(),
	)
	return c
}

func versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, Run: func(c *cobra.Command, _ []string) {
		_, _ = fmt.Fprintln(c.OutOrStdout(), "watchbill "+version)
	}}
}
