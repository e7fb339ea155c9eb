package identity_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/lang/iampolicy"
	"github.com/watchbill/watchbill/internal/platform/authz"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/journal/journaltest"
	"github.com/watchbill/watchbill/internal/platform/seal"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/sigv4"
)

const account = "123456789012"

var migrations = []db.Migrations{journal.Migrations, identity.Migrations}

// world is a service on a store with an identity file.
type world struct {
	*identity.Service
	config identity.Config
	dir    string
}

func open(t testing.TB, d *db.DB, file string) *world {
	t.Helper()
	dir := t.TempDir()
	sealer, err := seal.OpenFile(filepath.Join(dir, "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{dir: dir, config: identity.Config{
		DB: d, Journal: journaltest.New(t, d), Sealer: sealer, Account: account, Regions: []string{"eu-west-1", "us-west-2"},
		File: filepath.Join(dir, "identity.yaml"), Managed: authz.Managed,
	}}
	w.write(t, file)
	w.Service = w.another(t)
	return w
}

// another is a second replica on the same store.
func (w *world) another(t testing.TB) *identity.Service {
	t.Helper()
	s, err := identity.Open(t.Context(), w.config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) write(t testing.TB, file string) {
	t.Helper()
	if err := os.WriteFile(w.config.File, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
}

// signed is a request signed with credentials, as the server receives it.
func signed(t testing.TB, c sigv4.Credentials, service, region string) (*http.Request, []byte) {
	t.Helper()
	body := []byte(`{}`)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://hub:8443/", nil)
	r.RemoteAddr = "10.1.2.3:4567"
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Forwarded-For", "1.1.1.1")
	if err := sigv4.Sign(r, body, c, service, region, time.Now()); err != nil {
		t.Fatal(err)
	}
	return r, body
}

// call authenticates a request signed with credentials.
func call(t *testing.T, s *identity.Service, c sigv4.Credentials, service, region string) (identity.Caller, error) {
	t.Helper()
	r, body := signed(t, c, service, region)
	ctx, got, err := s.Authenticate(r, body)
	if err != nil {
		return identity.Caller{}, err
	}
	if got != service || db.ScopeOf(ctx) != (db.Scope{Account: account, Region: region}) {
		t.Errorf("service %s, scope %+v", got, db.ScopeOf(ctx))
	}
	return identity.From(ctx), nil
}

func key(k identity.AccessKey) sigv4.Credentials {
	return sigv4.Credentials{AccessKeyID: k.ID, SecretAccessKey: k.Secret.Reveal()}
}

func temporary(c identity.Credentials) sigv4.Credentials {
	return sigv4.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.Secret.Reveal(), SessionToken: c.SessionToken.Reveal()}
}

func code(err error) string {
	if e, ok := errors.AsType[*sigv4.Error](err); ok {
		return e.Code
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

const people = `
policies:
  - name: restart-web
    document:
      Version: 2012-10-17
      Statement:
        - Effect: Allow
          Action: ssm:SendCommand
          Resource: "*"
groups:
  - name: oncall
    policies: [WatchbillOperator]
users:
  - name: ann
    human: ann@example.org
    groups: [oncall]
    policies: [restart-web]
    boundary: WatchbillMaintainer
    tags: {Team: web}
  - name: robot
    machine: true
roles:
  - name: runbook
    policies: [restart-web]
    max_session: 2h
    tags: {"watchbill:class": runbook}
    trust: |
      {"Version": "2012-10-17",
       "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ssm.amazonaws.com"}}]}
`

func TestKeys(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, migrations, func(t *testing.T, d *db.DB) {
		s := open(t, d, people)
		k, err := s.CreateAccessKey(t.Context(), "ann")
		if err != nil {
			t.Fatal(err)
		}
		c, err := call(t, s.Service, key(k), "ssm", "eu-west-1")
		if err != nil {
			t.Fatal(err)
		}
		if c.ARN != "arn:aws:iam::123456789012:user/ann" || c.Human != "ann@example.org" || c.SourceIP != "10.1.2.3" || c.Tags["Team"] != "web" ||
			c.AccessKeyID != k.ID || c.Kind != identity.User || c.Name() != "ann" || len(c.Policies) != 2 || len(c.Policies[0]) != 2 {
			t.Errorf("got %+v", c)
		}
		if _, err := call(t, s.another(t), key(k), "sts", "us-west-2"); err != nil {
			t.Errorf("another replica: %v", err)
		}
		wrong := key(k)
		wrong.SecretAccessKey += "x"
		unknown := key(k)
		unknown.AccessKeyID = "AKIAUNKNOWNUNKNOWN"
		_, e1 := call(t, s.Service, wrong, "ssm", "eu-west-1")
		_, e2 := call(t, s.Service, unknown, "ssm", "eu-west-1")
		if code(e1) != "InvalidSignatureException" || e1.Error() != e2.Error() {
			t.Errorf("wrong secret %v, unknown key %v", e1, e2)
		}
		if ok, err := s.DeleteAccessKey(t.Context(), k.ID); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if _, err := call(t, s.Service, key(k), "ssm", "eu-west-1"); code(err) != "InvalidSignatureException" {
			t.Errorf("deleted key: %v", err)
		}
		if _, err := s.CreateAccessKey(t.Context(), "nobody"); !errors.Is(err, identity.ErrNoUser) {
			t.Errorf("got %v", err)
		}
	})
}

func TestBootstrap(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, migrations, func(t *testing.T, d *db.DB) {
		s := open(t, d, "users: [")
		id, secret, created, err := s.Bootstrap(t.Context(), nil)
		if err != nil || !created {
			t.Fatal(created, err)
		}
		admin := sigv4.Credentials{AccessKeyID: id, SecretAccessKey: secret}
		c, err := call(t, s.Service, admin, "ssm", "eu-west-1")
		if err != nil || c.Name() != identity.AdminUser {
			t.Fatal(c, err)
		}
		d1 := iampolicy.Evaluate(iampolicy.Request{Principal: c.Principal(), Action: "ssm:SendCommand", Resource: "*"}, c.Policies...)
		if !d1.Allowed() {
			t.Errorf("the administrator may not: %+v", d1)
		}
		again, secret, created, err := s.Bootstrap(t.Context(), nil)
		if again != id || secret != "" || created || err != nil {
			t.Errorf("second start: %s %t %v", again, created, err)
		}
		fixed := [2]string{"AKIAFIXEDFIXEDFIXED", "secret-of-sixteen-or-more"}
		for i := range 2 {
			if id, _, created, err := s.Bootstrap(t.Context(), &fixed); id != fixed[0] || created != (i == 0) || err != nil {
				t.Errorf("fixed key: %s %t %v", id, created, err)
			}
		}
		if _, _, _, err := s.Bootstrap(t.Context(), &[2]string{"short", "short"}); err == nil {
			t.Error("a short key was taken")
		}
		if _, _, problem := s.Status(); problem == nil {
			t.Error("the broken file is not reported")
		}
	})
}

// What is stored of a secret is not the secret.
func TestSecretsAreSealed(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, migrations, func(t *testing.T, d *db.DB) {
		s := open(t, d, people)
		k, err := s.CreateAccessKey(t.Context(), "ann")
		if err != nil {
			t.Fatal(err)
		}
		err = d.View(t.Context(), func(tx *db.Tx) error {
			var sealed []byte
			if err := tx.QueryRow(`select secret from identity_key where id = $1`, k.ID).Scan(&sealed); err != nil {
				return err
			}
			if strings.Contains(string(sealed), k.Secret.Reveal()) {
				t.Error("the secret is stored in plain")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestScope(t *testing.T) {
	t.Parallel()
	s := open(t, dbtest.SQLite(t, migrations...), people)
	k, err := s.CreateAccessKey(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ service, region, want string }{
		{"ssm", "us-east-1", "InvalidSignatureException"},
		{"dynamodb", "eu-west-1", "InvalidSignatureException"},
		{"sts", "us-east-1", ""},
		{"sts", "ap-south-1", "SignatureDoesNotMatch"},
		{"ssm-incidents", "us-west-2", ""},
	} {
		if _, err := call(t, s.Service, key(k), c.service, c.region); code(err) != c.want {
			t.Errorf("%s in %s: %v", c.service, c.region, err)
		}
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, migrations, func(t *testing.T, d *db.DB) {
		s := open(t, d, people)
		k, err := s.CreateAccessKey(t.Context(), "ann")
		if err != nil {
			t.Fatal(err)
		}
		ann, err := call(t, s.Service, key(k), "sts", "eu-west-1")
		if err != nil {
			t.Fatal(err)
		}
		role, _ := s.Role("arn:aws:iam::123456789012:role/runbook")
		creds, who, err := s.Assume(ann, identity.Assumption{
			Role: role, Name: "fix", Duration: time.Hour, Tags: map[string]string{"Case": "7"},
			Managed: []string{"arn:aws:iam::aws:policy/WatchbillObserver"},
		})
		if err != nil {
			t.Fatal(err)
		}
		replica := s.another(t)
		c, err := call(t, replica, temporary(creds), "ssm", "eu-west-1")
		if err != nil {
			t.Fatal(err)
		}
		if c.ARN != "arn:aws:sts::123456789012:assumed-role/runbook/fix" || who.ARN != c.ARN || c.UserID != role.ID+":fix" || c.Human != "ann@example.org" ||
			c.Tags["Case"] != "7" || c.Tags["watchbill:class"] != "runbook" || c.IssuedAt.IsZero() || len(c.Policies) != 2 || c.Name() != "runbook" {
			t.Errorf("got %+v", c)
		}
		mixed := temporary(creds)
		mixed.AccessKeyID = k.ID
		bare := temporary(creds)
		bare.SessionToken = ""
		cut := temporary(creds)
		other := map[bool]string{true: "B", false: "A"}[cut.SessionToken[40] == 'A']
		cut.SessionToken = cut.SessionToken[:40] + other + cut.SessionToken[41:]
		for name, x := range map[string]sigv4.Credentials{"other id": mixed, "no token": bare, "altered token": cut} {
			if _, err := call(t, s.Service, x, "ssm", "eu-west-1"); code(err) != "InvalidSignatureException" {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := s.Revoke(t.Context(), ann.ARN); err != nil {
			t.Fatal(err)
		}
		if _, err := call(t, s.Service, temporary(creds), "ssm", "eu-west-1"); code(err) != "ExpiredTokenException" {
			t.Errorf("revoked: %v", err)
		}
		if _, err := call(t, s.Service, key(k), "ssm", "eu-west-1"); err != nil {
			t.Errorf("the key itself ended: %v", err)
		}
	})
}

// Work that goes on after its session keeps the session's bounds.
func TestResume(t *testing.T) {
	t.Parallel()
	s := open(t, dbtest.SQLite(t, migrations...), people)
	ann, _ := s.Principal("arn:aws:iam::123456789012:user/ann")
	if ann.Session() != "" {
		t.Errorf("a user without a session has %q", ann.Session())
	}
	ann.Via = "arn:aws:ssm:eu-west-1:123456789012:automation-execution/e"
	role, _ := s.Role("arn:aws:iam::123456789012:role/runbook")
	creds, who, err := s.Assume(ann, identity.Assumption{
		Role: role, Name: "fix", Duration: time.Hour, Tags: map[string]string{"Case": "7"},
		Policies: []string{`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ssm:GetParameter","Resource":"*"}]}`},
		Managed:  []string{"arn:aws:iam::aws:policy/WatchbillObserver"},
	})
	if err != nil {
		t.Fatal(err)
	}
	text := who.Session()
	for _, secret := range []string{creds.AccessKeyID, creds.Secret.Reveal(), creds.SessionToken.Reveal()} {
		if strings.Contains(text, secret) {
			t.Errorf("the text holds credentials: %s", text)
		}
	}
	c, ok := s.Resume(who.ARN, text)
	if !ok || len(c.Policies) != 2 || len(c.Policies[1]) != 2 || c.Tags["Case"] != "7" || c.Human != who.Human || c.Via != ann.Via || c.Session() != text {
		t.Errorf("got %+v, %v", c, ok)
	}
	for name, bad := range map[string][2]string{"other principal": {ann.ARN, text}, "no text": {who.ARN, "x"}} {
		if _, ok := s.Resume(bad[0], bad[1]); ok {
			t.Error(name)
		}
	}
	if err := s.Revoke(t.Context(), role.ARN); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Resume(who.ARN, text); ok {
		t.Error("revoked")
	}
	if _, err := s.SessionToken(ann, time.Hour); !errors.Is(err, identity.ErrUser) {
		t.Errorf("a runbook made a session of its user: %v", err)
	}
}

func TestSessionEnds(t *testing.T) {
	t.Parallel()
	s := open(t, dbtest.SQLite(t, migrations...), people)
	role, _ := s.Role("arn:aws:iam::123456789012:role/runbook")
	gone, _, err := s.Assume(identity.Caller{}, identity.Assumption{Role: role, Name: "x", Duration: -time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := call(t, s.Service, temporary(gone), "ssm", "eu-west-1"); code(err) != "ExpiredTokenException" {
		t.Errorf("expired: %v", err)
	}
	creds, _, err := s.Assume(identity.Caller{}, identity.Assumption{Role: role, Name: "x", Duration: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "users: []\n")
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := call(t, s.Service, temporary(creds), "ssm", "eu-west-1"); code(err) != "ExpiredTokenException" {
		t.Errorf("role removed: %v", err)
	}
}

func TestUserSession(t *testing.T) {
	t.Parallel()
	s := open(t, dbtest.SQLite(t, migrations...), people)
	ann, _ := s.Principal("arn:aws:iam::123456789012:user/ann")
	creds, err := s.SessionToken(ann, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	c, err := call(t, s.Service, temporary(creds), "ssm", "eu-west-1")
	if err != nil || c.ARN != ann.ARN || len(c.Policies) != len(ann.Policies) || c.UserID != ann.UserID {
		t.Errorf("got %+v, %v", c, err)
	}
	if _, err := s.SessionToken(c, time.Hour); !errors.Is(err, identity.ErrUser) {
		t.Errorf("a session made a session: %v", err)
	}
}

func TestNode(t *testing.T) {
	t.Parallel()
	s := open(t, dbtest.SQLite(t, migrations...), people)
	creds, err := s.MintNode(t.Context(), "mi-0123", 6*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(creds.Expiration); left > time.Hour {
		t.Errorf("lives %s", left)
	}
	c, err := call(t, s.Service, temporary(creds), "ssmmessages", "eu-west-1")
	if err != nil || c.NodeID() != "mi-0123" || c.ARN != "arn:aws:sts::123456789012:assumed-role/watchbill-node/mi-0123" || c.Policies != nil {
		t.Errorf("got %+v, %v", c, err)
	}
	if err := s.Revoke(t.Context(), s.NodeARN("mi-0123")); err != nil {
		t.Fatal(err)
	}
	if _, err := call(t, s.Service, temporary(creds), "ssm", "eu-west-1"); code(err) != "ExpiredTokenException" {
		t.Errorf("locked node: %v", err)
	}
}

func TestAssumeRoleInside(t *testing.T) {
	t.Parallel()
	s := open(t, dbtest.SQLite(t, migrations...), strings.Replace(people, "roles:", `roles:
  - name: private
    trust: {Version: 2012-10-17, Statement: [{Effect: Allow, Action: "sts:AssumeRole", Principal: {AWS: "123456789012"}}]}
`, 1))
	ann, _ := s.Principal("arn:aws:iam::123456789012:user/ann")
	ctx := identity.With(t.Context(), ann)
	c, err := s.AssumeRole(ctx, "arn:aws:iam::123456789012:role/runbook", "exec-1", ann.Policies...)
	if err != nil || c.Human != "ann@example.org" || len(c.Policies) != 3 || c.SessionName != "exec-1" {
		t.Errorf("got %+v, %v", c, err)
	}
	for _, arn := range []string{"arn:aws:iam::123456789012:role/private", "arn:aws:iam::123456789012:role/none", "arn:aws:iam::210987654321:role/runbook"} {
		_, err := s.AssumeRole(ctx, arn, "x")
		if f, ok := errors.AsType[*fault.Fault](err); !ok || f.Code != "AccessDeniedException" {
			t.Errorf("%s: %v", arn, err)
		}
	}
}

func TestPrincipal(t *testing.T) {
	t.Parallel()
	s := open(t, dbtest.SQLite(t, migrations...), people)
	for arn, want := range map[string]bool{
		"arn:aws:iam::123456789012:user/ann": true, "arn:aws:iam::123456789012:user/eve": false, "arn:aws:iam::123456789012:user/admin": true,
		"arn:aws:sts::123456789012:assumed-role/runbook/s": true, "arn:aws:sts::123456789012:assumed-role/runbook": false,
		"arn:aws:sts::123456789012:assumed-role/none/s": false, "arn:aws:iam::210987654321:user/ann": false, "": false,
	} {
		if c, ok := s.Principal(arn); ok != want || ok && c.ARN != arn {
			t.Errorf("%s: %t %s", arn, ok, c.ARN)
		}
	}
	if tags, ok := s.Tags("arn:aws:iam::123456789012:role/runbook"); !ok || tags["watchbill:class"] != "runbook" {
		t.Errorf("tags %v %t", tags, ok)
	}
	if _, ok := s.Tags("arn:aws:ssm:eu-west-1:123456789012:parameter/a"); ok {
		t.Error("a parameter has tags here")
	}
}

// Mutations leave facts.
func TestFacts(t *testing.T) {
	t.Parallel()
	d := dbtest.SQLite(t, migrations...)
	s := open(t, d, people)
	k, err := s.CreateAccessKey(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.DeleteAccessKey(t.Context(), k.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.Revoke(t.Context(), "arn:aws:iam::123456789012:user/ann"); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	err = d.View(context.Background(), func(tx *db.Tx) error {
		rows, err := tx.Query(`select kind from journal_row order by at, id`)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var kind string
			if err := rows.Scan(&kind); err != nil {
				return err
			}
			kinds = append(kinds, kind)
		}
		return rows.Err()
	})
	slices.Sort(kinds)
	if want := []string{"identity.key.created", "identity.key.deleted", "identity.sessions.revoked"}; err != nil || !slices.Equal(kinds, want) {
		t.Errorf("got %v, %v", kinds, err)
	}
}

// Who can write the file can become anybody.
func TestFileThatEverybodyCanWrite(t *testing.T) {
	t.Parallel()
	s := open(t, dbtest.SQLite(t, migrations...), people)
	if err := os.Chmod(s.config.File, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "chmod") {
		t.Errorf("read: %v", err)
	}
	if _, ok := s.Principal("arn:aws:iam::123456789012:user/ann"); !ok {
		t.Error("the last good content is gone")
	}
}
