package hub

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/api/sts"
	"github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/wire/client"
	"github.com/watchbill/watchbill/internal/wire/shape"
)

// Environment says which hub to talk to, and as whom.
type Environment struct {
	Endpoint    string // https://host:port
	Region      string
	CAFile      string // PEM; "" for the system's authorities
	Credentials client.Credentials
}

// FromEnvironment is a client for the hub of the process's environment. The
// error says which setting is missing.
func FromEnvironment() (*client.Client, error) {
	e, err := Read()
	if err != nil {
		return nil, err
	}
	return e.Client()
}

// Client makes a client for all services of the hub.
func (e *Environment) Client() (*client.Client, error) {
	keys := e.Credentials
	return client.New(client.Config{
		Endpoint: e.Endpoint, Region: e.Region, CAFile: e.CAFile,
		Credentials: func(context.Context) (client.Credentials, error) { return keys, nil },
		Models:      []*shape.Model{ssm.Model, incidents.Model, contacts.Model, sts.Model, watchbill.Model},
	})
}

// TLS is the configuration of a connection to the hub beside the client, such
// as a WebSocket.
func (e *Environment) TLS() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if e.CAFile == "" {
		return c, nil
	}
	pem, err := os.ReadFile(e.CAFile)
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", e.CAFile)
	}
	return c, nil
}

// Read reads the environment of the process.
func Read() (*Environment, error) { return read(os.Getenv) }

func read(get func(string) string) (*Environment, error) {
	p, err := readProfile(get)
	if err != nil {
		return nil, err
	}
	e := &Environment{
		Endpoint:    first(get("AWS_ENDPOINT_URL"), p["endpoint_url"]),
		Region:      first(get("AWS_REGION"), get("AWS_DEFAULT_REGION"), p["region"]),
		CAFile:      first(get("AWS_CA_BUNDLE"), p["ca_bundle"]),
		Credentials: keys(get, p),
	}
	switch {
	case e.Endpoint == "":
		return nil, errors.New("AWS_ENDPOINT_URL is not set: it is the address of the hub, see `watchbill env`")
	case e.Region == "":
		return nil, errors.New("AWS_REGION is not set")
	case e.Credentials.AccessKeyID == "" || e.Credentials.SecretAccessKey == "":
		return nil, fmt.Errorf("no keys to sign with: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SHARED_CREDENTIALS_FILE to a file with the profile %q", profileName(get))
	}
	return e, nil
}

func keys(get func(string) string, p profile) client.Credentials {
	if id := get("AWS_ACCESS_KEY_ID"); id != "" {
		return client.Credentials{AccessKeyID: id, SecretAccessKey: get("AWS_SECRET_ACCESS_KEY"), SessionToken: get("AWS_SESSION_TOKEN")}
	}
	return client.Credentials{AccessKeyID: p["aws_access_key_id"], SecretAccessKey: p["aws_secret_access_key"], SessionToken: p["aws_session_token"]}
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func profileName(get func(string) string) string {
	return first(get("AWS_PROFILE"), get("AWS_DEFAULT_PROFILE"), "default")
}

// readProfile joins what both files say of the profile.
func readProfile(get func(string) string) (profile, error) {
	name, dir := profileName(get), filepath.Join(get("HOME"), ".aws")
	section := "profile " + name
	if name == "default" {
		section = name
	}
	p, err := readSection(first(get("AWS_CONFIG_FILE"), filepath.Join(dir, "config")), section)
	if err != nil {
		return nil, err
	}
	credentials, err := readSection(first(get("AWS_SHARED_CREDENTIALS_FILE"), filepath.Join(dir, "credentials")), name)
	if err != nil {
		return nil, err
	}
	for k, v := range credentials {
		p[k] = v
	}
	return p, nil
}
