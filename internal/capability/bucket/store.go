package bucket

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
)

// bucketRow is a bucket.
type bucketRow struct {
	name    string
	home    string // its region
	created time.Time
	tags    map[string]string
}

// part is a piece of an object's bytes.
type part struct {
	Blob string `json:"b"`
	Size int64  `json:"n"` // plain bytes
	Key  []byte `json:"k"` // sealed
}

// head is what an object is given out with.
type head struct {
	Header       map[string]string `json:"h,omitzero"` // by canonical name
	ChecksumName string            `json:"c,omitzero"`
	Checksum     string            `json:"v,omitzero"`
}

// object is an object.
type object struct {
	bucket, key string
	size        int64
	etag        string // without quotes
	modified    time.Time
	head        head
	parts       []part
}

func loadBucket(tx *db.Tx, name, lock string) (*bucketRow, error) {
	b := &bucketRow{name: name}
	var created int64
	var tags string
	err := tx.QueryRow("select home, created, tags from bucket_bucket where account = $1 and region = $2 and name = $3 "+lock,
		tx.Scope.Account, tx.Scope.Region, name).Scan(&b.home, &created, &tags)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, noBucket
	}
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", name, err)
	}
	b.created = db.FromMicros(created)
	return b, json.Unmarshal([]byte(tags), &b.tags)
}

func putBucket(tx *db.Tx, b *bucketRow) error {
	tags, err := json.Marshal(b.tags)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`insert into bucket_bucket(account, region, name, home, created, tags) values($1, $2, $3, $4, $5, $6)
		on conflict(account, region, name) do update set tags = excluded.tags`,
		tx.Scope.Account, tx.Scope.Region, b.name, b.home, db.Micros(b.created), string(tags))
	if err != nil {
		return fmt.Errorf("bucket %s: %w", b.name, err)
	}
	return nil
}

func listBuckets(tx *db.Tx) ([]bucketRow, error) {
	return db.Rows(tx, "select name, home, created from bucket_bucket where account = $1 and region = $2 order by name",
		[]any{tx.Scope.Account, tx.Scope.Region}, func(r *sql.Rows) (b bucketRow, err error) {
			var created int64
			err = r.Scan(&b.name, &b.home, &created)
			b.created = db.FromMicros(created)
			return b, err
		})
}

const objectColumns = "bucket, key, size, etag, modified, head, parts"

func scanObject(scan func(...any) error) (*object, error) {
	o := &object{}
	var modified int64
	var h, parts string
	if err := scan(&o.bucket, &o.key, &o.size, &o.etag, &modified, &h, &parts); err != nil {
		return nil, err
	}
	o.modified = db.FromMicros(modified)
	return o, errors.Join(json.Unmarshal([]byte(h), &o.head), json.Unmarshal([]byte(parts), &o.parts))
}

// loadObject is an object, nil when there is none.
func loadObject(tx *db.Tx, bucket, key, lock string) (*object, error) {
	o, err := scanObject(tx.QueryRow("select "+objectColumns+" from bucket_object where account = $1 and region = $2 and bucket = $3 and key = $4 "+lock,
		tx.Scope.Account, tx.Scope.Region, bucket, key).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("object %s/%s: %w", bucket, key, err)
	}
	return o, nil
}

func putObject(tx *db.Tx, o *object) error {
	h, err := json.Marshal(o.head)
	if err != nil {
		return err
	}
	parts, err := json.Marshal(o.parts)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`insert into bucket_object(account, region, `+objectColumns+`) values($1, $2, $3, $4, $5, $6, $7, $8, $9)
		on conflict(account, region, bucket, key) do update set
			size = excluded.size, etag = excluded.etag, modified = excluded.modified, head = excluded.head, parts = excluded.parts`,
		tx.Scope.Account, tx.Scope.Region, o.bucket, o.key, o.size, o.etag, db.Micros(o.modified), string(h), string(parts))
	if err != nil {
		return fmt.Errorf("object %s/%s: %w", o.bucket, o.key, err)
	}
	return nil
}

func removeObject(tx *db.Tx, bucket, key string) error {
	_, err := tx.Exec("delete from bucket_object where account = $1 and region = $2 and bucket = $3 and key = $4",
		tx.Scope.Account, tx.Scope.Region, bucket, key)
	return err
}

// beyond is after every key that begins with a prefix.
func beyond(prefix string) string { return prefix + "\U0010FFFF" }

// listObjects is up to limit objects of a bucket whose key is after a key, and begins
// with prefix.
func listObjects(tx *db.Tx, bucket, prefix, after string, limit int) ([]*object, error) {
	f := new(db.Filter).And("account = ?", tx.Scope.Account).And("region = ?", tx.Scope.Region).And("bucket = ?", bucket).And("key > ?", after)
	if prefix != "" {
		f.And("key >= ?", prefix).And("key < ?", beyond(prefix))
	}
	f.Args = append(f.Args, limit)
	return db.Rows(tx, fmt.Sprintf("select %s from bucket_object%s order by key limit $%d", objectColumns, f.Where(), len(f.Args)), f.Args,
		func(r *sql.Rows) (*object, error) { return scanObject(r.Scan) })
}

// upload is a multipart upload under way.
type upload struct {
	id, bucket, key string
	created         time.Time
	head            head
}

func putUpload(tx *db.Tx, u *upload) error {
	h, err := json.Marshal(u.head)
	if err != nil {
		return err
	}
	_, err = tx.Exec("insert into bucket_upload(account, region, id, bucket, key, created, head) values($1, $2, $3, $4, $5, $6, $7)",
		tx.Scope.Account, tx.Scope.Region, u.id, u.bucket, u.key, db.Micros(u.created), string(h))
	return err
}

const uploadColumns = "id, bucket, key, created, head"

func scanUpload(r *sql.Rows) (*upload, error) {
	u := &upload{}
	var created int64
	var h string
	if err := r.Scan(&u.id, &u.bucket, &u.key, &created, &h); err != nil {
		return nil, err
	}
	u.created = db.FromMicros(created)
	return u, json.Unmarshal([]byte(h), &u.head)
}

// loadUpload is an upload of just this key.
func loadUpload(tx *db.Tx, id, bucket, key, lock string) (*upload, error) {
	found, err := db.Rows(tx, "select "+uploadColumns+" from bucket_upload where account = $1 and region = $2 and id = $3 and bucket = $4 and key = $5 "+lock,
		[]any{tx.Scope.Account, tx.Scope.Region, id, bucket, key}, scanUpload)
	if err == nil && len(found) == 0 {
		err = noUpload
	}
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

func listUploads(tx *db.Tx, bucket string) ([]*upload, error) {
	return db.Rows(tx, "select "+uploadColumns+" from bucket_upload where account = $1 and region = $2 and bucket = $3 order by key, id limit 1000",
		[]any{tx.Scope.Account, tx.Scope.Region, bucket}, scanUpload)
}

// partRow is an uploaded part.
type partRow struct {
	number   int
	etag     string
	modified time.Time
	part     part
}

func listParts(tx *db.Tx, id string) ([]partRow, error) {
	return db.Rows(tx, "select number, etag, modified, part from bucket_part where account = $1 and region = $2 and upload = $3 order by number",
		[]any{tx.Scope.Account, tx.Scope.Region, id}, func(r *sql.Rows) (p partRow, err error) {
			var modified int64
			var text string
			if err = r.Scan(&p.number, &p.etag, &modified, &text); err != nil {
				return p, err
			}
			p.modified = db.FromMicros(modified)
			return p, json.Unmarshal([]byte(text), &p.part)
		})
}

func putPart(tx *db.Tx, id string, p partRow) error {
	text, err := json.Marshal(p.part)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`insert into bucket_part(account, region, upload, number, etag, size, modified, part) values($1, $2, $3, $4, $5, $6, $7, $8)
		on conflict(account, region, upload, number) do update set etag = excluded.etag, size = excluded.size, modified = excluded.modified, part = excluded.part`,
		tx.Scope.Account, tx.Scope.Region, id, p.number, p.etag, p.part.Size, db.Micros(p.modified), string(text))
	return err
}

// removeUpload forgets an upload and its parts.
func removeUpload(tx *db.Tx, id string) error {
	for _, text := range []string{
		"delete from bucket_part where account = $1 and region = $2 and upload = $3",
		"delete from bucket_upload where account = $1 and region = $2 and id = $3",
	} {
		if _, err := tx.Exec(text, tx.Scope.Account, tx.Scope.Region, id); err != nil {
			return err
		}
	}
	return nil
}
