package wire_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/wire"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/wiretest"
)

func TestBodyLimits(t *testing.T) {
	cfg := config()
	cfg.Large = func(r *http.Request) bool { return r.Header.Get("X-Amz-Security-Token") == "known" }
	c := wiretest.NewConfig(t, cfg)
	tests := []struct {
		op     string
		size   int
		token  string
		status int
	}{
		{"GetParameter", wire.DefaultMaxBody, "known", 400},
		{"GetParameter", wire.DefaultMaxBody + 1, "known", 413},
		{"PutInventory", wire.DefaultMaxBody + 1, "known", 400},
		{"PutInventory", wire.LargeMaxBody + 1, "known", 413},
		{"PutComplianceItems", wire.LargeMaxBody, "known", 400},
		{"PutInventory", wire.DefaultMaxBody + 1, "other", 413},
		{"PutComplianceItems", wire.DefaultMaxBody, "", 400},
		{"PutComplianceItems", wire.DefaultMaxBody + 1, "", 413},
	}
	for _, tt := range tests {
		for _, chunked := range []bool{false, true} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.URL, strings.NewReader("{"+strings.Repeat(" ", tt.size-2)+"}"))
			if err != nil {
				t.Fatal(err)
			}
			if chunked {
				r.ContentLength = -1
			}
			r.Header.Set("X-Amz-Target", "AmazonSSM."+tt.op)
			r.Header.Set("X-Wiretest-Service", "ssm")
			r.Header.Set("X-Amz-Security-Token", tt.token)
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != tt.status {
				t.Errorf("%s of %d bytes, chunked %v: %d, want %d", tt.op, tt.size, chunked, resp.StatusCode, tt.status)
			}
		}
	}
	_, err := c.Router.Call(t.Context(), "ssm", "GetParameter", make([]byte, wire.DefaultMaxBody+1))
	if got := fault.Of(err).HTTPStatus(); got != http.StatusRequestEntityTooLarge {
		t.Errorf("in process: %v", err)
	}
}

func TestCancelledCallIsUnavailable(t *testing.T) {
	rt := wire.NewRouter(wire.Config{
		Authenticate: (&trace{}).config().Authenticate, Logger: silent(),
		Bindings: []wire.Binding{ssm.BindGetParameter(func(ctx context.Context, _ *ssm.GetParameterInput) (*ssm.GetParameterOutput, error) {
			return nil, ctx.Err()
		})},
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := rt.Call(ctx, "ssm", "GetParameter", []byte(`{"Name":"x"}`)); fault.Of(err).ErrorCode() != "ServiceUnavailable" {
		t.Errorf("error = %v", err)
	}
}

// An invocation id belongs to one call, not to those that its operation makes.
func TestInvocationIDIsNotInherited(t *testing.T) {
	var rt *wire.Router
	var seen []string
	rt = wire.NewRouter(wire.Config{
		Authenticate: (&trace{}).config().Authenticate, Logger: silent(),
		Bindings: []wire.Binding{ssm.BindGetParameter(func(ctx context.Context, in *ssm.GetParameterInput) (*ssm.GetParameterOutput, error) {
			seen = append(seen, *in.Name+"="+wire.InvocationID(ctx))
			if *in.Name != "outer" {
				return nil, nil
			}
			_, err := rt.Call(ctx, "ssm", "GetParameter", []byte(`{"Name":"inherited"}`))
			if err == nil {
				_, err = rt.Call(wire.WithInvocationID(ctx, "own"), "ssm", "GetParameter", []byte(`{"Name":"given"}`))
			}
			return nil, err
		})},
	})
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"Name":"outer"}`))
	r.Header.Set("X-Amz-Target", "AmazonSSM.GetParameter")
	r.Header.Set("amz-sdk-invocation-id", "id-1")
	w := httptest.NewRecorder()
	rt.ServeHTTP(w, r)
	if d := cmp.Diff([]string{"outer=id-1", "inherited=", "given=own"}, seen); d != "" || w.Code != http.StatusOK {
		t.Errorf("status %d; ids (-want +got):\n%s", w.Code, d)
	}
}
