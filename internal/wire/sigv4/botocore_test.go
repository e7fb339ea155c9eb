package sigv4_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os/exec"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/wire/sigv4"
)

// Requests as the aws command line and boto3 sign them.
func TestVerifyBotocore(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "python3", "testdata/oracle.py", keyID, secret, token).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() != 3 {
		t.Fatalf("%v\n%s", err, exit.Stderr)
	}
	if err != nil {
		t.Skipf("botocore is not here: %v", err)
	}
	var verifier sigv4.Verifier
	n := 0
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); n++ {
		var v struct {
			Name, Service, Method, URL, Body string
			Headers                          [][2]string
		}
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(v.URL)
		if err != nil {
			t.Fatal(err)
		}
		req := &http.Request{Method: v.Method, URL: u, Header: http.Header{}}
		for _, h := range v.Headers {
			req.Header.Add(h[0], h[1])
		}
		s, err := verifier.Verify(received(t, req, []byte(v.Body)), []byte(v.Body), time.Now(), lookup)
		if err != nil {
			t.Errorf("%s: %v\n%s %s\n%v", v.Name, err, v.Method, v.URL, v.Headers)
		} else if s.Scope.Service != v.Service {
			t.Errorf("%s: service %s", v.Name, s.Scope.Service)
		}
	}
	if n < 20 {
		t.Errorf("only %d requests", n)
	}
}
