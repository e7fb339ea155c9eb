package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	tunnelBytes  = 256 << 20 // in one stream
	tunnelRounds = 3
)

// benchTunnel carries one stream through our tunnel (client, hub, node) and through
// OpenSSH's -L, in turn.
func benchTunnel(ctx context.Context, dir string) ([]result, error) {
	ctx, cancel := context.WithTimeout(ctx, sessionTime)
	defer cancel()
	w, stop, err := newWorld(ctx, dir)
	defer stop()
	if err != nil {
		return nil, err
	}
	port, end, err := startSource()
	if err != nil {
		return nil, err
	}
	defer end()
	own, stopOwn, err := w.tunnel(ctx, port)
	if err != nil {
		return nil, err
	}
	defer stopOwn()
	peer := ""
	if w.ssh != nil {
		var stopPeer func()
		if peer, stopPeer, err = w.sshTunnel(ctx, port); err != nil {
			return nil, err
		}
		defer stopPeer()
	}
	var out []result
	for _, d := range []direction{fromNode, toNode} {
		r, err := compareTunnels(own, peer, d)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func compareTunnels(own, peer string, d direction) (result, error) {
	var ours, theirs float64 // the best, in MiB/s
	for range tunnelRounds {
		x, err := transfer(own, d, tunnelBytes)
		if err != nil {
			return result{}, err
		}
		ours = max(ours, x)
		if peer == "" {
			continue
		}
		if x, err = transfer(peer, d, tunnelBytes); err != nil {
			return result{}, fmt.Errorf("ssh -L: %w", err)
		}
		theirs = max(theirs, x)
	}
	r := result{
		fmt.Sprintf("`watchbill tunnel`, one stream %s, %d MiB, best of %d", d, tunnelBytes>>20, tunnelRounds),
		fmt.Sprintf("%.0f MiB/s", ours), "OpenSSH is not here", "-", "at least 1.0x OpenSSH -L", true,
	}
	if peer != "" {
		r.beside, r.ratio, r.ok = fmt.Sprintf("ssh -L %.0f MiB/s", theirs), fmt.Sprintf("%.2fx", ours/theirs), ours >= theirs
	}
	return r, nil
}

// tunnel runs `watchbill tunnel` to a port of the node.
func (w *world) tunnel(ctx context.Context, port string) (address string, stop func(), err error) {
	if address, err = freePort(); err != nil {
		return "", nil, err
	}
	if stop, err = launch(w.own(ctx, "tunnel", "-L", address+":127.0.0.1:"+port, w.node)); err != nil {
		return "", nil, err
	}
	return address, stop, waitPort(ctx, address)
}

// sshTunnel runs `ssh -L`.
func (w *world) sshTunnel(ctx context.Context, port string) (address string, stop func(), err error) {
	if address, err = freePort(); err != nil {
		return "", nil, err
	}
	if stop, err = launch(w.ssh.command(ctx, "ssh", "-N", "-L", address+":127.0.0.1:"+port, "127.0.0.1")); err != nil {
		return "", nil, err
	}
	return address, stop, waitPort(ctx, address)
}

// direction is the first byte of a stream to a source: which way the rest goes.
type direction byte

const (
	fromNode direction = 'f'
	toNode   direction = 't'
)

func (d direction) String() string {
	if d == fromNode {
		return "from the node"
	}
	return "to the node"
}

// startSource listens on loopback and serves streams: it sends zeros until the other
// end leaves, or counts what comes and answers a byte at the end of it.
func startSource() (port string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go source(c)
		}
	}()
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port, func() { _ = l.Close() }, nil
}

func source(c net.Conn) {
	defer func() { _ = c.Close() }()
	d := make([]byte, 1)
	if _, err := io.ReadFull(c, d); err != nil {
		return
	}
	if direction(d[0]) == toNode {
		_, _ = io.Copy(io.Discard, struct{ io.Reader }{c})
		_, _ = c.Write(d)
		return
	}
	for piece := make([]byte, 128<<10); ; {
		if _, err := c.Write(piece); err != nil {
			return
		}
	}
}

// transfer carries n bytes through a tunnel to a source, in MiB/s.
func transfer(address string, d direction, n int64) (float64, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(sessionTime))
	began := time.Now()
	if _, err := conn.Write([]byte{byte(d)}); err != nil {
		return 0, err
	}
	if d == fromNode {
		err = receive(conn, n)
	} else {
		err = send(conn, n)
	}
	return float64(n) / (1 << 20) / time.Since(began).Seconds(), err
}

func receive(conn net.Conn, n int64) error {
	piece := make([]byte, 128<<10)
	for n > 0 {
		got, err := conn.Read(piece)
		if n -= int64(got); err != nil && n > 0 {
			return err
		}
	}
	return nil
}

func send(conn net.Conn, n int64) error {
	piece := make([]byte, 128<<10)
	for ; n > 0; n -= int64(len(piece)) {
		if _, err := conn.Write(piece[:min(n, int64(len(piece)))]); err != nil {
			return err
		}
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return errors.New("no TCP")
	}
	if err := tcp.CloseWrite(); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, piece[:1]) // the other end has it all
	return err
}
