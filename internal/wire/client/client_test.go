package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/api/sts"
	"github.com/watchbill/watchbill/internal/wire/client"
	"github.com/watchbill/watchbill/internal/wire/shape"
	"github.com/watchbill/watchbill/internal/wire/sigv4"
)

var creds = client.Credentials{AccessKeyID: "AKIAEXAMPLE", SecretAccessKey: "secret", SessionToken: "token"}

var models = []*shape.Model{ssm.Model, incidents.Model, sts.Model}

// serve answers with handle and checks every signature on the way.
func serve(t *testing.T, handle func(w http.ResponseWriter, r *http.Request, body string)) *client.Client {
	t.Helper()
	var verifier sigv4.Verifier
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		lookup := func(id, token string) (string, error) { return creds.SecretAccessKey, nil }
		if _, err := verifier.Verify(r, body, time.Now(), lookup); err != nil {
			t.Errorf("signature: %v", err)
		}
		handle(w, r, string(body))
	}))
	t.Cleanup(server.Close)
	c, err := client.New(client.Config{
		Endpoint: server.URL, Region: "eu-west-1", Models: models,
		Credentials: func(context.Context) (client.Credentials, error) { return creds, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// One operation of each protocol, as it stands on the wire.
func TestProtocols(t *testing.T) {
	t.Parallel()
	instant := time.Date(2026, 11, 22, 10, 0, 0, 500_000_000, time.UTC)
	role := "arn:aws:iam::123456789012:role/a b"
	cases := []struct {
		service, operation string
		in                 any
		line, body, answer string
		out, want          any
	}{
		{
			"ssm", "CreateActivation", &ssm.CreateActivationInput{IamRole: new("r"), ExpirationDate: &instant},
			"POST /", `{"ExpirationDate":1795341600.500,"IamRole":"r"}`, `{"ActivationId":"a","ActivationCode":"c","New":1}`,
			&ssm.CreateActivationOutput{}, &ssm.CreateActivationOutput{ActivationId: new("a"), ActivationCode: new("c")},
		},
		{
			"ssm-incidents", "UntagResource", &incidents.UntagResourceInput{ResourceArn: new("arn:aws:x::1:a/b c"), TagKeys: []string{"k+1", "k 2"}},
			"DELETE /tags/arn%3Aaws%3Ax%3A%3A1%3Aa%2Fb%20c?tagKeys=k%2B1&tagKeys=k%202", "", "", &incidents.UntagResourceOutput{}, &incidents.UntagResourceOutput{},
		},
		{
			"sts", "AssumeRole", &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: new("s"), TransitiveTagKeys: []string{"a", "b"}},
			"POST /", "Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fa+b&RoleSessionName=s&TransitiveTagKeys.member.1=a&TransitiveTagKeys.member.2=b&Version=2011-06-15",
			`<AssumeRoleResponse xmlns="u"><AssumeRoleResult><Credentials><Expiration>2026-11-22T10:00:00.5Z</Expiration></Credentials><PackedPolicySize>7</PackedPolicySize></AssumeRoleResult></AssumeRoleResponse>`,
			&sts.AssumeRoleOutput{}, &sts.AssumeRoleOutput{Credentials: &sts.Credentials{Expiration: &instant}, PackedPolicySize: new(int32(7))},
		},
		{
			"ssm", "GetParameter",
			map[string]any{"Name": "a", "WithDecryption": true},
			"POST /", `{"Name":"a","WithDecryption":true}`, `{"Parameter":{"Name":"a","Version":3,"LastModifiedDate":1795341600.5}}`,
			&map[string]any{}, &map[string]any{"Parameter": map[string]any{"Name": "a", "Version": 3.0, "LastModifiedDate": 1795341600.5}},
		},
		{
			"ssm-incidents", "GetIncidentRecord", json.RawMessage(`{"arn":"a"}`),
			"GET /getIncidentRecord?arn=a", "", `{"incidentRecord":{"arn":"a"}}`, &json.RawMessage{}, new(json.RawMessage(`{"incidentRecord":{"arn":"a"}}`)),
		},
		{
			"ssm", "UpdateInstanceInformation",
			map[string]string{"InstanceId": "mi-1"},
			"POST /", `{"InstanceId":"mi-1"}`, `{"a":1}`, &json.RawMessage{}, new(json.RawMessage(`{"a":1}`)),
		},
	}
	for _, c := range cases {
		t.Run(c.operation, func(t *testing.T) {
			t.Parallel()
			var line, got string
			cl := serve(t, func(w http.ResponseWriter, r *http.Request, body string) {
				line, got = r.Method+" "+r.RequestURI, body
				_, _ = io.WriteString(w, c.answer)
			})
			if err := cl.Call(t.Context(), c.service, c.operation, c.in, c.out); err != nil {
				t.Fatal(err)
			}
			if line != c.line || got != c.body {
				t.Errorf("sent %s\n%s\nwant %s\n%s", line, got, c.line, c.body)
			}
			if d := cmp.Diff(c.want, c.out); d != "" {
				t.Error(d)
			}
		})
	}
}

// What cannot be sent is an error before anything is.
func TestRefusedInputs(t *testing.T) {
	t.Parallel()
	cl := serve(t, func(http.ResponseWriter, *http.Request, string) { t.Error("something was sent") })
	cases := []struct {
		service, operation string
		in                 any
	}{
		{"ec2", "RunInstances", nil},
		{"ssm-incidents", "Nothing", nil},
		{"ssm-incidents", "ListTagsForResource", nil},
		{"ssm", "GetParameter", map[string]int{"Name": 1}},
		{"ssm", "GetParameter", map[string]string{"name": "a"}},
		{"ssm", "GetParameter", func() {}},
	}
	for _, c := range cases {
		if err := cl.Call(t.Context(), c.service, c.operation, c.in, nil); err == nil || client.Code(err) != "" {
			t.Errorf("%s: %v", c.operation, err)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	cases := []struct{ name, service, header, body, code, message string }{
		{"json", "ssm", "", `{"__type":"com.amazonaws#ParameterNotFound","message":"none"}`, "ParameterNotFound", "none"},
		{"upper case message", "ssm", "", `{"__type":"X","Message":"none"}`, "X", "none"},
		{"rest", "ssm-incidents", "ConflictException:http://x", `{"message":"twice"}`, "ConflictException", "twice"},
		{"query", "sts", "", `<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>`, "AccessDenied", "no"},
		{"no form", "ssm", "", `gateway`, "UnknownError", "Bad Request"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cl := serve(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
				w.Header().Set("X-Amzn-Requestid", "r-1")
				if c.header != "" {
					w.Header().Set("X-Amzn-Errortype", c.header)
				}
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, c.body)
			})
			operation := map[string]string{"ssm": "GetParameter", "ssm-incidents": "ListReplicationSets", "sts": "GetCallerIdentity"}[c.service]
			err := cl.Call(t.Context(), c.service, operation, nil, nil)
			var e *client.Error
			if !errors.As(err, &e) || e.Code != c.code || c.message != "" && e.Message != c.message || e.RequestID != "r-1" || e.Status != 400 {
				t.Errorf("got %+v", err)
			}
		})
	}
}

// Repetitions carry one invocation id; what is the caller's fault is not repeated.
func TestRetries(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]int32{503: 3, 500: 3, 429: 3, 400: 1, 404: 1} {
		var n atomic.Int32
		var id atomic.Value
		cl := serve(t, func(w http.ResponseWriter, r *http.Request, _ string) {
			got := r.Header.Get("Amz-Sdk-Invocation-Id")
			if old := id.Swap(got); got == "" || old != nil && old != got {
				t.Errorf("invocation id %v, then %v", old, got)
			}
			if n.Add(1) < 3 {
				w.WriteHeader(status)
				return
			}
			_, _ = io.WriteString(w, `{}`)
		})
		err := cl.Call(t.Context(), "ssm", "GetParameter", nil, &json.RawMessage{})
		if n.Load() != want || (err == nil) != (want == 3) {
			t.Errorf("%d: %d attempts, %v", status, n.Load(), err)
		}
	}
}

func TestConnectionRefusedIsRetriedThenTold(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	c, err := client.New(client.Config{Endpoint: server.URL, Models: models, Attempts: 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Call(t.Context(), "ssm", "GetParameter", nil, nil); err == nil || client.Code(err) != "" {
		t.Errorf("got %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []client.Config{{}, {Endpoint: "ftp://x"}, {Endpoint: "https://x", CAFile: "/nonexistent"}} {
		if _, err := client.New(c); err == nil {
			t.Errorf("%+v accepted", c)
		}
	}
}
