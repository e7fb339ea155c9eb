package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/capability/session"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/identity"
)

func TestStartAndEnd(t *testing.T) {
	t.Parallel()
	eachStore(t, func(x *fixture) {
		out := x.start("", nil)
		id := *out.SessionId
		if !strings.HasPrefix(id, "ada-") || len(id) != len("ada-")+17 || *out.StreamUrl != "wss://hub.example/v1/data-channel/"+id+"?role=publish_subscribe" {
			t.Errorf("%s %s", id, *out.StreamUrl)
		}
		x.want(id, ssm.SessionStatusConnecting)
		content := x.shell(id)
		if content.SessionOwner != ada.ARN || content.SessionID != id || !strings.Contains(string(content.DocumentContent), "key-1") {
			t.Errorf("the node gets %+v", content)
		}
		x.connect(out)
		x.want(id, ssm.SessionStatusConnected)
		x.complete(id, "Success", "")
		x.complete(id, "Success", "") // again
		got := x.described(id)
		if got.Status != ssm.SessionStatusTerminated || *got.Reason != "look" || *got.Owner != ada.ARN || got.EndDate == nil {
			t.Errorf("%+v", got)
		}
		ended := x.facts(id, "session.ended")
		if len(ended) != 1 || ended[0]["cause"] != "NodeEnded" {
			t.Errorf("facts %v", ended)
		}
		if _, err := x.NodeToken(x.asNode(), id); !errors.Is(err, session.ErrEnded) {
			t.Errorf("a token for an ended session: %v", err)
		}
	})
}

func TestFailsBeforeTheClientCame(t *testing.T) {
	t.Parallel()
	eachStore(t, func(x *fixture) {
		out := x.start("", nil)
		x.complete(*out.SessionId, "Failed", "no such shell")
		x.want(*out.SessionId, ssm.SessionStatusFailed)
		output, ended, err := x.Closing(context.Background(), *out.SessionId)
		if err != nil || !ended || output != "no such shell" {
			t.Errorf("%q %t %v", output, ended, err)
		}
		if _, _, err := x.AttachClient(context.Background(), *out.SessionId, *out.TokenValue); err == nil {
			t.Error("the client came")
		}
	})
}

func TestTerminate(t *testing.T) {
	t.Parallel()
	eachStore(t, func(x *fixture) {
		out := x.start("", nil)
		x.connect(out)
		told, stop := x.DB.Listen(session.Topic(scope, *out.SessionId))
		defer stop()
		for range 2 {
			_, err := x.TerminateSession(x.ctx, &ssm.TerminateSessionInput{SessionId: out.SessionId})
			x.must(err)
		}
		<-told
		x.want(*out.SessionId, ssm.SessionStatusTerminating)
		if diff := cmp.Diff([]string{"channel_closed"}, x.mail()); diff != "" {
			t.Error(diff)
		}
		x.complete(*out.SessionId, "Cancelled", "")
		x.want(*out.SessionId, ssm.SessionStatusTerminated)
		if got := x.facts(*out.SessionId, "session.ended"); len(got) != 1 || got[0]["cause"] != "Terminated" {
			t.Errorf("facts %v", got)
		}
		_, err := x.TerminateSession(x.ctx, &ssm.TerminateSessionInput{SessionId: new("ada-nobody")})
		if _, ok := errors.AsType[*ssm.DoesNotExistException](err); !ok {
			t.Errorf("unknown: %v", err)
		}
	})
}

func TestTokens(t *testing.T) {
	t.Parallel()
	eachStore(t, func(x *fixture) {
		ctx := context.Background()
		out, other := x.start("", nil), x.start("", nil)
		id := *out.SessionId
		if _, _, err := x.AttachClient(ctx, *other.SessionId, *out.TokenValue); !errors.Is(err, session.ErrToken) {
			t.Errorf("the token of another session: %v", err)
		}
		if _, err := x.AttachNode(x.asNode(), id, *out.TokenValue); !errors.Is(err, session.ErrToken) {
			t.Errorf("the token of the other side: %v", err)
		}
		var wins atomic.Int32
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if _, _, err := x.AttachClient(ctx, id, *out.TokenValue); err == nil {
					wins.Add(1)
				}
			})
		}
		all.Wait()
		if wins.Load() != 1 {
			t.Errorf("a token was good %d times", wins.Load())
		}
		again, err := x.ResumeSession(x.ctx, &ssm.ResumeSessionInput{SessionId: &id})
		x.must(err)
		last, err := x.ResumeSession(x.ctx, &ssm.ResumeSessionInput{SessionId: &id})
		x.must(err)
		if _, _, err := x.AttachClient(ctx, id, *again.TokenValue); !errors.Is(err, session.ErrToken) {
			t.Errorf("a token after the next one was made: %v", err)
		}
		_, c, err := x.AttachClient(ctx, id, *last.TokenValue)
		if err != nil || c.Role != session.Owner {
			t.Errorf("%+v %v", c, err)
		}
		stranger := as(x.ctx, identity.Caller{Kind: identity.Node, SessionName: "mi-00000000000000000", ARN: "x", Account: scope.Account})
		if _, err := x.NodeToken(stranger, id); !errors.Is(err, session.ErrEnded) {
			t.Errorf("another node: %v", err)
		}
		if err := x.Completed(stranger, "mi-00000000000000000", session.Completion{SessionID: id, Status: "Failed"}); !errors.Is(err, session.ErrForeign) {
			t.Errorf("another node's word: %v", err)
		}
		x.noToken(*last.TokenValue, *other.TokenValue)
	})
}

// noToken looks for texts in the tables of the store.
func (x *fixture) noToken(tokens ...string) {
	x.t.Helper()
	x.must(x.DB.View(x.ctx, func(tx *db.Tx) error {
		for _, table := range []string{"session_token where hash", "journal_row where body"} {
			for _, token := range tokens {
				var n int
				if err := tx.QueryRow("select count(*) from " + table + " like '%" + token + "%'").Scan(&n); err != nil {
					return err
				}
				if n > 0 {
					x.t.Errorf("a token is in %s", table)
				}
			}
		}
		return nil
	}))
}

func TestResume(t *testing.T) {
	t.Parallel()
	eachStore(t, func(x *fixture) {
		out := x.start("", nil)
		x.connect(out)
		x.must(x.ClientLeft(context.Background(), *out.SessionId, session.Client{Role: session.Owner}))
		x.want(*out.SessionId, ssm.SessionStatusDisconnected)
		if _, err := x.ResumeSession(as(x.ctx, bob), &ssm.ResumeSessionInput{SessionId: out.SessionId}); err == nil {
			t.Error("another one resumed the session")
		}
		again, err := x.ResumeSession(x.ctx, &ssm.ResumeSessionInput{SessionId: out.SessionId})
		x.must(err)
		_, _, err = x.AttachClient(context.Background(), *out.SessionId, *again.TokenValue)
		x.must(err)
		x.want(*out.SessionId, ssm.SessionStatusConnected)
		x.complete(*out.SessionId, "Success", "")
		over, err := x.ResumeSession(x.ctx, &ssm.ResumeSessionInput{SessionId: out.SessionId})
		if err != nil || over.TokenValue != nil {
			t.Errorf("after the end: %+v %v", over, err)
		}
	})
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	x := newFixtureSQLite(t)
	for name, c := range map[string]struct {
		in   ssm.StartSessionInput
		want string
	}{
		"unknown node":      {ssm.StartSessionInput{Target: new("mi-00000000000000000")}, "TargetNotConnected"},
		"unknown document":  {ssm.StartSessionInput{DocumentName: new("None")}, "InvalidDocument"},
		"bad document":      {ssm.StartSessionInput{DocumentName: new("Bad")}, "InvalidDocument"},
		"missing parameter": {ssm.StartSessionInput{DocumentName: new("Command")}, "ValidationException"},
		"unknown parameter": {ssm.StartSessionInput{Parameters: map[string][]string{"a": {"b"}}}, "ValidationException"},
		"pattern":           {ssm.StartSessionInput{DocumentName: new("Command"), Parameters: map[string][]string{"file": {"/etc;id"}}}, "ValidationException"},
		"second line":       {ssm.StartSessionInput{DocumentName: new("Command"), Parameters: map[string][]string{"file": {"/etc\nid"}}}, "ValidationException"},
		"NUL":               {ssm.StartSessionInput{DocumentName: new("Port"), Parameters: map[string][]string{"host": {"db\x00"}}}, "ValidationException"},
		"values":            {ssm.StartSessionInput{DocumentName: new("Command"), Parameters: map[string][]string{"file": {"/x"}, "lines": {"30"}}}, "ValidationException"},
		"two values":        {ssm.StartSessionInput{DocumentName: new("Command"), Parameters: map[string][]string{"file": {"/x", "/y"}}}, "ValidationException"},
		"port":              {ssm.StartSessionInput{DocumentName: new("Port"), Parameters: map[string][]string{"portNumber": {"0"}}}, "ValidationException"},
		"metadata":          {ssm.StartSessionInput{DocumentName: new("Port"), Parameters: map[string][]string{"host": {"169.254.169.254"}}}, "ValidationException"},
		"run as nobody":     {ssm.StartSessionInput{DocumentName: new("RunAsTag")}, "ValidationException"},
	} {
		if c.in.Target == nil {
			c.in.Target = &x.node
		}
		_, err := x.StartSession(x.ctx, &c.in)
		if coded, ok := err.(interface{ ErrorCode() string }); !ok || coded.ErrorCode() != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if got := x.mail(); len(got) > 0 {
		t.Errorf("refused sessions reached the node: %v", got)
	}
}

// TestContent: what the node gets is the document as it is, with the values beside
// it: it puts them in, once.
func TestContent(t *testing.T) {
	t.Parallel()
	x := newFixtureSQLite(t)
	got := x.shell(*x.start("Command", map[string][]string{"file": {"/var/log"}}).SessionId)
	if string(got.Parameters["file"]) != `"/var/log"` || string(got.Parameters["lines"]) != `"10"` {
		t.Errorf("parameters %s", got.Parameters)
	}
	if doc := string(got.DocumentContent); !strings.Contains(doc, "{{ file }}") || !strings.Contains(doc, "key-1") {
		t.Errorf("document %s", doc) // with the account's preferences, since it has no inputs
	}
	two := x.start("Two", nil)
	if doc := string(x.shell(*two.SessionId).DocumentContent); strings.Contains(doc, "watchbill:") {
		t.Errorf("document %s", doc)
	}
	s, err := x.Find(x.ctx, *two.SessionId)
	if err != nil || !s.TwoPerson || !s.Strict {
		t.Errorf("%+v %v", s, err)
	}
	if got := x.shell(*x.start("RunAs", nil).SessionId); got.RunAsUser != "web" {
		t.Errorf("runs as %q", got.RunAsUser)
	}
	tagged := ada
	tagged.Tags = map[string]string{"SSMSessionRunAs": "ada-os"}
	for tag, want := range map[string]string{"ada-os": "ada-os", "root": ""} {
		tagged.Tags = map[string]string{"SSMSessionRunAs": tag}
		out, err := x.StartSession(as(x.ctx, tagged), &ssm.StartSessionInput{Target: &x.node, DocumentName: new("RunAsTag")})
		if (err == nil) != (want != "") || err == nil && x.shell(*out.SessionId).RunAsUser != want {
			t.Errorf("tag %s: %v", tag, err)
		}
	}
	port := x.start("Port", map[string][]string{"host": {"db.internal"}, "portNumber": {"5432"}})
	if s, err := x.Find(x.ctx, *port.SessionId); err != nil || s.Host != "db.internal" || s.Port != 5432 || s.Kind != session.Port {
		t.Errorf("%+v %v", s, err)
	}
	if got := x.facts(*port.SessionId, "session.started"); len(got) != 1 || got[0]["host"] != "db.internal" || got[0]["port"] != 5432.0 {
		t.Errorf("facts %v", got)
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	eachStore(t, func(x *fixture) {
		var ids []string
		for range 5 {
			ids = append(ids, *x.start("", nil).SessionId)
		}
		x.complete(ids[0], "Failed", "no")
		var seen []string
		in := &ssm.DescribeSessionsInput{State: ssm.SessionStateActive, MaxResults: new(int32(3))}
		for {
			out, err := x.DescribeSessions(x.ctx, in)
			x.must(err)
			for _, s := range out.Sessions {
				seen = append(seen, *s.SessionId)
			}
			if in.NextToken = out.NextToken; in.NextToken == nil {
				break
			}
		}
		if diff := cmp.Diff([]string{ids[4], ids[3], ids[2], ids[1]}, seen); diff != "" {
			t.Error(diff)
		}
		for _, c := range []struct {
			state ssm.SessionState
			key   ssm.SessionFilterKey
			value string
			want  int
		}{
			{ssm.SessionStateActive, ssm.SessionFilterKeyTarget, x.node, 4},
			{ssm.SessionStateActive, ssm.SessionFilterKeyTarget, "mi-other", 0},
			{ssm.SessionStateActive, ssm.SessionFilterKeyOwner, ada.ARN, 4},
			{ssm.SessionStateActive, ssm.SessionFilterKeyOwner, bob.ARN, 0},
			{ssm.SessionStateActive, ssm.SessionFilterKeyStatus, "Connecting", 4},
			{ssm.SessionStateHistory, ssm.SessionFilterKeyStatus, "Failed", 1},
			{ssm.SessionStateHistory, ssm.SessionFilterKeyStatus, "Terminated", 0},
			{ssm.SessionStateActive, ssm.SessionFilterKeySessionId, ids[2], 1},
			{ssm.SessionStateActive, ssm.SessionFilterKeyInvokedAfter, "2020-01-01T00:00:00Z", 4},
			{ssm.SessionStateActive, ssm.SessionFilterKeyInvokedBefore, "2020-01-01T00:00:00Z", 0},
			{ssm.SessionStateActive, ssm.SessionFilterKeyAccessType, "Standard", 4},
			{ssm.SessionStateActive, ssm.SessionFilterKeyAccessType, "JustInTime", 0},
		} {
			out, err := x.DescribeSessions(x.ctx, &ssm.DescribeSessionsInput{State: c.state, Filters: []ssm.SessionFilter{{Key: c.key, Value: &c.value}}})
			if err != nil || len(out.Sessions) != c.want {
				t.Errorf("%s %s=%s: %d, %v", c.state, c.key, c.value, len(out.Sessions), err)
			}
		}
		_, err := x.DescribeSessions(x.ctx, &ssm.DescribeSessionsInput{State: ssm.SessionStateActive, Filters: []ssm.SessionFilter{{Key: ssm.SessionFilterKeyInvokedAfter, Value: new("soon")}}})
		if _, ok := errors.AsType[*ssm.InvalidFilterKey](err); !ok {
			t.Error(err)
		}
		_, err = x.DescribeSessions(x.ctx, &ssm.DescribeSessionsInput{State: ssm.SessionStateActive, NextToken: new("x")})
		if _, ok := errors.AsType[*ssm.InvalidNextToken](err); !ok {
			t.Error(err)
		}
		elsewhere := identity.With(db.WithScope(x.ctx, db.Scope{Account: scope.Account, Region: "eu-west-1"}), ada)
		if _, err := x.TerminateSession(elsewhere, &ssm.TerminateSessionInput{SessionId: &ids[1]}); err == nil {
			t.Error("a session of another region was ended")
		}
	})
}

func TestTags(t *testing.T) {
	t.Parallel()
	x := newFixtureSQLite(t)
	out := x.start("", nil)
	x.must(x.DB.View(x.ctx, func(tx *db.Tx) error {
		got, err := x.Tags(tx, *out.SessionId)
		want := map[string]string{"aws:ssmmessages:session-id": "AIDAADA", "aws:ssmmessages:target-id": x.node}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		return err
	}))
}

func TestIDsAreFileNames(t *testing.T) {
	t.Parallel()
	x := newFixtureSQLite(t)
	for i, name := range []string{"../../x y", strings.Repeat("n", 64), "ä", "...", "a.b@c-d_e"} {
		c := identity.Caller{Kind: identity.Role, ARN: "arn:aws:sts::123456789012:assumed-role/ops/x", SessionName: name, UserID: fmt.Sprint(i), Account: scope.Account}
		out, err := x.StartSession(as(x.ctx, c), &ssm.StartSessionInput{Target: &x.node})
		x.must(err)
		if id := *out.SessionId; len(id) > 96 || strings.ContainsAny(id, "/ ") || strings.HasPrefix(id, ".") {
			t.Errorf("%q", id)
		}
	}
}

// TestStreamURL: under a service domain the stock plugin finds its data channel where AWS
// has it.
func TestStreamURL(t *testing.T) {
	x := newFixtureSQLite(t)
	for _, tt := range []struct{ url, domain, want string }{
		{"wss://hub.example:8443", "", "wss://hub.example:8443"},
		{"wss://127.0.0.1:8443", "wb.example", "wss://ssmmessages.us-east-1.wb.example:8443"},
		{"wss://hub.example:443", "wb.example", "wss://ssmmessages.us-east-1.wb.example"},
		{"wss://hub.example", "wb.example", "wss://ssmmessages.us-east-1.wb.example"},
	} {
		x.SetStreamURL(tt.url, tt.domain)
		out := x.start("", nil)
		if want := tt.want + "/v1/data-channel/" + *out.SessionId + "?role=publish_subscribe"; *out.StreamUrl != want {
			t.Errorf("%s in %q: %s, want %s", tt.url, tt.domain, *out.StreamUrl, want)
		}
	}
}
