package bucket

import (
	"context"
	"errors"
	"strings"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/wire/s3"
)

// NodesTag on a bucket with the value "read" lets every node list and read its objects.
const NodesTag = "watchbill:nodes"

// nodeMay decides what a node does with a bucket or an object; the table of permissions
// says which operations a node may call at all.
func (s *Service) nodeMay(ctx context.Context, node string, r *s3.Request) error {
	if r.Target.Key == nil {
		return s.nodeMayBucket(ctx, node, r)
	}
	if its, err := s.isOutput(ctx, *r.Target.Key, node); err != nil || its {
		return err
	}
	if id, ok := sessionOf(*r.Target.Key); ok && s.Session != nil {
		if its, err := s.Session(ctx, node, id); err != nil || its {
			return err
		}
	}
	if reads := r.Operation == "GetObject" || r.Operation == "HeadObject"; reads {
		if open, err := s.isOpen(ctx, *r.Target.Bucket); err != nil || open {
			return err
		}
	}
	return s3.AccessDenied("The node %s is not authorized to perform s3:%s on this object: it is not under a prefix of its own.", node, r.Operation)
}

// nodeMayBucket decides about what has no key: lists are for buckets that are open to
// nodes.
func (s *Service) nodeMayBucket(ctx context.Context, node string, r *s3.Request) error {
	if r.Operation != "ListObjects" && r.Operation != "ListObjectsV2" {
		return nil
	}
	if open, err := s.isOpen(ctx, *r.Target.Bucket); err != nil || open {
		return err
	}
	return s3.AccessDenied("The node %s is not authorized to perform s3:ListBucket: the bucket does not have the tag %s = read.", node, NodesTag)
}

// isOpen says that nodes may read a bucket. One that is not there is not open.
func (s *Service) isOpen(ctx context.Context, bucket string) (bool, error) {
	var b *bucketRow
	err := s.DB.View(everywhere(ctx), func(tx *db.Tx) (err error) {
		b, err = loadBucket(tx, bucket, "")
		return err
	})
	if errors.Is(err, noBucket) {
		return false, nil
	}
	return err == nil && b.tags[NodesTag] == "read", err
}

// isOutput tells the keys that the outputs of a node have: PREFIX/COMMAND/NODE/… of a
// command that was sent to it, and PREFIX/NODE/ASSOCIATION/….
func (s *Service) isOutput(ctx context.Context, key, node string) (bool, error) {
	parts := strings.Split(key, "/")
	for i := range len(parts) - 2 { // there is a name after both
		a, b := parts[i], parts[i+1]
		switch {
		case a == node && isID(b):
			return true, nil
		case b != node || !isID(a) || s.Command == nil:
			continue
		}
		if its, err := s.Command(ctx, node, a); err != nil || its {
			return its, err
		}
	}
	return false, nil
}

// isID tells the canonical form of the ids of commands and associations.
func isID(s string) bool {
	u, err := uuid.Parse(s)
	return err == nil && u.String() == s
}

// sessionOf is the session that a key is the log of: PREFIX/SESSION.log.
func sessionOf(key string) (string, bool) {
	name := key[strings.LastIndex(key, "/")+1:]
	id, ok := strings.CutSuffix(name, ".log")
	return id, ok && id != ""
}
