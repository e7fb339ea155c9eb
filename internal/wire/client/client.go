package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
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
	Models      []*shape.Model                                 // of the services to call
	Attempts    int                                            // of one call at most; 0 is 4
	Timeout     time.Duration                                  // of one attempt; 0 is 30 s
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

// Call runs an operation of a service, named by its signing name. In is the
// generated input, or anything whose JSON is the input with times in seconds; nil
// is an empty one. Out is a pointer to the generated output, or to anything that
// such JSON reads into; nil drops the answer. Errors of the service are *Error.
func (c *Client) Call(ctx context.Context, service, operation string, in, out any) error {
	k := &call{service: service, operation: operation}
	for _, m := range c.config.Models {
		if m.SigningName == service {
			k.model, k.op = m, m.Operation(operation)
		}
	}
	if k.model == nil {
		return fmt.Errorf("client: %s:%s: no model of the service", service, operation)
	}
	r, err := k.encode(in)
	if err != nil {
		return fmt.Errorf("client: %s:%s: %w", service, operation, err)
	}
	k.request = r
	answer, err := c.send(ctx, k)
	if err != nil {
		return err
	}
	if err := k.decode(answer, out); err != nil {
		return fmt.Errorf("client: %s:%s: answer: %w", service, operation, err)
	}
	return nil
}

// call is one operation on its way.
type call struct {
	service, operation string
	model              *shape.Model
	op                 *shape.Operation // nil: the model does not have it
	request            *shape.Request
}
