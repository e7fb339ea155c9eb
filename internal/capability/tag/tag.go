package tag

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/tagging"
	"github.com/watchbill/watchbill/internal/wire"
)

// Service serves the tag operations of ssm.
type Service struct {
	DB      *db.DB
	Journal *journal.Journal
}

// New makes the service.
func New(s Service) *Service { return &s }

// Operations binds the operations.
func (s *Service) Operations() []wire.Binding {
	return []wire.Binding{
		ssm.BindAddTagsToResource(s.AddTagsToResource),
		ssm.BindRemoveTagsFromResource(s.RemoveTagsFromResource),
		ssm.BindListTagsForResource(s.ListTagsForResource),
	}
}

// fact is the body of the facts of this package.
type fact struct {
	Kind string            `json:"resourceType"`
	ID   string            `json:"resourceId"`
	Tags map[string]string `json:"tags,omitzero"`
	Keys []string          `json:"keys,omitzero"`
}

// AddTagsToResource adds tags, over values that are there.
func (s *Service) AddTagsToResource(ctx context.Context, in *ssm.AddTagsToResourceInput) (*ssm.AddTagsToResourceOutput, error) {
	tags, err := tagging.Pairs(in.Tags, func(t ssm.Tag) (key, value *string) { return t.Key, t.Value })
	if err != nil {
		return nil, err
	}
	kind, id := string(in.ResourceType), *in.ResourceId
	out := &ssm.AddTagsToResourceOutput{}
	err = s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		if err := exists(tx, kind, id); err != nil {
			return err
		}
		if err := tagging.Set(tx, kind, id, tags); err != nil {
			return translate(err)
		}
		return s.record(tx, "tags.added", fact{Kind: kind, ID: id, Tags: tags})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// RemoveTagsFromResource takes tags off; keys that are not there are no error.
func (s *Service) RemoveTagsFromResource(ctx context.Context, in *ssm.RemoveTagsFromResourceInput) (*ssm.RemoveTagsFromResourceOutput, error) {
	kind, id := string(in.ResourceType), *in.ResourceId
	out := &ssm.RemoveTagsFromResourceOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		if err := exists(tx, kind, id); err != nil {
			return err
		}
		if err := tagging.Remove(tx, kind, id, in.TagKeys); err != nil {
			return err
		}
		return s.record(tx, "tags.removed", fact{Kind: kind, ID: id, Keys: in.TagKeys})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ListTagsForResource lists tags by key.
func (s *Service) ListTagsForResource(ctx context.Context, in *ssm.ListTagsForResourceInput) (*ssm.ListTagsForResourceOutput, error) {
	out := &ssm.ListTagsForResourceOutput{TagList: []ssm.Tag{}}
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		if err := exists(tx, string(in.ResourceType), *in.ResourceId); err != nil {
			return err
		}
		tags, err := tagging.Get(tx, string(in.ResourceType), *in.ResourceId)
		for _, k := range slices.Sorted(maps.Keys(tags)) {
			out.TagList = append(out.TagList, ssm.Tag{Key: new(k), Value: new(tags[k])})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) record(tx *db.Tx, kind string, body fact) error {
	return s.Journal.Record(tx, journal.Fact{Kind: kind, Subject: body.ID, Body: body})
}

func exists(tx *db.Tx, kind, id string) error { return translate(tagging.Exists(tx, kind, id)) }

// translate gives the errors of tagging their codes in ssm; those of a kind's
// own check pass.
func translate(err error) error {
	switch {
	case errors.Is(err, tagging.ErrKind):
		return &ssm.InvalidResourceType{Message: "The resource type is not valid: nothing of this type can be tagged here."}
	case errors.Is(err, tagging.ErrTooMany):
		return &ssm.TooManyTagsError{Message: "The resource has too many tags: 50 is the most."}
	}
	return err
}
