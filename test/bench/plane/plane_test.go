// Package plane measures the data plane alone: a client, a hub and a node in one
// process, with TLS on both links.
package plane

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	hub "github.com/watchbill/watchbill/internal/gateway/plane"
	"github.com/watchbill/watchbill/internal/wire/plane"
)

// session allows everything and keeps nothing.
type session struct{}

func (session) Opening(uint32, plane.Open, bool) error { return nil }
func (session) Closed(uint32, plane.Open, hub.Tally)   {}
func (session) Output([]byte) error                    { return nil }
func (session) Input([]byte)                           {}
func (session) Resize(uint16, uint16)                  {}
func (session) Active(int, int)                        {}
func (session) InputClosed() string                     { return "" }
func (session) Left()                                  {}

func certificate(b *testing.B) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"hub"}}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		b.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// start makes a session whose node serves streams with handle.
func start(b *testing.B, handle func(*plane.Stream)) *plane.Endpoint {
	cert := certificate(b)
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	l := tls.NewListener(plane.BulkListener{Listener: inner}, &tls.Config{Certificates: []tls.Certificate{cert}, DynamicRecordSizingDisabled: true})
	pool := x509.NewCertPool()
	leaf, _ := x509.ParseCertificate(cert.Certificate[0])
	pool.AddCert(leaf)
	dial := func(token string) func(context.Context) (*plane.Link, plane.Welcome, error) {
		return func(ctx context.Context) (*plane.Link, plane.Welcome, error) {
			c, err := plane.BulkDial((&net.Dialer{}).DialContext)(ctx, "tcp", inner.Addr().String())
			if err != nil {
				return nil, plane.Welcome{}, err
			}
			link := plane.NewLink(tls.Client(c, &tls.Config{RootCAs: pool, ServerName: "hub", DynamicRecordSizingDisabled: true}), true)
			w, err := plane.Greet(link, token)
			return link, w, err
		}
	}
	relay := hub.NewRelay(session{})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				link := plane.NewLink(c, false)
				if h, err := plane.ReadHello(link); err == nil && h.TokenValue == "node" {
					relay.ServeNode(link)
				} else if err == nil {
					relay.ServeClient(link)
				}
			}()
		}
	}()
	ctx, cancel := context.WithCancel(context.Background())
	var ends sync.WaitGroup
	node := plane.NewEndpoint(plane.Config{Dial: dial("node"), Handle: handle})
	ends.Go(func() { _ = node.Run(ctx) })
	client := plane.NewEndpoint(plane.Config{Client: true, Dial: dial("client")})
	ends.Go(func() { _ = client.Run(ctx) })
	b.Cleanup(func() { cancel(); _ = l.Close(); ends.Wait() })
	return client
}

// BenchmarkStream carries 64 KiB an operation from the node to the client.
func BenchmarkStream(b *testing.B) {
	piece := make([]byte, plane.MaxData)
	client := start(b, func(st *plane.Stream) {
		_ = st.Answer(plane.Opened{})
		for range b.N {
			if _, err := st.Write(piece); err != nil {
				return
			}
		}
		_ = st.Exit(plane.Exit{})
		st.Close()
	})
	st, _, err := client.Open(b.Context(), plane.Open{Kind: plane.TCP})
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	b.SetBytes(plane.MaxData)
	b.ResetTimer()
	r, err := st.Receive(io.Discard, io.Discard)
	if err != nil || r.Bytes != int64(b.N)*plane.MaxData {
		b.Fatalf("%d bytes: %v", r.Bytes, err)
	}
}

// BenchmarkEcho is a byte there and back.
func BenchmarkEcho(b *testing.B) {
	client := start(b, func(st *plane.Stream) {
		_ = st.Answer(plane.Opened{})
		for {
			f, err := st.Next()
			if err != nil {
				return
			}
			_, _ = st.Write(f.Payload())
			f.Release()
		}
	})
	st, _, err := client.Open(b.Context(), plane.Open{Kind: plane.Shell})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := st.Write([]byte{'a'}); err != nil {
			b.Fatal(err)
		}
		f, err := st.Next()
		if err != nil {
			b.Fatal(err)
		}
		f.Release()
	}
}
