package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/wire/shape"
	"github.com/watchbill/watchbill/internal/wire/sigv4"
)

// Credentials sign the calls; the zero value leaves a call unsigned, which only
// the registration of a node is.
type Credentials = sigv4.Credentials

// Config says whom to call and as whom.
type Config struct {
	Endpoint    string // https://host:port, without a path
	Region      string
	Credentials func(ctx context.Context) (Credentials, error) // nil: unsigned
	CAFile      string                                         // PEM; "" for the system's authorities
	HTTP        *http.Client                                   // nil: one of its own; then CAFile applies
	// Models are the schemas of the services to call. A JSON service may be
	// called without one; its timestamps are then the caller's to convert.
	Models   []*shape.Model
	Attempts int           // of one call at most; 0 is 4
	Timeout  time.Duration // of one attempt; 0 is 30 s
}

// Client calls operations. It is safe for use by several goroutines.
type Client struct {
	config   Config
	endpoint *url.URL
	http     *http.Client
}

// New makes a client. The error tells what is wrong with the endpoint or the CA file.
func New(c Config) (*Client, error) {
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("client: the endpoint %q is not an http or https URL", c.Endpoint)
	}
	if c.Attempts == 0 {
		c.Attempts = 4
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	h := c.HTTP
	if h == nil {
		if h, err = transport(c.CAFile); err != nil {
			return nil, err
		}
	}
	return &Client{config: c, endpoint: &url.URL{Scheme: u.Scheme, Host: u.Host}, http: h}, nil
}

func transport(caFile string) (*http.Client, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	t.MaxIdleConnsPerHost = 32
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("client: certificate authority: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("client: %s holds no certificate", caFile)
		}
		t.TLSClientConfig.RootCAs = pool
	}
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, nil
}

// Error is an answer that the service gave in place of a result.
type Error struct {
	Code      string
	Message   string
	Status    int
	RequestID string
	Body      json.RawMessage // the whole answer of a JSON service
}

// Error is the code, the message and the request id.
func (e *Error) Error() string {
	text := e.Code
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.RequestID != "" {
		text += " (request " + e.RequestID + ")"
	}
	return text
}

// Code is the service's error code in err, "" when err is none of its errors.
func Code(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

// targets are the X-Amz-Target prefixes of JSON services called without a model.
var targets = map[string]string{"ssm": "AmazonSSM", "ssm-contacts": "SSMContacts"}

// Call runs an operation of a service, named by its signing name. In is the
// generated input, or anything whose JSON is the input; nil is an empty one. Out
// is a pointer to the generated output, or to anything that JSON reads into; nil
// drops the answer. Errors of the service are *Error.
func (c *Client) Call(ctx context.Context, service, operation string, in, out any) error {
	k := &call{service: service, operation: operation, out: out}
	if err := k.prepare(c.config.Models, in); err != nil {
		return fmt.Errorf("client: %s:%s: %w", service, operation, err)
	}
	answer, err := c.send(ctx, k)
	if err != nil {
		return err
	}
	if out == nil {
		return nil
	}
	if err := k.decode(answer); err != nil {
		return fmt.Errorf("client: %s:%s: answer: %w", service, operation, err)
	}
	return nil
}

// call is one operation on its way.
type call struct {
	service, operation string
	model              *shape.Model
	op                 *shape.Operation
	method, path       string
	query              url.Values
	header             http.Header
	body               []byte
	out                any
}

func (k *call) prepare(models []*shape.Model, in any) error {
	for _, m := range models {
		if m.SigningName == k.service {
			k.model, k.op = m, m.Operation(k.operation)
		}
	}
	tree, err := treeOf(in)
	if err != nil {
		return err
	}
	k.method, k.path, k.header = http.MethodPost, "/", http.Header{}
	switch {
	case k.model != nil && k.model.Protocol == "rest-json":
		return k.prepareREST(tree)
	case k.model != nil && k.model.Protocol == "query":
		return k.prepareQuery(tree)
	}
	return k.prepareJSON(tree)
}

func (k *call) prepareJSON(tree map[string]any) error {
	prefix := targets[k.service]
	if k.model != nil {
		prefix = k.model.TargetPrefix
	}
	if prefix == "" {
		return errors.New("no model of the service")
	}
	k.header.Set("Content-Type", "application/x-amz-json-1.1")
	k.header.Set("X-Amz-Target", prefix+"."+k.operation)
	var value any = tree
	if k.op != nil {
		value = toWire(k.model, k.op.Input, value)
	}
	var err error
	k.body, err = json.Marshal(value)
	return err
}

// treeOf is the JSON of in as maps, lists and numbers as written.
func treeOf(in any) (map[string]any, error) {
	if in == nil {
		return map[string]any{}, nil
	}
	data, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	tree := map[string]any{}
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		return nil, fmt.Errorf("the input is not an object: %w", err)
	}
	return tree, nil
}
