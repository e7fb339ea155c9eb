package node

import (
	"context"
	"embed"
	"sync/atomic"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/mailbox"
	"github.com/watchbill/watchbill/internal/platform/tagging"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire"
)

//go:embed migrate/*.sql
var migrateFS embed.FS

// Migrations is the schema of this package.
var Migrations = db.Migrations{Name: "node", FS: migrateFS}

// Credentials are a node's credentials for a while.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string
	Expires         time.Time
}

// Minter makes the credentials of a node. They must stay verifiable across a
// restart of the hub: a node asks for new ones at half of their lifetime only.
type Minter func(ctx context.Context, nodeID string, ttl time.Duration) (Credentials, error)

// Service serves the operations on activations and nodes. It is safe for
// concurrent use.
type Service struct {
	DB      *db.DB
	Tasks   *task.Engine
	Journal *journal.Journal
	Mailbox *mailbox.Mailbox
	Mint    Minter

	// Revoke ends the credentials that a node still holds; nil does nothing.
	Revoke func(ctx context.Context, nodeID string) error

	// KeyAge is how old the key of a node gets before the node is told to make a
	// new one; 0 is never.
	KeyAge time.Duration

	made time.Time
	hub  *atomic.Pointer[string]
}

// New completes a service and registers its tasks.
func New(s Service) *Service {
	s.made, s.hub = time.Now(), &atomic.Pointer[string]{}
	out := &s
	s.Tasks.Handle(presenceTask, out.sweep)
	s.Tasks.Handle(revokeTask, out.revoke)
	tagging.Register(TagKind, func(tx *db.Tx, id string) error {
		_, err := out.Get(tx, id)
		if IsUnknown(err) {
			return &ssm.InvalidResourceId{Message: "The node " + id + " does not exist."}
		}
		return err
	})
	return out
}

// Operations are the operations of the ssm model that this package serves.
func (s *Service) Operations() []wire.Binding {
	return []wire.Binding{
		ssm.BindCreateActivation(s.CreateActivation),
		ssm.BindDeleteActivation(s.DeleteActivation),
		ssm.BindDescribeActivations(s.DescribeActivations),
		ssm.BindDescribeInstanceInformation(s.DescribeInstanceInformation),
		ssm.BindGetConnectionStatus(s.GetConnectionStatus),
		ssm.BindDescribeInstanceProperties(s.DescribeInstanceProperties),
		ssm.BindListNodes(s.ListNodes),
		ssm.BindListNodesSummary(s.ListNodesSummary),
		ssm.BindUpdateManagedInstanceRole(s.UpdateManagedInstanceRole),
		ssm.BindDeregisterManagedInstance(s.DeregisterManagedInstance),
	}
}

func (s *Service) record(tx *db.Tx, kind, id string, body any) error {
	return s.Journal.Record(tx, journal.Fact{Kind: kind, Subject: id, Body: body})
}
