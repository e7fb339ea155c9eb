package document

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ssmdoc"
	"github.com/watchbill/watchbill/internal/platform/blob"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/egress"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire/s3"
)

// The tasks of attachments.
const (
	fetchTask = "document.fetch" // gets the attachments of a version; its key is the fetch
	dropTask  = "document.drop"  // throws away a file that no version has; its key is the blob

	fetchTries   = 4
	fetchTimeout = 30 * time.Minute // of one try, with all files
	maxFile      = 1 << 30          // bytes; https://docs.aws.amazon.com/general/latest/gr/ssm.html
)

// fetching are the arguments of fetchTask.
type fetching struct {
	Name    string
	Version int64
}

// startFetch lets the attachments of a new version be fetched. Until they are there the
// version has the given status.
func (s *Service) startFetch(tx *db.Tx, h *head, v *version) error {
	args := fetching{Name: h.Name, Version: v.Number}
	return s.Tasks.Enqueue(tx, task.Spec{Kind: fetchTask, Key: v.Fetch, Args: args})
}

// begin prepares a new version whose attachments are to be fetched.
func begin(v *version, status ssm.DocumentStatus) {
	v.Status, v.Fetch = status, uuid.NewString()
}

// blobOf is the key of one file of a fetch. A second try writes over the first.
func blobOf(fetch string, i int) string { return "documents/" + fetch + "/" + strconv.Itoa(i) }

// refusal is an error that another try cannot mend. Its text is for the user.
type refusal struct{ text string }

func (r *refusal) Error() string { return r.text }

func refuse(format string, args ...any) error { return &refusal{fmt.Sprintf(format, args...)} }

// fetch gets the attachments of a version and makes it Active, or Failed when they
// cannot be had.
func (s *Service) fetch(ctx context.Context, run *task.Run) error {
	var args fetching
	if err := run.Decode(&args); err != nil {
		return err
	}
	var v *version
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		_, v, err = fetched(tx, selectHead, args, run.Key)
		return err
	})
	if err != nil {
		return err
	}
	if v == nil {
		return s.giveUp(ctx, run)
	}
	limited, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	files, err := s.fetchFiles(limited, v)
	var refused *refusal
	if err != nil && !errors.As(err, &refused) && run.Attempt < fetchTries {
		return err
	}
	return s.finish(ctx, run, args, files, err)
}

// fetched is the version that a fetch is for, nil when it is gone or complete.
func fetched(tx *db.Tx, query string, args fetching, fetch string) (*head, *version, error) {
	h, err := findHead(tx, query, tx.Scope.Account, args.Name)
	if err != nil || h == nil {
		return nil, nil, err
	}
	v, err := findVersion(tx, h, args.Version)
	if err != nil || v == nil || v.Fetch != fetch || v.Status == ssm.DocumentStatusActive || v.Status == ssm.DocumentStatusFailed {
		return nil, nil, err
	}
	return h, v, nil
}

// finish keeps what a fetch came to.
func (s *Service) finish(ctx context.Context, run *task.Run, args fetching, files []file, failed error) error {
	gone := false
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		h, v, err := fetched(tx, lockHead, args, run.Key)
		if gone = v == nil; err != nil || gone {
			return err
		}
		fact := "document.attached"
		if v.Status = ssm.DocumentStatusActive; failed != nil {
			fact, v.Status, v.StatusInformation = "document.failed", ssm.DocumentStatusFailed, information(failed)
		} else if files, err = s.attach(tx, h, v, files); err != nil {
			return err
		}
		if err := saveStatus(tx, h, v); err != nil {
			return err
		}
		if err := s.record(tx, fact, h, v, fileFacts(v, files)); err != nil {
			return err
		}
		return run.Done(tx)
	})
	var refused *refusal
	switch {
	case failed == nil && errors.As(err, &refused): // found out inside the transaction
		return s.finish(ctx, run, args, nil, err)
	case err == nil && gone:
		return s.giveUp(ctx, run)
	case err == nil && failed != nil:
		s.deleteBlobs(ctx, run.Key) // best effort: nothing names them
	}
	return err
}

func information(err error) string {
	var refused *refusal
	if errors.As(err, &refused) {
		return refused.text
	}
	return "The attachments could not be fetched: the source did not answer as it should."
}

func fileFacts(v *version, files []file) map[string]any {
	sums := map[string]string{}
	for _, f := range files {
		sums[f.Name] = f.SHA256
	}
	out := map[string]any{"status": v.Status, "files": sums}
	if v.StatusInformation != "" {
		out["reason"] = v.StatusInformation
	}
	return out
}

// attach adds the fetched files and those that belong to other documents.
func (s *Service) attach(tx *db.Tx, h *head, v *version, files []file) ([]file, error) {
	doc, from, err := s.plan(v)
	if err != nil {
		return nil, err
	}
	for _, one := range from {
		if one.Document == "" {
			continue
		}
		f, err := referred(tx, one)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	if err := verify(doc, files); err != nil {
		return nil, err
	}
	return files, addFiles(tx, h, v, files)
}

// referred is the file of another document. Its head is locked, so that the file does
// not go away meanwhile.
func referred(tx *db.Tx, from source) (file, error) {
	missing := refuse("The attachment %s/%s/%s does not exist.", from.Document, from.Version, from.File)
	h, _, err := findVisible(tx, from.Document)
	if isMissing(err) {
		return file{}, missing
	}
	if err != nil {
		return file{}, err
	}
	if _, err := findHead(tx, lockHead, h.Account, h.Name); err != nil {
		return file{}, err
	}
	v, err := pick(tx, h, from.Version, "")
	if isMissing(err) {
		return file{}, missing
	}
	if err != nil {
		return file{}, err
	}
	files, err := filesOf(tx, h, v)
	if err != nil {
		return file{}, err
	}
	for _, f := range files {
		if f.Name == from.File {
			f.Name = from.Name
			return f, nil
		}
	}
	return file{}, missing
}

func isMissing(err error) bool {
	var document *ssm.InvalidDocument
	var version *ssm.InvalidDocumentVersion
	return errors.As(err, &document) || errors.As(err, &version)
}

// plan is the content of a version and where its files come from.
func (s *Service) plan(v *version) (*ssmdoc.Document, []source, error) {
	doc, err := s.parsed.get(v)
	if err != nil {
		return nil, nil, err
	}
	from, err := sources(v, doc)
	return doc, from, err
}

// fetchFiles gets the files that come from an address.
func (s *Service) fetchFiles(ctx context.Context, v *version) ([]file, error) {
	doc, from, err := s.plan(v)
	if err != nil {
		return nil, err
	}
	var files []file
	left := s.MaxFile
	for i, one := range from {
		if one.Document != "" {
			continue
		}
		f, err := s.fetchFile(ctx, blobOf(v.Fetch, i), one, left)
		if err != nil {
			return nil, err
		}
		left -= f.Size
		files = append(files, f)
		if err := verifyOne(doc, f); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func (s *Service) fetchFile(ctx context.Context, key string, from source, limit int64) (file, error) {
	body, err := s.open(ctx, from.Address)
	if err != nil {
		return file{}, explain(from.Name, err)
	}
	defer func() { _ = body.Close() }()
	info, err := s.Blobs.Put(ctx, key, &bounded{body, limit, from.Name, s.MaxFile})
	if err != nil {
		return file{}, err
	}
	return file{Name: from.Name, Blob: key, SHA256: info.SHA256, Size: info.Size}, nil
}

// bounded ends with a refusal when there is more than the limit.
type bounded struct {
	r    io.Reader
	left int64
	name string
	most int64
}

// Read counts what is read.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, refuse("The attachment %s is too large: all of a version have at most %d bytes.", b.name, b.most)
	}
	return n, err
}

// open opens an address: an object of the hub, else what a web server has.
func (s *Service) open(ctx context.Context, address string) (io.ReadCloser, error) {
	bucket, key, ok := object(address, s.host())
	if ok && s.Object != nil {
		body, err := s.Object(ctx, bucket, key)
		var e *s3.Error
		if !errors.As(err, &e) || e.Code != "NoSuchBucket" || address[:5] == "s3://" {
			return body, err
		}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil || r.URL.Scheme != "https" || s.Web == nil {
		return nil, refuse("the address cannot be fetched from")
	}
	res, err := s.Web.Do(r)
	if err != nil {
		return nil, err
	}
	if res.StatusCode == http.StatusOK {
		return res.Body, nil
	}
	_ = res.Body.Close()
	if res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests {
		return nil, fmt.Errorf("%s answered %s", r.URL.Host, res.Status)
	}
	return nil, refuse("%s answered %s", r.URL.Host, res.Status)
}

// explain makes a refusal of what another try cannot mend.
func explain(name string, err error) error {
	var e *s3.Error
	var refused *refusal
	switch {
	case errors.As(err, &e) && e.Status < 500:
		return refuse("The attachment %s cannot be fetched: %s", name, e.Message)
	case errors.As(err, &refused):
		return refuse("The attachment %s cannot be fetched: %s.", name, refused.text)
	case errors.Is(err, egress.ErrRefused):
		return refuse("The attachment %s cannot be fetched: the hub may not go to that address.", name)
	}
	return fmt.Errorf("attachment %s: %w", name, err)
}

// verify holds files against what the content says about them.
func verify(doc *ssmdoc.Document, files []file) error {
	for _, f := range files {
		if err := verifyOne(doc, f); err != nil {
			return err
		}
	}
	return nil
}

func verifyOne(doc *ssmdoc.Document, f file) error {
	for _, want := range manifest(doc) {
		switch {
		case want.Name != f.Name:
		case want.SHA256 != f.SHA256:
			return refuse("The attachment %s has the SHA-256 %s, the content says %s.", f.Name, f.SHA256, want.SHA256)
		case want.Size != 0 && want.Size != f.Size:
			return refuse("The attachment %s has %d bytes, the content says %d.", f.Name, f.Size, want.Size)
		}
	}
	return nil
}

// giveUp ends a fetch whose version is gone.
func (s *Service) giveUp(ctx context.Context, run *task.Run) error {
	s.deleteBlobs(ctx, run.Key)
	return s.DB.Update(ctx, run.Done)
}

// deleteBlobs deletes what a fetch wrote that no version names.
func (s *Service) deleteBlobs(ctx context.Context, fetch string) {
	for i := range maxFiles {
		var used *file
		err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
			used, err = fileOf(tx, blobOf(fetch, i))
			return err
		})
		if err == nil && used == nil {
			_ = s.Blobs.Delete(ctx, blobOf(fetch, i)) // nothing names it
		}
	}
}

// drop deletes the bytes of a file when no version names them.
func (s *Service) drop(ctx context.Context, run *task.Run) error {
	var used *file
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		used, err = fileOf(tx, run.Key)
		return err
	})
	if err == nil && used == nil {
		err = s.Blobs.Delete(ctx, run.Key)
	}
	if err != nil && !errors.Is(err, blob.ErrNotFound) {
		return err
	}
	return s.DB.Update(ctx, run.Done)
}
