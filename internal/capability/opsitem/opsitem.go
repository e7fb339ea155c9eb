package opsitem

import (
	"context"
	"maps"
	"strconv"
	"strings"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/lang/text"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/tagging"
)

// Open is an OpsItem that another capability opens.
type Open struct {
	Title       string // cut at 1024 characters
	Description string
	Source      string
	Severity    string // "1" to "4", "" for none
	Category    string
	Dedup       string // one open item for one string; "" for none
	Data        map[string]ssm.OpsItemDataValue
}

// Open opens an OpsItem in the caller's transaction, or finds the open one with
// the same Dedup. It returns the id and whether the item is new.
func (s *Service) Open(tx *db.Tx, o Open) (id string, created bool, err error) {
	i := s.fresh(tx)
	i.Title, i.Source, i.Severity, i.Category = text.Clip(o.Title, 1024), o.Source, o.Severity, o.Category
	i.Spec = spec{Description: o.Description, Data: o.Data}
	if o.Dedup != "" {
		i.Dedup = dedupHash("open", o.Dedup)
	}
	i, created, err = s.create(tx, i)
	if err == nil && !created {
		err = s.record(tx, "opsitem.repeated", i, nil)
	}
	return i.ID, created, err
}

// Resolve resolves an open item; others are left alone.
func (s *Service) Resolve(tx *db.Tx, id string) error {
	i, ok, err := load(tx, id, "{lock}")
	if err != nil || !ok || i.Status == ssm.OpsItemStatusResolved {
		return err
	}
	i.Status = ssm.OpsItemStatusResolved
	if err := s.save(tx, i); err != nil {
		return err
	}
	return s.record(tx, "opsitem.resolved", i, nil)
}

func (s *Service) fresh(tx *db.Tx) item {
	by := journal.ActorOf(tx.Context())
	return item{ID: newID(), Type: "/aws/issue", Status: ssm.OpsItemStatusOpen, Version: 1, Created: tx.Now, Modified: tx.Now, CreatedBy: by, ModifiedBy: by}
}

// create inserts i, or finds the open item that holds its key.
func (s *Service) create(tx *db.Tx, i item) (item, bool, error) {
	ok, err := insert(tx, i)
	if err != nil {
		return i, false, err
	}
	if !ok {
		old, _, err := byDedup(tx, i.Dedup)
		return old, false, err
	}
	return i, true, s.record(tx, "opsitem.created", i, map[string]any{"title": i.Title, "source": i.Source, "severity": i.Severity})
}

// CreateOpsItem creates an OpsItem. One that repeats the deduplication string of
// an open item is an OpsItemAlreadyExistsException with the id of that item.
func (s *Service) CreateOpsItem(ctx context.Context, in *ssm.CreateOpsItemInput) (*ssm.CreateOpsItemOutput, error) {
	if err := s.checkCreate(in); err != nil {
		return nil, err
	}
	dedup, err := dedupOf(in.OperationalData)
	if err != nil {
		return nil, err
	}
	out := &ssm.CreateOpsItemOutput{}
	err = s.DB.Update(ctx, func(tx *db.Tx) error {
		i := s.fresh(tx)
		i.Title, i.Source, i.Severity, i.Category, i.Dedup = *in.Title, *in.Source, ptr.Value(in.Severity), ptr.Value(in.Category), dedup
		if in.OpsItemType != nil {
			i.Type = *in.OpsItemType
		}
		if in.Priority != nil {
			i.Priority = int64(*in.Priority)
		}
		i.Spec = spec{
			Description: ptr.Value(in.Description), Data: in.OperationalData, Notifications: in.Notifications, Related: in.RelatedOpsItems,
			ActualStart: in.ActualStartTime, ActualEnd: in.ActualEndTime, PlannedStart: in.PlannedStartTime, PlannedEnd: in.PlannedEndTime,
		}
		i, created, err := s.create(tx, i)
		if err != nil {
			return err
		}
		if !created {
			return &ssm.OpsItemAlreadyExistsException{Message: "An OpsItem with this deduplication string already exists: " + i.ID, OpsItemId: &i.ID}
		}
		out.OpsItemId, out.OpsItemArn = &i.ID, new(ARN(tx.Scope, i.ID))
		return s.tag(tx, i.ID, in.Tags)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) checkCreate(in *ssm.CreateOpsItemInput) error {
	for _, p := range []string{"aws", "amazon", "amzn"} {
		if strings.HasPrefix(strings.ToLower(*in.Source), p) {
			return invalid("Source", "the source must not begin with %s", p)
		}
	}
	if in.AccountId != nil {
		return invalid("AccountId", "OpsItems of other accounts are not kept here")
	}
	return checkData(in.OperationalData)
}

func (s *Service) tag(tx *db.Tx, id string, tags []ssm.Tag) error {
	m, err := tagging.Pairs(tags, func(t ssm.Tag) (key, value *string) { return t.Key, t.Value })
	if err != nil || len(m) == 0 {
		return err
	}
	return tagErr(tagging.Set(tx, Kind, id, m))
}

// GetOpsItem returns an OpsItem.
func (s *Service) GetOpsItem(ctx context.Context, in *ssm.GetOpsItemInput) (*ssm.GetOpsItemOutput, error) {
	out := &ssm.GetOpsItemOutput{}
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		i, err := mustLoad(tx, idOf(*in.OpsItemId), "")
		out.OpsItem = i.describe(tx.Scope)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// idOf takes an id or an ARN that ends in one.
func idOf(s string) string { return s[strings.LastIndex(s, "/")+1:] }

func (i item) describe(s db.Scope) *ssm.OpsItem {
	out := &ssm.OpsItem{
		OpsItemId: &i.ID, OpsItemArn: new(ARN(s, i.ID)), Title: &i.Title, Status: i.Status, Source: &i.Source, OpsItemType: &i.Type,
		Severity: ptr.OrNil(i.Severity), Category: ptr.OrNil(i.Category), Description: ptr.OrNil(i.Spec.Description),
		CreatedBy: &i.CreatedBy, CreatedTime: &i.Created, LastModifiedBy: &i.ModifiedBy, LastModifiedTime: &i.Modified,
		OperationalData: i.Spec.Data, Notifications: i.Spec.Notifications, RelatedOpsItems: i.Spec.Related, Version: new(strconv.FormatInt(i.Version, 10)),
		ActualStartTime: i.Spec.ActualStart, ActualEndTime: i.Spec.ActualEnd, PlannedStartTime: i.Spec.PlannedStart, PlannedEndTime: i.Spec.PlannedEnd,
	}
	if i.Priority != 0 {
		out.Priority = new(int32(i.Priority))
	}
	return out
}

// UpdateOpsItem changes what is given. The deduplication string stays.
func (s *Service) UpdateOpsItem(ctx context.Context, in *ssm.UpdateOpsItemInput) (*ssm.UpdateOpsItemOutput, error) {
	if err := checkData(in.OperationalData); err != nil {
		return nil, err
	}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		i, err := mustLoad(tx, idOf(*in.OpsItemId), "{lock}")
		if err != nil {
			return err
		}
		if err := i.change(in); err != nil {
			return err
		}
		if other, ok, err := byDedup(tx, i.openDedup()); i.openDedup() != "" && (err != nil || ok && other.ID != i.ID) {
			if err != nil {
				return err
			}
			return &ssm.OpsItemAlreadyExistsException{Message: "An OpsItem with this deduplication string is open: " + other.ID, OpsItemId: &other.ID}
		}
		if err := s.save(tx, i); err != nil {
			return err
		}
		return s.record(tx, "opsitem.updated", i, map[string]any{"status": i.Status})
	})
	return &ssm.UpdateOpsItemOutput{}, err
}

// change applies an update to the item.
func (i *item) change(in *ssm.UpdateOpsItemInput) error {
	set := func(field *string, v *string) {
		if v != nil {
			*field = *v
		}
	}
	set(&i.Title, in.Title)
	set(&i.Severity, in.Severity)
	set(&i.Category, in.Category)
	set(&i.Spec.Description, in.Description)
	if in.Priority != nil {
		i.Priority = int64(*in.Priority)
	}
	if in.Status != "" {
		i.Status = in.Status
	}
	if in.Notifications != nil {
		i.Spec.Notifications = in.Notifications
	}
	if in.RelatedOpsItems != nil {
		i.Spec.Related = in.RelatedOpsItems
	}
	i.Spec.times(in)
	return i.changeData(in)
}

func (p *spec) times(in *ssm.UpdateOpsItemInput) {
	if in.ActualStartTime != nil {
		p.ActualStart = in.ActualStartTime
	}
	if in.ActualEndTime != nil {
		p.ActualEnd = in.ActualEndTime
	}
	if in.PlannedStartTime != nil {
		p.PlannedStart = in.PlannedStartTime
	}
	if in.PlannedEndTime != nil {
		p.PlannedEnd = in.PlannedEndTime
	}
}

func (i *item) changeData(in *ssm.UpdateOpsItemInput) error {
	if v, ok := in.OperationalData[dedupKey]; ok {
		if old, had := i.Spec.Data[dedupKey]; !had || ptr.Value(old.Value) != ptr.Value(v.Value) {
			return invalid("OperationalData", "the deduplication string cannot be changed")
		}
	}
	if i.Spec.Data == nil {
		i.Spec.Data = map[string]ssm.OpsItemDataValue{}
	}
	maps.Copy(i.Spec.Data, in.OperationalData)
	for _, k := range in.OperationalDataToDelete {
		if k == dedupKey {
			return invalid("OperationalDataToDelete", "the deduplication string cannot be changed")
		}
		delete(i.Spec.Data, k)
	}
	return nil
}

func (s *Service) save(tx *db.Tx, i item) error {
	i.Version++
	i.Modified, i.ModifiedBy = tx.Now, journal.ActorOf(tx.Context())
	return update(tx, i)
}

// DeleteOpsItem deletes an OpsItem; one that does not exist is deleted already.
func (s *Service) DeleteOpsItem(ctx context.Context, in *ssm.DeleteOpsItemInput) (*ssm.DeleteOpsItemOutput, error) {
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		i, ok, err := load(tx, idOf(*in.OpsItemId), "{lock}")
		if err != nil || !ok {
			return err
		}
		if err := remove(tx, i.ID); err != nil {
			return err
		}
		if err := tagging.Drop(tx, Kind, i.ID); err != nil {
			return err
		}
		return s.record(tx, "opsitem.deleted", i, nil)
	})
	return &ssm.DeleteOpsItemOutput{}, err
}
