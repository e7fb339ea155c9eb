package session_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/capability/session"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

func newFixtureSQLite(t *testing.T) *fixture {
	return newFixture(t, dbtest.SQLite(t, migrations...), false)
}

// bubble runs f with tasks and a clock of its own.
func bubble(t *testing.T, f func(x *fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newFixture(t, dbtest.SQLite(t, migrations...), true)) })
}

func (x *fixture) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (x *fixture) cause(id string) any {
	x.t.Helper()
	if got := x.facts(id, "session.ended"); len(got) == 1 {
		return got[0]["cause"]
	}
	return nil
}

func TestSilentNode(t *testing.T) {
	bubble(t, func(x *fixture) {
		out := x.start("", nil)
		if got := x.mail(); len(got) != 1 || got[0] != "interactive_shell" {
			t.Fatalf("mail %v", got)
		}
		x.shell(*out.SessionId)
		x.after(9 * time.Second)
		if got := x.mail(); len(got) != 0 {
			t.Errorf("asked again after 9 s: %v", got)
		}
		x.after(time.Second)
		if got := x.mail(); len(got) != 1 {
			t.Errorf("not asked again after 10 s")
		}
		x.shell(*out.SessionId)
		x.after(11 * time.Second)
		x.want(*out.SessionId, ssm.SessionStatusConnecting)
		x.after(2 * time.Second)
		x.want(*out.SessionId, ssm.SessionStatusFailed)
		if x.cause(*out.SessionId) != "NodeSilent" {
			t.Errorf("cause %v", x.cause(*out.SessionId))
		}
		if b, err := x.Shell(x.asNode(), x.node, *out.SessionId); b != nil || err != nil {
			t.Errorf("asked after the end: %s %v", b, err)
		}
	})
}

// TestClientNeverComes: nobody is left to end a session whose token was lost.
func TestClientNeverComes(t *testing.T) {
	bubble(t, func(x *fixture) {
		out := x.start("", nil)
		x.nodeEnd(*out.SessionId)
		x.after(119 * time.Second)
		x.want(*out.SessionId, ssm.SessionStatusConnecting)
		x.after(2 * time.Second)
		x.want(*out.SessionId, ssm.SessionStatusTerminating)
		if got := x.mail(); len(got) != 1 || got[0] != mgs.TypeChannelClosed {
			t.Errorf("mail %v", got)
		}
		x.complete(*out.SessionId, "Success", "")
		if x.cause(*out.SessionId) != "ClientAbsent" {
			t.Errorf("cause %v", x.cause(*out.SessionId))
		}
		_, _, err := x.AttachClient(context.Background(), *out.SessionId, *out.TokenValue)
		if !errors.Is(err, session.ErrEnded) {
			t.Errorf("a client that came too late: %v", err)
		}
	})
}

// TestClientDoesNotComeBack: a client may come back within 5 minutes, each time.
func TestClientDoesNotComeBack(t *testing.T) {
	bubble(t, func(x *fixture) {
		out := x.start("", nil)
		id := *out.SessionId
		x.connect(out)
		x.after(3 * time.Minute)
		x.want(id, ssm.SessionStatusConnected)
		for range 2 {
			x.must(x.ClientLeft(x.ctx, id, session.Client{}))
			x.after(299 * time.Second)
			x.want(id, ssm.SessionStatusDisconnected)
			again, err := x.ResumeSession(x.ctx, &ssm.ResumeSessionInput{SessionId: &id})
			x.must(err)
			_, _, err = x.AttachClient(context.Background(), id, *again.TokenValue)
			x.must(err)
			x.after(10 * time.Second)
			x.want(id, ssm.SessionStatusConnected)
		}
		x.must(x.ClientLeft(x.ctx, id, session.Client{}))
		x.after(301 * time.Second)
		x.want(id, ssm.SessionStatusTerminating)
		if got := x.mail(); len(got) != 1 || got[0] != mgs.TypeChannelClosed {
			t.Errorf("mail %v", got)
		}
		x.complete(id, "Success", "")
		if x.cause(id) != "ClientLost" {
			t.Errorf("cause %v", x.cause(id))
		}
	})
}

func TestIdle(t *testing.T) {
	bubble(t, func(x *fixture) {
		out := x.start("Short", nil)
		x.connect(out)
		for range 20 { // two minutes of use, heard of late
			x.after(6 * time.Second)
			x.must(x.Active(context.Background(), []session.Pulse{{ID: *out.SessionId, Node: true, Client: true, Last: time.Now(), In: 5, Out: 7}}))
		}
		x.want(*out.SessionId, ssm.SessionStatusConnected)
		for range 5 { // pulses without input or output
			x.after(10 * time.Second)
			x.must(x.Active(context.Background(), []session.Pulse{{ID: *out.SessionId, Node: true, Client: true}}))
		}
		x.want(*out.SessionId, ssm.SessionStatusConnected)
		x.after(20 * time.Second)
		x.want(*out.SessionId, ssm.SessionStatusTerminating)
		if output, ended, err := x.Closing(context.Background(), *out.SessionId); !ended || output == "" || err != nil {
			t.Errorf("%q %t %v", output, ended, err)
		}
		x.after(31 * time.Second) // the node does not confirm
		x.want(*out.SessionId, ssm.SessionStatusTerminated)
		got := x.facts(*out.SessionId, "session.ended")
		if len(got) != 1 || got[0]["cause"] != "IdleTimeout" || got[0]["bytesIn"] != 5.0 || got[0]["bytesOut"] != 7.0 {
			t.Errorf("facts %v", got)
		}
	})
}

func TestMaximum(t *testing.T) {
	bubble(t, func(x *fixture) {
		out := x.start("Short", nil)
		x.connect(out)
		if got := *x.described(*out.SessionId).MaxSessionDuration; got != "5" {
			t.Errorf("MaxSessionDuration %s", got)
		}
		for range 60 {
			x.after(5 * time.Second)
			x.must(x.Active(context.Background(), []session.Pulse{{ID: *out.SessionId, Node: true, Client: true, Last: time.Now()}}))
		}
		x.after(time.Second)
		x.want(*out.SessionId, ssm.SessionStatusTerminating)
		x.complete(*out.SessionId, "Cancelled", "")
		if x.cause(*out.SessionId) != "MaxSessionDuration" {
			t.Errorf("cause %v", x.cause(*out.SessionId))
		}
	})
}

func TestNodeLost(t *testing.T) {
	bubble(t, func(x *fixture) {
		out, back := x.start("", nil), x.start("", nil)
		x.connect(out)
		x.connect(back)
		x.must(x.NodeLeft(context.Background(), *out.SessionId))
		x.must(x.NodeLeft(context.Background(), *back.SessionId))
		x.want(*out.SessionId, ssm.SessionStatusDisconnected)
		x.after(25 * time.Second)
		x.nodeEnd(*back.SessionId)
		x.after(6 * time.Second)
		x.want(*out.SessionId, ssm.SessionStatusTerminating)
		x.want(*back.SessionId, ssm.SessionStatusConnected)
		x.after(31 * time.Second)
		if x.cause(*out.SessionId) != "NodeLost" {
			t.Errorf("cause %v", x.cause(*out.SessionId))
		}
	})
}

// TestLostHub: the hub that held the sockets is killed; another one begins.
func TestLostHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.SQLite(t, migrations...)
		first := newFixture(t, d, false)
		out, back := first.start("", nil), first.start("", nil)
		first.connect(out)
		first.connect(back)
		_, err := first.AppendChunk(first.ctx, *out.SessionId, []byte("last words"))
		first.must(err)
		time.Sleep(time.Second)
		x := newFixture(t, d, true)
		x.Service.Sealer, x.Service.Blobs, x.node = first.Service.Sealer, first.Service.Blobs, first.node
		x.must(x.Start(context.Background()))
		x.want(*out.SessionId, ssm.SessionStatusDisconnected)
		x.nodeEnd(*back.SessionId)
		again, err := x.ResumeSession(x.ctx, &ssm.ResumeSessionInput{SessionId: back.SessionId})
		x.must(err)
		_, _, err = x.AttachClient(context.Background(), *back.SessionId, *again.TokenValue)
		x.must(err)
		for range 7 {
			x.after(5 * time.Second)
			x.must(x.Active(context.Background(), []session.Pulse{{ID: *back.SessionId, Node: true, Client: true}}))
		}
		x.want(*back.SessionId, ssm.SessionStatusConnected)
		x.want(*out.SessionId, ssm.SessionStatusTerminating)
		x.after(time.Minute)
		recording, err := x.GetSessionRecording(x.ctx, &watchbill.GetSessionRecordingInput{SessionId: out.SessionId, Offset: new(int64(10))})
		if err != nil || !*recording.Complete || !*recording.Recording.Interrupted {
			t.Errorf("the recording is %+v, %v", recording, err)
		}
		// Nobody speaks of the other one any more.
		x.want(*back.SessionId, ssm.SessionStatusTerminating)
	})
}

func TestTokenEnds(t *testing.T) {
	bubble(t, func(x *fixture) {
		out := x.start("", nil)
		x.nodeEnd(*out.SessionId)
		x.after(61 * time.Second)
		if _, _, err := x.AttachClient(context.Background(), *out.SessionId, *out.TokenValue); err == nil {
			t.Error("a token was good after a minute")
		}
	})
}
