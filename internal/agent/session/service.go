package session

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/watchbill/watchbill/internal/wire/mgs"

	"github.com/gorilla/websocket"
)

// MaxOpen is how many sessions a node has at a time.
const MaxOpen = 32

// agentVersion is what handshakes say. Clients decide by it what they may
// use; it is the version of the stock agent that was measured.
const agentVersion = "3.3.0.0"

// ErrTerminated is the answer of Config.Dial for a session that the hub does
// not know or has ended: there is no use in asking again.
var ErrTerminated = errors.New("session is already terminated")

// Reasons why a session ends before its program does.
var (
	errClosed  = errors.New("the hub closed the session")
	errLeft    = errors.New("the client ended the session")
	errStopped = errors.New("the node program stops")
)

// Config is what sessions need of the node. All are required.
type Config struct {
	NodeID string
	Dir    string // where started sessions are remembered; it is created

	// Dial opens a session's data channel: token, connection, first message.
	Dial func(ctx context.Context, sessionID string) (*websocket.Conn, error)

	// Report sends a frame on the control channel. Error: there is none now.
	Report func(m *mgs.Message) error

	// Decrypt decrypts a data key at the key service.
	Decrypt func(ctx context.Context, keyID string, blob []byte, encryptionContext map[string]string) ([]byte, error)

	// Stored reads stored parameters; secure ones decrypted if asked for.
	Stored func(ctx context.Context, names []string, secure bool) (map[string]string, error)

	// Plane serves a session of our own data plane until it is over.
	Plane func(ctx context.Context, start mgs.StartSession) error

	Log *slog.Logger
}

// Service holds the sessions of a node. It is safe for concurrent use.
type Service struct {
	Config
	marks marks
	stop  context.Context
	end   context.CancelCauseFunc
	work  sync.WaitGroup

	mu      sync.Mutex
	open    map[string]*session
	reports map[string]*report // sessions that ended and of which the hub may not know yet
	recent  []string           // ids that ended, the latest last
}

// orphanWait is how long what an earlier run left is killed.
const orphanWait = 2 * time.Second

// maxRecent is how many ended sessions are remembered.
const maxRecent = 1024

// New makes the sessions of a node. What an earlier run of the program started
// and did not end is killed, and reported to the hub as failed.
func New(c Config) (*Service, error) {
	s := &Service{Config: c, marks: marks{c.Dir}, open: map[string]*session{}, reports: map[string]*report{}}
	s.stop, s.end = context.WithCancelCause(context.Background())
	left, err := s.marks.left()
	if err != nil {
		return nil, err
	}
	for _, m := range left {
		s.work.Go(func() { s.bury(m) })
	}
	return s, nil
}

// bury ends a session of an earlier run.
func (s *Service) bury(m mark) {
	text := "the node program ended while the session ran"
	killed, left := killOrphans(m, orphanWait)
	if len(left) > 0 {
		text += "; " + leftText(left)
	}
	s.Log.Warn("a session was interrupted", "session", m.id, "killed", killed, "left", left)
	s.finish(m.id, outcome{mgs.TaskFailed, text})
}

// Info is an open session.
type Info struct {
	ID    string
	Type  string // of the document, for example Standard_Stream
	Owner string // ARN
}

// Open lists the open sessions by id.
func (s *Service) Open() []Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Info
	for _, id := range slices.Sorted(maps.Keys(s.open)) {
		one := s.open[id]
		out = append(out, Info{ID: id, Type: one.kind, Owner: one.start.SessionOwner})
	}
	return out
}

// Start opens a session that the hub asked for. A second request for the same
// one changes nothing; for one that ended its end is reported again.
func (s *Service) Start(shell mgs.InteractiveShell) {
	id := shell.TaskID
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[id] != nil || s.stop.Err() != nil {
		return
	}
	if r := s.reports[id]; r != nil {
		r.again()
		return
	}
	if slices.Contains(s.recent, id) {
		s.reportLocked(id, outcome{mgs.TaskFailed, "the session has ended already"})
		return
	}
	one, err := s.prepare(shell)
	if err != nil {
		s.Log.Warn("a session was refused", "session", id, "error", err.Error())
		s.reportLocked(id, outcome{mgs.TaskFailed, err.Error()})
		return
	}
	s.open[id] = one
	s.work.Go(func() {
		out := one.run()
		s.mu.Lock()
		delete(s.open, id)
		s.mu.Unlock()
		s.finish(id, out)
	})
}

// prepare makes a session and remembers on the disk that it is started.
func (s *Service) prepare(shell mgs.InteractiveShell) (*session, error) {
	if len(s.open) >= MaxOpen {
		return nil, errors.New("too many sessions are open on this node")
	}
	one, err := newSession(s, shell)
	if err != nil {
		return nil, err
	}
	return one, s.marks.set(one.id)
}

// Close ends a session because the hub says so.
func (s *Service) Close(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.open[id]; one != nil {
		one.cancel(errClosed)
	}
	if r := s.reports[id]; r != nil {
		r.known() // the hub closes what it knows to be over
	}
}

// Acknowledged takes the hub's answer to the report of a session's end.
func (s *Service) Acknowledged(ack mgs.AgentTaskAcknowledge) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.reports[ack.TaskID]; r != nil {
		r.known()
	}
}

// Shutdown ends all sessions and waits until they are reported; reports that
// the hub does not acknowledge soon are repeated by the next run.
func (s *Service) Shutdown() {
	s.mu.Lock()
	s.end(errStopped)
	s.mu.Unlock()
	s.work.Wait()
}
