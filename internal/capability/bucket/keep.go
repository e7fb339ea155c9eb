package bucket

import (
	"context"
	"crypto/md5" //nolint:gosec // the ETag of an object is its MD5
	"encoding/hex"
	"io"
	"net/http"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/wire/s3"
)

// Keep puts an object for another part of the hub, which has seen to it that it may,
// in place of what was there. It returns when the object is durable. Error: the bucket
// does not exist, or an error of body.
func (s *Service) Keep(ctx context.Context, bucket, key string, body io.Reader) error {
	ctx = everywhere(ctx)
	err := s.DB.View(ctx, func(tx *db.Tx) error { // before the bytes are written
		_, err := loadBucket(tx, bucket, "")
		return err
	})
	if err != nil {
		return err
	}
	sum := md5.New() //nolint:gosec // see above
	p, err := s.write(ctx, io.TeeReader(body, sum))
	if err != nil {
		return err
	}
	o := &object{bucket: bucket, key: key, size: p.Size, etag: hex.EncodeToString(sum.Sum(nil)), parts: []part{p}}
	return s.keep(ctx, &call{Request: &s3.Request{Request: &http.Request{Header: http.Header{}}}}, o, true)
}

// Open reads an object for another part of the hub, which has seen to it that it may.
// The error is an *s3.Error when there is no such bucket or key.
func (s *Service) Open(ctx context.Context, bucket, key string) (io.ReadCloser, error) {
	o, err := s.object(everywhere(ctx), bucket, key)
	if err != nil {
		return nil, err
	}
	return s.read(everywhere(ctx), o.parts, 0, o.size), nil
}
