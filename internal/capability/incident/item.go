package incident

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/page"
)

// related is a related item whose value is an ARN.
func related(t incidents.ItemType, title, arn string) incidents.RelatedItem {
	return incidents.RelatedItem{Title: &title, Identifier: &incidents.ItemIdentifier{Type: t, Value: &incidents.ItemValue{Arn: &arn}}}
}

// itemID follows from the identifier, so that an item added twice is one item.
func itemID(incident string, i *incidents.ItemIdentifier) string {
	sum := sha256.Sum256([]byte(incident + "\x00" + js(i)))
	return "related-item/" + string(i.Type) + "/" + strings.ToUpper(hex.EncodeToString(sum[:16]))
}

func (s *Service) addItem(tx *db.Tx, incident string, i incidents.RelatedItem) error {
	i.GeneratedId = new(itemID(incident, i.Identifier))
	return putItem(tx, incident, i)
}

// ListRelatedItems lists what an incident is related to; nothing for an
// incident that does not exist.
func (s *Service) ListRelatedItems(ctx context.Context, in *incidents.ListRelatedItemsInput) (*incidents.ListRelatedItemsOutput, error) {
	var after string
	if err := start(in.NextToken, &after); err != nil {
		return nil, err
	}
	most := page.Limit(in.MaxResults, 100)
	out := &incidents.ListRelatedItemsOutput{}
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		rows, err := listItems(tx, *in.IncidentRecordArn, after, most+1)
		if len(rows) > most {
			rows = rows[:most]
			out.NextToken = new(page.Token(*rows[most-1].GeneratedId))
		}
		out.RelatedItems = append([]incidents.RelatedItem{}, rows...)
		return err
	})
	return out, err
}

// UpdateRelatedItems adds an item, or removes the one with an identifier.
func (s *Service) UpdateRelatedItems(ctx context.Context, in *incidents.UpdateRelatedItemsInput) (*incidents.UpdateRelatedItemsOutput, error) {
	add, drop := in.RelatedItemsUpdate.ItemToAdd, in.RelatedItemsUpdate.ItemToRemove
	if add != nil && add.GeneratedId != nil {
		return nil, invalid("generatedId is assigned by the service")
	}
	out := &incidents.UpdateRelatedItemsOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		r, err := s.mustRecord(tx, *in.IncidentRecordArn, "{lock}")
		if err != nil {
			return err
		}
		kind := "incident.item_added"
		if add != nil {
			err = s.addItem(tx, r.ARN, *add)
		} else {
			kind = "incident.item_removed"
			_, err = deleteItem(tx, r.ARN, itemID(r.ARN, drop))
		}
		if err != nil {
			return err
		}
		if err := s.updated(tx, r, []attribute{{"relatedItems", js(in.RelatedItemsUpdate)}}); err != nil {
			return err
		}
		return s.record(tx, kind, r.ARN, nil)
	})
	return out, err
}
