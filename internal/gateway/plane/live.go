package plane

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/capability/session"
	"github.com/watchbill/watchbill/internal/gateway/record"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/wire/plane"
)

const (
	storeWait = 15 * time.Second // for what is kept about a session
)

// live is a session with links here.
type live struct {
	hub   *Hub
	id    string
	log   *slog.Logger
	refs  int    // under the hub's lock
	relay *Relay // set once, under the hub's lock

	audience *audience

	sitting  sync.Mutex // keeps coming and going in the order in which they are stored
	session  *session.Session
	rules    rules
	resumed  bool
	recorder *record.Recorder // set by the first terminal or command
	mu       sync.Mutex       // of recorder
	stop     context.CancelFunc
	over     chan struct{}
	once     sync.Once

	broken  atomic.Bool  // something is missing in the recording
	last    atomic.Int64 // nanoseconds of Unix time
	in, out atomic.Int64
}

func (l *live) isOver() bool {
	select {
	case <-l.over:
		return true
	default:
		return false
	}
}

// join attaches a link by its token and serves it until it ends.
func (l *live) join(ctx context.Context, isNode bool, token string, link *plane.Link) error {
	at, who, err := l.sit(ctx, isNode, token)
	if err != nil {
		return err
	}
	if who.PersonID != "" {
		return l.view(ctx, who, link)
	}
	l.relay.serve(at, link)
	l.sitting.Lock()
	defer l.sitting.Unlock()
	clientUp, nodeUp := l.relay.Linked()
	switch {
	case at == node && !nodeUp:
		return told(l.log, l.hub.Sessions.NodeLeft(ctx, l.id))
	case at == client && !clientUp:
		return told(l.log, l.hub.Sessions.ClientLeft(ctx, l.id, session.Client{Role: session.Owner}))
	}
	return nil
}

// told logs what cannot be helped: the link is over anyway.
func told(log *slog.Logger, err error) error {
	if err != nil {
		log.Error("the end of a link was not kept", "error", err)
	}
	return nil
}

// sit takes the token and makes the relay when the first end is there.
func (l *live) sit(ctx context.Context, isNode bool, token string) (side, session.Client, error) {
	l.sitting.Lock()
	defer l.sitting.Unlock()
	if isNode {
		s, err := l.hub.Sessions.AttachNode(ctx, l.id, token)
		if err != nil {
			return node, session.Client{}, err
		}
		return node, session.Client{}, l.begin(ctx, s)
	}
	s, c, err := l.hub.Sessions.AttachClient(ctx, l.id, token)
	if err != nil {
		return client, c, err
	}
	return client, c, l.begin(ctx, s)
}

func (l *live) begin(ctx context.Context, s *session.Session) error {
	if s.Plane != plane.Version {
		return session.ErrToken // of the other kind of data channel
	}
	if l.session != nil {
		return nil
	}
	r, err := rulesOf(s)
	if err != nil {
		return err
	}
	l.session, l.rules = s, r
	l.resumed = s.State == ssm.SessionStatusConnected || s.State == ssm.SessionStatusDisconnected
	l.broken.Store(l.resumed)
	ctx, l.stop = context.WithCancel(journal.WithActor(context.WithoutCancel(ctx), s.Owner))
	l.hub.mu.Lock()
	l.relay = NewRelay(l)
	l.hub.mu.Unlock()
	go l.listen(ctx)
	return nil
}

// listen waits for the end of the session, wherever it is decided.
func (l *live) listen(ctx context.Context) {
	l.hub.Sessions.Watch(ctx, l.session, l.log, func(output string, ended bool) bool {
		if ended {
			l.relay.End(output)
			l.audience.end(output)
			l.close(false)
			l.hub.ended(l)
			return false
		}
		if l.moved(ctx) {
			return false
		}
		l.dismiss(ctx)
		return true
	})
}

// moved closes the links of a session whose ends meet at another hub by now; they
// come back there.
func (l *live) moved(ctx context.Context) bool {
	here, err := l.hub.Sessions.Here(ctx, l.id)
	if err != nil || here {
		return false
	}
	l.log.Info("the session goes on at another hub")
	l.hub.ended(l)
	l.relay.Cut()
	l.audience.cut()
	l.close(true)
	return true
}

// close keeps the rest. Interrupted: the hub stops, and the session goes on with
// the next one.
func (l *live) close(interrupted bool) {
	l.once.Do(func() {
		close(l.over)
		defer l.stop()
		ctx, cancel := context.WithTimeout(context.Background(), storeWait)
		defer cancel()
		if err := l.hub.Sessions.Active(ctx, []session.Pulse{l.pulse()}); err != nil {
			l.log.Error("the activity of a session was not kept", "error", err)
		}
		r := l.recording(false)
		if r == nil {
			return
		}
		r.Close(interrupted)
		if interrupted {
			return
		}
		if err := l.hub.Sessions.FinishRecording(ctx, l.id, !l.broken.Load()); err != nil {
			l.log.Error("a recording was not closed", "error", err)
		}
	})
}

func (l *live) pulse() session.Pulse {
	p := session.Pulse{ID: l.id, In: l.session.In + l.in.Load(), Out: l.session.Out + l.out.Load()}
	p.Client, p.Node = l.relay.Linked()
	if n := l.last.Load(); n != 0 {
		p.Last = time.Unix(0, n)
	}
	return p
}

// end ends the session for everybody.
func (l *live) end(cause session.Cause, output string) {
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	if err := l.hub.Sessions.End(ctx, l.id, cause, output); err != nil {
		l.log.Error("a session was not ended", "cause", cause, "error", err)
		l.relay.End(output) // the store may be what is broken
		l.audience.end(output)
	}
}

// recording is the recorder; start makes one.
func (l *live) recording(start bool) *record.Recorder {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.recorder != nil || !start {
		return l.recorder
	}
	s := l.session
	l.recorder = record.New(record.Config{
		Header: record.Header{Width: 80, Height: 24, Title: s.ID, Env: map[string]string{"TARGET": s.Node, "OWNER": s.Owner}},
		Began:  s.Started, Again: l.resumed, Strict: s.Strict, Logger: l.log, Wake: func() {},
		Store: func(ctx context.Context, chunk []byte) error {
			_, err := l.hub.Sessions.AppendChunk(ctx, l.id, chunk)
			return err
		},
		Gap: func() { l.broken.Store(true) },
		Failed: func(error) {
			go l.end(session.RecordingFailed, "The session ended because its recording could not be stored.")
		},
	})
	return l.recorder
}

// Output records what the node showed. A recording that is far behind ends what
// it cannot keep up with only in strict sessions; others have a gap.
func (l *live) Output(b []byte) error {
	l.audience.show(b)
	r := l.recording(true)
	if r.Full() {
		if l.session.Strict {
			go l.end(session.RecordingFailed, "The session ended because its recording could not keep up.")
			return errOver
		}
		l.broken.Store(true)
		return nil
	}
	r.Do(func(c *record.Cast, now time.Time) { c.Output(now, b) })
	return nil
}

// Input records what was typed.
func (l *live) Input(b []byte) {
	if len(b) > 0 {
		l.recording(true).Do(func(c *record.Cast, now time.Time) { c.Input(now, b) })
	}
}

// Resize records the size of the terminal.
func (l *live) Resize(columns, rows uint16) {
	l.recording(true).Do(func(c *record.Cast, now time.Time) { c.Resize(now, uint32(columns), uint32(rows)) })
}

// Active keeps the time of the last input or output.
func (l *live) Active(in, out int) {
	l.last.Store(time.Now().UnixNano())
	l.in.Add(int64(in))
	l.out.Add(int64(out))
}

// InputClosed is "" unless a second person is awaited.
func (l *live) InputClosed() string {
	if !l.session.TwoPerson {
		return ""
	}
	select {
	case <-l.audience.second():
		return ""
	default:
		return l.closedText()
	}
}

func (l *live) closedText() string {
	return "this session needs a second person, who runs: watchbill sessions join --second-person " + l.id
}

// await waits for the second person, whom commands, files and connections need
// to begin.
func (l *live) await(open plane.Open) error {
	if !l.session.TwoPerson || open.Kind == plane.Shell {
		return nil
	}
	select {
	case <-l.audience.second():
		return nil
	case <-l.over:
		return errOver
	}
}

// dismiss sends those away who joined and may not stay.
func (l *live) dismiss(ctx context.Context) {
	for _, person := range l.audience.persons() {
		stays, err := l.hub.Sessions.Stays(ctx, l.id, session.Client{PersonID: person})
		if err == nil && !stays {
			l.audience.dismiss(person)
		}
	}
}

// Left ends the session: the client has gone on purpose.
func (l *live) Left() { go l.end(session.Terminated, "") }

// Opening checks a stream by the session's document and keeps that it is opened.
func (l *live) Opening(id uint32, open plane.Open, again bool) error {
	if err := l.rules.allow(open); err != nil {
		return err
	}
	if again {
		return nil
	}
	if err := l.await(open); err != nil {
		return err
	}
	ctx, cancel := l.context()
	defer cancel()
	err := l.hub.Sessions.StreamOpened(ctx, l.id, l.facts(id, open))
	if err == nil && (open.Kind == plane.Shell || open.Kind == plane.Exec) && open.Cols > 0 {
		l.Resize(open.Cols, open.Rows)
	}
	if err != nil && !errors.Is(err, session.ErrEnded) {
		l.log.Error("a stream was not opened", "error", err)
		err = errors.New("the hub cannot keep that the stream is opened")
	}
	return err
}

// Closed keeps what came of a stream.
func (l *live) Closed(id uint32, open plane.Open, t Tally) {
	body := l.facts(id, open)
	body["bytesIn"], body["bytesOut"] = t.In, t.Out
	if t.Cause != "" {
		body["cause"] = t.Cause
	}
	if x := t.Exit; x != nil {
		body["exitCode"] = x.Code
		for name, v := range map[string]string{"signal": x.Signal, "error": x.Error, "sha256": x.SHA256} {
			if v != "" {
				body[name] = v
			}
		}
		if x.SHA256 != "" {
			body["size"] = x.Size
		}
	}
	go func() {
		ctx, cancel := l.context()
		defer cancel()
		if err := l.hub.Sessions.StreamClosed(ctx, l.id, body); err != nil {
			l.log.Error("the end of a stream was not kept", "stream", id, "error", err)
		}
	}()
}

func (l *live) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(journal.WithActor(context.Background(), l.session.Owner), storeWait)
}

// facts are what the journal says of a stream.
func (l *live) facts(id uint32, open plane.Open) map[string]any {
	body := map[string]any{"stream": id, "kind": open.Kind}
	switch open.Kind {
	case plane.TCP:
		body["host"], body["port"] = open.Host, open.Port
		if open.Port == 0 {
			body["host"], body["port"] = l.session.Host, l.session.Port
		}
	case plane.Get, plane.Put, plane.List:
		body["path"] = open.Path
	}
	return body
}
