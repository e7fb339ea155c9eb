package relay

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/capability/session"
	"github.com/watchbill/watchbill/internal/gateway/record"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

const (
	lastWord  = 2 * time.Second  // from a node's Terminating to its agent_task_complete
	closeTime = 15 * time.Second // for what is kept about an end
)

// live is a session whose sockets are here. It is the listener of its room.
type live struct {
	relay *Relay
	id    string
	log   *slog.Logger

	refs int  // under the relay's lock
	over bool // under the relay's lock

	sitting sync.Mutex // keeps coming and going in the order in which they are stored
	session *session.Session
	room    *Room
	stop    context.CancelFunc

	mu       sync.Mutex
	recorder *record.Recorder
	resumed  bool
	broken   bool // something is missing in the recording
	last     time.Time
	in, out  int64
	crypt    crypt
	once     sync.Once
}

func (l *live) sit(f func() (*Seat, error)) (*Seat, error) {
	l.sitting.Lock()
	defer l.sitting.Unlock()
	return f()
}

// begin makes the room when the first end is there.
func (l *live) begin(ctx context.Context, s *session.Session) {
	if l.room != nil {
		return
	}
	l.session = s
	l.resumed = s.State == ssm.SessionStatusConnected || s.State == ssm.SessionStatusDisconnected
	l.broken = l.resumed
	room := NewRoom(NewMachine(s.ID, s.Node, l.resumed, s.TwoPerson), l, l.log)
	l.record(room)
	ctx, l.stop = context.WithCancel(context.WithoutCancel(ctx))
	l.relay.mu.Lock()
	l.room = room
	l.relay.mu.Unlock()
	go l.listen(ctx)
}

// record starts the recording of what a person sees and types.
func (l *live) record(room *Room) {
	s := l.session
	if s.Kind == session.Port {
		return
	}
	l.recorder = record.New(record.Config{
		Header: record.Header{Width: 80, Height: 24, Title: s.ID, Env: map[string]string{"TARGET": s.Node, "OWNER": s.Owner}},
		Began:  s.Started, Again: l.resumed, Strict: s.Strict, Logger: l.log, Wake: room.Wake,
		Store: func(ctx context.Context, chunk []byte) error {
			_, err := l.relay.Sessions.AppendChunk(ctx, l.id, chunk)
			return err
		},
		Gap: func() { l.lost() },
		Failed: func(error) {
			l.end(session.RecordingFailed, "The session ended because its recording could not be stored.")
		},
	})
}

func (l *live) lost() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = true
}

// end ends the session for everybody.
func (l *live) end(cause session.Cause, output string) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if err := l.relay.Sessions.End(ctx, l.id, cause, output); err != nil {
		l.log.Error("a session was not ended", "cause", cause, "error", err)
		l.room.End(output) // the store may be what is broken
	}
}

// listen waits for the end of the session, wherever it is decided.
func (l *live) listen(ctx context.Context) {
	l.relay.Sessions.Watch(ctx, l.session, l.log, func(output string, ended bool) bool {
		if ended {
			l.room.End(output)
			l.close(false)
			l.relay.ended(l)
			return false
		}
		if l.moved(ctx) {
			return false
		}
		l.dismiss(ctx)
		return true
	})
}

// moved closes the sockets of a session whose ends meet at another hub by now;
// they come back there.
func (l *live) moved(ctx context.Context) bool {
	here, err := l.relay.Sessions.Here(ctx, l.id)
	if err != nil || here {
		return false
	}
	l.log.Info("the session goes on at another hub")
	l.relay.forget(l)
	l.room.Cut()
	l.close(true)
	return true
}

// close keeps the rest of the recording. Interrupted: the hub stops, and the
// session goes on with the next one.
func (l *live) close(interrupted bool) {
	l.once.Do(func() {
		l.stop()
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		if err := l.relay.Sessions.Active(ctx, []session.Pulse{l.pulse()}); err != nil {
			l.log.Error("the activity of a session was not kept", "error", err)
		}
		if l.recorder == nil {
			return
		}
		l.recorder.Close(interrupted)
		l.mu.Lock()
		complete := !l.broken
		l.mu.Unlock()
		if interrupted {
			return
		}
		if err := l.relay.Sessions.FinishRecording(ctx, l.id, complete); err != nil {
			l.log.Error("a recording was not closed", "error", err)
		}
	})
}

// left says that a side is gone, unless it is back already.
func (l *live) left(side Side, f func() error) error {
	l.sitting.Lock()
	defer l.sitting.Unlock()
	if l.room.Has(side) {
		return nil
	}
	return f()
}

func (l *live) pulse() session.Pulse {
	p := session.Pulse{ID: l.id, Node: l.room.Has(Node), Client: l.room.Has(Client)}
	l.mu.Lock()
	defer l.mu.Unlock()
	p.Last, p.In, p.Out = l.last, l.session.In+l.in, l.session.Out+l.out
	return p
}

// Full says that the recording is behind.
func (l *live) Full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.crypt.full() || l.recorder != nil && l.recorder.Full()
}

// State takes the node's word that its end closes. What it has to say comes on
// the control channel; only if that does not, the session ends without it.
func (l *live) State(state string) {
	if state != mgs.SessionTerminating {
		return
	}
	time.AfterFunc(lastWord, func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		if err := l.relay.Sessions.NodeState(ctx, l.id, state); err != nil {
			l.log.Error("the end of a session was not kept", "error", err)
		}
	})
}

// watch shows the output to a person who joined.
func (l *live) watch(who session.Client, conn *websocket.Conn) {
	if !l.room.View(conn, who.PersonID, who.Role == session.SecondPerson) {
		_ = conn.Close()
	}
}

// dismiss sends those away who joined and may not stay.
func (l *live) dismiss(ctx context.Context) {
	for _, person := range l.room.Viewers() {
		stays, err := l.relay.Sessions.Stays(ctx, l.id, session.Client{PersonID: person})
		if err == nil && !stays {
			l.room.Dismiss(person)
		}
	}
}
