package incident

import (
	"context"
	"maps"

	"github.com/google/uuid"
	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/tagging"
)

// defaultKey is what clients expect to read where no key was named.
const defaultKey = "DefaultKey"

func (s set) arn(account string) string {
	return arn.Make("ssm-incidents", "", account, "replication-set/"+s.ID)
}

func regionInfo(tx *db.Tx, key *string) incidents.RegionInfo {
	k := ptr.Value(key)
	if k == "" {
		k = defaultKey
	}
	return incidents.RegionInfo{SseKmsKeyId: &k, Status: incidents.RegionStatusActive, StatusUpdateDateTime: new(tx.Now)}
}

// CreateReplicationSet switches the service on for the account; it is ACTIVE at
// once. A second one is a ConflictException.
func (s *Service) CreateReplicationSet(ctx context.Context, in *incidents.CreateReplicationSetInput) (*incidents.CreateReplicationSetOutput, error) {
	out := &incidents.CreateReplicationSetOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		id, err := s.once(tx, "CreateReplicationSet", in.ClientToken, in, func() (string, error) { return s.createSet(tx, in) })
		out.Arn = &id
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) createSet(tx *db.Tx, in *incidents.CreateReplicationSetInput) (string, error) {
	v := set{
		ID: uuid.NewString(), Status: incidents.ReplicationSetStatusActive, Regions: map[string]incidents.RegionInfo{},
		Created: tx.Now, CreatedBy: actor(tx), Modified: tx.Now, ModifiedBy: actor(tx),
	}
	for name, r := range in.Regions {
		v.Regions[name] = regionInfo(tx, r.SseKmsKeyId)
	}
	ok, err := insertSet(tx, v)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", &incidents.ConflictException{Message: "The account already has a replication set", ResourceType: incidents.ResourceTypeReplicationSet}
	}
	id := new(v.arn(tx.Scope.Account))
	if err := setTags(tx, *id, in.Tags); err != nil {
		return "", err
	}
	return *id, s.record(tx, "incident.set_created", *id, map[string]any{"regions": len(v.Regions)})
}

// GetReplicationSet returns the replication set.
func (s *Service) GetReplicationSet(ctx context.Context, in *incidents.GetReplicationSetInput) (*incidents.GetReplicationSetOutput, error) {
	out := &incidents.GetReplicationSetOutput{}
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		v, err := s.mustSet(tx, *in.Arn, "")
		out.ReplicationSet = &incidents.ReplicationSet{
			Arn: new(v.arn(tx.Scope.Account)), CreatedBy: &v.CreatedBy, CreatedTime: &v.Created, DeletionProtected: &v.Protected,
			LastModifiedBy: &v.ModifiedBy, LastModifiedTime: &v.Modified, RegionMap: v.Regions, Status: v.Status,
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ListReplicationSets lists the one set of the account, or none.
func (s *Service) ListReplicationSets(ctx context.Context, _ *incidents.ListReplicationSetsInput) (*incidents.ListReplicationSetsOutput, error) {
	out := &incidents.ListReplicationSetsOutput{ReplicationSetArns: []string{}}
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		v, ok, err := loadSet(tx, "")
		if ok {
			out.ReplicationSetArns = append(out.ReplicationSetArns, v.arn(tx.Scope.Account))
		}
		return err
	})
	return out, err
}

// UpdateReplicationSet adds or removes one region.
func (s *Service) UpdateReplicationSet(ctx context.Context, in *incidents.UpdateReplicationSetInput) (*incidents.UpdateReplicationSetOutput, error) {
	out := &incidents.UpdateReplicationSetOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		v, err := s.mustSet(tx, *in.Arn, "{lock}")
		if err != nil {
			return err
		}
		v.Regions = maps.Clone(v.Regions)
		for _, a := range in.Actions {
			if err := v.change(tx, a); err != nil {
				return err
			}
		}
		if len(v.Regions) == 0 {
			return s.dropSet(tx, v)
		}
		v.Modified, v.ModifiedBy = tx.Now, actor(tx)
		if err := updateSet(tx, v); err != nil {
			return err
		}
		return s.record(tx, "incident.set_updated", *in.Arn, map[string]any{"regions": len(v.Regions)})
	})
	return out, err
}

func (s *set) change(tx *db.Tx, a incidents.UpdateReplicationSetAction) error {
	if add := a.AddRegionAction; add != nil {
		if _, ok := s.Regions[*add.RegionName]; ok {
			return invalid("The region %s is in the replication set already", *add.RegionName)
		}
		s.Regions[*add.RegionName] = regionInfo(tx, add.SseKmsKeyId)
		return nil
	}
	name := *a.DeleteRegionAction.RegionName
	if _, ok := s.Regions[name]; !ok {
		return invalid("The region %s is not in the replication set", name)
	}
	if s.Protected && len(s.Regions) == 1 {
		return invalid("The last region of a replication set with deletion protection cannot be deleted")
	}
	delete(s.Regions, name)
	return nil
}

// DeleteReplicationSet deletes the set and with it every plan and incident.
func (s *Service) DeleteReplicationSet(ctx context.Context, in *incidents.DeleteReplicationSetInput) (*incidents.DeleteReplicationSetOutput, error) {
	out := &incidents.DeleteReplicationSetOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		v, err := s.mustSet(tx, *in.Arn, "{lock}")
		if err != nil {
			return err
		}
		return s.dropSet(tx, v)
	})
	return out, err
}

func (s *Service) dropSet(tx *db.Tx, v set) error {
	if v.Protected {
		return invalid("The replication set has deletion protection")
	}
	open, err := db.Rows(tx, `select `+recordColumns+` from incident_record where account = $1 and region = '' and status = 'OPEN'`, []any{tx.Scope.Account}, records)
	if err != nil {
		return err
	}
	for _, r := range open {
		if err := s.Engage.StopFor(tx, r.ARN, "the replication set was deleted"); err != nil {
			return err
		}
	}
	if err := dropAll(tx); err != nil {
		return err
	}
	id := v.arn(tx.Scope.Account)
	if err := tagging.Drop(tx, tagKind, id); err != nil {
		return err
	}
	return s.record(tx, "incident.set_deleted", id, map[string]any{"openIncidents": len(open)})
}

// UpdateDeletionProtection protects the set, or lifts that.
func (s *Service) UpdateDeletionProtection(ctx context.Context, in *incidents.UpdateDeletionProtectionInput) (*incidents.UpdateDeletionProtectionOutput, error) {
	out := &incidents.UpdateDeletionProtectionOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		v, err := s.mustSet(tx, *in.Arn, "{lock}")
		if err != nil {
			return err
		}
		v.Protected, v.Modified, v.ModifiedBy = *in.DeletionProtected, tx.Now, actor(tx)
		if err := updateSet(tx, v); err != nil {
			return err
		}
		return s.record(tx, "incident.set_updated", *in.Arn, map[string]any{"protected": v.Protected})
	})
	return out, err
}
