package session

import (
	"context"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/capability/node"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/wire/mgs"
	"github.com/watchbill/watchbill/internal/wire/plane"
)

// OpenSession is StartSession over our own data plane. Errors: those of
// StartSession; InvalidStateException for a node that does not speak it.
func (s *Service) OpenSession(ctx context.Context, in *watchbill.OpenSessionInput) (*watchbill.OpenSessionOutput, error) {
	if err := s.speaksPlane(ctx, *in.Target); err != nil {
		return nil, err
	}
	var out *watchbill.OpenSessionOutput
	start := &ssm.StartSessionInput{Target: in.Target, DocumentName: in.DocumentName, Parameters: in.Parameters, Reason: in.Reason}
	_, err := s.begin(ctx, start, plane.Version, func(tx *db.Tx, o *ssm.StartSessionOutput) {
		out = &watchbill.OpenSessionOutput{SessionId: o.SessionId, TokenValue: o.TokenValue, StreamUrl: o.StreamUrl}
		audit.Answer(tx, out)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// speaksPlane wants our own agent on the node.
func (s *Service) speaksPlane(ctx context.Context, id string) error {
	return s.DB.View(ctx, func(tx *db.Tx) error {
		n, err := s.Nodes.Get(tx, id)
		if err != nil && !node.IsUnknown(err) {
			return err
		}
		if err == nil && n.AgentName != mgs.OwnAgent {
			return &watchbill.InvalidStateException{Message: id + " runs the agent " + n.AgentName + ": use the session-manager-plugin."}
		}
		return nil
	})
}

// StreamOpened keeps that a stream was opened in a session. Error: ErrEnded.
func (s *Service) StreamOpened(ctx context.Context, id string, body map[string]any) error {
	return s.change(ctx, id, func(tx *db.Tx, r *row) error {
		if closing(r.Status) {
			return ErrEnded
		}
		return s.record(tx, "session.stream.opened", r, body)
	})
}

// StreamClosed keeps what came of a stream.
func (s *Service) StreamClosed(ctx context.Context, id string, body map[string]any) error {
	return gone(s.change(ctx, id, func(tx *db.Tx, r *row) error { return s.record(tx, "session.stream.closed", r, body) }))
}
