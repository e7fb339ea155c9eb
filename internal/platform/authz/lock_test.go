package authz_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/api/sts"
	"github.com/watchbill/watchbill/internal/platform/authz"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/identity"
)

// fewLocks are callers and ends of ARNs.
type fewLocks []string

func (l fewLocks) Caller(c identity.Caller, _ db.Scope) bool {
	return slices.Contains(l, c.ARN) || slices.Contains(l, c.NodeID())
}

func (l fewLocks) Resource(_ db.Scope, arn string) bool {
	return slices.ContainsFunc(l, func(end string) bool { return strings.HasSuffix(arn, ":"+end) })
}

func TestLocks(t *testing.T) {
	t.Parallel()
	const node, other = "mi-0123456789abcdef0", "mi-0123456789abcdef1"
	all := as(allowing(t, "*", "*"))
	asNode := identity.With(db.WithScope(context.Background(), scope), identity.Caller{ARN: "arn:aws:sts::1:assumed-role/n/" + node, Kind: identity.Node, SessionName: node})
	run := func(document, node string) *ssm.SendCommandInput {
		return &ssm.SendCommandInput{DocumentName: &document, InstanceIds: []string{node}}
	}
	shell := func(document, node string) *ssm.StartSessionInput {
		return &ssm.StartSessionInput{DocumentName: &document, Target: &node}
	}
	for name, c := range map[string]struct {
		ctx                context.Context
		locks              fewLocks
		service, operation string
		in                 any
		want               string
	}{
		"nothing locked":                {all, nil, "ssm", "SendCommand", run("Fix", node), "allow"},
		"a locked caller":               {all, fewLocks{"arn:aws:iam::" + account + ":user/alice"}, "ssm", "ListCommands", &ssm.ListCommandsInput{}, "deny"},
		"one who asks for its name":     {all, fewLocks{"arn:aws:iam::" + account + ":user/alice"}, "sts", "GetCallerIdentity", &sts.GetCallerIdentityInput{}, "deny"},
		"a command on a locked node":    {all, fewLocks{"managed-instance/" + node}, "ssm", "SendCommand", run("Fix", node), "deny"},
		"a command on another node":     {all, fewLocks{"managed-instance/" + node}, "ssm", "SendCommand", run("Fix", other), "allow"},
		"a locked document":             {all, fewLocks{"document/Fix"}, "ssm", "SendCommand", run("Fix", node), "deny"},
		"a session on a locked node":    {all, fewLocks{"managed-instance/" + node}, "ssm", "StartSession", shell("Fix", node), "deny"},
		"a session on a locked text":    {all, fewLocks{"document/Fix"}, "ssm", "StartSession", shell("Fix", node), "deny"},
		"the locked preferences":        {all, fewLocks{"document/SSM-SessionManagerRunShell"}, "ssm", "StartSession", &ssm.StartSessionInput{Target: new(node)}, "deny"},
		"reading a locked document":     {all, fewLocks{"document/Fix"}, "ssm", "GetDocument", &ssm.GetDocumentInput{Name: new("Fix")}, "allow"},
		"ending a session":              {all, fewLocks{"managed-instance/" + node}, "ssm", "TerminateSession", &ssm.TerminateSessionInput{SessionId: new("a-1")}, "allow"},
		"a locked node's control":       {asNode, fewLocks{node}, "ssmmessages", "CreateControlChannel", nil, "allow"},
		"a locked node's data":          {asNode, fewLocks{node}, "ssmmessages", "CreateDataChannel", nil, "deny"},
		"a node that is not locked":     {asNode, fewLocks{other}, "ssmmessages", "CreateDataChannel", nil, "allow"},
		"a locked node asks for values": {asNode, fewLocks{node}, "ssm", "GetParameters", &ssm.GetParametersInput{Names: []string{"a"}}, "deny"},
	} {
		a := authz.New(nil)
		a.Locks = c.locks
		if got := code(ask(c.ctx, a, c.service, c.operation, c.in)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
