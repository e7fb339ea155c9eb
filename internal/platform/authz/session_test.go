package authz_test

import (
	"context"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/iampolicy"
	"github.com/watchbill/watchbill/internal/platform/authz"
)

// TestOwnSessions: the tiers, and the ways of AWS's guide to say it, let people
// resume and end the sessions that they started, and no others.
func TestOwnSessions(t *testing.T) {
	t.Parallel()
	a := authz.New(func(_ context.Context, arn string) (map[string]string, error) {
		owner := "AIDABOB"
		if strings.Contains(arn, "session/alice-") {
			owner = "AIDAALICE"
		}
		return map[string]string{"aws:ssmmessages:session-id": owner, "aws:ssmmessages:target-id": "mi-1"}, nil
	})
	byName := allowing(t, "ssm:*Session", "arn:aws:ssm:*:*:session/${aws:username}-*")
	byTag := parse(t, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ssm:TerminateSession","ssm:ResumeSession"],
		"Resource":["arn:aws:ssm:*:*:session/*"],"Condition":{"StringLike":{"ssm:resourceTag/aws:ssmmessages:session-id":["${aws:userid}"]}}}]}`)
	policies := map[string]*iampolicy.Policy{"by name": byName, "by tag": byTag}
	for _, tier := range []string{"WatchbillDiagnoser", "WatchbillOperator", "WatchbillMaintainer"} {
		p, ok := authz.Managed(authz.ManagedPrefix + tier)
		if !ok {
			t.Fatalf("no policy %s", tier)
		}
		policies[tier] = p
	}
	for name, p := range policies {
		for id, want := range map[string]string{"alice-0123456789abcdef0": "allow", "bob-0123456789abcdef0": "deny"} {
			if got := code(ask(as(p), a, "ssm", "ResumeSession", &ssm.ResumeSessionInput{SessionId: &id})); got != want {
				t.Errorf("%s: resume %s: %s", name, id, got)
			}
			if got := code(ask(as(p), a, "ssm", "TerminateSession", &ssm.TerminateSessionInput{SessionId: &id})); got != want {
				t.Errorf("%s: terminate %s: %s", name, id, got)
			}
		}
	}
}

// TestSessionDocument: a session needs its document as well as its node, also the
// one that is not named.
func TestSessionDocument(t *testing.T) {
	t.Parallel()
	const r = "arn:aws:ssm:eu-west-1:123456789012:"
	a := authz.New(nil)
	for name, c := range map[string]struct {
		allowed  []string
		document *string
		want     string
	}{
		"node only":         {[]string{r + "managed-instance/mi-1"}, nil, "deny"},
		"document only":     {[]string{r + "document/SSM-SessionManagerRunShell"}, nil, "deny"},
		"both":              {[]string{r + "managed-instance/mi-1", r + "document/SSM-SessionManagerRunShell"}, nil, "allow"},
		"another document":  {[]string{r + "managed-instance/mi-1", r + "document/SSM-SessionManagerRunShell"}, new("AWS-StartSSHSession"), "deny"},
		"a document of AWS": {[]string{r + "managed-instance/mi-1", "arn:aws:ssm:*:*:document/AWS-StartSSHSession"}, new("AWS-StartSSHSession"), "allow"},
	} {
		in := &ssm.StartSessionInput{Target: new("mi-1"), DocumentName: c.document}
		if got := code(ask(as(allowing(t, "ssm:StartSession", c.allowed...)), a, "ssm", "StartSession", in)); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
