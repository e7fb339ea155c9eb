package setting

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/wire"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

//go:embed migrate/*.sql
var migrateFS embed.FS

// Migrations is the schema of the package.
var Migrations = db.Migrations{Name: "setting", FS: migrateFS}

// Service keeps service settings.
type Service struct {
	DB      *db.DB
	Journal *journal.Journal
}

// New makes the service.
func New(s Service) *Service { return &s }

// Operations binds the operations.
func (s *Service) Operations() []wire.Binding {
	return []wire.Binding{
		ssm.BindGetServiceSetting(s.GetServiceSetting),
		ssm.BindUpdateServiceSetting(s.UpdateServiceSetting),
		ssm.BindResetServiceSetting(s.ResetServiceSetting),
	}
}

// row is a setting that was changed.
type row struct {
	value      string
	modified   time.Time
	modifiedBy string
}

func load(tx *db.Tx, id string) (*row, error) {
	var r row
	var modified int64
	err := tx.QueryRow(`select value, modified, modified_by from setting_value where account = $1 and region = $2 and id = $3`,
		tx.Scope.Account, tx.Scope.Region, id).Scan(&r.value, &modified, &r.modifiedBy)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("setting %s: %w", id, err)
	}
	r.modified = db.FromMicros(modified)
	return &r, nil
}

// Value is what a setting holds in the transaction's scope. The id is one of
// the constants of this package.
func (s *Service) Value(tx *db.Tx, id string) (string, error) {
	r, err := load(tx, id)
	if err != nil || r == nil {
		return kinds[id].initial, err
	}
	return r.value, nil
}

// find reads an id or an ARN: ServiceSettingNotFound for an unknown one.
func find(text string, scope db.Scope) (string, kind, error) {
	id := text
	if a, err := arn.Parse(text); err == nil && a.Service == "ssm" && a.Region == scope.Region && a.Account == scope.Account {
		var ok bool
		if id, ok = strings.CutPrefix(a.Resource, "servicesetting"); !ok {
			id = ""
		}
	}
	k, ok := kinds[id]
	if !ok {
		return "", k, &ssm.ServiceSettingNotFound{Message: "Setting not found: " + text}
	}
	return id, k, nil
}

// GetServiceSetting reads a setting; one that was never changed has its default.
func (s *Service) GetServiceSetting(ctx context.Context, in *ssm.GetServiceSettingInput) (*ssm.GetServiceSettingOutput, error) {
	scope := db.ScopeOf(ctx)
	id, k, err := find(*in.SettingId, scope)
	if err != nil {
		return nil, err
	}
	var r *row
	err = s.DB.View(ctx, func(tx *db.Tx) (err error) {
		r, err = load(tx, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &ssm.GetServiceSettingOutput{ServiceSetting: project(scope, id, k, r)}, nil
}

func project(scope db.Scope, id string, k kind, r *row) *ssm.ServiceSetting {
	out := &ssm.ServiceSetting{
		ARN: new(arn.SSM(scope, "servicesetting"+id)), SettingId: new(id), SettingValue: new(k.initial),
		Status: new("Default"), LastModifiedUser: new("System"),
	}
	if r != nil {
		out.SettingValue, out.Status = new(r.value), new("Customized")
		out.LastModifiedDate, out.LastModifiedUser = new(r.modified), new(r.modifiedBy)
	}
	return out
}

// UpdateServiceSetting changes a setting for the account and region.
func (s *Service) UpdateServiceSetting(ctx context.Context, in *ssm.UpdateServiceSettingInput) (*ssm.UpdateServiceSettingOutput, error) {
	id, k, err := find(*in.SettingId, db.ScopeOf(ctx))
	if err != nil {
		return nil, err
	}
	if !k.accepts(*in.SettingValue) {
		return nil, fault.Validation("Invalid value for the service setting %s: it takes %s.", id, k.rule())
	}
	out := &ssm.UpdateServiceSettingOutput{}
	err = s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		_, err := tx.Exec(`insert into setting_value(account, region, id, value, modified, modified_by) values($1, $2, $3, $4, $5, $6)
			on conflict(account, region, id) do update set value = excluded.value, modified = excluded.modified, modified_by = excluded.modified_by`,
			tx.Scope.Account, tx.Scope.Region, id, *in.SettingValue, db.Micros(tx.Now), journal.ActorOf(ctx))
		if err != nil {
			return fmt.Errorf("setting %s: %w", id, err)
		}
		return s.record(tx, "setting.updated", id, *in.SettingValue)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ResetServiceSetting puts a setting back to its default, which it answers.
func (s *Service) ResetServiceSetting(ctx context.Context, in *ssm.ResetServiceSettingInput) (*ssm.ResetServiceSettingOutput, error) {
	scope := db.ScopeOf(ctx)
	id, k, err := find(*in.SettingId, scope)
	if err != nil {
		return nil, err
	}
	out := &ssm.ResetServiceSettingOutput{ServiceSetting: project(scope, id, k, nil)}
	err = s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		_, err := tx.Exec(`delete from setting_value where account = $1 and region = $2 and id = $3`, tx.Scope.Account, tx.Scope.Region, id)
		if err != nil {
			return fmt.Errorf("setting %s: %w", id, err)
		}
		return s.record(tx, "setting.reset", id, k.initial)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) record(tx *db.Tx, kind, id, value string) error {
	return s.Journal.Record(tx, journal.Fact{
		Kind: kind, Subject: arn.SSM(tx.Scope, "servicesetting"+id), Body: map[string]string{"settingId": id, "value": value},
	})
}
