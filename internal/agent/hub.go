package agent

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/watchbill/watchbill/internal/wire/sigv4"
)

// hub calls the hub. The zero time of its clock is this machine's; it follows
// the hub's when the two differ too much for a signature.
type hub struct {
	base   *url.URL
	region string
	http   *http.Client
	tls    *tls.Config
	skew   atomic.Int64 // nanoseconds to add to this machine's clock
}

// Limits of calls to the hub.
const (
	callTimeout = 60 * time.Second
	maxAnswer   = 1 << 20
	maxSkew     = 2 * time.Minute // the signature window is five
)

func newHub(address, ca, region string) (*hub, error) {
	base, err := url.Parse(address)
	if err != nil || base.Host == "" || (base.Path != "" && base.Path != "/") || base.RawQuery != "" || base.User != nil {
		return nil, fmt.Errorf("hub address %q is not of the form https://HOST:PORT", address)
	}
	switch {
	case base.Scheme == "https":
	case base.Scheme == "http" && loopback(base.Hostname()):
	case base.Scheme == "http":
		return nil, fmt.Errorf("hub address %s: plain HTTP is only allowed on the loopback address, use https", address)
	default:
		return nil, fmt.Errorf("hub address %q is not of the form https://HOST:PORT", address)
	}
	base.Path = ""
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM([]byte(ca)) {
			return nil, errors.New("the CA file holds no certificate in PEM form")
		}
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: conf.Clone(), TLSHandshakeTimeout: 10 * time.Second,
		DialContext:  (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		MaxIdleConns: 1, IdleConnTimeout: 10 * time.Second, ForceAttemptHTTP2: false,
	}
	return &hub{base: base, region: region, http: &http.Client{Transport: transport, CheckRedirect: noRedirect}, tls: conf}, nil
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// hubError is an error that the hub answered.
type hubError struct {
	Status  int
	Code    string
	Message string
	After   time.Duration // the hub's Retry-After, 0 without one
}

func (e *hubError) Error() string {
	switch {
	case e.Code == "":
		return fmt.Sprintf("the hub answered HTTP %d", e.Status)
	case e.Message == "":
		return e.Code
	}
	return e.Code + ": " + e.Message
}

// refusedKey says whether the hub does not accept the credentials of a call.
func (e *hubError) refusedKey() bool {
	switch e.Code {
	case "ExpiredTokenException", "ExpiredToken", "UnrecognizedClientException", "InvalidClientTokenId",
		"InvalidSignatureException", "SignatureDoesNotMatch", "MissingAuthenticationToken", "AccessDeniedException":
		return true
	}
	return e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden
}

// signer signs a request whose body is given, at an instant.
type signer func(r *http.Request, body []byte, now time.Time) error

func unsigned(*http.Request, []byte, time.Time) error { return nil }

func (h *hub) now() time.Time { return time.Now().Add(time.Duration(h.skew.Load())) }

// call calls an operation of the ssm service. Errors: *hubError, or what kept
// the hub from being reached.
func (h *hub) call(ctx context.Context, operation string, in, out any, sign signer) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	header := http.Header{
		"Content-Type": {"application/x-amz-json-1.1"},
		"X-Amz-Target": {"AmazonSSM." + operation},
	}
	answer, err := h.post(ctx, "/", body, header, http.StatusOK, sign)
	if err != nil {
		return err
	}
	if len(answer) == 0 {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("the hub's answer to %s is not valid: %w", operation, err)
	}
	return nil
}

func (h *hub) post(ctx context.Context, path string, body []byte, header http.Header, want int, sign signer) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.base.String()+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header = header
	r.Header.Set("User-Agent", userAgent())
	if err := sign(r, body, h.now()); err != nil {
		return nil, err
	}
	res, err := h.http.Do(r)
	if err != nil {
		return nil, h.unreachable(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, h.unreachable(err)
	}
	h.follow(res.Header.Get("Date"))
	if res.StatusCode != want {
		return nil, answered(res, answer)
	}
	return answer, nil
}

// unreachable is one clear line for a hub that could not be asked.
func (h *hub) unreachable(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		return fmt.Errorf("the certificate of the hub at %s is not trusted: give its CA file with --ca: %w", h.base, err)
	}
	return fmt.Errorf("cannot reach the hub at %s: %w", h.base, err)
}

// follow takes over the hub's clock when this machine's is too far off.
func (h *hub) follow(date string) {
	t, err := http.ParseTime(date)
	if err != nil {
		return
	}
	if off := time.Until(t); off.Abs() > maxSkew {
		h.skew.Store(int64(off))
		return
	}
	h.skew.Store(0)
}

// answered reads an error answer in either of its forms: JSON or XML.
func answered(res *http.Response, body []byte) *hubError {
	e := &hubError{Status: res.StatusCode, After: retryAfter(res.Header.Get("Retry-After"))}
	var j struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &j) == nil && j.Type != "" {
		_, code, found := bytes.Cut([]byte(j.Type), []byte("#"))
		if !found {
			code = []byte(j.Type)
		}
		e.Code, e.Message = string(code), j.Message
		return e
	}
	e.Code, e.Message = xmlError(body)
	return e
}

// xmlError reads <Code><Message>...</Message></Code>, or the AWS form with
// Code and Message as elements of Error.
func xmlError(body []byte) (code, message string) {
	var x struct {
		XMLName xml.Name
		Code    string `xml:"Code"`
		Message string `xml:"Message"`
	}
	if xml.Unmarshal(body, &x) != nil {
		return "", ""
	}
	if x.Code != "" {
		return x.Code, x.Message
	}
	return x.XMLName.Local, x.Message
}

// retryAfter reads the seconds form of the header.
func retryAfter(s string) time.Duration {
	seconds, err := strconv.Atoi(s)
	if err != nil || seconds < 0 || seconds > 3600 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

func userAgent() string {
	return "watchbill-agent/" + Version + " (" + runtime.GOOS + "; " + runtime.GOARCH + ")"
}

// byKey signs with the node's RSA key: a request signed as with Signature
// Version 4, whose access key id is the node and whose signature is RSA-PSS
// over the string to sign. Source: measured protocol of the stock agent.
func (h *hub) byKey(node string, key *rsa.PrivateKey) signer {
	return func(r *http.Request, body []byte, now time.Time) error {
		now = now.UTC().Truncate(time.Second)
		r.Header.Set("X-Amz-Date", now.Format(sigv4.TimeFormat))
		scope := sigv4.Scope{AccessKeyID: node, Date: now.Format("20060102"), Region: h.region, Service: "ssm"}
		s := &sigv4.Signature{Scope: scope, Time: now, Headers: []string{"content-type", "host", "x-amz-date", "x-amz-target"}}
		text, err := s.StringToSign(r, body)
		if err != nil {
			return err
		}
		digest := sha256.Sum256([]byte(text))
		value, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: 32})
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", fmt.Sprintf(
			"AWS4-HMAC-SHA256 Credential=%s/%s/%s/ssm/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=%s",
			node, scope.Date, scope.Region, base64.StdEncoding.EncodeToString(value)))
		return nil
	}
}

// byCredentials signs with temporary credentials for a service.
func (h *hub) byCredentials(c sigv4.Credentials, service string) signer {
	return func(r *http.Request, body []byte, now time.Time) error {
		return sigv4.Sign(r, body, c, service, h.region, now)
	}
}
