package bucket

import (
	"context"
	"encoding/xml"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/wire/s3"
)

// region is the one that a request is signed for, or where the bucket is.
func region(c *call) string { return db.ScopeOf(c.ctx).Region }

// owner is the account, as the owner of all that it has.
func owner(ctx context.Context) s3.Owner {
	account := db.ScopeOf(ctx).Account
	return s3.Owner{ID: account, DisplayName: account}
}

// ListBuckets lists the buckets of the account, up to 10,000.
func (s *Service) ListBuckets(ctx context.Context, _ *call) (*answer, error) {
	var rows []bucketRow
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		rows, err = listBuckets(tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	type entry struct{ Name, CreationDate, BucketRegion string }
	out := struct {
		XMLName xml.Name
		Owner   s3.Owner
		Buckets struct{ Bucket []entry }
	}{XMLName: s3.Root("ListAllMyBucketsResult"), Owner: owner(ctx)}
	for _, b := range rows {
		out.Buckets.Bucket = append(out.Buckets.Bucket, entry{b.name, s3.Time(b.created), b.home})
	}
	return &answer{xml: out}, nil
}

// CreateBucket makes a bucket in the region of the request.
func (s *Service) CreateBucket(ctx context.Context, c *call) (*answer, error) {
	var in struct{ LocationConstraint string }
	if c.ContentLength != 0 {
		if err := c.readXML(&in); err != nil {
			return nil, err
		}
	}
	if in.LocationConstraint != "" && in.LocationConstraint != region(c) {
		return nil, s3.BadRequest("IllegalLocationConstraintException", "The %s location constraint is incompatible for the region specific endpoint this request was sent to.", in.LocationConstraint)
	}
	if err := plainACL(c.Header); err != nil {
		return nil, err
	}
	name := *c.Target.Bucket
	out := &answer{header: http.Header{"Location": {"/" + name}}}
	return out, s.DB.Update(ctx, func(tx *db.Tx) error {
		if _, err := loadBucket(tx, name, "{lock}"); err != noBucket { //nolint:errorlint // our own value
			if err == nil {
				err = &s3.Error{Status: http.StatusConflict, Code: "BucketAlreadyOwnedByYou", Message: "Your previous request to create the named bucket succeeded and you already own it."}
			}
			return err
		}
		if err := putBucket(tx, &bucketRow{name: name, home: region(c), created: tx.Now, tags: map[string]string{}}); err != nil {
			return err
		}
		return s.record(tx, "bucket.created", name, "", nil)
	})
}

// plainACL refuses grants to others: rights come from policies.
func plainACL(h http.Header) error {
	switch h.Get("X-Amz-Acl") {
	case "", "private", "bucket-owner-full-control", "bucket-owner-read":
	default:
		return s3.BadRequest("AccessControlListNotSupported", "The bucket does not allow ACLs")
	}
	for name := range h {
		if strings.HasPrefix(name, "X-Amz-Grant-") {
			return s3.BadRequest("AccessControlListNotSupported", "The bucket does not allow ACLs")
		}
	}
	return nil
}

// DeleteBucket takes away an empty bucket.
func (s *Service) DeleteBucket(ctx context.Context, c *call) (*answer, error) {
	name := *c.Target.Bucket
	return &answer{status: http.StatusNoContent}, s.DB.Update(ctx, func(tx *db.Tx) error {
		if _, err := loadBucket(tx, name, "{lock}"); err != nil {
			return err
		}
		objects, err := listObjects(tx, name, "", "", 1)
		if err != nil {
			return err
		}
		if len(objects) > 0 {
			return &s3.Error{Status: http.StatusConflict, Code: "BucketNotEmpty", Message: "The bucket you tried to delete is not empty"}
		}
		uploads, err := listUploads(tx, name)
		if err != nil {
			return err
		}
		for _, u := range uploads {
			if err := s.drop(tx, u.id); err != nil {
				return err
			}
		}
		_, err = tx.Exec("delete from bucket_bucket where account = $1 and region = $2 and name = $3", tx.Scope.Account, tx.Scope.Region, name)
		if err != nil {
			return err
		}
		return s.record(tx, "bucket.deleted", name, "", nil)
	})
}

// find is the bucket of a request.
func (s *Service) find(ctx context.Context, c *call) (b *bucketRow, err error) {
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		b, err = loadBucket(tx, *c.Target.Bucket, "")
		return err
	})
	return b, err
}

// HeadBucket says that there is a bucket, and where: the stock agent needs the header.
func (s *Service) HeadBucket(ctx context.Context, c *call) (*answer, error) {
	b, err := s.find(ctx, c)
	if err != nil {
		return nil, err
	}
	return &answer{header: http.Header{"X-Amz-Bucket-Region": {b.home}, "X-Amz-Access-Point-Alias": {"false"}}}, nil
}

// GetBucketLocation says where a bucket is; us-east-1 has no name there.
func (s *Service) GetBucketLocation(ctx context.Context, c *call) (*answer, error) {
	b, err := s.find(ctx, c)
	if err != nil {
		return nil, err
	}
	if b.home == "us-east-1" {
		b.home = ""
	}
	return &answer{xml: struct {
		XMLName xml.Name
		Region  string `xml:",chardata"`
	}{s3.Root("LocationConstraint"), b.home}}, nil
}

// GetBucketEncryption says that objects are encrypted, which they always are.
func (s *Service) GetBucketEncryption(ctx context.Context, c *call) (*answer, error) {
	if _, err := s.find(ctx, c); err != nil {
		return nil, err
	}
	type algorithm struct{ SSEAlgorithm string }
	type rule struct {
		ApplyServerSideEncryptionByDefault algorithm
		BucketKeyEnabled                   bool
	}
	return &answer{xml: struct {
		XMLName xml.Name
		Rule    rule
	}{s3.Root("ServerSideEncryptionConfiguration"), rule{algorithm{"AES256"}, false}}}, nil
}

// GetBucketAcl says that the account alone has all rights.
func (s *Service) GetBucketAcl(ctx context.Context, c *call) (*answer, error) {
	if _, err := s.find(ctx, c); err != nil {
		return nil, err
	}
	type grantee struct {
		XSI             string `xml:"xmlns:xsi,attr"`
		Type            string `xml:"xsi:type,attr"`
		ID, DisplayName string
	}
	type grant struct {
		Grantee    grantee
		Permission string
	}
	o := owner(ctx)
	full := grant{grantee{"http://www.w3.org/2001/XMLSchema-instance", "CanonicalUser", o.ID, o.DisplayName}, "FULL_CONTROL"}
	return &answer{xml: struct {
		XMLName           xml.Name
		Owner             s3.Owner
		AccessControlList struct{ Grant grant }
	}{s3.Root("AccessControlPolicy"), o, struct{ Grant grant }{full}}}, nil
}

// GetBucketPolicyStatus says that a bucket is not public.
func (s *Service) GetBucketPolicyStatus(ctx context.Context, c *call) (*answer, error) {
	if _, err := s.find(ctx, c); err != nil {
		return nil, err
	}
	return &answer{xml: struct {
		XMLName  xml.Name
		IsPublic bool
	}{s3.Root("PolicyStatus"), false}}, nil
}

// tagging is the document of the tags of a bucket.
type tagging struct {
	XMLName xml.Name
	Tags    []struct{ Key, Value string } `xml:"TagSet>Tag"`
}

// GetBucketTagging shows the tags of a bucket.
func (s *Service) GetBucketTagging(ctx context.Context, c *call) (*answer, error) {
	b, err := s.find(ctx, c)
	if err != nil {
		return nil, err
	}
	if len(b.tags) == 0 {
		return nil, s3.NotFound("NoSuchTagSet", "The TagSet does not exist")
	}
	out := tagging{XMLName: s3.Root("Tagging")}
	for k, v := range b.tags {
		out.Tags = append(out.Tags, struct{ Key, Value string }{k, v})
	}
	return &answer{xml: out}, nil
}

const maxTags = 50

// PutBucketTagging replaces the tags of a bucket.
func (s *Service) PutBucketTagging(ctx context.Context, c *call) (*answer, error) {
	var in tagging
	if err := c.readXML(&in); err != nil {
		return nil, err
	}
	tags := map[string]string{}
	for _, t := range in.Tags {
		if _, twice := tags[t.Key]; twice || t.Key == "" || utf8.RuneCountInString(t.Key) > 128 || utf8.RuneCountInString(t.Value) > 256 || strings.HasPrefix(t.Key, "aws:") {
			return nil, s3.BadRequest("InvalidTag", "The tag provided was not a valid tag.")
		}
		tags[t.Key] = t.Value
	}
	if len(tags) > maxTags {
		return nil, s3.BadRequest("InvalidTag", "A bucket can have at most %d tags.", maxTags)
	}
	return s.tag(ctx, c, tags)
}

// DeleteBucketTagging takes all tags off a bucket.
func (s *Service) DeleteBucketTagging(ctx context.Context, c *call) (*answer, error) {
	return s.tag(ctx, c, map[string]string{})
}

func (s *Service) tag(ctx context.Context, c *call, tags map[string]string) (*answer, error) {
	return &answer{status: http.StatusNoContent}, s.DB.Update(ctx, func(tx *db.Tx) error {
		b, err := loadBucket(tx, *c.Target.Bucket, "{lock}")
		if err != nil {
			return err
		}
		b.tags = tags
		if err := putBucket(tx, b); err != nil {
			return err
		}
		return s.record(tx, "bucket.tagged", b.name, "", map[string]any{"Tags": tags})
	})
}
