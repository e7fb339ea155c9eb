package endpoints

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/watchbill/watchbill/internal/wire/sigv4"
	"github.com/watchbill/watchbill/test/hubtest"
)

// httpClient sends everything to the hub, whatever the host of the address.
func httpClient(t *testing.T, h *hubtest.Hub) *http.Client {
	t.Helper()
	tr := hubtest.HTTP(t, h.Data+"/ca.pem").Transport.(*http.Transport).Clone()
	address := strings.TrimPrefix(h.URL, "https://")
	tr.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	if tr.TLSClientConfig == nil {
		tr.TLSClientConfig = &tls.Config{}
	}
	tr.TLSClientConfig.ServerName = "localhost"
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func credentials(c sigv4.Credentials) aws.Credentials {
	return aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}
}

// client is the SDK's, in the path style or with buckets in the host name.
func client(t *testing.T, h *hubtest.Hub, c sigv4.Credentials, pathStyle bool) *s3.Client {
	t.Helper()
	return s3.New(s3.Options{
		Region: hubtest.Region, BaseEndpoint: new("https://s3.us-east-1.amazonaws.com"), UsePathStyle: pathStyle, HTTPClient: httpClient(t, h),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return credentials(c), nil }), RetryMaxAttempts: 1,
	})
}

// code is the code of an error of the SDK, "" without one.
func code(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	e, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		t.Fatalf("no error of the API: %v", err)
	}
	return e.ErrorCode()
}

// send signs a request with the payload hash that its header states, and sends it.
func send(t *testing.T, h *hubtest.Hub, r *http.Request) (status int, body string) {
	t.Helper()
	sign(t, r)
	return do(t, h, r)
}

func sign(t *testing.T, r *http.Request) {
	t.Helper()
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	err := signer.SignHTTP(t.Context(), credentials(hubtest.Admin), r, r.Header.Get("X-Amz-Content-Sha256"), "s3", hubtest.Region, time.Now())
	if err != nil {
		t.Fatal(err)
	}
}
