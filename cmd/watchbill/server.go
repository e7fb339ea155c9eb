package main

import (
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/watchbill/watchbill/internal/server"
)

// hubGC has the hub collect a little earlier than Go does by itself: what it keeps is mostly
// ten thousand connections. GOGC in the environment takes its place.
const hubGC = 75

func serverCommand() *cobra.Command {
	cfg := server.Config{Version: version}
	level := slog.LevelInfo
	c := &cobra.Command{Use: "server", Short: "Run the hub", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		log := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
		if os.Getenv("GOGC") == "" {
			debug.SetGCPercent(hubGC)
		}
		ready := func(url string) { _, _ = fmt.Fprintln(c.OutOrStdout(), "ready "+url) }
		return server.Run(c.Context(), cfg, log, ready)
	}}
	f := c.Flags()
	f.StringVar(&cfg.Data, "data", "", "directory for the hub's files (required)")
	f.StringVar(&cfg.Listen, "listen", server.DefaultListen, "address of the TLS listener")
	f.StringVar(&cfg.DB, "db", "", "postgres:// address of a shared store (default: a SQLite file in the data directory)")
	f.StringVar(&cfg.Blobs, "blobs", "", "file:///directory or s3://bucket of outputs, recordings and objects (default: a directory in the data directory)")
	f.StringVar(&cfg.Account, "account", server.DefaultAccount, "account id, 12 digits")
	f.StringSliceVar(&cfg.Regions, "region", []string{server.DefaultRegion}, "regions served, the first is home")
	f.StringVar(&cfg.DevHTTP, "dev-http", "", "also serve plain HTTP on this loopback address")
	f.StringVar(&cfg.AdminKey, "admin-key", "", "ID:SECRET of the first administrator's key, for tests")
	f.StringSliceVar(&cfg.Names, "name", nil, "further names or addresses in the certificate")
	f.StringVar(&cfg.ServiceDomain, "service-domain", "", "domain of the services' names, as ssm.REGION.DOMAIN, for stock agents")
	f.StringVar(&cfg.PublicURL, "public-url", "", "where people reach the hub, for the links in pages")
	f.StringVar(&cfg.Advertise, "advertise", "", "where other hubs on the same store reach this one, as https://hub-1.example.com:8443 (default: the listener's address)")
	f.DurationVar(&cfg.StageUnit, "stage-minute", time.Minute, "what one minute of an escalation plan lasts, for drills")
	f.DurationVar(&cfg.NodeKeyAge, "node-key-age", 30*24*time.Hour, "how old the key of a node gets before it is told to make a new one, 0 for ever")
	f.StringSliceVar(&cfg.AllowPrivate, "allow-private", nil, "private networks that outbound connections may reach, as 10.0.0.0/8 or loopback")
	f.IntVar(&cfg.Connections, "max-connections", server.DefaultConnections, "most connections at a time, 0 for no limit")
	f.IntVar(&cfg.AddressConnections, "max-address-connections", server.DefaultAddressConnections, "most connections at a time from one address of another machine, 0 for no limit")
	f.TextVar(&level, "log-level", level, "debug, info, warn or error")
	return c
}

func envCommand() *cobra.Command {
	var data string
	c := &cobra.Command{Use: "env", Short: "Print the exports that point the aws CLI at a hub", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		lines, err := server.Env(data)
		for _, l := range lines {
			_, _ = fmt.Fprintln(c.OutOrStdout(), l)
		}
		return err
	}}
	c.Flags().StringVar(&data, "data", "", "the hub's data directory (required)")
	return c
}

func auditCommand() *cobra.Command {
	var data, db string
	verify := &cobra.Command{Use: "verify", Short: "Check the journal against its signed checkpoints", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return server.VerifyAudit(c.Context(), data, db, c.OutOrStdout())
	}}
	verify.Flags().StringVar(&data, "data", "", "the hub's data directory (required)")
	verify.Flags().StringVar(&db, "db", "", "postgres:// address of the store when it is not in the data directory")
	c := &cobra.Command{Use: "audit", Short: "Tools for the journal"}
	c.AddCommand(verify)
	return c
}

func opsCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "ops", Short: "List the operations and their state", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return server.PrintOperations(c.OutOrStdout(), asJSON)
	}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
