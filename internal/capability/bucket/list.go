package bucket

import (
	"context"
	"encoding/xml"
	"net/url"
	"strconv"
	"strings"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/page"
	"github.com/watchbill/watchbill/internal/wire/s3"
)

const maxList = 1000

// listing is a list under way: keys, and the prefixes that stand for several of them.
type listing struct {
	prefix, delimiter string
	limit             int
	objects           []*object
	prefixes          []string
	last              string // key or prefix that the list ended with
	more              bool
}

// collect reads a list from after a key on. A prefix that stands for keys is jumped
// over.
func (l *listing) collect(tx *db.Tx, bucket, after string) error {
	for {
		rows, err := listObjects(tx, bucket, l.prefix, after, l.limit+1)
		if err != nil || len(rows) == 0 {
			return err
		}
		jumped := false
		for _, o := range rows {
			common := l.common(o.key)
			if len(l.objects)+len(l.prefixes) >= l.limit {
				l.more = true
				return nil
			}
			if common == "" {
				l.objects, l.last, after = append(l.objects, o), o.key, o.key
				continue
			}
			l.prefixes, l.last, after, jumped = append(l.prefixes, common), common, beyond(common), true
			break
		}
		if !jumped && len(rows) <= l.limit {
			return nil
		}
		if !jumped {
			after = rows[len(rows)-1].key
		}
	}
}

// common is the prefix that stands for a key, "" when the key stands for itself.
func (l *listing) common(key string) string {
	if l.delimiter == "" {
		return ""
	}
	i := strings.Index(key[len(l.prefix):], l.delimiter)
	if i < 0 {
		return ""
	}
	return key[:len(l.prefix)+i+len(l.delimiter)]
}

// after is where a list goes on.
func (l *listing) after() string {
	if l.delimiter != "" && strings.HasSuffix(l.last, l.delimiter) {
		return beyond(l.last)
	}
	return l.last
}

type contents struct {
	Key, LastModified, ETag string
	Size                    int64
	StorageClass            string
	Owner                   *s3.Owner
}

type commonPrefix struct{ Prefix string }

// result is the answer of both list operations.
type result struct {
	XMLName               xml.Name
	Name, Prefix          string
	Delimiter             string  `xml:",omitempty"`
	EncodingType          string  `xml:",omitempty"`
	Marker                *string `xml:",omitempty"`
	NextMarker            string  `xml:",omitempty"`
	StartAfter            string  `xml:",omitempty"`
	ContinuationToken     string  `xml:",omitempty"`
	NextContinuationToken string  `xml:",omitempty"`
	KeyCount              *int    `xml:",omitempty"`
	MaxKeys               int
	IsTruncated           bool
	Contents              []contents
	CommonPrefixes        []commonPrefix
}

// limitOf reads max-keys.
func limitOf(text string) (int, error) {
	if text == "" {
		return maxList, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, s3.BadRequest("InvalidArgument", "Provided max-keys not an integer or within integer range")
	}
	return min(n, maxList), nil
}

// list makes the part of the answer that both operations have.
func (s *Service) list(ctx context.Context, c *call, after string) (*result, *listing, error) {
	q := c.Query
	limit, err := limitOf(q.Get("max-keys"))
	if err != nil {
		return nil, nil, err
	}
	l := &listing{prefix: q.Get("prefix"), delimiter: q.Get("delimiter"), limit: limit}
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		l.objects, l.prefixes, l.last, l.more = nil, nil, "", false
		if _, err := loadBucket(tx, *c.Target.Bucket, ""); err != nil || limit == 0 {
			return err
		}
		return l.collect(tx, *c.Target.Bucket, after)
	})
	if err != nil {
		return nil, nil, err
	}
	show := func(s string) string { return s }
	if q.Get("encoding-type") == "url" {
		show = func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "%2F", "/") }
	}
	out := &result{
		XMLName: s3.Root("ListBucketResult"), Name: *c.Target.Bucket, Prefix: show(l.prefix), Delimiter: show(l.delimiter), EncodingType: q.Get("encoding-type"),
		MaxKeys: limit, IsTruncated: l.more,
	}
	for _, o := range l.objects {
		out.Contents = append(out.Contents, contents{Key: show(o.key), LastModified: s3.Time(o.modified), ETag: quoted(o.etag), Size: o.size, StorageClass: "STANDARD"})
	}
	for _, p := range l.prefixes {
		out.CommonPrefixes = append(out.CommonPrefixes, commonPrefix{show(p)})
	}
	return out, l, nil
}

// ListObjectsV2 lists the objects of a bucket.
func (s *Service) ListObjectsV2(ctx context.Context, c *call) (*answer, error) {
	token, after := c.Query.Get("continuation-token"), c.Query.Get("start-after")
	if page.Parse(token, &after) != nil {
		return nil, s3.BadRequest("InvalidArgument", "The continuation token provided is incorrect")
	}
	out, l, err := s.list(ctx, c, after)
	if err != nil {
		return nil, err
	}
	out.ContinuationToken, out.StartAfter = token, c.Query.Get("start-after")
	out.KeyCount = new(len(out.Contents) + len(out.CommonPrefixes))
	if out.IsTruncated {
		out.NextContinuationToken = page.Token(l.after())
	}
	if c.Query.Get("fetch-owner") == "true" {
		for i := range out.Contents {
			out.Contents[i].Owner = new(owner(ctx))
		}
	}
	return &answer{xml: out}, nil
}

// ListObjects is the first version of the list.
func (s *Service) ListObjects(ctx context.Context, c *call) (*answer, error) {
	marker := c.Query.Get("marker")
	after := marker
	if d := c.Query.Get("delimiter"); d != "" && strings.HasSuffix(marker, d) {
		after = beyond(marker)
	}
	out, l, err := s.list(ctx, c, after)
	if err != nil {
		return nil, err
	}
	out.Marker = &marker
	if out.IsTruncated {
		out.NextMarker = l.last
	}
	for i := range out.Contents {
		out.Contents[i].Owner = new(owner(ctx))
	}
	return &answer{xml: out}, nil
}
