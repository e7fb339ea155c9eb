package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/watchbill/watchbill/internal/cli/hub"
	"github.com/watchbill/watchbill/internal/cli/nodes"
)

// watchEvery is how often the table is drawn again.
const watchEvery = 2 * time.Second

func nodesCommand() *cobra.Command {
	var filters []string
	var asJSON, watch bool
	c := &cobra.Command{Use: "nodes", Short: "List the managed nodes", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		if !watch {
			return showNodes(c, filters, asJSON)
		}
		t := time.NewTicker(watchEvery)
		defer t.Stop()
		for {
			_, _ = io.WriteString(c.OutOrStdout(), "\x1b[H\x1b[2J")
			if err := showNodes(c, filters, asJSON); err != nil && c.Context().Err() == nil {
				_, _ = fmt.Fprintln(c.OutOrStdout(), err)
			}
			select {
			case <-t.C:
			case <-c.Context().Done():
				return nil
			}
		}
	}}
	c.Flags().StringArrayVar(&filters, "filter", nil, "KEY=VALUE, as PingStatus=Online or tag:Role=web; may be repeated")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&watch, "watch", false, "draw the table again every 2 s")
	return c
}

func showNodes(c *cobra.Command, filters []string, asJSON bool) error {
	client, err := hub.FromEnvironment()
	if err != nil {
		return err
	}
	list, err := nodes.List(c.Context(), client, filters)
	if err != nil {
		return err
	}
	if !asJSON {
		return nodes.Write(c.OutOrStdout(), list, time.Now())
	}
	e := json.NewEncoder(c.OutOrStdout())
	e.SetIndent("", "  ")
	return e.Encode(list)
}

func nodeCommand() *cobra.Command {
	c := &cobra.Command{Use: "node", Short: "Tools for one node"}
	c.AddCommand(installConfigCommand())
	return c
}

func installConfigCommand() *cobra.Command {
	var install nodes.Install
	var ca string
	c := &cobra.Command{Use: "install-config", Short: "Print the script that makes a machine a node", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		if install.Hub == "" && install.ServiceDomain == "" {
			install.Hub = os.Getenv("AWS_ENDPOINT_URL")
		}
		install.Region = cmp.Or(install.Region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"))
		if ca = cmp.Or(ca, os.Getenv("AWS_CA_BUNDLE")); ca != "" {
			pem, err := os.ReadFile(ca)
			if err != nil {
				return err
			}
			install.CA = pem
		}
		return install.Write(c.OutOrStdout())
	}}
	f := c.Flags()
	f.StringVar(&install.Agent, "agent", nodes.OwnAgent, "amazon-ssm-agent or watchbill")
	f.StringVar(&install.Hub, "hub", "", "the hub's address for nodes, https://HOST:PORT (default: AWS_ENDPOINT_URL)")
	f.StringVar(&install.ServiceDomain, "service-domain", "", "the hub's --service-domain: the stock agent finds every service by its name in it")
	f.StringVar(&install.Region, "region", "", "region to register in (default: AWS_REGION)")
	f.StringVar(&ca, "ca", "", "PEM file of the authority that signed the hub's certificate (default: AWS_CA_BUNDLE)")
	return c
}
