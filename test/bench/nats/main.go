// Command nats times a request to many subscribers of an embedded NATS server, each on a
// TLS connection of its own, until all have answered, and prints the p95 in milliseconds.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

func main() {
	p95, err := measure(number(1), number(2))
	if err != nil {
		fmt.Fprintln(os.Stderr, "nats:", err)
		os.Exit(1)
	}
	fmt.Printf("%.3f\n", float64(p95)/float64(time.Millisecond))
}

func number(i int) int {
	n, err := strconv.Atoi(os.Args[i])
	if err != nil {
		panic(err)
	}
	return n
}

func measure(subscribers, rounds int) (time.Duration, error) {
	cert, pool, err := certificate()
	if err != nil {
		return 0, err
	}
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}})
	if err != nil {
		return 0, err
	}
	go s.Start()
	defer s.Shutdown()
	if !s.ReadyForConnections(10 * time.Second) {
		return 0, fmt.Errorf("the server is not ready")
	}
	secure := nats.Secure(&tls.Config{RootCAs: pool})
	for range subscribers {
		c, err := nats.Connect(s.ClientURL(), secure)
		if err != nil {
			return 0, err
		}
		if _, err := c.Subscribe("command", func(m *nats.Msg) { _ = m.Respond([]byte("Success")) }); err != nil {
			return 0, err
		}
		if err := c.Flush(); err != nil {
			return 0, err
		}
	}
	c, err := nats.Connect(s.ClientURL(), secure)
	if err != nil {
		return 0, err
	}
	return times(c, subscribers, rounds)
}

func times(c *nats.Conn, subscribers, rounds int) (time.Duration, error) {
	var took []time.Duration
	for range rounds {
		in := c.NewRespInbox()
		sub, err := c.SubscribeSync(in)
		if err != nil {
			return 0, err
		}
		began := time.Now()
		if err := c.PublishRequest("command", in, make([]byte, 1024)); err != nil {
			return 0, err
		}
		for range subscribers {
			if _, err := sub.NextMsg(10 * time.Second); err != nil {
				return 0, err
			}
		}
		took = append(took, time.Since(began))
		_ = sub.Unsubscribe()
	}
	slices.Sort(took)
	return took[len(took)*95/100], nil
}

// certificate is one that signs itself for loopback.
func certificate() (tls.Certificate, *x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	now := time.Now()
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool, nil
}
