package session_test

import (
	"context"
	"errors"
	"testing"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/capability/session"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
)

// A token that was not used is no way in once its session is over or its owner is
// locked, and neither gets another one.
func TestTokensOfWhatIsOver(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, migrations, func(t *testing.T, d *db.DB) {
		x := newFixture(t, d, true)
		out := x.start("", nil)
		id := *out.SessionId
		_, err := x.TerminateSession(x.ctx, &ssm.TerminateSessionInput{SessionId: &id})
		x.must(err)
		x.noWayIn("terminated", id, *out.TokenValue)

		out = x.start("", nil)
		id = *out.SessionId
		x.nodeEnd(id)
		told, stop := x.DB.Listen(session.Topic(scope, id))
		defer stop()
		_, err = x.locks.CreateLock(as(x.ctx, bob), &watchbill.CreateLockInput{TargetType: watchbill.LockTargetTypeUser, Target: new("ada"), Reason: new("stolen")})
		x.must(err)
		if _, _, err := x.AttachClient(context.Background(), id, *out.TokenValue); err == nil {
			t.Error("a token is good after its owner was locked")
		}
		<-told
		x.noWayIn("locked", id, *out.TokenValue)
	})
}

func (x *fixture) noWayIn(when, id, token string) {
	x.t.Helper()
	if _, _, err := x.AttachClient(context.Background(), id, token); !errors.Is(err, session.ErrEnded) && !errors.Is(err, session.ErrToken) {
		x.t.Errorf("%s: a client came in: %v", when, err)
	}
	if _, err := x.NodeToken(x.asNode(), id); !errors.Is(err, session.ErrEnded) {
		x.t.Errorf("%s: the node gets a token: %v", when, err)
	}
	if out, err := x.ResumeSession(x.ctx, &ssm.ResumeSessionInput{SessionId: &id}); err == nil && out.TokenValue != nil && *out.TokenValue != "" {
		x.t.Errorf("%s: the owner gets a token", when)
	}
}
