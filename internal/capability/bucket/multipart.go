package bucket

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire/s3"
)

const (
	maxParts = 10_000
	minPart  = 5 << 20 // bytes of each part but the last
)

// CreateMultipartUpload begins an upload in parts.
func (s *Service) CreateMultipartUpload(ctx context.Context, c *call) (*answer, error) {
	h, err := headOf(c.Header)
	if err != nil {
		return nil, err
	}
	u := &upload{id: uuid.NewString(), bucket: *c.Target.Bucket, key: *c.Target.Key, head: h}
	err = s.DB.Update(ctx, func(tx *db.Tx) error {
		if _, err := loadBucket(tx, u.bucket, ""); err != nil {
			return err
		}
		u.created = tx.Now
		if err := putUpload(tx, u); err != nil {
			return err
		}
		return s.Tasks.Enqueue(tx, task.Spec{Kind: abandonTask, Key: u.id, Due: tx.Now.Add(waiting)})
	})
	if err != nil {
		return nil, err
	}
	return &answer{xml: struct {
		XMLName               xml.Name
		Bucket, Key, UploadId string
	}{s3.Root("InitiateMultipartUploadResult"), u.bucket, u.key, u.id}}, nil
}

// UploadPart keeps one part, in place of one with its number.
func (s *Service) UploadPart(ctx context.Context, c *call) (*answer, error) {
	number, err := strconv.Atoi(c.Query.Get("partNumber"))
	if err != nil || number < 1 || number > maxParts {
		return nil, s3.BadRequest("InvalidArgument", "Part number must be an integer between 1 and %d, inclusive", maxParts)
	}
	body, err := c.content()
	if err != nil {
		return nil, err
	}
	if err := s.DB.View(ctx, func(tx *db.Tx) error { return hasUpload(tx, c, "") }); err != nil { // before the bytes are written
		return nil, err
	}
	p, err := s.write(ctx, body)
	if err != nil {
		return nil, err
	}
	row := partRow{number: number, etag: hex.EncodeToString(body.MD5()), part: p}
	err = s.DB.Update(ctx, func(tx *db.Tx) error {
		if err := hasUpload(tx, c, "{lock}"); err != nil {
			return err
		}
		if err := s.replacePart(tx, *c.Target.UploadId, number); err != nil {
			return err
		}
		row.modified = tx.Now
		if err := s.own(tx, p); err != nil {
			return err
		}
		return putPart(tx, *c.Target.UploadId, row)
	})
	if err != nil {
		return nil, err
	}
	out := &answer{header: http.Header{"Etag": {quoted(row.etag)}}}
	if name, value := body.Checksum(); name != "" {
		out.header.Set("X-Amz-Checksum-"+name, value)
	}
	return out, nil
}

func hasUpload(tx *db.Tx, c *call, lock string) error {
	_, err := loadUpload(tx, *c.Target.UploadId, *c.Target.Bucket, *c.Target.Key, lock)
	return err
}

// replacePart leaves the bytes of the part that a new one replaces to be thrown away.
func (s *Service) replacePart(tx *db.Tx, id string, number int) error {
	parts, err := listParts(tx, id)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if p.number == number {
			return s.release(tx, []part{p.part})
		}
	}
	return nil
}

// ListParts lists the parts of an upload, all of them.
func (s *Service) ListParts(ctx context.Context, c *call) (*answer, error) {
	var rows []partRow
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		if err := hasUpload(tx, c, ""); err != nil {
			return err
		}
		rows, err = listParts(tx, *c.Target.UploadId)
		return err
	})
	if err != nil {
		return nil, err
	}
	type entry struct {
		PartNumber         int
		LastModified, ETag string
		Size               int64
	}
	out := struct {
		XMLName               xml.Name
		Bucket, Key, UploadId string
		MaxParts              int
		IsTruncated           bool
		StorageClass          string
		Part                  []entry
	}{XMLName: s3.Root("ListPartsResult"), Bucket: *c.Target.Bucket, Key: *c.Target.Key, UploadId: *c.Target.UploadId, MaxParts: maxParts, StorageClass: "STANDARD"}
	for _, p := range rows {
		out.Part = append(out.Part, entry{p.number, s3.Time(p.modified), quoted(p.etag), p.part.Size})
	}
	return &answer{xml: out}, nil
}

// ListMultipartUploads lists the uploads under way, up to 1,000.
func (s *Service) ListMultipartUploads(ctx context.Context, c *call) (*answer, error) {
	var rows []*upload
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		if _, err := loadBucket(tx, *c.Target.Bucket, ""); err != nil {
			return err
		}
		rows, err = listUploads(tx, *c.Target.Bucket)
		return err
	})
	if err != nil {
		return nil, err
	}
	type entry struct{ Key, UploadId, Initiated, StorageClass string }
	out := struct {
		XMLName     xml.Name
		Bucket      string
		MaxUploads  int
		IsTruncated bool
		Upload      []entry
	}{XMLName: s3.Root("ListMultipartUploadsResult"), Bucket: *c.Target.Bucket, MaxUploads: maxList}
	for _, u := range rows {
		if strings.HasPrefix(u.key, c.Query.Get("prefix")) {
			out.Upload = append(out.Upload, entry{u.key, u.id, s3.Time(u.created), "STANDARD"})
		}
	}
	return &answer{xml: out}, nil
}

// wanted is one part of CompleteMultipartUpload.
type wanted struct {
	PartNumber int
	ETag       string
}

// CompleteMultipartUpload makes an object of parts. Their bytes stay where they are.
func (s *Service) CompleteMultipartUpload(ctx context.Context, c *call) (*answer, error) {
	var in struct{ Part []wanted }
	if err := c.readXML(&in); err != nil {
		return nil, err
	}
	o := &object{bucket: *c.Target.Bucket, key: *c.Target.Key}
	id := *c.Target.UploadId
	err := s.DB.View(ctx, func(tx *db.Tx) error { return s.assemble(tx, c, o, in.Part, "") })
	if err != nil {
		return nil, err
	}
	err = s.keep(ctx, c, o, false, func(tx *db.Tx) error {
		if err := s.assemble(tx, c, o, in.Part, "{lock}"); err != nil {
			return err
		}
		left, err := listParts(tx, id)
		if err != nil {
			return err
		}
		if err := s.release(tx, unused(left, o.parts)); err != nil {
			return err
		}
		if _, err := s.Tasks.Cancel(tx, abandonTask, id); err != nil {
			return err
		}
		return removeUpload(tx, id)
	})
	if err != nil {
		return nil, err
	}
	return &answer{xml: struct {
		XMLName                     xml.Name
		Location, Bucket, Key, ETag string
	}{s3.Root("CompleteMultipartUploadResult"), "/" + o.bucket + "/" + o.key, o.bucket, o.key, quoted(o.etag)}}, nil
}

// assemble makes the object out of the parts that were asked for.
func (s *Service) assemble(tx *db.Tx, c *call, o *object, list []wanted, lock string) error {
	u, err := loadUpload(tx, *c.Target.UploadId, o.bucket, o.key, lock)
	if err != nil {
		return err
	}
	rows, err := listParts(tx, u.id)
	if err != nil {
		return err
	}
	known := map[int]partRow{}
	for _, p := range rows {
		known[p.number] = p
	}
	o.head, o.size, o.parts = u.head, 0, nil
	sum := md5.New()
	for i, w := range list {
		p, ok := known[w.PartNumber]
		switch {
		case i > 0 && list[i-1].PartNumber >= w.PartNumber:
			return s3.BadRequest("InvalidPartOrder", "The list of parts was not in ascending order.")
		case !ok || strings.Trim(w.ETag, `"`) != p.etag:
			return s3.BadRequest("InvalidPart", "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.")
		case i < len(list)-1 && p.part.Size < minPart:
			return s3.BadRequest("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
		}
		digest, _ := hex.DecodeString(p.etag) // our own
		sum.Write(digest)
		o.parts, o.size = append(o.parts, p.part), o.size+p.part.Size
	}
	if len(o.parts) == 0 {
		return s3.BadRequest("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	o.etag = fmt.Sprintf("%x-%d", sum.Sum(nil), len(o.parts))
	return nil
}

// unused are the parts that an object does not have.
func unused(rows []partRow, parts []part) (out []part) {
	has := map[string]bool{}
	for _, p := range parts {
		has[p.Blob] = true
	}
	for _, r := range rows {
		if !has[r.part.Blob] {
			out = append(out, r.part)
		}
	}
	return out
}

// AbortMultipartUpload forgets an upload and its parts.
func (s *Service) AbortMultipartUpload(ctx context.Context, c *call) (*answer, error) {
	return &answer{status: http.StatusNoContent}, s.DB.Update(ctx, func(tx *db.Tx) error {
		if err := hasUpload(tx, c, "{lock}"); err != nil {
			return err
		}
		return s.drop(tx, *c.Target.UploadId)
	})
}

// drop forgets an upload and leaves its bytes to be thrown away.
func (s *Service) drop(tx *db.Tx, id string) error {
	rows, err := listParts(tx, id)
	if err != nil {
		return err
	}
	if err := s.release(tx, unused(rows, nil)); err != nil {
		return err
	}
	if _, err := s.Tasks.Cancel(tx, abandonTask, id); err != nil {
		return err
	}
	return removeUpload(tx, id)
}

// abandon ends an upload that nobody ended.
func (s *Service) abandon(ctx context.Context, run *task.Run) error {
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		rows, err := listParts(tx, run.Key)
		if err != nil {
			return err
		}
		if err := s.release(tx, unused(rows, nil)); err != nil {
			return err
		}
		if err := removeUpload(tx, run.Key); err != nil {
			return err
		}
		return run.Done(tx)
	})
}
