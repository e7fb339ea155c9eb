package hub

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/wire/client"
)

const (
	credentialsFile = "# keys\n[default]\naws_access_key_id = A\naws_secret_access_key=B\n\n[ops]\naws_access_key_id=C\naws_secret_access_key=D\naws_session_token=E=\n"
	configFile      = "[default]\nregion = eu-1\ns3 =\n  region = no\n[profile  ops]\nregion=us-1\nendpoint_url = https://ops\nca_bundle = /ca\n"
)

func TestRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := map[string]string{"AWS_SHARED_CREDENTIALS_FILE": write(t, dir, "credentials", credentialsFile), "AWS_CONFIG_FILE": write(t, dir, "config", configFile)}
	for name, c := range map[string]struct {
		set  map[string]string
		want *Environment
		err  string
	}{
		"files": {map[string]string{"AWS_ENDPOINT_URL": "https://hub"}, &Environment{"https://hub", "eu-1", "", client.Credentials{AccessKeyID: "A", SecretAccessKey: "B"}}, ""},
		"profile": {
			map[string]string{"AWS_PROFILE": "ops"},
			&Environment{"https://ops", "us-1", "/ca", client.Credentials{AccessKeyID: "C", SecretAccessKey: "D", SessionToken: "E="}},
			"",
		},
		"environment": {
			map[string]string{"AWS_ENDPOINT_URL": "https://hub", "AWS_REGION": "r", "AWS_CA_BUNDLE": "/b", "AWS_PROFILE": "ops", "AWS_ACCESS_KEY_ID": "X", "AWS_SECRET_ACCESS_KEY": "Y", "AWS_SESSION_TOKEN": "Z"},
			&Environment{"https://hub", "r", "/b", client.Credentials{AccessKeyID: "X", SecretAccessKey: "Y", SessionToken: "Z"}},
			"",
		},
		"no endpoint": {nil, nil, "AWS_ENDPOINT_URL"},
		"no keys":     {map[string]string{"AWS_ENDPOINT_URL": "https://hub", "AWS_PROFILE": "none", "AWS_REGION": "r"}, nil, "AWS_ACCESS_KEY_ID"},
		"no region":   {map[string]string{"AWS_ENDPOINT_URL": "https://hub", "AWS_PROFILE": "none"}, nil, "AWS_REGION"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := read(func(k string) string { return first(c.set[k], files[k]) })
			if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) || c.err == "" && err != nil {
				t.Fatalf("error %v, want one about %q", err, c.err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestClientSigns(t *testing.T) {
	t.Parallel()
	var header http.Header
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header = r.Header.Clone()
		_, _ = w.Write([]byte(`{"Activations":[]}`))
	}))
	t.Cleanup(s.Close)
	e := &Environment{Endpoint: s.URL, Region: "eu-1", Credentials: client.Credentials{AccessKeyID: "AKIDTEST", SecretAccessKey: "s"}}
	c, err := e.Client()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Call(t.Context(), "ssm", "DescribeActivations", nil, &ssm.DescribeActivationsOutput{}); err != nil {
		t.Fatal(err)
	}
	if got := header.Get("Authorization"); !strings.Contains(got, "Credential=AKIDTEST/") || !strings.Contains(got, "/eu-1/ssm/") {
		t.Errorf("Authorization %q", got)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, file := range []string{filepath.Join(dir, "none"), write(t, dir, "empty", "x")} {
		if _, err := (&Environment{CAFile: file}).TLS(); err == nil {
			t.Errorf("%s was taken", file)
		}
	}
	if c, err := (&Environment{}).TLS(); err != nil || c.RootCAs != nil {
		t.Errorf("%v, %v", c, err)
	}
}
