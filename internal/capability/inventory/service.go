package inventory

import (
	"context"
	"embed"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/capability/node"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire"
)

//go:embed migrate/*.sql
var migrateFS embed.FS

// Migrations is the schema of this package.
var Migrations = db.Migrations{Name: "inventory", FS: migrateFS}

// keepFor is how long the items of a node that is gone are kept. Source: the user
// guide gives 30 days.
const keepFor = 30 * 24 * time.Hour

const purgeTask = "inventory.purge"

// Service serves the operations on inventory. It is safe for concurrent use.
type Service struct {
	DB      *db.DB
	Tasks   *task.Engine
	Journal *journal.Journal
	Nodes   *node.Service
}

// New completes a service and registers its tasks.
func New(s Service) *Service {
	out := &s
	s.Tasks.Handle(purgeTask, out.purge)
	s.Journal.Subscribe(journal.Subscription{Name: "inventory.nodes", Kinds: []string{"node.deregistered"}, Handle: out.nodeIsGone})
	return out
}

// Operations are the operations of the ssm model that this package serves.
func (s *Service) Operations() []wire.Binding {
	return []wire.Binding{
		ssm.BindPutInventory(s.PutInventory),
		ssm.BindListInventoryEntries(s.ListInventoryEntries),
		ssm.BindGetInventory(s.GetInventory),
		ssm.BindGetInventorySchema(s.GetInventorySchema),
		ssm.BindDeleteInventory(s.DeleteInventory),
		ssm.BindDescribeInventoryDeletions(s.DescribeInventoryDeletions),
	}
}

func (s *Service) nodeIsGone(_ context.Context, tx *db.Tx, row journal.Row) error {
	return s.Tasks.Enqueue(tx, task.Spec{Kind: purgeTask, Key: row.Subject, Due: tx.Now.Add(keepFor)})
}

// purge forgets the items of a node; its id is not used again.
func (s *Service) purge(ctx context.Context, r *task.Run) error {
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		f := scoped(tx).And("node_id = ?", r.Key)
		if _, err := tx.Exec("delete from inventory_item"+f.Where(), f.Args...); err != nil {
			return err
		}
		return r.Done(tx)
	})
}

func scoped(tx *db.Tx) *db.Filter {
	f := &db.Filter{}
	return f.And("account = ?", tx.Scope.Account).And("region = ?", tx.Scope.Region)
}
