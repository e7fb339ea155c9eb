//go:build unix

package session

import (
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/wire/mgs"
	"github.com/watchbill/watchbill/test/sessiontest"

	"github.com/xtaci/smux"
)

// listen is a server that echoes one line.
func listen(t *testing.T) (portNumber string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.WriteString(conn, "hello\n")
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	_, portNumber, _ = net.SplitHostPort(l.Addr().String())
	return portNumber
}

func TestPortMux(t *testing.T) {
	h := newTestHub(t)
	h.start("s", request{kind: portSession, properties: map[string]any{"portNumber": listen(t), "type": localPortForwarding, "localPortNumber": "0"}})
	c := h.client("s", sessiontest.Options{})
	wants(t, c, mgs.PayloadHandshakeComplete, "HandshakeTimeToComplete")
	conf := smux.DefaultConfig()
	conf.KeepAliveDisabled = true
	client, err := smux.Client(c.Port(), conf)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	data := make([]byte, 300<<10)
	_, _ = rand.Read(data)
	errs := make(chan error)
	for range 3 {
		go func() { errs <- echo(client, data) }()
	}
	for range 3 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	c.Flag(mgs.FlagTerminateSession)
	if end := h.ended("s"); end.FinalTaskStatus != mgs.TaskSuccess {
		t.Errorf("%+v", end)
	}
}

func echo(client *smux.Session, data []byte) error {
	stream, err := client.OpenStream()
	if err != nil {
		return err
	}
	defer stream.Close()
	_ = stream.SetDeadline(time.Now().Add(patience))
	go func() { _, _ = stream.Write(data) }()
	got := make([]byte, len("hello\n")+len(data))
	if _, err := io.ReadFull(stream, got); err != nil {
		return err
	}
	if !bytes.Equal(got[len("hello\n"):], data) {
		return io.ErrUnexpectedEOF
	}
	return nil
}

func TestPortMuxRefused(t *testing.T) {
	h := newTestHub(t)
	h.start("s", request{kind: portSession, properties: map[string]any{"portNumber": "1", "type": localPortForwarding}})
	c := h.client("s", sessiontest.Options{})
	wants(t, c, mgs.PayloadHandshakeComplete, "HandshakeTimeToComplete")
	client, err := smux.Client(c.Port(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	stream, err := client.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	wants(t, c, mgs.PayloadFlag, "\x00\x00\x00\x03")
	_ = stream.SetReadDeadline(time.Now().Add(patience))
	if _, err := stream.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the stream ended with %v", err)
	}
}

// SSH: one connection, over the client's stdin and stdout.
func TestPortSingle(t *testing.T) {
	h := newTestHub(t)
	h.start("s", request{kind: portSession, parameters: map[string]any{"portNumber": listen(t)}, properties: map[string]any{"portNumber": "{{ portNumber }}"}})
	c := h.client("s", sessiontest.Options{})
	wants(t, c, mgs.PayloadOutput, "hello\n")
	c.Type("SSH-2.0-x\r\n")
	wants(t, c, mgs.PayloadOutput, "hello\nSSH-2.0-x\r\n")
	c.Flag(mgs.FlagTerminateSession)
	closes(t, c)
}

// Clients without mux reopen the connection.
func TestPortBasic(t *testing.T) {
	h := newTestHub(t)
	h.start("s", request{kind: portSession, properties: map[string]any{"portNumber": listen(t), "type": localPortForwarding}})
	c := h.client("s", sessiontest.Options{Version: "1.1.61.0"})
	wants(t, c, mgs.PayloadOutput, "hello\n")
	c.Type("one")
	wants(t, c, mgs.PayloadOutput, "one")
	c.Flag(mgs.FlagDisconnectToPort)
	c.Type("two")
	wants(t, c, mgs.PayloadOutput, "hello\ntwo")
	c.Flag(mgs.FlagTerminateSession)
	closes(t, c)
}
