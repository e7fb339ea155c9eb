package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/watchbill/watchbill/internal/agent/service"
	"github.com/watchbill/watchbill/internal/agent/update"
)

func agentInstallCommand() *cobra.Command {
	var u service.Unit
	var dir string
	var show, reboot bool
	c := &cobra.Command{Use: "install", Short: "Run the agent under systemd", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) (err error) {
		if u.Exe, err = os.Executable(); err != nil {
			return err
		}
		if u.State, err = filepath.Abs(u.State); err != nil {
			return err
		}
		if reboot {
			u.Args = append(u.Args, "--allow-reboot")
		}
		if !show {
			return service.Install(u, dir)
		}
		text, err := u.Text()
		_, _ = fmt.Fprint(c.OutOrStdout(), text)
		return err
	}}
	f := c.Flags()
	f.StringVar(&u.State, "state", "", "directory for the agent's files (required)")
	f.StringVar(&u.User, "user", "", "user that the agent and its commands run as (default: root)")
	f.StringVar(&dir, "unit-dir", service.DefaultDir, "directory that the unit is written to")
	f.BoolVar(&reboot, "allow-reboot", false, "let scripts restart this machine by exit code 194")
	f.BoolVar(&show, "print", false, "print the unit and change nothing")
	_ = c.MarkFlagRequired("state")
	return c
}

func agentUninstallCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{Use: "uninstall", Short: "Stop the agent and remove its unit; its state directory stays", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		return service.Uninstall(dir)
	}}
	c.Flags().StringVar(&dir, "unit-dir", service.DefaultDir, "directory that the unit is in")
	return c
}

func agentGuardCommand() *cobra.Command {
	var state, program string
	c := &cobra.Command{Use: "guard", Short: "Bring this program back when an update of it cannot start", Args: cobra.NoArgs, Hidden: true, RunE: func(*cobra.Command, []string) error {
		return update.Guard(state, program)
	}}
	c.Flags().StringVar(&state, "state", "", "directory for the agent's files (required)")
	c.Flags().StringVar(&program, "program", "", "file of the program (required)")
	return c
}
