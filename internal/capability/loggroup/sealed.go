package loggroup

import (
	"context"
	"fmt"

	"github.com/watchbill/watchbill/internal/platform/db"
)

// Messages are sealed, since sessions and commands are logged here. What was kept
// before is plain and can be read on.

func place(s db.Scope, group, stream string, seq int64) string {
	return fmt.Sprintf("loggroup_event/%s/%s/%s:%s:%d", s.Account, s.Region, group, stream, seq)
}

// sealMessage takes the place of the message, but for an empty one.
func (s *Service) sealMessage(tx *db.Tx, group string, e *event) (err error) {
	if e.message == "" {
		e.sealed = []byte{}
		return nil
	}
	e.sealed, err = s.Sealer.Seal(tx.Context(), []byte(e.message), place(tx.Scope, group, e.stream, e.seq))
	e.message = ""
	return err
}

// openMessages puts the messages of events of a group of the scope of ctx in.
func (s *Service) openMessages(ctx context.Context, group string, list []event) error {
	for i := range list {
		e := &list[i]
		if len(e.sealed) == 0 {
			continue
		}
		b, err := s.Sealer.Open(ctx, e.sealed, place(db.ScopeOf(ctx), group, e.stream, e.seq))
		if err != nil {
			return fmt.Errorf("log event %d of %s in %s: %w", e.seq, e.stream, group, err)
		}
		e.message = string(b)
	}
	return nil
}
