package node

import (
	"errors"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/tagging"
)

// TagKind is the resource type of nodes in tagging.
const TagKind = "ManagedInstance"

func tagPairs(tags []ssm.Tag) (map[string]string, error) {
	return tagging.Pairs(tags, func(t ssm.Tag) (key, value *string) { return t.Key, t.Value })
}

// checkTags refuses tags of an activation that its nodes could not have.
func checkTags(tags []ssm.Tag) error {
	m, err := tagPairs(tags)
	if err == nil && len(m) > tagging.Max {
		err = tagging.ErrTooMany
	}
	return tooMany(err)
}

func setTags(tx *db.Tx, id string, tags []ssm.Tag) error {
	m, err := tagPairs(tags)
	if err != nil || len(m) == 0 {
		return err
	}
	return tooMany(tagging.Set(tx, TagKind, id, m))
}

func tooMany(err error) error {
	if errors.Is(err, tagging.ErrTooMany) {
		return &ssm.InvalidParameters{Message: "A node can have at most 50 tags."}
	}
	return err
}

// tagged adds the condition that the node has a tag with one of the values.
func tagged(tx *db.Tx, f *db.Filter, key string, values []string) {
	tagging.Where(f, tx, TagKind, "id", []tagging.Filter{{Key: key, Values: values}})
}

// hasTag adds the condition that the node has one of the keys.
func hasTag(tx *db.Tx, f *db.Filter, keys []string) error {
	var ids []string
	for _, key := range keys {
		some, err := tagging.Find(tx, TagKind, []tagging.Filter{{Key: key}})
		if err != nil {
			return err
		}
		ids = append(ids, some...)
	}
	f.In("id", ids)
	return nil
}
