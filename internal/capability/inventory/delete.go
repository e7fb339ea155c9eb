package inventory

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/page"
)

// deletion is a row of inventory_deletion: it is complete when it is there.
type deletion struct {
	ID      string
	Type    string
	Started time.Time
	Summary ssm.InventoryDeletionSummary
}

// DeleteInventory deletes the items of a custom type on all nodes, at once. With
// DisableSchema what nodes send of it later is ignored up to the version that was
// deleted.
func (s *Service) DeleteInventory(ctx context.Context, in *ssm.DeleteInventoryInput) (*ssm.DeleteInventoryOutput, error) {
	name := *in.TypeName
	if !strings.HasPrefix(name, "Custom:") {
		return nil, &ssm.InvalidTypeNameException{Message: "Only custom types can be deleted."}
	}
	out := &ssm.DeleteInventoryOutput{TypeName: in.TypeName}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		known, err := repeated(tx, ptr.Value(in.ClientToken))
		if err != nil {
			return err
		}
		if known != nil {
			out.DeletionId, out.DeletionSummary = &known.ID, &known.Summary
			return nil
		}
		summary, last, err := summarize(tx, name)
		if err != nil {
			return err
		}
		out.DeletionSummary = summary
		if ptr.Value(in.DryRun) {
			return nil
		}
		out.DeletionId = new(uuid.NewString())
		return s.delete(tx, in, *out.DeletionId, summary, last)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) delete(tx *db.Tx, in *ssm.DeleteInventoryInput, id string, summary *ssm.InventoryDeletionSummary, last string) error {
	f := scoped(tx).And("type = ?", *in.TypeName)
	if _, err := tx.Exec("delete from inventory_item"+f.Where(), f.Args...); err != nil {
		return err
	}
	if in.SchemaDeleteOption == ssm.InventorySchemaDeleteOptionDisableSchema && last != "" {
		_, err := tx.Exec(`insert into inventory_disabled(account, region, type, version) values($1, $2, $3, $4)
			on conflict(account, region, type) do update set version = excluded.version`, tx.Scope.Account, tx.Scope.Region, *in.TypeName, last)
		if err != nil {
			return err
		}
	}
	summary.RemainingCount = new(int32(0))
	for i := range summary.SummaryItems {
		summary.SummaryItems[i].RemainingCount = new(int32(0))
	}
	text, err := json.Marshal(summary)
	if err != nil {
		return err
	}
	_, err = tx.Exec("insert into inventory_deletion(account, region, id, type, started, summary, token) values($1, $2, $3, $4, $5, $6, $7)",
		tx.Scope.Account, tx.Scope.Region, id, *in.TypeName, db.Micros(tx.Now), string(text), ptr.Value(in.ClientToken))
	if err != nil {
		return err
	}
	return s.Journal.Record(tx, journal.Fact{Kind: "inventory.deleted", Subject: *in.TypeName, Body: map[string]any{"deletionId": id, "items": *summary.TotalCount}})
}

// summarize counts the items of a type by version; last is the newest version.
func summarize(tx *db.Tx, name string) (out *ssm.InventoryDeletionSummary, last string, err error) {
	type group struct {
		version string
		count   int32
	}
	f := scoped(tx).And("type = ?", name)
	groups, err := db.Rows(tx, "select schema_version, count(*) from inventory_item"+f.Where()+" group by schema_version order by schema_version", f.Args,
		func(r *sql.Rows) (g group, err error) { return g, r.Scan(&g.version, &g.count) })
	out = &ssm.InventoryDeletionSummary{SummaryItems: []ssm.InventoryDeletionSummaryItem{}}
	var total int32
	for _, g := range groups {
		total += g.count
		if last == "" || olderOrSame(last, g.version) {
			last = g.version
		}
		out.SummaryItems = append(out.SummaryItems, ssm.InventoryDeletionSummaryItem{Version: new(g.version), Count: new(g.count), RemainingCount: new(g.count)})
	}
	out.TotalCount, out.RemainingCount = new(total), new(total)
	return out, last, err
}

// repeated is the deletion with a client token, nil when there is none.
func repeated(tx *db.Tx, token string) (*deletion, error) {
	if token == "" {
		return nil, nil
	}
	list, err := deletions(tx, scoped(tx).And("token = ?", token), 1)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

func deletions(tx *db.Tx, f *db.Filter, n int) ([]deletion, error) {
	query := fmt.Sprintf("select id, type, started, summary from inventory_deletion%s order by id limit %d", f.Where(), n)
	return db.Rows(tx, query, f.Args, func(r *sql.Rows) (d deletion, err error) {
		var started int64
		var text []byte
		if err := r.Scan(&d.ID, &d.Type, &started, &text); err != nil {
			return d, err
		}
		d.Started = db.FromMicros(started)
		return d, json.Unmarshal(text, &d.Summary)
	})
}

// DescribeInventoryDeletions lists deletions, by id.
func (s *Service) DescribeInventoryDeletions(ctx context.Context, in *ssm.DescribeInventoryDeletionsInput) (*ssm.DescribeInventoryDeletionsOutput, error) {
	after := ""
	if err := page.Parse(ptr.Value(in.NextToken), &after); err != nil {
		return nil, &ssm.InvalidNextToken{Message: "The specified token is not valid."}
	}
	out := &ssm.DescribeInventoryDeletionsOutput{InventoryDeletions: []ssm.InventoryDeletionStatusItem{}}
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		f := scoped(tx).And("id > ?", after)
		if in.DeletionId != nil {
			f.And("id = ?", *in.DeletionId)
		}
		size := page.Limit(in.MaxResults, 50)
		list, err := deletions(tx, f, size+1)
		if err != nil {
			return err
		}
		if in.DeletionId != nil && len(list) == 0 && after == "" {
			return &ssm.InvalidDeletionIdException{Message: "The deletion " + *in.DeletionId + " does not exist."}
		}
		if len(list) > size {
			list = list[:size]
			out.NextToken = new(page.Token(list[size-1].ID))
		}
		for _, d := range list {
			out.InventoryDeletions = append(out.InventoryDeletions, ssm.InventoryDeletionStatusItem{
				DeletionId: new(d.ID), TypeName: new(d.Type), DeletionStartTime: new(d.Started), LastStatusUpdateTime: new(d.Started), DeletionSummary: &d.Summary,
				LastStatus: ssm.InventoryDeletionStatusComplete, LastStatusMessage: new("Deletion is successful"),
			})
		}
		return nil
	})
	return out, err
}
