package sts_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	api "github.com/watchbill/watchbill/internal/api/sts"
	"github.com/watchbill/watchbill/internal/capability/sts"
	"github.com/watchbill/watchbill/internal/lang/iampolicy"
	"github.com/watchbill/watchbill/internal/platform/authz"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/journal/journaltest"
	"github.com/watchbill/watchbill/internal/platform/seal"
	"github.com/watchbill/watchbill/internal/wire"
	"github.com/watchbill/watchbill/internal/wire/client"
	"github.com/watchbill/watchbill/internal/wire/shape"
)

const file = `
policies:
  - name: may-assume
    document: {Version: 2012-10-17, Statement: [{Effect: Allow, Action: ["sts:AssumeRole", "sts:TagSession"], Resource: "arn:aws:iam::*:role/open"}]}
  - name: never-assume
    document: {Version: 2012-10-17, Statement: [{Effect: Deny, Action: "sts:*", Resource: "*"}]}
users:
  - {name: ann, human: Ann, policies: [may-assume], tags: {Team: web}}
  - {name: ben}
  - {name: eve, policies: [never-assume]}
roles:
  - name: open
    policies: [WatchbillMaintainer]
    max_session: 2h
    trust: {Version: 2012-10-17, Statement: [{Effect: Allow, Action: ["sts:AssumeRole", "sts:TagSession"], Principal: {AWS: "123456789012"}}]}
  - name: named
    policies: [WatchbillObserver]
    trust:
      Version: 2012-10-17
      Statement:
        - Effect: Allow
          Action: sts:AssumeRole
          Principal: {AWS: ["arn:aws:iam::123456789012:user/ben", "arn:aws:iam::123456789012:user/eve"]}
  - name: partner
    trust:
      Version: 2012-10-17
      Statement:
        - {Effect: Allow, Action: "sts:AssumeRole", Principal: {AWS: "arn:aws:iam::123456789012:user/ben"}, Condition: {StringEquals: {"sts:ExternalId": "x-1"}}}
  - name: web
    trust:
      Version: 2012-10-17
      Statement:
        - Effect: Allow
          Action: sts:AssumeRole
          Principal: {AWS: ["arn:aws:iam::123456789012:user/ann", "arn:aws:iam::123456789012:user/ben"]}
          Condition: {StringEquals: {"aws:PrincipalTag/Team": web, "sts:RoleSessionName": "${aws:username}"}}
  - name: chain
    trust: {Version: 2012-10-17, Statement: [{Effect: Allow, Action: "sts:AssumeRole", Principal: {AWS: "arn:aws:iam::123456789012:role/named"}}]}
`

// hub is sts behind the whole front door.
type hub struct {
	t   *testing.T
	ids *identity.Service
	url string
}

func open(t *testing.T, d *db.DB) *hub {
	t.Helper()
	dir := t.TempDir()
	sealer, err := seal.OpenFile(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "identity.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	j := journaltest.New(t, d)
	ids, err := identity.Open(t.Context(), identity.Config{
		DB: d, Journal: j, Sealer: sealer, Account: "123456789012", Regions: []string{"eu-west-1"}, File: path, Managed: authz.Managed,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, problem := ids.Status(); problem != nil {
		t.Fatal(problem)
	}
	az := authz.New(nil)
	router := wire.NewRouter(wire.Config{
		Models: []*shape.Model{api.Model}, Bindings: sts.New(sts.Service{DB: d, Journal: j, Identity: ids}).Operations(),
		Authenticate: ids.Authenticate,
		Authorize: func(ctx context.Context, m *shape.Model, op *shape.Operation, in any) (context.Context, error) {
			return az.Authorize(ctx, m.SigningName, op.Name, in)
		},
	})
	server := httptest.NewServer(router)
	t.Cleanup(server.Close)
	return &hub{t, ids, server.URL}
}

func (h *hub) as(c client.Credentials) *client.Client {
	h.t.Helper()
	cl, err := client.New(client.Config{
		Endpoint: h.url, Region: "eu-west-1", Models: []*shape.Model{api.Model}, HTTP: http.DefaultClient,
		Credentials: func(context.Context) (client.Credentials, error) { return c, nil },
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return cl
}

func (h *hub) user(name string) *client.Client {
	h.t.Helper()
	k, err := h.ids.CreateAccessKey(h.t.Context(), name)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.as(client.Credentials{AccessKeyID: k.ID, SecretAccessKey: k.Secret.Reveal()})
}

func (h *hub) session(c *api.Credentials) *client.Client {
	return h.as(client.Credentials{AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: *c.SessionToken})
}

func (h *hub) whoami(c *client.Client) string {
	h.t.Helper()
	var out api.GetCallerIdentityOutput
	if err := c.Call(h.t.Context(), "sts", "GetCallerIdentity", nil, &out); err != nil {
		h.t.Error(err)
		return ""
	}
	return *out.Arn
}

func role(name string) *string { return new("arn:aws:iam::123456789012:role/" + name) }

var stores = []db.Migrations{journal.Migrations, identity.Migrations}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, stores, func(t *testing.T, d *db.DB) {
		h := open(t, d)
		ann := h.user("ann")
		if got := h.whoami(ann); got != "arn:aws:iam::123456789012:user/ann" {
			t.Errorf("got %s", got)
		}
		var out api.AssumeRoleOutput
		in := &api.AssumeRoleInput{
			RoleArn: role("open"), RoleSessionName: new("fix"), DurationSeconds: new(int32(7200)),
			Tags:       []api.Tag{{Key: new("Case"), Value: new("7")}},
			Policy:     new(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ssm:GetParameter","Resource":"*"}]}`),
			PolicyArns: []api.PolicyDescriptorType{{Arn: new("arn:aws:iam::aws:policy/WatchbillObserver")}},
		}
		if err := ann.Call(t.Context(), "sts", "AssumeRole", in, &out); err != nil {
			t.Fatal(err)
		}
		want := "arn:aws:sts::123456789012:assumed-role/open/fix"
		if left := time.Until(*out.Credentials.Expiration); *out.AssumedRoleUser.Arn != want || left < 119*time.Minute || *out.PackedPolicySize < 1 {
			t.Errorf("got %s, %s left, size %d", *out.AssumedRoleUser.Arn, left, *out.PackedPolicySize)
		}
		if got := h.whoami(h.session(out.Credentials)); got != want {
			t.Errorf("the session is %s", got)
		}
		var token api.GetSessionTokenOutput
		if err := ann.Call(t.Context(), "sts", "GetSessionToken", nil, &token); err != nil {
			t.Fatal(err)
		}
		again := h.session(token.Credentials)
		if got := h.whoami(again); got != "arn:aws:iam::123456789012:user/ann" {
			t.Errorf("the user's session is %s", got)
		}
		if err := again.Call(t.Context(), "sts", "GetSessionToken", nil, nil); client.Code(err) != "AccessDenied" {
			t.Errorf("a session made a session: %v", err)
		}
	})
}

func TestAssumeRoleDecisions(t *testing.T) {
	t.Parallel()
	h := open(t, dbtest.SQLite(t, stores...))
	users := map[string]*client.Client{"ann": h.user("ann"), "ben": h.user("ben"), "eve": h.user("eve")}
	cases := []struct {
		name, user string
		in         api.AssumeRoleInput
		code       string
	}{
		{"account and own policy", "ann", api.AssumeRoleInput{RoleArn: role("open")}, ""},
		{"account, no own policy", "ben", api.AssumeRoleInput{RoleArn: role("open")}, "AccessDenied"},
		{"named, no own policy", "ben", api.AssumeRoleInput{RoleArn: role("named")}, ""},
		{"named, own deny", "eve", api.AssumeRoleInput{RoleArn: role("named")}, "AccessDenied"},
		{"not named", "ann", api.AssumeRoleInput{RoleArn: role("named")}, "AccessDenied"},
		{"no role", "ann", api.AssumeRoleInput{RoleArn: role("none")}, "AccessDenied"},
		{"other account", "ann", api.AssumeRoleInput{RoleArn: new("arn:aws:iam::210987654321:role/open")}, "AccessDenied"},
		{"external id", "ben", api.AssumeRoleInput{RoleArn: role("partner"), ExternalId: new("x-1")}, ""},
		{"wrong external id", "ben", api.AssumeRoleInput{RoleArn: role("partner"), ExternalId: new("x-2")}, "AccessDenied"},
		{"no external id", "ben", api.AssumeRoleInput{RoleArn: role("partner")}, "AccessDenied"},
		{"tag and name", "ann", api.AssumeRoleInput{RoleArn: role("web"), RoleSessionName: new("ann")}, ""},
		{"other session name", "ann", api.AssumeRoleInput{RoleArn: role("web")}, "AccessDenied"},
		{"no tag", "ben", api.AssumeRoleInput{RoleArn: role("web"), RoleSessionName: new("ben")}, "AccessDenied"},
		{"tags not trusted", "ben", api.AssumeRoleInput{RoleArn: role("named"), Tags: []api.Tag{{Key: new("a"), Value: new("b")}}}, "AccessDenied"},
		{"doubled tag", "ann", api.AssumeRoleInput{RoleArn: role("open"), Tags: []api.Tag{{Key: new("a"), Value: new("b")}, {Key: new("a"), Value: new("c")}}}, "ValidationError"},
		{"transitive without tag", "ann", api.AssumeRoleInput{RoleArn: role("open"), TransitiveTagKeys: []string{"a"}}, "ValidationError"},
		{"too long", "ann", api.AssumeRoleInput{RoleArn: role("open"), DurationSeconds: new(int32(7201))}, "ValidationError"},
		{"too short", "ann", api.AssumeRoleInput{RoleArn: role("open"), DurationSeconds: new(int32(899))}, "ValidationError"},
		{"bad policy", "ann", api.AssumeRoleInput{RoleArn: role("open"), Policy: new(`{"Statement":[{"Effect":"Allow","effect":"Deny"}]}`)}, "MalformedPolicyDocument"},
		{"large policy", "ann", api.AssumeRoleInput{RoleArn: role("open"), Policy: new(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ssm:` + strings.Repeat("x", 2000) + `","Resource":"*"}]}`)}, "PackedPolicyTooLarge"},
		{"unknown policy", "ann", api.AssumeRoleInput{RoleArn: role("open"), PolicyArns: []api.PolicyDescriptorType{{Arn: new("arn:aws:iam::aws:policy/NoSuchPolicy")}}}, "ValidationError"},
		{"second factor", "ann", api.AssumeRoleInput{RoleArn: role("open"), SerialNumber: new("arn:aws:iam::123456789012:mfa/a"), TokenCode: new("123456")}, "AccessDenied"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.in.RoleSessionName == nil {
				c.in.RoleSessionName = new("session")
			}
			var out api.AssumeRoleOutput
			err := users[c.user].Call(t.Context(), "sts", "AssumeRole", &c.in, &out)
			if client.Code(err) != c.code || err != nil && c.code == "" {
				t.Errorf("got %v, want %q", err, c.code)
			}
			if err != nil && out.Credentials != nil {
				t.Error("credentials in spite of the error")
			}
		})
	}
}

// A role that does not exist and one that is closed answer the same.
func TestNoOracle(t *testing.T) {
	t.Parallel()
	h := open(t, dbtest.SQLite(t, stores...))
	ann := h.user("ann")
	text := func(name string) string {
		err := ann.Call(t.Context(), "sts", "AssumeRole", &api.AssumeRoleInput{RoleArn: role(name), RoleSessionName: new("s1")}, nil)
		e, ok := errors.AsType[*client.Error](err)
		if !ok {
			t.Fatal(err)
		}
		return e.Code + strings.ReplaceAll(e.Message, name, "ROLE")
	}
	if a, b := text("named"), text("nosuch"); a != b {
		t.Errorf("%s\n%s", a, b)
	}
}

// A session of a role may go on to another, for an hour at most, and its session
// policy never gives more than the role has.
func TestChainAndNarrowing(t *testing.T) {
	t.Parallel()
	h := open(t, dbtest.SQLite(t, stores...))
	var out api.AssumeRoleOutput
	in := &api.AssumeRoleInput{RoleArn: role("named"), RoleSessionName: new("one"), Policy: new(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)}
	if err := h.user("ben").Call(t.Context(), "sts", "AssumeRole", in, &out); err != nil {
		t.Fatal(err)
	}
	first := h.session(out.Credentials)
	if err := first.Call(t.Context(), "sts", "AssumeRole", &api.AssumeRoleInput{RoleArn: role("chain"), RoleSessionName: new("two")}, &out); err != nil {
		t.Fatal(err)
	}
	if got := h.whoami(h.session(out.Credentials)); got != "arn:aws:sts::123456789012:assumed-role/chain/two" {
		t.Errorf("got %s", got)
	}
	r, _ := h.ids.Role(*role("named"))
	_, who, err := h.ids.Assume(identity.Caller{}, identity.Assumption{Role: r, Name: "n", Duration: time.Hour, Policies: []string{*in.Policy}})
	if err != nil {
		t.Fatal(err)
	}
	for action, want := range map[string]bool{"ssm:DescribeParameters": true, "ssm:PutParameter": false, "ssm:GetParameter": false} {
		d := iampolicy.Evaluate(iampolicy.Request{Principal: who.Principal(), Action: action, Resource: "*"}, who.Policies...)
		if d.Allowed() != want {
			t.Errorf("%s: %+v", action, d)
		}
	}
}
