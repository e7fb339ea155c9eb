package command

import (
	"context"
	"embed"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/capability/node"
	"github.com/watchbill/watchbill/internal/platform/blob"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/mailbox"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire"
)

//go:embed migrate/*.sql
var migrateFS embed.FS

// Migrations is the schema of this package.
var Migrations = db.Migrations{Name: "command", FS: migrateFS}

// Document is a version of a document as it is to be run.
type Document struct {
	Name          string
	Version       string // a number
	Type          string // Command
	Format        string // JSON or YAML
	Hash          string // lower-case hex SHA-256 of Content
	Content       []byte
	PlatformTypes []string // empty: any
}

// Documents finds a document. Version is a number, $LATEST, $DEFAULT or "" for
// the default. Errors: InvalidDocument, InvalidDocumentVersion.
type Documents func(tx *db.Tx, name, version string) (*Document, error)

// Sealer encrypts secrets for a place; *seal.Sealer is one.
type Sealer interface {
	Seal(ctx context.Context, plaintext []byte, aad string) ([]byte, error)
	Open(ctx context.Context, sealed []byte, aad string) ([]byte, error)
}

// Service serves the operations on commands. It is safe for concurrent use.
type Service struct {
	DB        *db.DB
	Tasks     *task.Engine
	Journal   *journal.Journal
	Mailbox   *mailbox.Mailbox
	Nodes     *node.Service
	Documents Documents
	Sealer    Sealer      // of parameters and outputs, which may hold secrets
	Blobs     *blob.Store // of outputs; nil keeps them in DB

	// Bucket and Log keep outputs that commands want in buckets and log groups;
	// nil keeps none there.
	Bucket, Log Sink

	// Publish sends a notification to where a topic leads; ErrNoTopic when that
	// is nowhere. Nil leads nowhere.
	Publish func(ctx context.Context, topicARN, messageID string, message []byte) error

	// Allow says whether the caller of ctx may do the action on resources
	// (ARNs); authz.Require is one. Nodes that are named are authorized before
	// the operation, so it is asked about nodes that targets select. Nil
	// allows all.
	Allow func(ctx context.Context, action string, resources ...string) error
}

// New completes a service and registers its tasks and subscriptions.
func New(s Service) *Service {
	if s.Sealer == nil {
		panic("command: a service needs a Sealer")
	}
	out := &s
	s.Tasks.Handle(deliveryTask, out.deliveryIsOver)
	s.Tasks.Handle(endTask, out.timeIsOver)
	s.Tasks.Handle(purgeTask, out.purge)
	s.Tasks.Handle(notifyTask, out.publish)
	s.Tasks.Handle(uploadTask, out.upload)
	s.Journal.Subscribe(journal.Subscription{Name: "command.nodes", Kinds: []string{"node.deregistered"}, Handle: out.nodeIsGone})
	return out
}

// Operations are the operations that this package serves.
func (s *Service) Operations() []wire.Binding {
	return []wire.Binding{
		ssm.BindSendCommand(s.SendCommand),
		ssm.BindCancelCommand(s.CancelCommand),
		ssm.BindListCommands(s.ListCommands),
		ssm.BindListCommandInvocations(s.ListCommandInvocations),
		ssm.BindGetCommandInvocation(s.GetCommandInvocation),
		watchbill.BindDescribeCommandTargets(s.DescribeCommandTargets),
		watchbill.BindGetCommandOutput(s.GetCommandOutput),
	}
}
