package session

import (
	"context"
	"embed"
	"errors"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/capability/node"
	"github.com/watchbill/watchbill/internal/platform/blob"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/lock"
	"github.com/watchbill/watchbill/internal/platform/mailbox"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire"
)

//go:embed migrate/*.sql
var migrateFS embed.FS

// Migrations is the schema of this package.
var Migrations = db.Migrations{Name: "session", FS: migrateFS}

// Errors of the calls of the gateway.
var (
	// ErrEnded says that there is no such session for the caller, or not any more.
	// The gateway answers it with the text "Session is already terminated", on
	// which the stock agent gives up.
	ErrEnded = errors.New("session: the session is already terminated")
	// ErrToken says that a token is not good, or not any more.
	ErrToken = errors.New("session: the token is not valid")
	// ErrForeign says that a node spoke about a session of another one.
	ErrForeign = errors.New("session: the session belongs to another node")
	// ErrRecording says that a recording takes no more chunks.
	ErrRecording = errors.New("session: the recording is closed")
)

// Document is a version of a document as a session is to use it.
type Document struct {
	Name    string
	Version string // a number
	Type    string // Session
	Format  string // JSON or YAML
	Content []byte
}

// Documents finds the default version of a document. Error: InvalidDocument.
type Documents func(tx *db.Tx, name string) (*Document, error)

// Sealer encrypts secrets for a place; *seal.Sealer is one.
type Sealer interface {
	Seal(ctx context.Context, plaintext []byte, aad string) ([]byte, error)
	Open(ctx context.Context, sealed []byte, aad string) ([]byte, error)
}

// Service serves the operations on sessions. It is safe for concurrent use.
type Service struct {
	DB        *db.DB
	Tasks     *task.Engine
	Journal   *journal.Journal
	Mailbox   *mailbox.Mailbox
	Nodes     *node.Service
	Documents Documents
	Sealer    Sealer
	Blobs     *blob.Store   // of recordings
	Locks     *lock.Service // nil: nothing is ever locked

	stream *atomic.Pointer[streams]
	made   time.Time
}

// New completes a service and registers its tasks and subscriptions.
func New(s Service) *Service {
	s.stream, s.made = &atomic.Pointer[streams]{}, time.Now()
	out := &s
	out.Tasks.Handle(silenceTask, out.isSilent)
	out.Tasks.Handle(absenceTask, out.isAbandoned)
	out.Tasks.Handle(idleTask, out.isIdle)
	out.Tasks.Handle(longestTask, out.isTooLong)
	out.Tasks.Handle(closeTask, out.isClosed)
	out.Tasks.Handle(purgeTask, out.purge)
	out.Tasks.Handle(sweepTask, out.sweep)
	out.Journal.Subscribe(journal.Subscription{Name: "session.locks", Kinds: []string{lock.Created}, Handle: out.locked})
	out.Journal.Subscribe(journal.Subscription{Name: "session.nodes", Kinds: []string{"node.deregistered"}, Handle: out.nodeIsGone})
	return out
}

// Operations are the operations that this package serves.
func (s *Service) Operations() []wire.Binding {
	return []wire.Binding{
		ssm.BindStartSession(s.StartSession),
		ssm.BindResumeSession(s.ResumeSession),
		ssm.BindTerminateSession(s.TerminateSession),
		ssm.BindDescribeSessions(s.DescribeSessions),
		watchbill.BindOpenSession(s.OpenSession),
		watchbill.BindJoinSession(s.JoinSession),
		watchbill.BindListSessionRecordings(s.ListSessionRecordings),
		watchbill.BindGetSessionRecording(s.GetSessionRecording),
	}
}

// streams is where clients open their data channels.
type streams struct{ url, domain string }

// SetStreamURL names where clients open their data channels: wss://HOST:PORT. With
// a domain those of the stock plugin are at ssmmessages.REGION.DOMAIN, on the same
// port, as AWS has it.
func (s *Service) SetStreamURL(url, domain string) { s.stream.Store(&streams{url, domain}) }

func (s *Service) streamURL(r *row) string {
	at := streams{}
	if p := s.stream.Load(); p != nil {
		at = *p
	}
	if r.Plane > 0 {
		return at.url + "/v1/plane/" + r.ID
	}
	return at.region(r.Scope.Region) + "/v1/data-channel/" + r.ID + "?role=publish_subscribe"
}

// region is the address of a region's stock data channels.
func (a streams) region(name string) string {
	u, err := url.Parse(a.url)
	if a.domain == "" || err != nil {
		return a.url
	}
	host := "ssmmessages." + name + "." + a.domain
	if port := u.Port(); port != "" && port != "443" {
		host += ":" + port
	}
	return u.Scheme + "://" + host
}

// Topic is what is notified when a session ends, or a person of it may not stay:
// whoever holds sockets of the session asks Closing, and Stays for each person.
func Topic(scope db.Scope, id string) string {
	return "session.ended/" + scope.Account + "/" + scope.Region + "/" + id
}
