// Package tunnel is `watchbill tunnel`: ports of this machine that lead to hosts
// which a node reaches, and a SOCKS proxy.
package tunnel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/watchbill/watchbill/internal/cli/plane"
	"github.com/watchbill/watchbill/internal/wire/client"
	wire "github.com/watchbill/watchbill/internal/wire/plane"
)

// Documents that sessions of tunnels use.
const (
	portDocument   = "AWS-StartPortForwardingSession"
	remoteDocument = "AWS-StartPortForwardingSessionToRemoteHost"
	tunnelDocument = "Watchbill-Tunnel"
)

// Options of the command.
type Options struct {
	Target   string
	Forwards []string // [BIND:]PORT:HOST:PORT
	Socks    string   // [BIND:]PORT; "" for none
	Document string   // for all; "" for the one that fits
	Reason   string
	Out      io.Writer // a line for each port that is open
	Err      io.Writer
}

// Forward is a port here and a place there.
type Forward struct {
	Listen string // address
	Host   string
	Port   int
}

// ParseForward reads [BIND:]PORT:HOST:PORT; IPv6 addresses are in brackets.
func ParseForward(s string) (f Forward, err error) {
	parts := fields(s)
	if len(parts) == 3 {
		parts = append([]string{"127.0.0.1"}, parts...)
	}
	if len(parts) != 4 || parts[2] == "" {
		return f, fmt.Errorf("%q is not of the form [BIND:]PORT:HOST:PORT", s)
	}
	if f.Port, err = strconv.Atoi(parts[3]); err != nil || f.Port < 1 || f.Port > 65535 {
		return f, fmt.Errorf("%q: the port is not from 1 to 65535", s)
	}
	if n, err := strconv.Atoi(parts[1]); err != nil || n < 0 || n > 65535 {
		return f, fmt.Errorf("%q: the local port is not from 0 to 65535", s)
	}
	f.Listen, f.Host = net.JoinHostPort(parts[0], parts[1]), parts[2]
	return f, nil
}

// fields splits at colons outside of brackets, which are taken off.
func fields(s string) (out []string) {
	for s != "" {
		if rest, ok := strings.CutPrefix(s, "["); ok {
			one, rest, ok := strings.Cut(rest, "]")
			if !ok {
				return nil
			}
			out = append(out, one)
			s = strings.TrimPrefix(rest, ":")
			continue
		}
		one, rest, _ := strings.Cut(s, ":")
		out = append(out, one)
		s = rest
	}
	return out
}

// Run opens the ports and serves them until ctx ends or a session does.
func Run(ctx context.Context, c *client.Client, o Options) error {
	var forwards []Forward
	for _, text := range o.Forwards {
		f, err := ParseForward(text)
		if err != nil {
			return err
		}
		forwards = append(forwards, f)
	}
	if len(forwards) == 0 && o.Socks == "" {
		return errors.New("nothing to do: give -L or --socks")
	}
	t := &tunnels{Options: o, client: c}
	defer t.close()
	if err := t.open(ctx, forwards); err != nil {
		return err
	}
	return t.wait(ctx)
}

// tunnels are the open ports and their sessions.
type tunnels struct {
	Options
	client    *client.Client
	shared    *plane.Session
	sessions  []*plane.Session
	listeners []net.Listener
	work      sync.WaitGroup
}

func (t *tunnels) open(ctx context.Context, forwards []Forward) error {
	for _, f := range forwards {
		s, open, err := t.session(ctx, f)
		if err != nil {
			return err
		}
		name := net.JoinHostPort(f.Host, strconv.Itoa(f.Port))
		err = t.listen(f.Listen, name, func(conn net.Conn) { t.carry(ctx, s, conn, open, nil) })
		if err != nil {
			return err
		}
	}
	if t.Socks == "" {
		return nil
	}
	s, err := t.tunnel(ctx)
	if err != nil {
		return err
	}
	address := t.Socks
	if !strings.Contains(address, ":") {
		address = "127.0.0.1:" + address
	}
	return t.listen(address, "SOCKS", func(conn net.Conn) { t.socks(ctx, s, conn) })
}

// session opens the session of a forward: one of its own by the document that
// names its place, or the one that all share.
func (t *tunnels) session(ctx context.Context, f Forward) (*plane.Session, wire.Open, error) {
	open := wire.Open{Kind: wire.TCP, Host: f.Host, Port: f.Port}
	if t.Socks != "" || t.Document != "" {
		s, err := t.tunnel(ctx)
		return s, open, err
	}
	r := plane.Request{Target: t.Target, Document: remoteDocument, Reason: t.Reason, Parameters: map[string][]string{"host": {f.Host}, "portNumber": {strconv.Itoa(f.Port)}}}
	if f.Host == "localhost" || f.Host == "127.0.0.1" {
		r.Document = portDocument
		delete(r.Parameters, "host")
	}
	s, err := plane.Open(ctx, t.client, r)
	if err == nil {
		t.sessions = append(t.sessions, s)
	}
	return s, wire.Open{Kind: wire.TCP}, err
}

// tunnel is the session that all connections share.
func (t *tunnels) tunnel(ctx context.Context) (*plane.Session, error) {
	if t.shared != nil {
		return t.shared, nil
	}
	s, err := plane.Open(ctx, t.client, plane.Request{Target: t.Target, Document: cmp.Or(t.Document, tunnelDocument), Reason: t.Reason})
	if err == nil {
		t.shared = s
		t.sessions = append(t.sessions, s)
	}
	return s, err
}

func (t *tunnels) listen(address, name string, serve func(net.Conn)) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	t.listeners = append(t.listeners, l)
	_, _ = fmt.Fprintf(t.Out, "%s -> %s %s\n", l.Addr(), t.Target, name)
	t.work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	})
	return nil
}

// carry joins a connection with a stream. Answer, if there is one, tells the
// other side whether the node has connected.
func (t *tunnels) carry(ctx context.Context, s *plane.Session, conn net.Conn, open wire.Open, answer func(error) error) {
	defer conn.Close()
	st, _, err := s.Open(ctx, open)
	if answer != nil {
		if aerr := answer(err); aerr != nil && err == nil {
			st.Reset("the client has gone")
			return
		}
	}
	if err != nil {
		_, _ = fmt.Fprintf(t.Err, "watchbill: %s: %v\n", net.JoinHostPort(open.Host, strconv.Itoa(open.Port)), err)
		return
	}
	st.Join(conn)
}

// wait waits for the end of the program or of a session.
func (t *tunnels) wait(ctx context.Context) error {
	over := make(chan struct{}, len(t.sessions))
	for _, s := range t.sessions {
		go func() {
			<-s.Done()
			over <- struct{}{}
		}()
	}
	select {
	case <-ctx.Done():
		return nil
	case <-over:
		return errors.New("a session of the tunnel has ended")
	}
}

func (t *tunnels) close() {
	for _, l := range t.listeners {
		_ = l.Close()
	}
	for _, s := range t.sessions {
		s.Close()
	}
	t.work.Wait()
}
