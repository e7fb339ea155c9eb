// Package plane opens sessions of our own data plane for the commands of people.
package plane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/wire/client"
	wire "github.com/watchbill/watchbill/internal/wire/plane"
)

// Exit is an error that only carries the exit code of the program.
type Exit struct{ Code int }

func (e *Exit) Error() string { return "" }

// ExitCode is the code for the operating system.
func (e *Exit) ExitCode() int { return e.Code }

// Request says what session to open.
type Request struct {
	Target     string
	Document   string // "" for the account's shell
	Parameters map[string][]string
	Reason     string
	Linked     func(up bool)     // hears of the loss and the return of links; may be nil
	Notice     func(text string) // hears what the hub has to say to the person; may be nil
}

// Session is an open session.
type Session struct {
	*wire.Endpoint
	ID string

	client *client.Client
	mu     sync.Mutex
	token  string // "" once it is used
	url    string
	cancel context.CancelFunc
	ended  chan struct{}
	err    error
}

// Open opens a session. Errors are those of OpenSession.
func Open(ctx context.Context, c *client.Client, r Request) (*Session, error) {
	in := &watchbill.OpenSessionInput{Target: &r.Target, Parameters: r.Parameters}
	if r.Document != "" {
		in.DocumentName = &r.Document
	}
	if r.Reason != "" {
		in.Reason = &r.Reason
	}
	var out watchbill.OpenSessionOutput
	if err := c.Call(ctx, "watchbill", "OpenSession", in, &out); err != nil {
		return nil, err
	}
	s := &Session{ID: *out.SessionId, client: c, token: *out.TokenValue, url: *out.StreamUrl, ended: make(chan struct{})}
	s.Endpoint = wire.NewEndpoint(wire.Config{Client: true, Dial: s.dial, Linked: r.Linked, Notice: r.Notice})
	ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(s.ended)
		s.err = s.Run(ctx)
	}()
	return s, nil
}

// dial makes a link: the first with the token of the session, later ones with a
// new token.
func (s *Session) dial(ctx context.Context) (*wire.Link, wire.Welcome, error) {
	var none wire.Welcome
	token, err := s.next(ctx)
	if err != nil {
		return nil, none, err
	}
	conn, err := s.client.Socket(ctx, s.url)
	if err != nil {
		return nil, none, err
	}
	l := wire.NewLink(conn.NetConn(), true)
	w, err := wire.Greet(l, token)
	return l, w, err
}

func (s *Session) next(ctx context.Context) (string, error) {
	s.mu.Lock()
	token := s.token
	s.token = ""
	s.mu.Unlock()
	if token != "" {
		return token, nil
	}
	var out ssm.ResumeSessionOutput
	err := s.client.Call(ctx, "ssm", "ResumeSession", &ssm.ResumeSessionInput{SessionId: &s.ID}, &out)
	if e, ok := errors.AsType[*client.Error](err); ok && e.Status < 500 {
		return "", &wire.EndError{Cause: e.Error()}
	}
	if err != nil {
		return "", err
	}
	if out.TokenValue == nil {
		return "", &wire.EndError{Cause: "the session has ended"}
	}
	s.mu.Lock()
	s.url = *out.StreamUrl
	s.mu.Unlock()
	return *out.TokenValue, nil
}

// Tell gives a Notice that writes to w, also while a terminal is raw.
func Tell(w io.Writer) func(text string) {
	return func(text string) { _, _ = fmt.Fprintf(w, "\r\nwatchbill: %s\r\n", text) }
}

// Close ends the session.
func (s *Session) Close() {
	s.Bye()
	s.cancel()
	<-s.ended
}
