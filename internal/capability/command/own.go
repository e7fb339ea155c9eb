package command

import (
	"context"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
)

// afterEnd is how long a node may still write outputs of a command that has ended on
// it. Assumption: an agent sends them at the end, and tries for minutes, not hours.
const afterEnd = time.Hour

// Sent says whether a node may write outputs of a command of the scope of ctx: it was
// sent there, and goes on or ended within the last hour.
func (s *Service) Sent(ctx context.Context, nodeID, commandID string) (its bool, err error) {
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		i, err := findInvocation(tx, commandID, nodeID)
		its = i != nil && i.Dispatched && (i.Finished.IsZero() || tx.Now.Sub(i.Finished) < afterEnd)
		return err
	})
	return its, err
}
