package document

import (
	"cmp"
	"context"
	"embed"
	"io"
	"net/http"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/authz"
	"github.com/watchbill/watchbill/internal/platform/blob"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/tagging"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire"
)

//go:embed migrate/*.sql
var migrateFS embed.FS

// Migrations is the schema of the package.
var Migrations = db.Migrations{Name: "document", FS: migrateFS}

// kind is the ResourceType of documents for tags.
const kind = "Document"

// Service serves the document operations.
type Service struct {
	DB      *db.DB
	Journal *journal.Journal

	// InUse are asked before a document is deleted; an error (AssociatedInstances)
	// keeps it. Capabilities that hold documents by name add themselves.
	InUse []func(tx *db.Tx, name string) error

	// Allow decides whether the caller may do something with resources known from
	// the content only: pass a role, read a document whose attachment is used.
	// nil stands for authz.Require.
	Allow func(ctx context.Context, action string, resources ...string) error

	// Attachments: where they are kept, the key that signs their URLs (32 bytes), and the
	// bytes that all of one version may have; 0 stands for 1 GiB.
	Tasks   *task.Engine
	Blobs   *blob.Store
	Key     []byte
	MaxFile int64
	// Object opens an object of the hub's own buckets for a caller who was allowed to
	// read it; an *s3.Error says that there is none. Web fetches from elsewhere.
	Object func(ctx context.Context, bucket, key string) (io.ReadCloser, error)
	Web    *http.Client

	base   string
	parsed *cache
}

// New completes s and lets documents be tagged.
func New(s Service) *Service {
	s.parsed = &cache{}
	if s.Allow == nil {
		s.Allow = authz.Require
	}
	s.MaxFile = cmp.Or(s.MaxFile, maxFile)
	out := &s
	if s.Tasks != nil {
		s.Tasks.Handle(fetchTask, out.fetch)
		s.Tasks.Handle(dropTask, out.drop)
	}
	tagging.Register(kind, func(tx *db.Tx, id string) error {
		_, err := ownHead(tx, selectHead, id)
		return err
	})
	return out
}

// Operations are the bindings of the package's operations.
func (s *Service) Operations() []wire.Binding {
	return []wire.Binding{
		ssm.BindCreateDocument(s.CreateDocument),
		ssm.BindUpdateDocument(s.UpdateDocument),
		ssm.BindUpdateDocumentDefaultVersion(s.UpdateDocumentDefaultVersion),
		ssm.BindDeleteDocument(s.DeleteDocument),
		ssm.BindDescribeDocument(s.DescribeDocument),
		ssm.BindGetDocument(s.GetDocument),
		ssm.BindListDocuments(s.ListDocuments),
		ssm.BindListDocumentVersions(s.ListDocumentVersions),
		ssm.BindDescribeDocumentPermission(s.DescribeDocumentPermission),
		ssm.BindModifyDocumentPermission(s.ModifyDocumentPermission),
		ssm.BindUpdateDocumentMetadata(s.UpdateDocumentMetadata),
		ssm.BindListDocumentMetadataHistory(s.ListDocumentMetadataHistory),
	}
}
