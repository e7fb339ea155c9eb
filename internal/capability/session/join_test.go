package session_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/capability/session"
	"github.com/watchbill/watchbill/internal/lang/iampolicy"
	"github.com/watchbill/watchbill/internal/platform/authz"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/identity"
)

// join asks for a token as a caller whom a policy allows everything.
func (x *fixture) join(c identity.Caller, id string, mode watchbill.JoinMode) (*watchbill.JoinSessionOutput, error) {
	x.t.Helper()
	all, _, err := iampolicy.Parse([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`))
	x.must(err)
	c.Policies = [][]*iampolicy.Policy{{all}}
	in := &watchbill.JoinSessionInput{SessionId: &id, Mode: mode}
	ctx, err := authz.New(nil).Authorize(as(x.ctx, c), "watchbill", "JoinSession", in)
	x.must(err)
	return x.JoinSession(ctx, in)
}

func TestJoin(t *testing.T) {
	t.Parallel()
	eachStore(t, func(x *fixture) {
		ctx := context.Background()
		id := *x.start("Two", nil).SessionId
		x.nodeEnd(id)
		watcher, err := x.join(bob, id, watchbill.JoinModeReadOnly)
		x.must(err)
		_, c, err := x.AttachClient(ctx, id, *watcher.TokenValue)
		if err != nil || c.Role != session.ReadOnly || c.ARN != bob.ARN {
			t.Errorf("%+v %v", c, err)
		}
		x.want(id, ssm.SessionStatusConnecting) // the owner is not there
		second, err := x.join(bob, id, watchbill.JoinModeSecondPerson)
		x.must(err)
		_, c, err = x.AttachClient(ctx, id, *second.TokenValue)
		if err != nil || c.Role != session.SecondPerson {
			t.Errorf("%+v %v", c, err)
		}
		if stays, err := x.Stays(ctx, id, c); !stays || err != nil {
			t.Errorf("%t %v", stays, err)
		}
		x.must(x.ClientLeft(ctx, id, c))
		if stays, err := x.Stays(ctx, id, c); stays || err != nil {
			t.Errorf("%t %v", stays, err)
		}
		if joined, left := x.facts(id, "session.joined"), x.facts(id, "session.left"); len(joined) != 2 || len(left) != 1 || joined[1]["mode"] != "SecondPerson" {
			t.Errorf("%v %v", joined, left)
		}
	})
}

func TestJoinRefusals(t *testing.T) {
	t.Parallel()
	x := newFixtureSQLite(t)
	two, plain, port := *x.start("Two", nil).SessionId, *x.start("", nil).SessionId, *x.start("Port", nil).SessionId
	over := *x.start("", nil).SessionId
	x.complete(over, "Failed", "")
	machine, otherKey := bob, ada
	machine.Human = ""
	otherKey.ARN, otherKey.UserID = "arn:aws:iam::123456789012:user/ada2", "AIDAADA2"
	for name, c := range map[string]struct {
		caller identity.Caller
		id     string
		mode   watchbill.JoinMode
		want   string
	}{
		"the owner as second person":        {ada, two, watchbill.JoinModeSecondPerson, "AccessDeniedException"},
		"the same person with another name": {otherKey, two, watchbill.JoinModeSecondPerson, "AccessDeniedException"},
		"a machine":                         {machine, two, watchbill.JoinModeSecondPerson, "AccessDeniedException"},
		"no second person asked for":        {bob, plain, watchbill.JoinModeSecondPerson, "InvalidStateException"},
		"a port":                            {bob, port, watchbill.JoinModeReadOnly, "InvalidStateException"},
		"an ended one":                      {bob, over, watchbill.JoinModeReadOnly, "InvalidStateException"},
		"unknown":                           {bob, "ada-none", watchbill.JoinModeReadOnly, "DoesNotExistException"},
	} {
		_, err := x.join(c.caller, c.id, c.mode)
		if coded, ok := err.(interface{ ErrorCode() string }); !ok || coded.ErrorCode() != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestLocksEndSessions(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, migrations, func(t *testing.T, d *db.DB) {
		x := newFixture(t, d, true)
		ctx := context.Background()
		for _, c := range []struct {
			kind   watchbill.LockTargetType
			target string
		}{
			{watchbill.LockTargetTypeUser, "ada"},
			{watchbill.LockTargetTypeUser, ada.ARN},
			{watchbill.LockTargetTypeAccessKey, "AKIAADA"},
			{watchbill.LockTargetTypeManagedInstance, x.node},
			{watchbill.LockTargetTypeDocument, "Short"},
		} {
			out, waiting := x.start("Short", nil), x.start("Short", nil)
			x.connect(out)
			told, stop := x.DB.Listen(session.Topic(scope, *out.SessionId))
			lock, err := x.locks.CreateLock(as(x.ctx, bob), &watchbill.CreateLockInput{TargetType: c.kind, Target: &c.target, Reason: new("stolen")})
			x.must(err)
			select {
			case <-told:
			case <-time.After(20 * time.Second):
				t.Fatalf("%s: nobody was told", c.kind)
			}
			stop()
			if _, ended, err := x.Closing(ctx, *out.SessionId); !ended || err != nil {
				t.Errorf("%s: ended %t, %v", c.kind, ended, err)
			}
			if _, err := x.NodeToken(x.asNode(), *waiting.SessionId); !errors.Is(err, session.ErrEnded) {
				t.Errorf("%s: the node gets a token: %v", c.kind, err)
			}
			x.complete(*out.SessionId, "Success", "")
			if got := x.facts(*out.SessionId, "session.ended"); len(got) != 1 || got[0]["cause"] != "Locked" {
				t.Errorf("%s: %v", c.kind, got)
			}
			_, err = x.locks.DeleteLock(as(x.ctx, bob), &watchbill.DeleteLockInput{LockId: lock.Lock.LockId, Reason: new("found")})
			x.must(err)
		}
	})
}

// TestLockOfAWatcher: the session goes on, the one who watches does not.
func TestLockOfAWatcher(t *testing.T) {
	t.Parallel()
	x := newFixture(t, dbtest.SQLite(t, migrations...), true)
	ctx := context.Background()
	out := x.start("", nil)
	x.connect(out)
	watcher, err := x.join(bob, *out.SessionId, watchbill.JoinModeReadOnly)
	x.must(err)
	_, c, err := x.AttachClient(ctx, *out.SessionId, *watcher.TokenValue)
	x.must(err)
	told, stop := x.DB.Listen(session.Topic(scope, *out.SessionId))
	defer stop()
	_, err = x.locks.CreateLock(x.ctx, &watchbill.CreateLockInput{TargetType: watchbill.LockTargetTypeUser, Target: new("bob"), Reason: new("left")})
	x.must(err)
	<-told
	if stays, err := x.Stays(ctx, *out.SessionId, c); stays || err != nil {
		t.Errorf("the watcher stays: %t %v", stays, err)
	}
	x.want(*out.SessionId, ssm.SessionStatusConnected)
}

func TestRecording(t *testing.T) {
	t.Parallel()
	eachStore(t, func(x *fixture) {
		ctx := context.Background()
		id := *x.start("", nil).SessionId
		get := func(offset int64, length, wait int32) *watchbill.GetSessionRecordingOutput {
			t.Helper()
			out, err := x.GetSessionRecording(x.ctx, &watchbill.GetSessionRecordingInput{SessionId: &id, Offset: &offset, MaxBytes: &length, WaitSeconds: &wait})
			x.must(err)
			return out
		}
		if out := get(0, 10, 0); len(out.Content) != 0 || *out.Complete {
			t.Errorf("before the first chunk: %+v", out)
		}
		var whole []byte
		for _, piece := range []string{"first\n", "second\n", "third\n"} {
			c, err := x.AppendChunk(ctx, id, []byte(piece))
			if err != nil || c.Offset != int64(len(whole)) {
				t.Fatalf("%+v %v", c, err)
			}
			whole = append(whole, piece...)
		}
		var got []byte
		for len(got) < len(whole) {
			out := get(int64(len(got)), 4, 0)
			got = append(got, out.Content...)
			if *out.NextOffset != int64(len(got)) || *out.Complete {
				t.Errorf("%+v", out)
			}
		}
		if !bytes.Equal(got, whole) {
			t.Errorf("%q", got)
		}
		more := make(chan *watchbill.GetSessionRecordingOutput)
		go func() { more <- get(int64(len(whole)), 100, 20) }()
		_, err := x.AppendChunk(ctx, id, []byte("live\n"))
		x.must(err)
		if out := <-more; string(out.Content) != "live\n" {
			t.Errorf("%+v", out)
		}
		x.must(x.FinishRecording(ctx, id, true))
		x.must(x.FinishRecording(ctx, id, false)) // the first word counts
		if _, err := x.AppendChunk(ctx, id, []byte("late")); !errors.Is(err, session.ErrRecording) {
			t.Errorf("after the end: %v", err)
		}
		out := get(int64(len(whole)), 100, 0)
		if !*out.Complete || *out.Recording.Chunks != 4 || *out.Recording.Interrupted || out.Recording.RootHash == nil {
			t.Errorf("%+v %+v", out, out.Recording)
		}
		if facts := x.facts(id, "session.recorded"); len(facts) != 1 || facts[0]["rootHash"] != *out.Recording.RootHash {
			t.Errorf("%v", facts)
		}
		list, err := x.ListSessionRecordings(x.ctx, &watchbill.ListSessionRecordingsInput{Target: &x.node})
		if err != nil || len(list.Recordings) != 1 || *list.Recordings[0].SessionId != id {
			t.Errorf("%+v %v", list, err)
		}
	})
}

// TestChangedRecording: a chunk that is not what was written is not shown.
func TestChangedRecording(t *testing.T) {
	t.Parallel()
	x := newFixtureSQLite(t)
	ctx := context.Background()
	id := *x.start("", nil).SessionId
	one, err := x.AppendChunk(ctx, id, []byte("one"))
	x.must(err)
	two, err := x.AppendChunk(ctx, id, []byte("two"))
	x.must(err)
	in, err := x.Blobs.Get(ctx, one.Key, 0, -1)
	x.must(err)
	_, err = x.Blobs.Put(ctx, two.Key, in)
	x.must(errors.Join(err, in.Close()))
	if b, err := x.ReadRecording(ctx, id, 3, 10); err == nil {
		t.Errorf("a chunk in the place of another one: %q", b)
	}
	if _, err := x.GetSessionRecording(x.ctx, &watchbill.GetSessionRecordingInput{SessionId: new("ada-none")}); err == nil {
		t.Error("a recording of no session")
	}
}

// TestLockedMeanwhile: a session that began while its owner was locked, which nobody
// heard of yet, does not open.
func TestLockedMeanwhile(t *testing.T) {
	t.Parallel()
	x := newFixtureSQLite(t)
	out, other := x.start("", nil), x.start("", nil)
	_, err := x.locks.CreateLock(as(x.ctx, bob), &watchbill.CreateLockInput{TargetType: watchbill.LockTargetTypeUser, Target: new("ada"), Reason: new("left")})
	x.must(err)
	if _, _, err := x.AttachClient(context.Background(), *out.SessionId, *out.TokenValue); !errors.Is(err, session.ErrEnded) {
		t.Errorf("the client came in: %v", err)
	}
	if _, err := x.NodeToken(x.asNode(), *other.SessionId); !errors.Is(err, session.ErrEnded) {
		t.Errorf("the node came in: %v", err)
	}
	x.want(*out.SessionId, ssm.SessionStatusTerminating)
	x.want(*other.SessionId, ssm.SessionStatusTerminating)
}
