package nodes

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strings"
)

// Install says what a machine needs to become a node.
type Install struct {
	Agent         string // "amazon-ssm-agent" or "watchbill"
	Hub           string // https://host:port; not needed with ServiceDomain
	ServiceDomain string // the hub's --service-domain, "" for none
	Region        string
	CA            []byte // PEM of the authority of the hub's certificate, nil when machines trust it already
}

// The agents that there are.
const (
	StockAgent = "amazon-ssm-agent"
	OwnAgent   = "watchbill"
)

var (
	regionForm = regexp.MustCompile(`^[A-Za-z0-9-]{1,100}$`)
	domainForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
)

// Write writes a shell script for a root shell on the machine: its files, and the
// commands that register and start the agent. Nothing secret is in it: the id and the
// code of the activation are asked for when it runs.
func (c Install) Write(w io.Writer) error {
	host, err := c.check()
	if err != nil {
		return err
	}
	if c.CA, err = certificates(c.CA); err != nil {
		return err
	}
	var s strings.Builder
	switch c.Agent {
	case StockAgent:
		err = c.stock(&s, host)
	case OwnAgent:
		c.own(&s, host)
	default:
		err = fmt.Errorf("the agent %q is neither %s nor %s", c.Agent, StockAgent, OwnAgent)
	}
	if err == nil {
		_, err = io.WriteString(w, s.String())
	}
	return err
}

// check gives the hub's address without a path.
func (c Install) check() (string, error) {
	if !regionForm.MatchString(c.Region) {
		return "", fmt.Errorf("the region %q is not letters, digits and hyphens", c.Region)
	}
	if c.ServiceDomain != "" {
		if !domainForm.MatchString(c.ServiceDomain) {
			return "", fmt.Errorf("the service domain %q is not a domain", c.ServiceDomain)
		}
		if c.Hub == "" {
			return "https://ssm." + c.Region + "." + c.ServiceDomain, nil
		}
	}
	u, err := url.Parse(c.Hub)
	if err != nil || u.Scheme != "https" || u.Host == "" || strings.ContainsAny(u.Host, "'\"` $\\") {
		return "", fmt.Errorf("the hub %q is not https://HOST:PORT; control channels are TLS only", c.Hub)
	}
	return "https://" + u.Host, nil
}

// certificates are the certificates of a PEM file, and nothing else of it.
func certificates(file []byte) (out []byte, err error) {
	for b, rest := pem.Decode(file); b != nil; b, rest = pem.Decode(rest) {
		if b.Type == "CERTIFICATE" {
			out = append(out, pem.EncodeToMemory(&pem.Block{Type: b.Type, Bytes: b.Bytes})...)
		}
	}
	if len(file) > 0 && len(out) == 0 {
		return nil, errors.New("the file of the authority holds no certificate")
	}
	return out, nil
}

// config is amazon-ssm-agent.json: a name for each service out of the domain, or the one
// address for all of them.
func (c Install) config(host string) ([]byte, error) {
	agent := map[string]any{"Region": c.Region}
	out := map[string]any{"Agent": agent, "Identity": map[string]any{"ConsumptionOrder": []string{"OnPrem"}}, "Profile": map[string]any{"ShareCreds": false}}
	if c.ServiceDomain != "" {
		agent["ServiceDomain"] = c.ServiceDomain
		return json.MarshalIndent(out, "", "  ")
	}
	for _, service := range []string{"Ssm", "Mds", "Mgs", "S3", "Kms"} {
		out[service] = map[string]string{"Endpoint": host}
	}
	return json.MarshalIndent(out, "", "  ")
}

const stockUnit = `[Service]
Environment=SSL_CERT_FILE=/etc/amazon/ssm/watchbill-bundle.pem
UnsetEnvironment=AWS_CA_BUNDLE
`

func (c Install) stock(s *strings.Builder, host string) error {
	config, err := c.config(host)
	if err != nil {
		return err
	}
	head(s, "Makes this machine a node with the stock amazon-ssm-agent, which is installed already.")
	line(s, "systemctl stop amazon-ssm-agent")
	write(s, "/etc/amazon/ssm/amazon-ssm-agent.json", string(config))
	bundle := ""
	if len(c.CA) > 0 {
		write(s, "/etc/amazon/ssm/watchbill-ca.pem", string(c.CA))
		line(s, "# The agent trusts what is in SSL_CERT_FILE: the hub's authority beside those of the system.")
		line(s, "for f in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt; do")
		line(s, `	if [ -e "$f" ]; then cat "$f" /etc/amazon/ssm/watchbill-ca.pem >/etc/amazon/ssm/watchbill-bundle.pem; break; fi`)
		line(s, "done")
		write(s, "/etc/systemd/system/amazon-ssm-agent.service.d/watchbill.conf", stockUnit)
		line(s, "systemctl daemon-reload")
		bundle = "env -u AWS_CA_BUNDLE SSL_CERT_FILE=/etc/amazon/ssm/watchbill-bundle.pem "
	}
	c.ask(s)
	line(s, bundle+`amazon-ssm-agent -register -y -id "$id" -code "$code" -region `+c.Region)
	line(s, "systemctl enable --now amazon-ssm-agent")
	return nil
}

func (c Install) own(s *strings.Builder, host string) {
	head(s, "Makes this machine a node with Watchbill's own agent, whose binary is in the PATH.")
	ca := ""
	if len(c.CA) > 0 {
		write(s, "/etc/watchbill/hub-ca.pem", string(c.CA))
		ca = " --ca /etc/watchbill/hub-ca.pem"
	}
	line(s, "mkdir -p -m 0700 /var/lib/watchbill")
	c.ask(s)
	line(s, `watchbill agent register --hub `+host+ca+` --region `+c.Region+` --state /var/lib/watchbill --activation-id "$id" --activation-code "$code"`)
	line(s, "watchbill agent install --state /var/lib/watchbill")
}

func head(s *strings.Builder, what string) {
	line(s, "#!/bin/sh")
	line(s, "# "+what)
	line(s, "# Run it as root, on the machine. The id and the code come from:")
	line(s, "#   aws ssm create-activation --iam-role watchbill-node --registration-limit 1")
	line(s, "set -eu")
	line(s, "umask 022")
}

// ask takes the activation from the environment or from who runs the script.
func (c Install) ask(s *strings.Builder) {
	line(s, `id=${ACTIVATION_ID:-} code=${ACTIVATION_CODE:-}`)
	line(s, `[ -n "$id" ] || { printf 'activation id: '; read -r id; }`)
	line(s, `[ -n "$code" ] || { printf 'activation code: '; read -r code; }`)
}

func line(s *strings.Builder, text string) { s.WriteString(text + "\n") }

// write writes a file with the text as it is.
func write(s *strings.Builder, path, text string) {
	dir := path[:strings.LastIndexByte(path, '/')]
	line(s, "mkdir -p "+dir)
	line(s, "cat >"+path+" <<'END-OF-FILE'")
	line(s, strings.TrimRight(text, "\n"))
	line(s, "END-OF-FILE")
}
