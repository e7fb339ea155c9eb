package bucket

import (
	"context"
	"embed"
	"log/slog"
	"net/http"
	"time"

	"github.com/watchbill/watchbill/internal/platform/blob"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/seal"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire"
	"github.com/watchbill/watchbill/internal/wire/s3"
	"github.com/watchbill/watchbill/internal/wire/sigv4"
)

//go:embed migrate/*.sql
var migrateFS embed.FS

// Migrations is the schema of the package.
var Migrations = db.Migrations{Name: "bucket", FS: migrateFS}

// Service keeps buckets and serves S3. It is an http.Handler.
type Service struct {
	DB      *db.DB
	Blobs   *blob.Store
	Tasks   *task.Engine
	Journal *journal.Journal
	Sealer  *seal.Sealer
	Log     *slog.Logger
	// Bases are the host names of the service, for buckets in the host name.
	Bases []string

	// The hooks of the front door, as in wire.Config.
	Authenticate func(r *http.Request, payload string) (context.Context, *sigv4.Stream, error)
	Authorize    func(ctx context.Context, service, operation string, input any) (context.Context, error)
	Around       func(ctx context.Context, b wire.Binding, input any, next func(context.Context) (any, error)) (any, error)
	Observe      func(ctx context.Context, c wire.Call)

	// Session says whether a node may write the log of a session, Command whether it
	// may write outputs of a command; nil: of none.
	Session func(ctx context.Context, nodeID, sessionID string) (bool, error)
	Command func(ctx context.Context, nodeID, commandID string) (bool, error)
}

// New makes the service and registers its tasks.
func New(s Service) *Service {
	s.Tasks.Handle(discardTask, s.discard)
	s.Tasks.Handle(abandonTask, s.abandon)
	return &s
}

var (
	noBucket = s3.NotFound("NoSuchBucket", "The specified bucket does not exist")
	noKey    = s3.NotFound("NoSuchKey", "The specified key does not exist.")
	noUpload = s3.NotFound("NoSuchUpload", "The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.")
)

// everywhere is ctx with the scope of this package's rows: buckets have no region.
func everywhere(ctx context.Context) context.Context {
	return db.WithScope(ctx, db.Scope{Account: db.ScopeOf(ctx).Account})
}

// Names and times of the tasks.
const (
	discardTask = "bucket.discard" // throws bytes away; its key is the blob
	abandonTask = "bucket.abandon" // ends an upload that nobody ends; its key is the upload

	uploading = 48 * time.Hour     // from when bytes that no row names are rubbish
	reading   = 15 * time.Minute   // that readers of replaced bytes have to finish
	waiting   = 7 * 24 * time.Hour // for the rest of a multipart upload
)

func blobKey(id string) string { return "objects/" + id[:2] + "/" + id }

// discard throws bytes away that no row names any more, or ever did.
func (s *Service) discard(ctx context.Context, run *task.Run) error {
	if err := s.Blobs.Delete(ctx, blobKey(run.Key)); err != nil {
		return err
	}
	return s.DB.Update(ctx, run.Done)
}

// release leaves the bytes of parts to be thrown away.
func (s *Service) release(tx *db.Tx, parts []part) error {
	for _, p := range parts {
		if err := s.Tasks.Enqueue(tx, task.Spec{Kind: discardTask, Key: p.Blob, Due: tx.Now.Add(reading)}); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) record(tx *db.Tx, kind, bucket, key string, body any) error {
	arn := "arn:aws:s3:::" + bucket
	f := journal.Fact{Kind: kind, Subject: arn, Body: body}
	if key != "" {
		f.Subject, f.Related = arn+"/"+key, []string{arn}
	}
	return s.Journal.Record(tx, f)
}
