package opsitem

import (
	"context"

	"github.com/google/uuid"
	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
)

// Relate links an item to a resource in the caller's transaction and returns
// the association id; "" when it was linked already. Kind is IsParentOf or
// RelatesTo.
func (s *Service) Relate(tx *db.Tx, id, kind, resourceType, uri string) (string, error) {
	r := related{ID: uuid.NewString(), Kind: kind, Type: resourceType, URI: uri, By: journal.ActorOf(tx.Context()), At: tx.Now}
	ok, err := insertRelated(tx, id, r)
	if err != nil || !ok {
		return "", err
	}
	return r.ID, s.record(tx, "opsitem.related", item{ID: id}, map[string]any{"type": kind, "resourceType": resourceType}, uri)
}

// AssociateOpsItemRelatedItem links an OpsItem to an incident or a document.
func (s *Service) AssociateOpsItemRelatedItem(ctx context.Context, in *ssm.AssociateOpsItemRelatedItemInput) (*ssm.AssociateOpsItemRelatedItemOutput, error) {
	out := &ssm.AssociateOpsItemRelatedItemOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		i, err := mustLoad(tx, *in.OpsItemId, "{lock}")
		if err != nil {
			return err
		}
		id, err := s.Relate(tx, i.ID, *in.AssociationType, *in.ResourceType, *in.ResourceUri)
		if err == nil && id == "" {
			err = &ssm.OpsItemRelatedItemAlreadyExistsException{Message: "The related item is associated already", OpsItemId: &i.ID, ResourceUri: in.ResourceUri}
		}
		out.AssociationId = &id
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DisassociateOpsItemRelatedItem removes such a link.
func (s *Service) DisassociateOpsItemRelatedItem(ctx context.Context, in *ssm.DisassociateOpsItemRelatedItemInput) (*ssm.DisassociateOpsItemRelatedItemOutput, error) {
	out := &ssm.DisassociateOpsItemRelatedItemOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		i, err := mustLoad(tx, *in.OpsItemId, "{lock}")
		if err != nil {
			return err
		}
		ok, err := deleteRelated(tx, i.ID, *in.AssociationId)
		if err != nil {
			return err
		}
		if !ok {
			return &ssm.OpsItemRelatedItemAssociationNotFoundException{Message: "The association " + *in.AssociationId + " was not found"}
		}
		return s.record(tx, "opsitem.unrelated", i, map[string]any{"association": *in.AssociationId})
	})
	return out, err
}

// ListOpsItemRelatedItems lists the links of one OpsItem.
func (s *Service) ListOpsItemRelatedItems(ctx context.Context, in *ssm.ListOpsItemRelatedItemsInput) (*ssm.ListOpsItemRelatedItemsOutput, error) {
	if in.OpsItemId == nil {
		return nil, invalid("OpsItemId", "an OpsItemId is needed")
	}
	out := &ssm.ListOpsItemRelatedItemsOutput{Summaries: []ssm.OpsItemRelatedItemSummary{}}
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		i, err := mustLoad(tx, *in.OpsItemId, "")
		if err != nil {
			return err
		}
		rows, err := listRelated(tx, i.ID)
		for _, r := range rows {
			if r.matches(in.Filters) {
				out.Summaries = append(out.Summaries, r.summary(i.ID))
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (r related) summary(item string) ssm.OpsItemRelatedItemSummary {
	by := &ssm.OpsItemIdentity{Arn: &r.By}
	return ssm.OpsItemRelatedItemSummary{
		AssociationId: &r.ID, AssociationType: &r.Kind, ResourceType: &r.Type, ResourceUri: &r.URI, OpsItemId: &item,
		CreatedBy: by, CreatedTime: &r.At, LastModifiedBy: by, LastModifiedTime: &r.At,
	}
}

func (r related) matches(filters []ssm.OpsItemRelatedItemsFilter) bool {
	for _, f := range filters {
		value := map[ssm.OpsItemRelatedItemsFilterKey]string{"ResourceType": r.Type, "AssociationId": r.ID, "ResourceUri": r.URI}[f.Key]
		ok := false
		for _, v := range f.Values {
			ok = ok || v == value
		}
		if !ok {
			return false
		}
	}
	return true
}
