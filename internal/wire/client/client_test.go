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

	"github.com/watchbill/watchbill/internal/wire/client"
	"github.com/watchbill/watchbill/internal/wire/shape"
	"github.com/watchbill/watchbill/internal/wire/sigv4"
)

var creds = client.Credentials{AccessKeyID: "AKIAEXAMPLE", SecretAccessKey: "secret", SessionToken: "token"}

// A service of each protocol with one operation each.
var shapes = []shape.Shape{
	0: {Name: "In", Kind: shape.Structure, Members: []shape.Member{
		{Name: "arn", Shape: 1, Location: "uri", LocationName: "arn"},
		{Name: "keys", Shape: 2, Location: "querystring", LocationName: "keys"},
		{Name: "at", Shape: 3},
		{Name: "map", Shape: 4},
	}},
	1: {Name: "S", Kind: shape.String}, 2: {Name: "L", Kind: shape.List, Elem: 1}, 3: {Name: "T", Kind: shape.Timestamp},
	4: {Name: "M", Kind: shape.Map, Key: 1, Elem: 3},
	5: {Name: "Out", Kind: shape.Structure, Members: []shape.Member{{Name: "at", Shape: 3}, {Name: "n", Shape: 6}, {Name: "list", Shape: 2}}},
	6: {Name: "I", Kind: shape.Integer},
	7: {Name: "Plain", Kind: shape.Structure, Members: []shape.Member{{Name: "arn", Shape: 1}, {Name: "keys", Shape: 2}, {Name: "at", Shape: 3}, {Name: "map", Shape: 4}}},
}

var models = []*shape.Model{
	{SigningName: "json", Protocol: "json", TargetPrefix: "T", Shapes: shapes, Operations: []shape.Operation{{Name: "Op", Input: 7, Output: 5}}},
	{SigningName: "rest", Protocol: "rest-json", Shapes: shapes, Operations: []shape.Operation{{Name: "Op", Method: "POST", URI: "/t/{arn}", Input: 0, Output: 5}}},
	{SigningName: "sts", Protocol: "query", Version: "2011-06-15", Shapes: shapes, Operations: []shape.Operation{{Name: "Op", ResultWrapper: "OpResult", Input: 7, Output: 5}}},
}

type input struct {
	Arn  string               `json:"arn,omitzero"`
	Keys []string             `json:"keys,omitzero"`
	At   time.Time            `json:"at,omitzero"`
	Map  map[string]time.Time `json:"map,omitzero"`
}

type output struct {
	At   *time.Time `json:"at"`
	N    int        `json:"n"`
	List []string   `json:"list"`
}

var instant = time.Date(2026, 11, 22, 10, 0, 0, 500_000_000, time.UTC)

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

func TestProtocols(t *testing.T) {
	t.Parallel()
	in := input{Arn: "arn:aws:x::1:a/b c", Keys: []string{"k+1", "k2"}, At: instant, Map: map[string]time.Time{"m": instant}}
	jsonAnswer := `{"at":1795341600.5,"n":7,"list":["a"]}`
	cases := []struct{ service, line, body, answer string }{
		{"json", "POST /", `{"arn":"arn:aws:x::1:a/b c","at":1795341600.500,"keys":["k+1","k2"],"map":{"m":1795341600.500}}`, jsonAnswer},
		{"rest", "POST /t/arn%3Aaws%3Ax%3A%3A1%3Aa%2Fb%20c?keys=k%2B1&keys=k2", `{"at":1795341600.500,"map":{"m":1795341600.500}}`, jsonAnswer},
		{
			"sts", "POST /", "Action=Op&Version=2011-06-15&arn=arn%3Aaws%3Ax%3A%3A1%3Aa%2Fb+c&at=2026-11-22T10%3A00%3A00.5Z&keys.member.1=k%2B1&keys.member.2=k2&map.m=2026-11-22T10%3A00%3A00.5Z",
			`<OpResponse xmlns="u"><OpResult><at>2026-11-22T10:00:00.5Z</at><n>7</n><list><member>a</member></list></OpResult></OpResponse>`,
		},
	}
	for _, c := range cases {
		t.Run(c.service, func(t *testing.T) {
			t.Parallel()
			var line, got string
			cl := serve(t, func(w http.ResponseWriter, r *http.Request, body string) {
				line, got = r.Method+" "+r.RequestURI, body
				_, _ = io.WriteString(w, c.answer)
			})
			var out output
			if err := cl.Call(t.Context(), c.service, "Op", in, &out); err != nil {
				t.Fatal(err)
			}
			if line != c.line || got != c.body {
				t.Errorf("sent %s\n%s\nwant %s\n%s", line, got, c.line, c.body)
			}
			want := output{At: &instant, N: 7, List: []string{"a"}}
			if d := cmp.Diff(want, out); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	cases := []struct{ name, service, header, body, code, message string }{
		{"json", "json", "", `{"__type":"com.amazonaws#ParameterNotFound","message":"none"}`, "ParameterNotFound", "none"},
		{"upper case message", "json", "", `{"__type":"X","Message":"none"}`, "X", "none"},
		{"rest", "rest", "ConflictException:http://x", `{"message":"twice"}`, "ConflictException", "twice"},
		{"query", "sts", "", `<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>`, "AccessDenied", "no"},
		{"no form", "json", "", `gateway`, "Bad Request", ""},
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
			err := cl.Call(t.Context(), c.service, "Op", input{Arn: "a"}, nil)
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
		err := cl.Call(t.Context(), "json", "Op", nil, &json.RawMessage{})
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
	if err := c.Call(t.Context(), "json", "Op", nil, nil); err == nil || client.Code(err) != "" {
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
