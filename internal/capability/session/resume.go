package session

import (
	"context"
	"errors"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

func errSession(id string) error {
	return &ssm.DoesNotExistException{Message: "The session " + id + " does not exist."}
}

// inScopeOf runs an operation that changes a session of the caller's account and
// region. Error: DoesNotExistException.
func (s *Service) inScopeOf(ctx context.Context, id string, out any, f func(tx *db.Tx, r *row) error) error {
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		return inScope(tx, id, func(tx *db.Tx, r *row) error {
			if r.Scope != db.ScopeOf(ctx) {
				return ErrEnded
			}
			return f(tx, r)
		})
	})
	if errors.Is(err, ErrEnded) {
		return errSession(id)
	}
	return err
}

// ResumeSession gives the owner of a session a new token; the one before is worth
// nothing any more. For a session that has ended there is none, on which the
// stock plugin gives up. Error: DoesNotExistException.
func (s *Service) ResumeSession(ctx context.Context, in *ssm.ResumeSessionInput) (*ssm.ResumeSessionOutput, error) {
	token := newToken()
	out := &ssm.ResumeSessionOutput{SessionId: in.SessionId}
	err := s.inScopeOf(ctx, *in.SessionId, out, func(tx *db.Tx, r *row) error {
		out.TokenValue, out.StreamUrl = nil, nil
		if r.OwnerID != identity.From(ctx).UserID {
			return fault.AccessDenied("Only the one who started a session can resume it.")
		}
		if closing(r.Status) {
			return nil
		}
		out.TokenValue, out.StreamUrl = &token, new(s.streamURL(r))
		if err := putToken(tx, r.ID, clientSide, "", token); err != nil {
			return err
		}
		return s.record(tx, "session.resumed", r, nil)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
