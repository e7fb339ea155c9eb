package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/wire/shape"
	"github.com/watchbill/watchbill/internal/wire/sigv4"
)

const (
	backoffBase = 100 * time.Millisecond
	backoffCap  = 5 * time.Second
	maxAnswer   = 64 << 20
)

// throttled are the codes that mean: again, later.
var throttled = []string{"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown", "RequestTimeout", "RequestTimeoutException"}

// send sends a call until it is answered or may not be sent again.
func (c *Client) send(ctx context.Context, k *call) (*shape.Response, error) {
	invocation := uuid.NewString()
	for attempt := 1; ; attempt++ {
		answer, err := c.once(ctx, k, invocation, attempt)
		if err == nil || attempt >= c.config.Attempts || ctx.Err() != nil || !again(err) {
			return answer, err
		}
		if err := wait(ctx, attempt); err != nil {
			return nil, err
		}
	}
}

// again reports an error after which the same call may be sent again.
func again(err error) bool {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Status >= 500 || e.Status == http.StatusTooManyRequests || slices.Contains(throttled, e.Code)
	}
	_, ok := errors.AsType[*url.Error](err)
	return ok || errors.Is(err, io.ErrUnexpectedEOF)
}

// wait waits between nothing and the doubled base, as AWS's "full jitter".
func wait(ctx context.Context, attempt int) error {
	most := min(backoffCap, backoffBase<<min(attempt-1, 10))
	timer := time.NewTimer(rand.N(most))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Client) once(ctx context.Context, k *call, invocation string, attempt int) (*shape.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	req, err := c.request(ctx, k)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Amz-Sdk-Invocation-Id", invocation)
	req.Header.Set("Amz-Sdk-Request", fmt.Sprintf("attempt=%d; max=%d", attempt, c.config.Attempts))
	if err := c.sign(ctx, req, k); err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("client: %s:%s: %w", k.service, k.operation, err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("client: %s:%s: %w: %w", k.service, k.operation, io.ErrUnexpectedEOF, err)
	}
	answer := &shape.Response{Status: res.StatusCode, Header: res.Header, Body: body}
	if answer.Status/100 != 2 {
		return nil, k.fault(answer)
	}
	return answer, nil
}

func (c *Client) request(ctx context.Context, k *call) (*http.Request, error) {
	r := k.request
	target := c.endpoint.String() + r.Path
	if len(r.Query) > 0 {
		target += "?" + strings.ReplaceAll(r.Query.Encode(), "+", "%20")
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, target, bytes.NewReader(r.Body))
	if err != nil {
		return nil, fmt.Errorf("client: %s:%s: %w", k.service, k.operation, err)
	}
	req.Header = r.Header.Clone()
	if len(r.Body) > 0 {
		req.Header.Set("Content-Length", strconv.Itoa(len(r.Body)))
	}
	req.Header.Set("User-Agent", "watchbill")
	return req, nil
}

func (c *Client) sign(ctx context.Context, req *http.Request, k *call) error {
	if c.config.Credentials == nil {
		return nil
	}
	creds, err := c.config.Credentials(ctx)
	if err != nil {
		return fmt.Errorf("client: credentials: %w", err)
	}
	if creds == (Credentials{}) {
		return nil
	}
	return sigv4.Sign(req, k.request.Body, creds, k.service, c.config.Region, time.Now())
}
