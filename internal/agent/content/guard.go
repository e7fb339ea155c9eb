package content

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/watchbill/watchbill/internal/lang/address"
)

// Limits of one download.
const (
	maxRedirects   = 3
	connectTimeout = 15 * time.Second
	answerTimeout  = time.Minute
)

// newClient is a client that follows the rules of this package. roots may be
// nil for those of the system.
func newClient(loopback bool, limit int64, roots *x509.CertPool) *http.Client {
	dialer := &net.Dialer{Timeout: connectTimeout, Control: func(_, to string, _ syscall.RawConn) error {
		return allowed(to, loopback)
	}}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout: connectTimeout, ResponseHeaderTimeout: answerTimeout,
		DisableKeepAlives: true,
	}
	return &http.Client{Transport: limited{transport, limit}, CheckRedirect: redirect}
}

// allowed refuses addresses that no content comes from: those of this machine,
// of the link (the metadata services of clouds are there) and of groups. It
// sees the address that is connected to, whatever name it was found by.
func allowed(to string, loopback bool) error {
	at, err := netip.ParseAddrPort(to)
	if err != nil {
		return err
	}
	switch ip := address.Plain(at.Addr()); {
	case ip.IsLoopback() && !loopback:
		return fmt.Errorf("%s is this machine (see --allow-loopback)", ip)
	case address.Denied(ip):
		return fmt.Errorf("content is not fetched from %s", ip)
	}
	return nil
}

func redirect(r *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("more than %d redirects", maxRedirects)
	case r.URL.Scheme != "https" && (r.URL.Scheme != "http" || via[0].URL.Scheme == "https"):
		return fmt.Errorf("a redirect to %s is not followed", r.URL.Scheme)
	case r.URL.Host != via[0].URL.Host:
		for name := range r.Header {
			if name != "User-Agent" && name != "Referer" {
				r.Header.Del(name) // credentials are for the first server only
			}
		}
	}
	return nil
}

// ErrTooLarge says that content is larger than the limit.
var ErrTooLarge = errors.New("the content is larger than the limit")

// limited bounds the bodies of answers.
type limited struct {
	next  http.RoundTripper
	limit int64
}

// RoundTrip makes reading beyond the limit an error.
func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := l.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if res.ContentLength > l.limit {
		res.Body.Close()
		return nil, fmt.Errorf("%w of %d bytes", ErrTooLarge, l.limit)
	}
	res.Body = &limitedBody{res.Body, l.limit}
	return res, nil
}

type limitedBody struct {
	io.ReadCloser
	left int64
}

// Read counts what is read.
func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, ErrTooLarge
	}
	return n, err
}
