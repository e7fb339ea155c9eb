package command

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// What commands print is sealed, since secrets come up in it. What was kept before is
// plain and can be read on.

func stepPlace(s db.Scope, commandID, nodeID string, position int) string {
	return fmt.Sprintf("command_step/%s/%s/%s/%s/%d", s.Account, s.Region, commandID, nodeID, position)
}

// sealOutputs fills the column outputs of a step; nothing when it has none.
func (s *Service) sealOutputs(tx *db.Tx, i *invocation, st *step) ([]byte, error) {
	texts := []string{st.Output, st.Stdout, st.Stderr}
	if !slices.ContainsFunc(texts, func(t string) bool { return t != "" }) {
		return []byte{}, nil
	}
	b, err := json.Marshal(texts)
	if err != nil {
		return nil, err
	}
	return s.Sealer.Seal(tx.Context(), b, stepPlace(tx.Scope, i.CommandID, i.NodeID, st.Position))
}

func (s *Service) openOutputs(tx *db.Tx, commandID, nodeID string, st *step, sealed []byte) error {
	if len(sealed) == 0 {
		return nil
	}
	b, err := s.Sealer.Open(tx.Context(), sealed, stepPlace(tx.Scope, commandID, nodeID, st.Position))
	if err != nil {
		return fmt.Errorf("command: outputs of step %s of %s: %w", st.Name, commandID, err)
	}
	return json.Unmarshal(b, &[]any{&st.Output, &st.Stdout, &st.Stderr})
}

// streamPlace is where an output belongs.
func streamPlace(s db.Scope, commandID, nodeID, step, stream string) string {
	return fmt.Sprintf("command_stream/%s/%s/%s/%s/%s/%s", s.Account, s.Region, commandID, nodeID, step, stream)
}

func piecePlace(stream string, position int64) string { return fmt.Sprintf("%s/%d", stream, position) }

func (s *Service) sealPiece(ctx context.Context, scope db.Scope, commandID, nodeID string, out *mgs.JobOutput) ([]byte, error) {
	return s.Sealer.Seal(ctx, out.Data, piecePlace(streamPlace(scope, commandID, nodeID, out.Step, out.Stream), out.Offset))
}

// plainHash is how the state of a SHA-256 begins, which holds up to 63 bytes of what
// was hashed last.
var plainHash = []byte("sha\x03")

func (s *Service) openHash(tx *db.Tx, hash []byte, place string) ([]byte, error) {
	if len(hash) == 0 || bytes.HasPrefix(hash, plainHash) {
		return hash, nil
	}
	plain, err := s.Sealer.Open(tx.Context(), hash, place)
	if err != nil {
		return nil, fmt.Errorf("command: hash of an output: %w", err)
	}
	return plain, nil
}
