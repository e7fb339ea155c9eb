package email_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/capability/engage"
	"github.com/watchbill/watchbill/internal/channel/email"
	"github.com/watchbill/watchbill/internal/platform/egress"
)

// server is a small SMTP server on loopback that keeps one mail.
type server struct {
	port int
	got  chan string
}

func listen(t *testing.T, rcpt string) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	s := &server{port: l.Addr().(*net.TCPAddr).Port, got: make(chan string, 4)}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.talk(c, rcpt)
		}
	}()
	return s
}

// talk answers one client; rcpt is the answer to RCPT.
func (s *server) talk(c net.Conn, rcpt string) {
	defer func() { _ = c.Close() }()
	r := bufio.NewReader(c)
	say := func(line string) { _, _ = fmt.Fprintf(c, "%s\r\n", line) }
	say("220 test")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		switch verb := strings.ToUpper(line[:min(4, len(line))]); verb {
		case "EHLO", "HELO":
			say("250 test")
		case "RCPT":
			say(rcpt)
		case "DATA":
			say("354 go on")
			s.data(r)
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func (s *server) data(r *bufio.Reader) {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil || line == ".\r\n" {
			s.got <- b.String()
			return
		}
		b.WriteString(line)
	}
}

func (s *server) channel(t *testing.T, out egress.Policy) *email.Email {
	t.Helper()
	e, err := email.New(email.Config{Host: "127.0.0.1", Port: s.port, From: "Ops <ops@example.com>", TLS: email.Plain, Out: out})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

var loopback = egress.Policy{Allow: egress.Loopback()}

var page = engage.Page{
	ID: "5e0c", Recipient: "ann", Address: "ann@example.com", Sender: "Incident Manager", Subject: "Down\r\nBcc: eve@example.com", Content: "Come\n.\nat once",
	Code: "314159", Link: "https://hub/page/x", At: time.Unix(1_780_000_000, 0).UTC(),
}

func TestDeliver(t *testing.T) {
	s := listen(t, "250 ok")
	r, err := s.channel(t, loopback).Deliver(t.Context(), page)
	if err != nil {
		t.Fatal(err)
	}
	m, err := mail.ReadMessage(strings.NewReader(<-s.got))
	if err != nil {
		t.Fatal(err)
	}
	h := m.Header
	if h.Get("Message-ID") != "<5e0c@example.com>" || r.Info != "5e0c@example.com" || r.Delivered {
		t.Errorf("id %s, receipt %+v", h.Get("Message-ID"), r)
	}
	if h.Get("Bcc") != "" || h.Get("Subject") != "Down Bcc: eve@example.com" || h.Get("To") != "<ann@example.com>" {
		t.Errorf("headers %v", h)
	}
}

func TestRefusals(t *testing.T) {
	for answer, permanent := range map[string]bool{"550 5.1.1 no such mailbox": true, "451 4.3.0 try later": false} {
		_, err := listen(t, answer).channel(t, loopback).Deliver(t.Context(), page)
		if err == nil || errors.Is(err, engage.ErrPermanent) != permanent {
			t.Errorf("%s: %v", answer, err)
		}
	}
	s := listen(t, "250 ok")
	if _, err := s.channel(t, egress.Policy{}).Deliver(t.Context(), page); err == nil || errors.Is(err, engage.ErrPermanent) {
		t.Errorf("loopback without leave: %v", err)
	}
	bad := page
	bad.Address = "ann@example.com\r\nRCPT TO:<eve@example.com>"
	if _, err := s.channel(t, loopback).Deliver(t.Context(), bad); !errors.Is(err, engage.ErrPermanent) {
		t.Errorf("an address with a line break: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]email.Config{
		"no host":            {From: "ops@example.com"},
		"no sender":          {Host: "mail.example.com"},
		"plain to elsewhere": {Host: "mail.example.com", From: "ops@example.com", TLS: email.Plain},
		"a name like 127.":   {Host: "127.example.com", From: "ops@example.com", TLS: email.Plain},
		"unknown protection": {Host: "mail.example.com", From: "ops@example.com", TLS: "ssl3"},
	} {
		if _, err := email.New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
