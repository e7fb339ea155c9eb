package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"sync"
	"time"

	"github.com/watchbill/watchbill/internal/wire/mgs"

	"github.com/xtaci/smux"
)

const (
	localPortForwarding = "LocalPortForwarding"
	dialTimeout         = 10 * time.Second
	maxStreams          = 256 // connections of one session at a time
)

// port connects the client to a port of the node, or of a host that the node
// reaches.
func (s *session) port() error {
	var p port
	if err := json.Unmarshal(s.properties, &p); err != nil {
		return fmt.Errorf("the properties of the session document cannot be read: %w", err)
	}
	to, err := newDestination(p.Host, p.PortNumber)
	if err != nil {
		return err
	}
	if _, err := to.addresses(s.ctx); errors.Is(err, errDenied) {
		return err
	}
	if err := s.handshake(s.properties); err != nil {
		return err
	}
	s.log.Info("port session", "host", to.host, "port", to.port)
	switch {
	case p.Type == "":
		return s.single(to)
	case p.Type != localPortForwarding:
		return fmt.Errorf("port sessions of type %q are not supported", p.Type)
	case newer(s.client, "1.1.69.99999"):
		return s.mux(to)
	}
	return s.reopened(to)
}

// single is one connection; the session ends with it. SSH uses it.
func (s *session) single(to *destination) error {
	conn, err := to.dial(s.ctx)
	if err != nil {
		_ = s.link.write(mgs.PayloadFlag, flagBytes(mgs.FlagConnectToPortError))
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(s.ctx, func() { conn.Close() })
	defer stop()
	go func() {
		if _, err := io.Copy(conn, s.reader()); err != nil {
			conn.Close()
		}
	}()
	return s.copyOut(conn)
}

// copyOut hands what a connection says to the client, until its end.
func (s *session) copyOut(conn net.Conn) error {
	_, err := io.Copy(outWriter{s.link}, conn)
	if errors.Is(err, net.ErrClosed) || s.ctx.Err() != nil {
		return nil
	}
	return err
}

// reopened is one connection at a time, for clients that do not know the
// other way: a new one is opened when data comes after the last was closed.
func (s *session) reopened(to *destination) error {
	c, err := s.connect(to)
	if err != nil {
		return err
	}
	for {
		m, err := s.link.inbox.take(s.ctx)
		if err != nil {
			c.hang()
			return err
		}
		switch {
		case m.PayloadType == mgs.PayloadFlag && flagOf(m) == mgs.FlagDisconnectToPort:
			c.hang()
		case m.PayloadType == mgs.PayloadOutput:
			if c.closed() {
				c.hang()
				if c, err = s.connect(to); err != nil {
					return err
				}
			}
			if _, err := c.Write(m.Payload); err != nil {
				c.hang()
			}
		}
	}
}

// connection is a connection whose output goes to the client.
type connection struct {
	net.Conn
	done chan struct{} // closed when its output has ended
	stop func() bool
}

func (s *session) connect(to *destination) (*connection, error) {
	conn, err := to.dial(s.ctx)
	if err != nil {
		return nil, err
	}
	c := &connection{Conn: conn, done: make(chan struct{}), stop: context.AfterFunc(s.ctx, func() { conn.Close() })}
	go func() {
		defer close(c.done)
		_ = s.copyOut(conn)
	}()
	return c, nil
}

func (c *connection) closed() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// hang closes the connection; all of its output is queued afterwards.
func (c *connection) hang() {
	c.stop()
	c.Close()
	<-c.done
}

// mux carries any number of connections in one stream (smux, version 1).
func (s *session) mux(to *destination) error {
	conf := smux.DefaultConfig()
	conf.MaxReceiveBuffer = 2 << 20
	conf.KeepAliveDisabled = newer(s.client, "1.2.331.0")
	conf.KeepAliveTimeout = math.MaxInt64 // the data channel sees when the client is gone
	server, err := smux.Server(&pipe{s.reader(), outWriter{s.link}}, conf)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(s.ctx, func() { server.Close() })
	defer stop()
	var streams sync.WaitGroup
	defer streams.Wait()
	defer server.Close()
	slots := make(chan struct{}, maxStreams)
	for {
		stream, err := server.AcceptStream()
		if err != nil {
			return err
		}
		select {
		case slots <- struct{}{}:
		default:
			s.log.Warn("too many connections in a session")
			stream.Close()
			continue
		}
		streams.Go(func() {
			defer func() { <-slots }()
			s.carry(stream, to)
		})
	}
}

// carry connects one stream.
func (s *session) carry(stream *smux.Stream, to *destination) {
	defer stream.Close()
	conn, err := to.dial(s.ctx)
	if err != nil {
		s.log.Warn("a connection to a port failed", "host", to.host, "port", to.port, "error", err.Error())
		_ = s.link.write(mgs.PayloadFlag, flagBytes(mgs.FlagConnectToPortError))
		return
	}
	defer conn.Close()
	stop := context.AfterFunc(s.ctx, func() { conn.Close() })
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(conn, stream)
		conn.Close() // the client's end is gone for both directions
	}()
	_, _ = io.Copy(stream, conn)
	stream.Close()
	conn.Close()
	<-done
}

// reader is the client's data as a stream of bytes.
func (s *session) reader() *reader { return &reader{s: s} }

type reader struct {
	s    *session
	rest []byte
}

func (r *reader) Read(b []byte) (int, error) {
	for len(r.rest) == 0 {
		m, err := r.s.link.inbox.take(r.s.ctx)
		if err != nil {
			return 0, io.EOF
		}
		if m.PayloadType == mgs.PayloadOutput {
			r.rest = m.Payload
		}
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// outWriter hands bytes to the client.
type outWriter struct{ link *link }

func (w outWriter) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	return len(b), w.link.write(mgs.PayloadOutput, b)
}

// pipe is both directions together; it ends with the session's context.
type pipe struct {
	*reader
	outWriter
}

func (p *pipe) Close() error { return nil }
