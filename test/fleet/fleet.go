package fleet

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchbill/watchbill/internal/wire/sigv4"
)

// atOnce is how many nodes register or connect at the same time.
const atOnce = 64

// Config says which hub to load.
type Config struct {
	URL    string // https://HOST:PORT
	CAFile string
	Region string
	Admin  sigv4.Credentials
}

// Fleet is a number of nodes.
type Fleet struct {
	config Config
	http   *http.Client
	tls    *tls.Config
	nodes  []*Node

	open    atomic.Int64 // channels that are open now
	answers atomic.Int64 // commands that were answered
}

// New makes a fleet of n registered nodes that are not connected yet. All carry tag.
func New(ctx context.Context, c Config, n int, tag [2]string) (*Fleet, error) {
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	f := &Fleet{config: c, tls: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(8)}}
	f.http = &http.Client{Transport: &http.Transport{TLSClientConfig: f.tls, MaxIdleConnsPerHost: atOnce}, Timeout: time.Minute}
	f.nodes = make([]*Node, n)
	activations := make([]activation, (n+perActivation-1)/perActivation)
	for i := range activations {
		if err := f.activate(ctx, tag, &activations[i]); err != nil {
			return nil, err
		}
	}
	return f, f.each(func(i int) (err error) {
		f.nodes[i], err = f.register(ctx, activations[i/perActivation])
		return err
	})
}

// later is the answer of a hub that is busy.
type later struct{ after time.Duration }

func (l *later) Error() string { return fmt.Sprintf("come back after %s", l.after) }

// each runs work for every node, some at a time, and gives the first errors.
func (f *Fleet) each(work func(i int) error) error {
	var mu sync.Mutex
	var all []error
	var wg sync.WaitGroup
	var next atomic.Int64
	for range min(atOnce, len(f.nodes)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(f.nodes); i = int(next.Add(1)) - 1 {
				if err := work(i); err != nil {
					mu.Lock()
					all = append(all, err)
					mu.Unlock()
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(all...)
}

// Connect opens the channel of every node and keeps it open until ctx ends.
func (f *Fleet) Connect(ctx context.Context) error {
	return f.each(func(i int) error {
		up := make(chan struct{}, 1)
		go f.nodes[i].keep(ctx, up)
		select {
		case <-up:
			return nil
		case <-time.After(time.Minute):
			return fmt.Errorf("node %d is not connected after a minute", i)
		}
	})
}

// Open is how many channels are open.
func (f *Fleet) Open() int { return int(f.open.Load()) }

// Answered is how many commands were answered.
func (f *Fleet) Answered() int { return int(f.answers.Load()) }

// IDs are the ids of the nodes.
func (f *Fleet) IDs() []string {
	out := make([]string, len(f.nodes))
	for i, n := range f.nodes {
		out[i] = n.id
	}
	return out
}

// Call calls an operation of Systems Manager as the administrator.
func (f *Fleet) Call(ctx context.Context, operation string, in, out any) error {
	return f.call(ctx, f.config.Admin, operation, in, out)
}

func (f *Fleet) call(ctx context.Context, as sigv4.Credentials, operation string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, f.config.URL+"/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "AmazonSSM."+operation)
	if as.AccessKeyID != "" {
		if err := sigv4.Sign(r, body, as, "ssm", f.config.Region, time.Now()); err != nil {
			return err
		}
	}
	return f.do(r, operation, http.StatusOK, func(b []byte) error { return json.Unmarshal(b, out) })
}

// do sends a request and reads its answer.
func (f *Fleet) do(r *http.Request, what string, status int, read func([]byte) error) error {
	answer, err := f.http.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode == http.StatusServiceUnavailable {
		after, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
		return &later{time.Duration(after) * time.Second}
	}
	if answer.StatusCode != status {
		return fmt.Errorf("%s: %s: %s", what, answer.Status, b)
	}
	return read(b)
}

// perActivation is how many nodes one activation may register at most.
const perActivation = 1000

type activation struct {
	ID   string `json:"ActivationId"`
	Code string `json:"ActivationCode"`
}

func (f *Fleet) activate(ctx context.Context, tag [2]string, out *activation) error {
	in := map[string]any{"IamRole": "watchbill-node", "RegistrationLimit": perActivation, "Tags": []map[string]string{{"Key": tag[0], "Value": tag[1]}}}
	return f.Call(ctx, "CreateActivation", in, out)
}
