package bucket

import (
	"context"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/wire/s3"
)

const maxMetadata = 2 << 10 // bytes of names and values

// kept are the headers of an object that are given out with it again.
var kept = []string{"Content-Type", "Content-Disposition", "Content-Language", "Content-Encoding", "Cache-Control", "Expires"}

// refused are headers that ask for what is not done here. An unknown one of S3 is
// ignored as S3 does.
var refused = []string{
	"X-Amz-Server-Side-Encryption-Customer-Algorithm", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", "X-Amz-Tagging",
	"X-Amz-Object-Lock-Mode", "X-Amz-Object-Lock-Legal-Hold", "X-Amz-Website-Redirect-Location", "X-Amz-Copy-Source-Server-Side-Encryption-Customer-Algorithm",
}

// headOf reads what an object is to be given out with.
func headOf(h http.Header) (head, error) {
	out := head{Header: map[string]string{}}
	if err := plainACL(h); err != nil {
		return out, err
	}
	for _, name := range refused {
		if h.Get(name) != "" {
			return out, &s3.Error{Status: http.StatusNotImplemented, Code: "NotImplemented", Message: "A header you provided implies functionality that is not implemented: " + name}
		}
	}
	if e := h.Get("X-Amz-Server-Side-Encryption"); e != "" && e != "AES256" {
		return out, s3.BadRequest("InvalidArgument", "The encryption method specified is not supported: objects are encrypted as with AES256.")
	}
	for _, name := range kept {
		if v := h.Get(name); v != "" {
			out.Header[name] = v
		}
	}
	if encoding := withoutChunked(h.Get("Content-Encoding")); encoding != "" {
		out.Header["Content-Encoding"] = encoding
	} else {
		delete(out.Header, "Content-Encoding")
	}
	size := 0
	for name, values := range h {
		if strings.HasPrefix(name, "X-Amz-Meta-") {
			out.Header[name] = strings.Join(values, ",")
			size += len(name) - len("X-Amz-Meta-") + len(out.Header[name])
		}
	}
	if size > maxMetadata {
		return out, s3.BadRequest("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size")
	}
	return out, nil
}

// withoutChunked is a content encoding without the one of the transport.
func withoutChunked(v string) string {
	var left []string
	for e := range strings.SplitSeq(v, ",") {
		if e = strings.TrimSpace(e); e != "" && e != "aws-chunked" {
			left = append(left, e)
		}
	}
	return strings.Join(left, ",")
}

// PutObject keeps an object, in place of one with its key.
func (s *Service) PutObject(ctx context.Context, c *call) (*answer, error) {
	body, err := c.content()
	if err != nil {
		return nil, err
	}
	h, err := headOf(c.Header)
	if err != nil {
		return nil, err
	}
	if _, err := s.find(ctx, c); err != nil { // before the bytes are written
		return nil, err
	}
	p, err := s.write(ctx, body)
	if err != nil {
		return nil, err
	}
	h.ChecksumName, h.Checksum = body.Checksum()
	o := &object{bucket: *c.Target.Bucket, key: *c.Target.Key, size: p.Size, etag: hex.EncodeToString(body.MD5()), head: h, parts: []part{p}}
	if err := s.keep(ctx, c, o, true); err != nil {
		return nil, err
	}
	out := &answer{header: http.Header{"Etag": {quoted(o.etag)}, "X-Amz-Server-Side-Encryption": {"AES256"}}}
	o.checksum(out.header)
	return out, nil
}

func quoted(etag string) string { return `"` + etag + `"` }

// checksum shows the checksum that the client had sent.
func (o *object) checksum(h http.Header) {
	if o.head.Checksum != "" {
		h.Set("X-Amz-Checksum-"+o.head.ChecksumName, o.head.Checksum)
		h.Set("X-Amz-Checksum-Type", "FULL_OBJECT")
	}
}

// keep makes the row of an object whose bytes are written; own says that they are not
// a row's yet.
func (s *Service) keep(ctx context.Context, c *call, o *object, own bool, more ...func(tx *db.Tx) error) error {
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		if _, err := loadBucket(tx, o.bucket, "{lock}"); err != nil {
			return err
		}
		old, err := loadObject(tx, o.bucket, o.key, "{lock}")
		if err != nil {
			return err
		}
		if err := precondition(c.Header, old); err != nil {
			return err
		}
		for i := 0; own && i < len(o.parts); i++ {
			if err := s.own(tx, o.parts[i]); err != nil {
				return err
			}
		}
		if old != nil {
			if err := s.release(tx, old.parts); err != nil {
				return err
			}
		}
		for _, f := range more {
			if err := f(tx); err != nil {
				return err
			}
		}
		o.modified = tx.Now
		if err := putObject(tx, o); err != nil {
			return err
		}
		return s.record(tx, "bucket.object.put", o.bucket, o.key, map[string]any{"Size": o.size, "ETag": o.etag})
	})
}

// precondition checks what a write wants of the object that is there.
func precondition(h http.Header, old *object) error {
	failed := &s3.Error{Status: http.StatusPreconditionFailed, Code: "PreconditionFailed", Message: "At least one of the pre-conditions you specified did not hold"}
	if h.Get("If-None-Match") != "" && old != nil {
		return failed
	}
	switch want := h.Get("If-Match"); {
	case want == "":
	case old == nil:
		return noKey
	case want != "*" && strings.Trim(want, `"`) != old.etag:
		return failed
	}
	return nil
}

// CopyObject keeps the bytes of one object under another key as well.
func (s *Service) CopyObject(ctx context.Context, c *call) (*answer, error) {
	from, err := s.object(ctx, *c.Target.SourceBucket, *c.Target.SourceKey)
	if err != nil {
		return nil, err
	}
	h := from.head
	if c.Header.Get("X-Amz-Metadata-Directive") == "REPLACE" {
		if h, err = headOf(c.Header); err != nil {
			return nil, err
		}
	}
	in := s.read(ctx, from.parts, 0, from.size)
	defer func() { _ = in.Close() }()
	p, err := s.write(ctx, in)
	if err != nil {
		return nil, err
	}
	if p.Size != from.size {
		return nil, fmt.Errorf("copy of %s/%s has %d bytes, not %d", from.bucket, from.key, p.Size, from.size)
	}
	o := &object{bucket: *c.Target.Bucket, key: *c.Target.Key, size: p.Size, etag: from.etag, head: h, parts: []part{p}}
	if err := s.keep(ctx, c, o, true); err != nil {
		return nil, err
	}
	return &answer{xml: struct {
		XMLName            xml.Name
		LastModified, ETag string
	}{s3.Root("CopyObjectResult"), s3.Time(o.modified), quoted(o.etag)}}, nil
}

// object finds an object.
func (s *Service) object(ctx context.Context, bucket, key string) (o *object, err error) {
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		if _, err := loadBucket(tx, bucket, ""); err != nil {
			return err
		}
		o, err = loadObject(tx, bucket, key, "")
		return err
	})
	if err == nil && o == nil {
		err = noKey
	}
	return o, err
}

// GetObject gives out an object or a range of it; HeadObject the same without the
// bytes.
func (s *Service) GetObject(ctx context.Context, c *call) (*answer, error) {
	o, err := s.object(ctx, *c.Target.Bucket, *c.Target.Key)
	if err != nil {
		return nil, err
	}
	out := &answer{header: http.Header{
		"Accept-Ranges": {"bytes"}, "Etag": {quoted(o.etag)}, "Last-Modified": {o.modified.UTC().Format(http.TimeFormat)},
		"X-Amz-Server-Side-Encryption": {"AES256"}, "Content-Type": {"binary/octet-stream"},
	}}
	if err := conditions(c.Header, o); err != nil {
		return nil, err
	}
	for name, v := range o.head.Header {
		out.header.Set(name, v)
	}
	for _, name := range kept {
		if v := c.Query.Get("response-" + strings.ToLower(name)); v != "" {
			out.header.Set(name, v)
		}
	}
	offset, length, err := span(c.Header.Get("Range"), o.size)
	if err != nil {
		return nil, err
	}
	if length != o.size {
		out.status = http.StatusPartialContent
		out.header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", offset, offset+length-1, o.size))
	} else if c.Header.Get("X-Amz-Checksum-Mode") == "ENABLED" {
		o.checksum(out.header)
	}
	out.length, out.body = length, http.NoBody
	if c.Method != http.MethodHead {
		out.body = s.read(context.WithoutCancel(ctx), o.parts, offset, length)
	}
	return out, nil
}

// conditions checks what a reader wants of the object.
func conditions(h http.Header, o *object) error {
	if m := h.Get("If-Match"); m != "" && m != "*" && strings.Trim(m, `"`) != o.etag {
		return &s3.Error{Status: http.StatusPreconditionFailed, Code: "PreconditionFailed", Message: "At least one of the pre-conditions you specified did not hold"}
	}
	same := false
	if m := h.Get("If-None-Match"); m != "" {
		same = m == "*" || strings.Trim(m, `"`) == o.etag
	} else if at, err := http.ParseTime(h.Get("If-Modified-Since")); err == nil {
		same = !o.modified.Truncate(time.Second).After(at)
	}
	if same {
		return &s3.Error{Status: http.StatusNotModified, Code: "NotModified", Message: "Not Modified"}
	}
	return nil
}

// span reads a Range of one piece. What is no range is ignored, as HTTP has it.
func span(text string, size int64) (offset, length int64, err error) {
	rest, ok := strings.CutPrefix(text, "bytes=")
	first, last, dash := strings.Cut(rest, "-")
	if !ok || !dash || strings.Contains(rest, ",") {
		return 0, size, nil
	}
	a, errA := strconv.ParseInt(first, 10, 64)
	b, errB := strconv.ParseInt(last, 10, 64)
	switch {
	case first == "" && errB == nil && b >= 0: // the last b bytes
		a, b = max(0, size-b), size-1
	case errA == nil && a >= 0 && last == "":
		b = size - 1
	case errA != nil || errB != nil || a < 0 || b < a:
		return 0, size, nil
	}
	b = min(b, size-1)
	if a > b {
		return 0, 0, &s3.Error{Status: http.StatusRequestedRangeNotSatisfiable, Code: "InvalidRange", Message: "The requested range is not satisfiable"}
	}
	return a, b - a + 1, nil
}

// DeleteObject takes an object away. One that is not there is no error.
func (s *Service) DeleteObject(ctx context.Context, c *call) (*answer, error) {
	return &answer{status: http.StatusNoContent}, s.DB.Update(ctx, func(tx *db.Tx) error {
		if _, err := loadBucket(tx, *c.Target.Bucket, ""); err != nil {
			return err
		}
		return s.deleteObject(tx, *c.Target.Bucket, *c.Target.Key)
	})
}

func (s *Service) deleteObject(tx *db.Tx, bucket, key string) error {
	o, err := loadObject(tx, bucket, key, "{lock}")
	if err != nil || o == nil {
		return err
	}
	if err := s.release(tx, o.parts); err != nil {
		return err
	}
	if err := removeObject(tx, bucket, key); err != nil {
		return err
	}
	return s.record(tx, "bucket.object.deleted", bucket, key, nil)
}

// deletion is one object of DeleteObjects.
type deletion struct{ Key, VersionId string }

const maxDeletions = 1000

// readDeletions reads the keys, which the permissions need.
func (c *call) readDeletions() error {
	var in struct {
		Object []deletion
		Quiet  bool
	}
	if err := c.readXML(&in); err != nil {
		return err
	}
	if len(in.Object) == 0 || len(in.Object) > maxDeletions {
		return s3.BadRequest("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	for _, d := range in.Object {
		if d.Key == "" || d.VersionId != "" {
			return s3.BadRequest("MalformedXML", "Name a key, without a version")
		}
		c.Target.Keys = append(c.Target.Keys, d.Key)
	}
	if c.remove = in.Object; in.Quiet {
		c.remove = nil
	}
	return nil
}

// DeleteObjects takes several objects away, all or none.
func (s *Service) DeleteObjects(ctx context.Context, c *call) (*answer, error) {
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		if _, err := loadBucket(tx, *c.Target.Bucket, ""); err != nil {
			return err
		}
		for _, key := range c.Target.Keys {
			if err := s.deleteObject(tx, *c.Target.Bucket, key); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	type deleted struct{ Key string }
	out := struct {
		XMLName xml.Name
		Deleted []deleted
	}{XMLName: s3.Root("DeleteResult")}
	for _, d := range c.remove {
		out.Deleted = append(out.Deleted, deleted{d.Key})
	}
	return &answer{xml: out}, nil
}
