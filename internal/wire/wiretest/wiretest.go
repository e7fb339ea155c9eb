package wiretest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/watchbill/watchbill/internal/wire"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/shape"
)

// serviceHeader stands for the credential scope.
const serviceHeader = "X-Wiretest-Service"

// Client calls a router over HTTP.
type Client struct {
	Router *wire.Router
	URL    string

	// Context gives the server's context the caller's identity and scope. It
	// may be set before the first call; nil leaves the context as it is.
	Context func(context.Context) context.Context

	http   *http.Client
	models []*shape.Model
}

// New serves the bindings until the test ends.
func New(t testing.TB, bindings ...wire.Binding) *Client {
	t.Helper()
	return NewConfig(t, wire.Config{Bindings: bindings, Large: func(*http.Request) bool { return true }})
}

// NewConfig serves a router of the test's own making. Without Authenticate
// every request is taken as signed for the service it names.
func NewConfig(t testing.TB, cfg wire.Config) *Client {
	t.Helper()
	c := &Client{models: cfg.Models}
	for _, b := range cfg.Bindings {
		c.models = append(c.models, b.Model)
	}
	if cfg.Authenticate == nil {
		cfg.Authenticate = c.authenticate
	}
	c.Router = wire.NewRouter(cfg)
	srv := httptest.NewServer(c.Router)
	t.Cleanup(srv.Close)
	c.URL, c.http = srv.URL, srv.Client()
	return c
}

func (c *Client) authenticate(r *http.Request, _ []byte) (context.Context, string, error) {
	service := r.Header.Get(serviceHeader)
	if service == "" {
		return nil, "", fault.MissingAuthToken()
	}
	ctx := r.Context()
	if c.Context != nil {
		ctx = c.Context(ctx)
	}
	return ctx, service, nil
}

// Call sends the JSON input of an operation and gives the JSON of its output.
// For JSON services the input goes out as it is, broken or not; for the others
// it must be readable. An error of the service is a *fault.Fault with its code,
// message and status.
func (c *Client) Call(ctx context.Context, service, operation string, input []byte) ([]byte, error) {
	m, op := c.operation(service, operation)
	if op == nil {
		return nil, fmt.Errorf("wiretest: no operation %s:%s", service, operation)
	}
	in := op.NewInput()
	if m.Protocol != shape.ProtocolJSON {
		if err := shape.DecodeJSON(m, op.Input, input, in); err != nil {
			return nil, err
		}
	}
	req, err := shape.EncodeInput(m, op, in)
	if err != nil {
		return nil, err
	}
	if m.Protocol == shape.ProtocolJSON {
		req.Body = input
	}
	out, err := c.exchange(ctx, m, op, req)
	if err != nil || op.Output == shape.None {
		return nil, err
	}
	return shape.EncodeJSON(m, op.Output, out)
}

// Do sends a typed input, such as *ssm.GetParameterInput, and gives the typed
// output.
func (c *Client) Do(ctx context.Context, service, operation string, in any) (any, error) {
	m, op := c.operation(service, operation)
	if op == nil {
		return nil, fmt.Errorf("wiretest: no operation %s:%s", service, operation)
	}
	req, err := shape.EncodeInput(m, op, in)
	if err != nil {
		return nil, err
	}
	return c.exchange(ctx, m, op, req)
}

func (c *Client) operation(service, operation string) (*shape.Model, *shape.Operation) {
	for _, m := range c.models {
		if m.SigningName == service {
			return m, m.Operation(operation)
		}
	}
	return nil, nil
}

func (c *Client) exchange(ctx context.Context, m *shape.Model, op *shape.Operation, req *shape.Request) (any, error) {
	resp, err := c.Send(ctx, m.SigningName, req)
	if err != nil {
		return nil, err
	}
	return shape.DecodeOutput(m, op, resp)
}

// Send sends a request of the test's own making, signed for service; "" leaves
// it unsigned.
func (c *Client) Send(ctx context.Context, service string, req *shape.Request) (*shape.Response, error) {
	url := c.URL + req.Path
	if len(req.Query) > 0 {
		url += "?" + req.Query.Encode()
	}
	hr, err := http.NewRequestWithContext(ctx, req.Method, url, bytes.NewReader(req.Body))
	if err != nil {
		return nil, err
	}
	for k, v := range req.Header {
		hr.Header[k] = v
	}
	if service != "" {
		hr.Header.Set(serviceHeader, service)
	}
	resp, err := c.http.Do(hr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return &shape.Response{Status: resp.StatusCode, Header: resp.Header, Body: body}, err
}
