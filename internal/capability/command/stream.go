package command

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// Limits of the full output that is kept.
const (
	maxOutput  = 64 << 20         // bytes of a stream
	lateOutput = 10 * time.Minute // after the end of the invocation
	inRow      = 8 << 10          // bytes of a piece that is kept in the store itself
)

// stream is a row of command_stream: how much of an output is here.
type stream struct {
	Length int64  // bytes
	Total  int64  // bytes in all, -1 until the node has said it
	Hash   []byte // state of a SHA-256 over the first Length bytes
}

// Output keeps a piece of a step's full output and answers how long the
// stream is here, and whether the whole of it is; the node goes on from there.
// A stream that is over the limit is taken and forgotten. Errors: ErrForeign,
// ErrContent.
func (s *Service) Output(ctx context.Context, nodeID string, out mgs.JobOutput) (length int64, end bool, err error) {
	key, err := s.keepPiece(ctx, nodeID, &out)
	if err != nil {
		return 0, false, err
	}
	err = s.reported(ctx, nodeID, out.JobID, func(tx *db.Tx, _ *command, i *invocation) error {
		if i == nil || !validPiece(&out) {
			return fmt.Errorf("%w: a piece of output that no step has", ErrContent)
		}
		if !i.Finished.IsZero() && tx.Now.Sub(i.Finished) > lateOutput {
			length, end = out.Offset+int64(len(out.Data)), out.End
			return nil
		}
		length, end, err = s.appendOutput(tx, i, &out, key)
		return err
	})
	return length, end, err
}

func validPiece(out *mgs.JobOutput) bool {
	return (out.Stream == "stdout" || out.Stream == "stderr") && len(out.Data) <= mgs.MaxOutputChunk && out.Offset >= 0
}

// keepPiece puts a large piece into a blob, if it is the next one of a stream
// that the node may write, and answers its key; "" for a piece that stays in
// the store. A blob that no row comes to name goes with the command.
func (s *Service) keepPiece(ctx context.Context, nodeID string, out *mgs.JobOutput) (key string, err error) {
	commandID, of, err := mgs.ParseJobID(out.JobID)
	if err != nil || of != nodeID || s.Blobs == nil || len(out.Data) <= inRow || !validPiece(out) || out.Offset >= maxOutput {
		return "", nil //nolint:nilerr // refused where the piece is taken
	}
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		steps, err := s.listSteps(tx, commandID, nodeID)
		if err != nil {
			return err
		}
		for _, st := range steps {
			if st.Name == out.Step {
				key = fmt.Sprintf("%s%d/%s/%012d-%d", nodePrefix(tx.Scope, commandID, nodeID), st.Position, out.Stream, out.Offset, len(out.Data))
			}
		}
		at, err := s.findStream(tx, commandID, nodeID, out.Step, out.Stream)
		if err == nil && at.Length != out.Offset {
			key = ""
		}
		return err
	})
	if err != nil || key == "" {
		return "", err
	}
	sealed, err := s.sealPiece(ctx, db.ScopeOf(ctx), commandID, nodeID, out)
	if err != nil {
		return "", err
	}
	_, err = s.Blobs.Put(ctx, key, bytes.NewReader(sealed))
	return key, err
}

// commandPrefix is where the blobs of a command are.
func commandPrefix(s db.Scope, commandID string) string {
	return "command/" + s.Account + "/" + s.Region + "/" + commandID + "/"
}

func nodePrefix(s db.Scope, commandID, nodeID string) string {
	return commandPrefix(s, commandID) + nodeID + "/"
}

func streamFilter(tx *db.Tx, commandID, nodeID, step, name string) *db.Filter {
	return scoped(tx).And("command_id = ?", commandID).And("node_id = ?", nodeID).And("step = ?", step).And("stream = ?", name)
}

func (s *Service) findStream(tx *db.Tx, commandID, nodeID, step, name string) (stream, error) {
	f := streamFilter(tx, commandID, nodeID, step, name)
	out := stream{Total: -1}
	err := tx.QueryRow("select length, total, hash from command_stream"+f.Where(), f.Args...).Scan(&out.Length, &out.Total, &out.Hash)
	if errors.Is(err, sql.ErrNoRows) {
		return out, nil
	}
	if err == nil {
		out.Hash, err = s.openHash(tx, out.Hash, streamPlace(tx.Scope, commandID, nodeID, step, name))
	}
	return out, err
}

func (s *Service) appendOutput(tx *db.Tx, i *invocation, out *mgs.JobOutput, key string) (length int64, end bool, err error) {
	steps, err := s.listSteps(tx, i.CommandID, i.NodeID)
	if err != nil {
		return 0, false, err
	}
	if !hasStep(steps, out.Step) {
		return 0, false, fmt.Errorf("%w: a piece of output that no step has", ErrContent)
	}
	at, err := s.findStream(tx, i.CommandID, i.NodeID, out.Step, out.Stream)
	switch {
	case err != nil:
		return 0, false, err
	case at.Length >= maxOutput:
		return out.Offset + int64(len(out.Data)), out.End, nil
	case out.Offset != at.Length || at.Total >= 0 || len(out.Data) == 0 && !out.End:
		return at.Length, at.Total >= 0, nil
	}
	if len(out.Data) > 0 {
		if err := s.insertPiece(tx, i, out, key); err != nil {
			return 0, false, err
		}
	}
	if err := at.add(out); err != nil {
		return 0, false, err
	}
	if err := s.saveStream(tx, i, out, &at); err != nil {
		return 0, false, err
	}
	return at.Length, out.End, tx.Notify(topic(tx.Scope, i.CommandID))
}

func hasStep(steps []step, name string) bool {
	for n := range steps {
		if steps[n].Name == name {
			return true
		}
	}
	return false
}

func (s *Service) insertPiece(tx *db.Tx, i *invocation, out *mgs.JobOutput, key string) error {
	data := []byte{}
	if key == "" {
		var err error
		if data, err = s.sealPiece(tx.Context(), tx.Scope, i.CommandID, i.NodeID, out); err != nil {
			return err
		}
	}
	_, err := tx.Exec(`insert into command_output(account, region, command_id, node_id, step, stream, position, data, length, blob, sealed)
		values($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1)`,
		tx.Scope.Account, tx.Scope.Region, i.CommandID, i.NodeID, out.Step, out.Stream, out.Offset, data, len(out.Data), key)
	return err
}

// add counts and hashes a piece.
func (st *stream) add(out *mgs.JobOutput) error {
	h := sha256.New()
	if len(st.Hash) > 0 {
		if err := h.(encoding.BinaryUnmarshaler).UnmarshalBinary(st.Hash); err != nil {
			return fmt.Errorf("command: hash of an output: %w", err)
		}
	}
	_, _ = h.Write(out.Data)
	st.Length += int64(len(out.Data))
	if out.End {
		st.Total = st.Length
	}
	var err error
	st.Hash, err = h.(encoding.BinaryMarshaler).MarshalBinary()
	return err
}

// sum is the SHA-256 of a stream that is whole, in hex.
func (st *stream) sum() (string, error) {
	h := sha256.New()
	if err := h.(encoding.BinaryUnmarshaler).UnmarshalBinary(st.Hash); err != nil {
		return "", fmt.Errorf("command: hash of an output: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (s *Service) saveStream(tx *db.Tx, i *invocation, out *mgs.JobOutput, st *stream) error {
	hash, err := s.Sealer.Seal(tx.Context(), st.Hash, streamPlace(tx.Scope, i.CommandID, i.NodeID, out.Step, out.Stream))
	if err != nil {
		return err
	}
	_, err = tx.Exec(`insert into command_stream(account, region, command_id, node_id, step, stream, length, total, hash)
		values($1, $2, $3, $4, $5, $6, $7, $8, $9)
		on conflict(account, region, command_id, node_id, step, stream) do update set length = excluded.length, total = excluded.total, hash = excluded.hash`,
		tx.Scope.Account, tx.Scope.Region, i.CommandID, i.NodeID, out.Step, out.Stream, st.Length, st.Total, hash)
	return err
}

// piece is a row of command_output.
type piece struct {
	Position, Length int64
	Data             []byte
	Blob             string // key of the data when it is not in the row
	Sealed           bool
	Place            string // for which the data is sealed
}

// pieces are those of a stream that hold bytes from a position on, as many as
// size bytes need.
func pieces(tx *db.Tx, f *db.Filter, from, size int64) ([]piece, error) {
	f.And("position + length > ?", from).And("position < ?", from+size)
	return db.Rows(tx, "select position, length, data, blob, sealed, step, stream, command_id, node_id from command_output"+f.Where()+" order by position", f.Args, func(r *sql.Rows) (p piece, err error) {
		var step, stream, commandID, nodeID string
		err = r.Scan(&p.Position, &p.Length, &p.Data, &p.Blob, &p.Sealed, &step, &stream, &commandID, &nodeID)
		p.Place = piecePlace(streamPlace(tx.Scope, commandID, nodeID, step, stream), p.Position)
		return p, err
	})
}

// read puts the bytes from a position on together, at most size of them.
func (s *Service) read(ctx context.Context, list []piece, from, size int64) ([]byte, error) {
	var out []byte
	for _, p := range list {
		data := p.Data
		if p.Blob != "" {
			var err error
			if data, err = s.readBlob(ctx, p.Blob); err != nil {
				return nil, err
			}
		}
		if p.Sealed {
			var err error
			if data, err = s.Sealer.Open(ctx, data, p.Place); err != nil {
				return nil, fmt.Errorf("command: an output at %d: %w", p.Position, err)
			}
		}
		skip := from + int64(len(out)) - p.Position
		if skip < 0 || skip > int64(len(data)) {
			return nil, fmt.Errorf("command: a gap in an output at %d", p.Position)
		}
		data = data[skip:]
		out = append(out, data[:min(int64(len(data)), size-int64(len(out)))]...)
	}
	return out, nil
}

func (s *Service) readBlob(ctx context.Context, key string) ([]byte, error) {
	r, err := s.Blobs.Get(ctx, key, 0, -1)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

// forgetBlobs deletes the blobs of a command.
func (s *Service) forgetBlobs(ctx context.Context, commandID string) error {
	if s.Blobs == nil {
		return nil
	}
	prefix := commandPrefix(db.ScopeOf(ctx), commandID)
	for {
		list, err := s.Blobs.List(ctx, prefix, "", 100)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, e := range list {
			if err := s.Blobs.Delete(ctx, e.Key); err != nil {
				return err
			}
		}
	}
}
