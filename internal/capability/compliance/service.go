package compliance

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/wire"
)

//go:embed migrate/*.sql
var migrateFS embed.FS

// Migrations is the schema of this package.
var Migrations = db.Migrations{Name: "compliance", FS: migrateFS}

const resourceType = "ManagedInstance"

// Service serves the operations on compliance. It is safe for concurrent use.
type Service struct {
	DB      *db.DB
	Journal *journal.Journal

	// Exists says whether a node is there; nil takes every id.
	Exists func(tx *db.Tx, id string) (bool, error)
}

// New makes the service.
func New(s Service) *Service { return &s }

// Operations are the operations of the ssm model that this package serves.
func (s *Service) Operations() []wire.Binding {
	return []wire.Binding{
		ssm.BindPutComplianceItems(s.PutComplianceItems),
		ssm.BindListComplianceItems(s.ListComplianceItems),
		ssm.BindListComplianceSummaries(s.ListComplianceSummaries),
		ssm.BindListResourceComplianceSummaries(s.ListResourceComplianceSummaries),
	}
}

// upload is the items of one type of a resource.
type upload struct {
	ResourceID   string
	ResourceType string
	Type         string
	Hash         string
	Execution    ssm.ComplianceExecutionSummary
	Items        []ssm.ComplianceItemEntry
}

// PutComplianceItems keeps the items of one type of a resource.
func (s *Service) PutComplianceItems(ctx context.Context, in *ssm.PutComplianceItemsInput) (*ssm.PutComplianceItemsOutput, error) {
	if *in.ResourceType != resourceType {
		return nil, &ssm.InvalidResourceType{Message: "The resource type must be " + resourceType + "."}
	}
	if err := checkItems(in); err != nil {
		return nil, err
	}
	out := &ssm.PutComplianceItemsOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		if err := s.checkResource(tx, *in.ResourceId); err != nil {
			return err
		}
		old, err := find(tx, *in.ResourceId, *in.ComplianceType)
		if err != nil {
			return err
		}
		hash := ptr.Value(in.ItemContentHash)
		if old != nil && hash != "" && old.Hash == hash {
			return nil
		}
		fresh := &upload{ResourceID: *in.ResourceId, ResourceType: *in.ResourceType, Type: *in.ComplianceType, Hash: hash, Execution: *in.ExecutionSummary, Items: in.Items}
		if old != nil && in.UploadType == ssm.ComplianceUploadTypePartial {
			fresh.Items = join(old.Items, in.Items)
		}
		if err := save(tx, fresh); err != nil {
			return err
		}
		return s.told(tx, old, fresh)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) checkResource(tx *db.Tx, id string) error {
	if s.Exists == nil {
		return nil
	}
	ok, err := s.Exists(tx, id)
	if err == nil && !ok {
		return &ssm.InvalidResourceId{Message: "The resource " + id + " is not a managed node of this account and region."}
	}
	return err
}

func checkItems(in *ssm.PutComplianceItemsInput) error {
	seen := map[string]bool{}
	for _, x := range in.Items {
		id := ptr.Value(x.Id)
		if seen[id] && id != "" {
			return &ssm.InvalidItemContentException{Message: "The item " + id + " comes twice.", TypeName: in.ComplianceType}
		}
		seen[id] = true
		for k, v := range x.Details {
			if strings.ContainsRune(k+v+id+ptr.Value(x.Title), 0) {
				return &ssm.InvalidItemContentException{Message: "An item holds a zero character.", TypeName: in.ComplianceType}
			}
		}
	}
	return nil
}

// join replaces what is there by id and adds what is new.
func join(old, fresh []ssm.ComplianceItemEntry) []ssm.ComplianceItemEntry {
	out := slices.Clone(old)
	for _, x := range fresh {
		i := slices.IndexFunc(out, func(o ssm.ComplianceItemEntry) bool { return ptr.Value(o.Id) == ptr.Value(x.Id) })
		if i < 0 {
			out = append(out, x)
		} else {
			out[i] = x
		}
	}
	return out
}

// told records that the status of a resource is another one.
func (s *Service) told(tx *db.Tx, old, fresh *upload) error {
	c := count(fresh.Items)
	if old != nil && count(old.Items).status() == c.status() {
		return nil
	}
	return s.Journal.Record(tx, journal.Fact{Kind: "compliance.updated", Subject: fresh.ResourceID, Body: map[string]any{
		"complianceType": fresh.Type, "status": c.status(), "compliant": c.compliant.total(), "nonCompliant": c.broken.total(), "executionId": ptr.Value(fresh.Execution.ExecutionId),
	}})
}

func scoped(tx *db.Tx) *db.Filter {
	f := &db.Filter{}
	return f.And("account = ?", tx.Scope.Account).And("region = ?", tx.Scope.Region)
}

func find(tx *db.Tx, id, name string) (*upload, error) {
	list, err := uploads(tx, scoped(tx).And("resource_id = ?", id).And("type = ?", name), 1)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// uploads reads up to n uploads by resource and type.
func uploads(tx *db.Tx, f *db.Filter, n int) ([]upload, error) {
	query := fmt.Sprintf("select resource_id, resource_type, type, hash, execution, items from compliance_upload%s order by resource_id, type limit %d", f.Where(), n)
	return db.Rows(tx, query, f.Args, func(r *sql.Rows) (u upload, err error) {
		var execution, items []byte
		if err := r.Scan(&u.ResourceID, &u.ResourceType, &u.Type, &u.Hash, &execution, &items); err != nil {
			return u, err
		}
		if err := json.Unmarshal(execution, &u.Execution); err != nil {
			return u, fmt.Errorf("compliance of %s: %s: %w", u.ResourceID, u.Type, err)
		}
		if err := json.Unmarshal(items, &u.Items); err != nil {
			return u, fmt.Errorf("compliance of %s: %s: %w", u.ResourceID, u.Type, err)
		}
		return u, nil
	})
}

func save(tx *db.Tx, u *upload) error {
	items, err := json.Marshal(u.Items)
	if err != nil {
		return err
	}
	execution, err := json.Marshal(u.Execution)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`insert into compliance_upload(account, region, resource_id, resource_type, type, hash, execution, items, updated)
		values($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict(account, region, resource_id, resource_type, type) do update set
		hash = excluded.hash, execution = excluded.execution, items = excluded.items, updated = excluded.updated`,
		tx.Scope.Account, tx.Scope.Region, u.ResourceID, u.ResourceType, u.Type, u.Hash, string(execution), items, db.Micros(tx.Now))
	return err
}
