package contact

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/tagging"
)

// tagKind is the kind under which tags of contacts are kept, by ARN.
const tagKind = "arn:ssm-contacts"

// TagResource adds tags to a contact.
func (s *Service) TagResource(ctx context.Context, in *contacts.TagResourceInput) (*contacts.TagResourceOutput, error) {
	out := &contacts.TagResourceOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		c, err := s.mustFind(tx, in.ResourceARN)
		if err != nil {
			return err
		}
		if err := s.tag(tx, c.ARN(), in.Tags); err != nil {
			return err
		}
		return s.record(tx, "contact.tagged", c.ARN(), map[string]any{"count": len(in.Tags)})
	})
	return out, err
}

// UntagResource removes tags from a contact.
func (s *Service) UntagResource(ctx context.Context, in *contacts.UntagResourceInput) (*contacts.UntagResourceOutput, error) {
	out := &contacts.UntagResourceOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		c, err := s.mustFind(tx, in.ResourceARN)
		if err != nil {
			return err
		}
		if err := tagging.Remove(tx, tagKind, c.ARN(), in.TagKeys); err != nil {
			return err
		}
		return s.record(tx, "contact.untagged", c.ARN(), map[string]any{"keys": in.TagKeys})
	})
	return out, err
}

// ListTagsForResource lists the tags of a contact, by key.
func (s *Service) ListTagsForResource(ctx context.Context, in *contacts.ListTagsForResourceInput) (*contacts.ListTagsForResourceOutput, error) {
	out := &contacts.ListTagsForResourceOutput{Tags: []contacts.Tag{}}
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		c, err := s.mustFind(tx, in.ResourceARN)
		if err != nil {
			return err
		}
		tags, err := tagging.Get(tx, tagKind, c.ARN())
		for _, k := range slices.Sorted(maps.Keys(tags)) {
			out.Tags = append(out.Tags, contacts.Tag{Key: &k, Value: new(tags[k])})
		}
		return err
	})
	return out, err
}

func (s *Service) tag(tx *db.Tx, id string, tags []contacts.Tag) error {
	m, err := tagging.Pairs(tags, func(t contacts.Tag) (key, value *string) { return t.Key, t.Value })
	if err != nil || len(m) == 0 {
		return err
	}
	err = tagging.Set(tx, tagKind, id, m)
	if errors.Is(err, tagging.ErrTooMany) {
		return &contacts.ServiceQuotaExceededException{Message: "A contact can have at most 50 tags", ResourceId: &id, ResourceType: new("CONTACT")}
	}
	return err
}

func (s *Service) dropTags(tx *db.Tx, id string) error { return tagging.Drop(tx, tagKind, id) }
