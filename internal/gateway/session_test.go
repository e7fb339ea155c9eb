package gateway

import (
	"testing"

	"github.com/watchbill/watchbill/internal/capability/node"
	"github.com/watchbill/watchbill/internal/capability/session"
	"github.com/watchbill/watchbill/internal/platform/blob"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/mailbox"
	"github.com/watchbill/watchbill/internal/platform/seal"
	"github.com/watchbill/watchbill/internal/platform/task"
)

const shellDocument = `{"schemaVersion":"1.0","sessionType":"Standard_Stream","inputs":{}}`

func newSessions(t *testing.T, d *db.DB, e *task.Engine, j *journal.Journal, m *mailbox.Mailbox, nodes *node.Service, sealer *seal.Sealer) *session.Service {
	blobs, err := blob.Open(t.Context(), "mem://")
	if err != nil {
		t.Fatal(err)
	}
	return session.New(session.Service{
		DB: d, Tasks: e, Journal: j, Mailbox: m, Nodes: nodes, Sealer: sealer, Blobs: blobs,
		Documents: func(_ *db.Tx, name string) (*session.Document, error) {
			return &session.Document{Name: name, Version: "1", Type: "Session", Format: "JSON", Content: []byte(shellDocument)}, nil
		},
	})
}
