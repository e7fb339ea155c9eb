// Package email is the channel that sends pages over SMTP, through the hub's
// outbound dialer.
//
// A page's id is its Message-ID, so a page that is sent twice after a crash is
// recognised by mail programs. Text from alarms goes into the body and, with
// line breaks removed, into the subject; nothing of it becomes another header.
package email

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/watchbill/watchbill/internal/capability/engage"
	"github.com/watchbill/watchbill/internal/platform/egress"
	"github.com/watchbill/watchbill/internal/platform/secret"
)

// TLS is how the connection is protected.
type TLS string

// The ways to protect the connection.
const (
	StartTLS TLS = "starttls" // required, not merely tried; the default
	Implicit TLS = "tls"
	Plain    TLS = "plain" // loopback only
)

// Config is where and as whom mail is sent.
type Config struct {
	Host     string
	Port     int    // 0 for the usual one
	From     string // "ops@example.com" or "Ops <ops@example.com>"
	Username string // "" for no authentication
	Password secret.String
	TLS      TLS
	Out      egress.Policy
}

// Email is the channel.
type Email struct {
	config Config
	from   *mail.Address
}

const timeout = 20 * time.Second

// New checks the configuration; nothing is dialed.
func New(c Config) (*Email, error) {
	from, err := mail.ParseAddress(c.From)
	if err != nil {
		return nil, fmt.Errorf("email: the sender %q is not an address", c.From)
	}
	if c.TLS == "" {
		c.TLS = StartTLS
	}
	ip := net.ParseIP(c.Host)
	local := c.Host == "localhost" || ip != nil && ip.IsLoopback()
	switch {
	case c.Host == "":
		return nil, errors.New("email: a host is needed")
	case c.TLS == Plain && !local:
		return nil, errors.New("email: mail goes out unprotected to this machine only; use starttls or tls")
	case c.TLS != Plain && c.TLS != StartTLS && c.TLS != Implicit:
		return nil, fmt.Errorf("email: tls has to be starttls, tls or plain, not %q", c.TLS)
	}
	return &Email{config: c, from: from}, nil
}

// Deliver sends a page. What the server refuses for good ends the tries.
func (e *Email) Deliver(ctx context.Context, p engage.Page) (engage.Receipt, error) {
	m, err := e.message(p)
	if err != nil {
		return engage.Receipt{}, err
	}
	c, err := e.client()
	if err != nil {
		return engage.Receipt{}, err
	}
	if err := c.DialAndSendWithContext(ctx, m); err != nil {
		if refused, ok := errors.AsType[*gomail.SendError](err); ok && !refused.IsTemp() && refused.ErrorCode() >= 500 {
			return engage.Receipt{}, fmt.Errorf("%w: the mail server refused it with %d %s", engage.ErrPermanent, refused.ErrorCode(), refused.EnhancedStatusCode())
		}
		return engage.Receipt{}, fmt.Errorf("email: %w", err)
	}
	return engage.Receipt{Info: e.messageID(p)}, nil
}

func (e *Email) messageID(p engage.Page) string {
	return p.ID + "@" + e.from.Address[strings.LastIndex(e.from.Address, "@")+1:]
}

func (e *Email) message(p engage.Page) (*gomail.Msg, error) {
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	m.FromMailAddress(e.from)
	to, err := mail.ParseAddress(p.Address)
	if err != nil || to.Address != p.Address {
		return nil, fmt.Errorf("%w: %q is not an e-mail address", engage.ErrPermanent, p.Address)
	}
	m.ToMailAddress(to)
	m.Subject(oneLine(p.Subject))
	m.SetMessageIDWithValue(e.messageID(p))
	m.SetDateWithValue(p.At)
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetBodyString(gomail.TypeTextPlain, body(p))
	return m, nil
}

// oneLine keeps line breaks out of a header.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func body(p engage.Page) string {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "%s\n\n%s\n", p.Subject, p.Content)
	if p.Link == "" {
		_, _ = fmt.Fprintf(&b, "\nCode: %s\n", p.Code)
		return b.String()
	}
	_, _ = fmt.Fprintf(&b, "\nAcknowledge: %s\nCode: %s\nSent by %s for %s.\n", p.Link, p.Code, p.Sender, p.Recipient)
	return b.String()
}

func (e *Email) client() (*gomail.Client, error) {
	opts := []gomail.Option{gomail.WithTimeout(timeout), gomail.WithDialContextFunc(e.config.Out.Dialer().DialContext)}
	switch e.config.TLS {
	case Plain:
		opts = append(opts, gomail.WithTLSPolicy(gomail.NoTLS))
	case Implicit:
		opts = append(opts, gomail.WithSSLPort(false))
	default:
		opts = append(opts, gomail.WithTLSPortPolicy(gomail.TLSMandatory))
	}
	if e.config.Port != 0 {
		opts = append(opts, gomail.WithPort(e.config.Port))
	}
	if e.config.Username != "" {
		opts = append(opts, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(e.config.Username), gomail.WithPassword(e.config.Password.Reveal()))
	}
	c, err := gomail.NewClient(e.config.Host, opts...)
	if err != nil {
		return nil, fmt.Errorf("email: %w", err)
	}
	return c, nil
}
