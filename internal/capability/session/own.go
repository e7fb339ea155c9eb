package session

import (
	"context"
	"errors"
	"time"
)

// afterEnd is how long a node may still write the log of a session that has ended.
// Assumption: an agent sends it at the end, and tries for minutes, not hours.
const afterEnd = time.Hour

// Live says whether a session is one of a node's own and has not ended.
func (s *Service) Live(ctx context.Context, nodeID, id string) (bool, error) {
	return s.isOwn(ctx, nodeID, id, 0)
}

// Logs says whether a node may write the log of a session: it is one of its own, and
// goes on or ended within the last hour.
func (s *Service) Logs(ctx context.Context, nodeID, id string) (bool, error) {
	return s.isOwn(ctx, nodeID, id, afterEnd)
}

func (s *Service) isOwn(ctx context.Context, nodeID, id string, after time.Duration) (bool, error) {
	r, err := s.find(ctx, id)
	if errors.Is(err, ErrEnded) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return nodeID != "" && r.Node == nodeID && (r.Ended.IsZero() || time.Since(r.Ended) < after), nil
}
