package sigv4_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/watchbill/watchbill/internal/wire/sigv4"
)

const (
	keyID  = "AKIAIOSFODNN7EXAMPLE"
	secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	token  = "IQoJb3JpZ2luX2VjEXAMPLE//token+with/marks=="
)

var now = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// lookup knows one key without and the same key with a session token.
func lookup(id, tok string) (string, error) {
	if id == keyID && (tok == "" || tok == token) {
		return secret, nil
	}
	return "", sigv4.ErrUnknownKey
}

type vector struct {
	name, method, url, body, service string
	header                           map[string]string
	session, presign                 bool
}

var vectors = []vector{
	{name: "awsJson", method: "POST", url: "https://hub:8443/", body: `{"Name":"/a/b"}`, service: "ssm", header: map[string]string{"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AmazonSSM.GetParameter"}},
	{name: "session token", method: "POST", url: "https://hub:8443/", body: `{}`, service: "ssm-contacts", session: true, header: map[string]string{"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "SSMContacts.ListContacts"}},
	{name: "no port", method: "POST", url: "https://hub.example.org/", body: `{}`, service: "ssm", header: map[string]string{"Content-Type": "application/x-amz-json-1.1"}},
	{name: "no path", method: "POST", url: "https://hub:8443", body: `{}`, service: "ssm", header: map[string]string{"Content-Type": "application/x-amz-json-1.1"}},
	{name: "empty body", method: "GET", url: "https://hub:8443/replicationSets/", service: "ssm-incidents"},
	{name: "escaped path", method: "GET", url: "https://hub:8443/tags/arn%3Aaws%3Assm-incidents%3A%3A123456789012%3Aresponse-plan%2Fweb", service: "ssm-incidents"},
	{name: "path with spaces and marks", method: "GET", url: "https://hub:8443/a%20b/c+d/e=f/%E2%82%AC/g~h_i-j.k/(l)!*'", service: "ssm-incidents"},
	{name: "query", method: "DELETE", url: "https://hub:8443/tags/x?tagKeys=b&tagKeys=a&tagKeys=a%20b%2Bc&z=&aa=1&a=2", service: "ssm-incidents"},
	{name: "query with equals and unicode", method: "GET", url: "https://hub:8443/x?arn=arn%3Aaws%3D%26%E2%82%AC&q=~%2F%3F%2A", service: "ssm-incidents"},
	{name: "header with spaces", method: "POST", url: "https://hub:8443/", body: `{}`, service: "ssm", header: map[string]string{"Content-Type": "application/x-amz-json-1.1", "X-Amz-Meta": "  a   b  c ", "X-Note": "tail  "}},
	{name: "payload hash header", method: "POST", url: "https://hub:8443/", body: `{"A":1}`, service: "ssm", header: map[string]string{"Content-Type": "application/x-amz-json-1.1", "X-Amz-Content-Sha256": "auto"}},
	{name: "query protocol", method: "POST", url: "https://hub:8443/", body: "Action=GetCallerIdentity&Version=2011-06-15", service: "sts", header: map[string]string{"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}},
	{name: "web socket", method: "GET", url: "https://hub:8443/v1/control-channel/mi-0123456789abcdef0?role=subscribe&stream=input", service: "ssmmessages", session: true},
	{name: "presigned", method: "GET", url: "https://hub:8443/?Action=GetCallerIdentity&Version=2011-06-15", service: "sts", presign: true},
	{name: "presigned session", method: "GET", url: "https://hub:8443/a%2Fb?x=1", service: "ssm-incidents", presign: true, session: true},
	{name: "presigned with body", method: "POST", url: "https://hub:8443/", body: "Action=GetCallerIdentity", service: "sts", presign: true},
}

// sent makes the request of a vector as the server receives it, signed by
// the signer of aws-sdk-go-v2.
func sent(t testing.TB, v vector) (*http.Request, []byte) {
	t.Helper()
	target := v.url
	if v.presign {
		target += map[bool]string{true: "&", false: "?"}[strings.Contains(target, "?")] + "X-Amz-Expires=900"
	}
	req, err := http.NewRequestWithContext(t.Context(), v.method, target, strings.NewReader(v.body))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(v.body))
	hash := hex.EncodeToString(sum[:])
	for k, x := range v.header {
		req.Header.Set(k, strings.Replace(x, "auto", hash, 1))
	}
	creds := aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret}
	if v.session {
		creds.SessionToken = token
	}
	signer := v4.NewSigner()
	if v.presign {
		signed, _, err := signer.PresignHTTP(context.Background(), creds, req, hash, v.service, "eu-west-1", now)
		if err != nil {
			t.Fatal(err)
		}
		if req.URL, err = url.Parse(signed); err != nil {
			t.Fatal(err)
		}
	} else if err := signer.SignHTTP(context.Background(), creds, req, hash, v.service, "eu-west-1", now); err != nil {
		t.Fatal(err)
	}
	return received(t, req, []byte(v.body)), []byte(v.body)
}

// received gives the request the form that net/http hands to a server.
func received(t testing.TB, req *http.Request, body []byte) *http.Request {
	t.Helper()
	r := httptest.NewRequest(req.Method, req.URL.RequestURI(), bytes.NewReader(body))
	r.Host = req.URL.Host
	if req.Host != "" {
		r.Host = req.Host
	}
	r.Header = req.Header.Clone()
	for k, v := range r.Header {
		for i := range v {
			v[i] = strings.TrimSpace(v[i]) // as the server's header reader does
		}
		r.Header[k] = v
	}
	return r
}

func TestVerifySDKVectors(t *testing.T) {
	t.Parallel()
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			r, body := sent(t, v)
			var verifier sigv4.Verifier
			for range 2 { // derived, then cached
				s, err := verifier.Verify(r, body, now, lookup)
				if err != nil {
					t.Fatalf("%v\n%s %s\n%v", err, r.Method, r.URL, r.Header)
				}
				want := sigv4.Scope{AccessKeyID: keyID, Date: "20261122", Region: "eu-west-1", Service: v.service}
				if s.Scope != want || s.Presigned != v.presign || (s.SessionToken != "") != v.session {
					t.Errorf("got %+v", s)
				}
			}
		})
	}
}

// Our signatures and the SDK's over the same request are the same text.
func TestSignEqualsSDK(t *testing.T) {
	t.Parallel()
	for _, v := range vectors {
		if v.presign {
			continue
		}
		want, body := sent(t, v)
		req, err := http.NewRequestWithContext(t.Context(), v.method, v.url, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for k, x := range v.header {
			req.Header.Set(k, strings.Replace(x, "auto", want.Header.Get("X-Amz-Content-Sha256"), 1))
		}
		if len(body) > 0 {
			req.Header.Set("Content-Length", fmt.Sprint(len(body)))
		}
		c := sigv4.Credentials{AccessKeyID: keyID, SecretAccessKey: secret}
		if v.session {
			c.SessionToken = token
		}
		if err := sigv4.Sign(req, body, c, v.service, "eu-west-1", now); err != nil {
			t.Fatal(err)
		}
		if got, want := req.Header.Get("Authorization"), want.Header.Get("Authorization"); got != want {
			t.Errorf("%s:\n got %s\nwant %s", v.name, got, want)
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		vector int
		edit   func(r *http.Request)
		code   string
	}{
		{"unsigned", 0, func(r *http.Request) { r.Header.Del("Authorization") }, "MissingAuthenticationTokenException"},
		{"unsigned sts", 11, func(r *http.Request) { r.Header.Del("Authorization") }, "MissingAuthenticationToken"},
		{"unknown key", 0, func(r *http.Request) { swap(r, keyID, "AKIAIOSFODNN7EXAMPLF") }, "InvalidSignatureException"},
		{"bad signature", 0, func(r *http.Request) { swap(r, "Signature=", "Signature=0") }, "InvalidSignatureException"},
		{"bad signature sts", 11, func(r *http.Request) { swap(r, "Signature=", "Signature=0") }, "SignatureDoesNotMatch"},
		{"wrong algorithm", 0, func(r *http.Request) { swap(r, "HMAC-SHA256", "ECDSA-P256-SHA256") }, "IncompleteSignatureException"},
		{"two headers", 0, func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }, "IncompleteSignatureException"},
		{"header and query", 0, func(r *http.Request) { r.URL.RawQuery = "X-Amz-Signature=1" }, "IncompleteSignatureException"},
		{"two dates", 0, func(r *http.Request) { r.Header.Add("X-Amz-Date", r.Header.Get("X-Amz-Date")) }, "IncompleteSignatureException"},
		{"no date", 0, func(r *http.Request) { r.Header.Del("X-Amz-Date") }, "IncompleteSignatureException"},
		{"unsigned payload", 0, func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD") }, "IncompleteSignatureException"},
		{"signed unsigned payload", 10, func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD") }, "InvalidSignatureException"},
		{"added x-amz header", 0, func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", token) }, "IncompleteSignatureException"},
		{"added content type", 4, func(r *http.Request) { r.Header.Set("X-Amz-Meta", "x") }, "IncompleteSignatureException"},
		{"host not signed", 0, func(r *http.Request) { swap(r, ";host", "") }, "IncompleteSignatureException"},
		{"unsorted", 0, func(r *http.Request) { swap(r, "content-type;host", "host;content-type") }, "IncompleteSignatureException"},
		{"upper case", 0, func(r *http.Request) { swap(r, ";host", ";Host") }, "IncompleteSignatureException"},
		{"dot segments", 5, func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/a/../b", "" }, "InvalidSignatureException"},
		{"scope date", 0, func(r *http.Request) { swap(r, "/20261122/", "/20261121/") }, "InvalidSignatureException"},
		{"long presign", 13, func(r *http.Request) { r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "=900", "=604801", 1) }, "IncompleteSignatureException"},
		{"doubled parameter", 13, func(r *http.Request) { r.URL.RawQuery += "&X-Amz-Date=20261122T100000Z" }, "IncompleteSignatureException"},
		{"semicolon", 13, func(r *http.Request) { r.URL.RawQuery += ";a=b" }, "IncompleteSignatureException"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, body := sent(t, vectors[c.vector])
			c.edit(r)
			_, err := new(sigv4.Verifier).Verify(r, body, now, lookup)
			var e *sigv4.Error
			if !errors.As(err, &e) || e.Code != c.code {
				t.Errorf("got %v, want %s", err, c.code)
			}
		})
	}
}

func swap(r *http.Request, old, with string) {
	r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, with, 1))
}

// An unknown key and a bad signature cannot be told apart.
func TestUnknownKeyLooksLikeBadSignature(t *testing.T) {
	t.Parallel()
	for _, i := range []int{0, 4, 11} {
		unknown, body := sent(t, vectors[i])
		swap(unknown, keyID, "AKIAIOSFODNN7UNKNOWN")
		bad, _ := sent(t, vectors[i])
		bad.Host = "elsewhere"
		_, e1 := new(sigv4.Verifier).Verify(unknown, body, now, lookup)
		_, e2 := new(sigv4.Verifier).Verify(bad, body, now, lookup)
		if e1 == nil || e2 == nil || *e1.(*sigv4.Error) != *e2.(*sigv4.Error) {
			t.Errorf("%s: %v and %v differ", vectors[i].name, e1, e2)
		}
	}
}

func TestWindow(t *testing.T) {
	t.Parallel()
	cases := []struct {
		vector int
		at     time.Duration
		ok     bool
	}{
		{0, -sigv4.Window, true},
		{0, -sigv4.Window - time.Second, false},
		{0, sigv4.Window, true},
		{0, sigv4.Window + time.Second, false},
		{13, 900 * time.Second, true},
		{13, 901 * time.Second, false},
		{13, -sigv4.Window - time.Second, false},
	}
	for _, c := range cases {
		r, body := sent(t, vectors[c.vector])
		if _, err := new(sigv4.Verifier).Verify(r, body, now.Add(c.at), lookup); (err == nil) != c.ok {
			t.Errorf("%s at %s: %v", vectors[c.vector].name, c.at, err)
		}
	}
}

// Expiry is told only to who proves the secret.
func TestExpiredKey(t *testing.T) {
	t.Parallel()
	expired := func(string, string) (string, error) { return secret, sigv4.ErrExpiredKey }
	r, body := sent(t, vectors[1])
	_, err := new(sigv4.Verifier).Verify(r, body, now, expired)
	if e := err.(*sigv4.Error); e.Code != "ExpiredTokenException" {
		t.Errorf("right secret: %v", err)
	}
	r.Host = "elsewhere"
	_, err = new(sigv4.Verifier).Verify(r, body, now, expired)
	if e := err.(*sigv4.Error); e.Code != "InvalidSignatureException" {
		t.Errorf("wrong signature: %v", err)
	}
}

// The stock agent adds the payload hash after signing, on two operations.
func TestUnsignedHashHeader(t *testing.T) {
	t.Parallel()
	for target, ok := range map[string]bool{
		"AmazonSSM.RequestManagedInstanceRoleToken": true, "AmazonSSM.UpdateManagedInstancePublicKey": true,
		"AmazonSSM.GetParameter": false, "RequestManagedInstanceRoleToken": false,
	} {
		v := vectors[0]
		v.header = map[string]string{"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
		r, body := sent(t, v)
		sum := sha256.Sum256(body)
		r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
		if _, err := new(sigv4.Verifier).Verify(r, body, now, lookup); (err == nil) != ok {
			t.Errorf("%s: %v", target, err)
		}
	}
}

// Whole requests over a real connection, as net/http presents them.
func TestOverHTTP(t *testing.T) {
	t.Parallel()
	var verifier sigv4.Verifier
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if _, err := verifier.Verify(r, body, now, lookup); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
		}
	}))
	defer server.Close()
	for _, v := range vectors {
		v.url = strings.NewReplacer("https://hub:8443", server.URL, "https://hub.example.org", server.URL).Replace(v.url)
		req := clientRequest(t, v)
		res, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", v.name, text)
		}
	}
}

func clientRequest(t *testing.T, v vector) *http.Request {
	t.Helper()
	r, body := sent(t, v)
	req, err := http.NewRequestWithContext(t.Context(), r.Method, "http://"+r.Host+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = r.Header
	return req
}
