package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/watchbill/watchbill/internal/agent"
)

func agentCommand() *cobra.Command {
	c := &cobra.Command{Use: "agent", Short: "Run this machine as a managed node"}
	c.AddCommand(agentRegisterCommand(), agentRunCommand(), agentCheckCommand(), agentTrustCommand(), agentInstallCommand(), agentUninstallCommand(), agentGuardCommand())
	c.PersistentPreRun = func(*cobra.Command, []string) { agent.SetVersion(version) }
	return c
}

func agentRegisterCommand() *cobra.Command {
	var cfg agent.Config
	c := &cobra.Command{Use: "register", Short: "Register this machine with a hub", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		id, err := agent.Register(c.Context(), cfg)
		if err == nil {
			_, _ = fmt.Fprintln(c.OutOrStdout(), id)
		}
		return err
	}}
	f := c.Flags()
	f.StringVar(&cfg.Hub, "hub", "", "the hub's address, https://HOST:PORT (required)")
	f.StringVar(&cfg.ActivationID, "activation-id", "", "id from create-activation (required)")
	f.StringVar(&cfg.ActivationCode, "activation-code", "", "code from create-activation (required)")
	f.StringVar(&cfg.StateDir, "state", "", "directory for the agent's files (required)")
	f.StringVar(&cfg.CAFile, "ca", "", "PEM file of the authority that signed the hub's certificate")
	f.StringVar(&cfg.Region, "region", "", "region to register in (default: the hub's home region)")
	return c
}

func agentRunCommand() *cobra.Command {
	var state string
	var settings agent.Settings
	level := slog.LevelInfo
	c := &cobra.Command{Use: "run", Short: "Take commands from the hub", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		log := slog.New(slog.NewJSONHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
		err := settings.Run(c.Context(), state, log)
		if errors.Is(err, agent.ErrRestart) {
			return agent.StartAnew()
		}
		return err
	}}
	f := c.Flags()
	f.StringVar(&state, "state", "", "directory for the agent's files (required)")
	f.BoolVar(&settings.AllowReboot, "allow-reboot", false, "let scripts restart this machine by exit code 194 (3010 on Windows)")
	f.BoolVar(&settings.AllowLoopback, "allow-loopback", false, "let aws:downloadContent fetch from this machine itself")
	f.TextVar(&level, "log-level", level, "debug, info, warn or error")
	return c
}

func agentCheckCommand() *cobra.Command {
	var state string
	c := &cobra.Command{Use: "check", Short: "Reach the hub with a registration and print the agent's version", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		v, err := agent.Check(c.Context(), state)
		if err == nil {
			_, _ = fmt.Fprintln(c.OutOrStdout(), v)
		}
		return err
	}}
	c.Flags().StringVar(&state, "state", "", "directory for the agent's files (required)")
	return c
}

func agentTrustCommand() *cobra.Command {
	var state string
	c := &cobra.Command{Use: "trust KEY", Short: "Trust a release key where the registration brought none", Args: cobra.ExactArgs(1), RunE: func(_ *cobra.Command, args []string) error {
		return agent.Trust(state, args[0])
	}}
	c.Flags().StringVar(&state, "state", "", "directory for the agent's files (required)")
	return c
}
