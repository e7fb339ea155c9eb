package client

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"time"

	"github.com/watchbill/watchbill/internal/wire/plane"
)

// ForwardedHeader marks a request that a hub passed on to another one.
const ForwardedHeader = "X-Watchbill-Forwarded"

// Forwarder passes requests on as they are, WebSockets too.
type Forwarder struct{ transport *http.Transport }

// NewForwarder makes a forwarder that trusts the authorities of a PEM file and
// those of the system.
func NewForwarder(caFile string) (*Forwarder, error) {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("client: %s holds no certificate", caFile)
	}
	return &Forwarder{&http.Transport{
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}, TLSHandshakeTimeout: 10 * time.Second,
		DialContext:  plane.BulkDial((&net.Dialer{Timeout: 5 * time.Second}).DialContext),
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}, // a WebSocket is HTTP/1.1
	}}, nil
}

// To is where requests go on to a hub, whose address is https://HOST:PORT. The
// host that the caller named stays, for it is signed. Failed, which answers, hears why
// the hub was not reached.
func (f *Forwarder) To(address string, failed func(w http.ResponseWriter, err error)) (http.Handler, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("client: %q is not the address of a hub", address)
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: u.Scheme, Host: u.Host})
			r.Out.Host = r.In.Host
			r.Out.Header.Set(ForwardedHeader, "1")
		},
		Transport:    f.transport,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) { failed(w, err) },
	}, nil
}
