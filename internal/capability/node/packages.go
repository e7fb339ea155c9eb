package node

import (
	"context"

	"github.com/watchbill/watchbill/internal/platform/db"
)

// PackageResult is what came of installing or removing a package on a node, as the node
// tells it.
type PackageResult struct {
	Name      string `json:"name"`
	Version   string `json:"version"`
	Before    string `json:"before,omitzero"` // the version that was there
	Operation string `json:"operation"`       // Install or Uninstall
	Result    int64  `json:"result"`          // exit code
}

// PackageResult keeps a result in the journal. AWS shows it nowhere.
func (s *Service) PackageResult(ctx context.Context, id string, r PackageResult) error {
	return s.DB.Update(ctx, func(tx *db.Tx) error { return s.record(tx, "node.package", id, r) })
}
