package session

import (
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/test/hubtest"
)

// echoServer answers what it gets, on loopback.
func echoServer(t *testing.T) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// roundTrip sends data through an address and reads it back.
func roundTrip(t *testing.T, address string, data []byte) time.Duration {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	began := time.Now()
	go func() { _, _ = c.Write(data) }()
	got := make([]byte, len(data))
	_ = c.SetDeadline(time.Now().Add(patience))
	if n, err := io.ReadFull(c, got); err != nil {
		t.Fatalf("%d of %d bytes: %v", n, len(data), err)
	}
	if !bytes.Equal(got, data) {
		t.Fatal("other bytes came back")
	}
	return time.Since(began)
}

// TestPort forwards several connections at once through the plugin's multiplexer.
func TestPort(t *testing.T) {
	w := newWorld(t)
	address := hubtest.FreePort(t)
	_, local, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	r := w.start(t, &ssm.StartSessionInput{
		DocumentName: new("AWS-StartPortForwardingSession"),
		Parameters:   map[string][]string{"portNumber": {echoServer(t)}, "localPortNumber": {local}},
	})
	r.expect("Waiting for connections...")
	// Before there is traffic: what the stock plugin is given while it has no
	// connection ends its tunnel.
	before := w.client.count()
	w.client.cut()
	await(t, "the plugin", func() bool { return w.client.count() >= before+2 }) // ResumeSession and the data channel
	w.status(t, r.session, ssm.SessionStatusConnected)
	data := make([]byte, 512<<10)
	_, _ = rand.Read(data)
	took := roundTrip(t, address, data)
	t.Logf("there and back at %.2f MiB/s", float64(len(data))/(1<<20)/took.Seconds())
	done := make(chan struct{}, 3)
	for range cap(done) {
		go func() {
			roundTrip(t, address, data[:100<<10])
			done <- struct{}{}
		}()
	}
	for range cap(done) {
		<-done
	}
	w.nodeLine.cut()
	roundTrip(t, address, data[:64<<10])
	w.Must(t, "ssm", "TerminateSession", &ssm.TerminateSessionInput{SessionId: &r.session}, &ssm.TerminateSessionOutput{})
	r.over()
}

// TestPortOneWay logs how fast the plugin takes what a server sends. A stock sender has
// a ceiling of about 0.84 MiB/s: 1,024 bytes a message and a pause of a millisecond.
func TestPortOneWay(t *testing.T) {
	w := newWorld(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	const size = 1 << 20
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = c.Write(make([]byte, size))
			_ = c.Close()
		}
	}()
	address := hubtest.FreePort(t)
	_, local, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	r := w.start(t, &ssm.StartSessionInput{
		DocumentName: new("AWS-StartPortForwardingSession"),
		Parameters:   map[string][]string{"portNumber": {strconv.Itoa(l.Addr().(*net.TCPAddr).Port)}, "localPortNumber": {local}},
	})
	r.expect("Waiting for connections...")
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(patience))
	began := time.Now()
	if n, err := io.Copy(io.Discard, c); n != size {
		t.Fatalf("%d of %d bytes: %v", n, size, err)
	}
	t.Logf("%.2f MiB/s", 1/time.Since(began).Seconds())
}
