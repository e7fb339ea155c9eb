package session

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/watchbill/watchbill/internal/platform/db"
)

// States of a recording.
const (
	recordingOpen        = "open"
	recordingBroken      = "broken" // goes on, but its hub died and took with it what was not kept yet
	recordingComplete    = "complete"
	recordingInterrupted = "interrupted" // a part is missing: its hub died, or a chunk could not be kept
)

// MaxChunk is the largest chunk of a recording, in bytes.
const MaxChunk = 256 << 10

// Chunk is a row of session_chunk: a piece of a recording.
type Chunk struct {
	Number int    // from 1
	Offset int64  // of its first byte in the recording
	Length int64  // of its content in plain
	Key    string // of the sealed content in the blobs
	Hash   string // hex; see link
	Prev   string // hash of the chunk before, "" of the first
}

// link is the hash of a chunk: SHA-256 over the hash of the chunk before, the
// chunk's number and the SHA-256 of its content.
func link(prev string, number int, content []byte) string {
	sum := sha256.Sum256(content)
	h := sha256.New()
	h.Write([]byte(prev))
	_ = binary.Write(h, binary.BigEndian, int64(number))
	h.Write(sum[:])
	return hex.EncodeToString(h.Sum(nil))
}

// recordingTopic is what is notified when a recording grows or is closed.
func recordingTopic(scope db.Scope, id string) string {
	return "session.recording/" + scope.Account + "/" + scope.Region + "/" + id
}

func chunkKey(scope db.Scope, id string, number int) string {
	sum := sha256.Sum256([]byte(id))
	return fmt.Sprintf("session/%s/%s/%s/%08d", scope.Account, scope.Region, hex.EncodeToString(sum[:16]), number)
}

func chunkPlace(scope db.Scope, id string, number int) string {
	return fmt.Sprintf("session_chunk/%s/%s/%s/%d", scope.Account, scope.Region, id, number)
}

// AppendChunk adds a piece to the recording of a session, at most MaxChunk bytes.
// When it returns, the piece is kept, sealed, and chained to those before. A
// session's chunks are written by one caller at a time. Errors: ErrEnded without
// such a session, ErrRecording when the recording was closed.
func (s *Service) AppendChunk(ctx context.Context, id string, content []byte) (Chunk, error) {
	if len(content) == 0 || len(content) > MaxChunk {
		return Chunk{}, fmt.Errorf("session: a chunk of %d bytes", len(content))
	}
	r, err := s.find(ctx, id)
	if err != nil {
		return Chunk{}, err
	}
	c := Chunk{Number: r.Chunks + 1, Offset: r.Bytes, Length: int64(len(content)), Prev: r.Chain}
	c.Key, c.Hash = chunkKey(r.Scope, id, c.Number), link(c.Prev, c.Number, content)
	sealed, err := s.Sealer.Seal(ctx, content, chunkPlace(r.Scope, id, c.Number))
	if err != nil {
		return Chunk{}, err
	}
	if _, err := s.Blobs.Put(ctx, c.Key, bytes.NewReader(sealed)); err != nil {
		return Chunk{}, err
	}
	return c, s.change(ctx, id, func(tx *db.Tx, r *row) error {
		if r.recordingClosed() {
			return ErrRecording
		}
		if r.Chunks+1 != c.Number || r.Chain != c.Prev {
			return errors.New("session: another recorder writes the same recording")
		}
		if r.Recording == "" {
			r.Recording = recordingOpen
		}
		r.Chunks, r.Bytes, r.Chain = c.Number, r.Bytes+c.Length, c.Hash
		if err := insertChunk(tx, id, &c); err != nil {
			return err
		}
		return tx.Notify(recordingTopic(r.Scope, id))
	})
}

func (r *row) recordingClosed() bool {
	return r.Recording == recordingComplete || r.Recording == recordingInterrupted
}

// recordingUnderway says that there is one, and that it is not closed.
func (r *row) recordingUnderway() bool { return r.Recording != "" && !r.recordingClosed() }

// FinishRecording closes the recording of a session; complete says that nothing
// is missing in it. The root hash, that of the last chunk, goes to the journal. A
// second call changes nothing.
func (s *Service) FinishRecording(ctx context.Context, id string, complete bool) error {
	return gone(s.change(ctx, id, func(tx *db.Tx, r *row) error { return s.finishRecording(tx, r, complete) }))
}

func (s *Service) finishRecording(tx *db.Tx, r *row, complete bool) error {
	if r.recordingClosed() {
		return nil
	}
	if complete && r.Recording != recordingBroken {
		r.Recording = recordingComplete
	} else {
		r.Recording = recordingInterrupted
	}
	if err := tx.Notify(recordingTopic(r.Scope, r.ID)); err != nil {
		return err
	}
	return s.record(tx, "session.recorded", r, map[string]any{
		"recording": r.Recording, "chunks": r.Chunks, "bytes": r.Bytes, "rootHash": r.Chain,
	})
}

// ReadRecording is the content of a recording from an offset on, at most limit
// bytes, and fewer at the end of a chunk; none at the end of what there is. Each
// chunk is checked against the chain.
func (s *Service) ReadRecording(ctx context.Context, id string, offset int64, limit int) ([]byte, error) {
	r, err := s.find(ctx, id)
	if err != nil {
		return nil, err
	}
	var chunks []Chunk
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		tx.Scope = r.Scope
		f := scoped(tx).And("session_id = ?", id).And("position + length > ?", offset)
		chunks, err = listChunks(tx, f, 1)
		return err
	})
	if err != nil || len(chunks) == 0 {
		return nil, err
	}
	content, err := s.readChunk(ctx, r, &chunks[0])
	if err != nil {
		return nil, err
	}
	content = content[offset-chunks[0].Offset:]
	return content[:min(len(content), limit)], nil
}

func (s *Service) readChunk(ctx context.Context, r *row, c *Chunk) ([]byte, error) {
	in, err := s.Blobs.Get(ctx, c.Key, 0, -1)
	if err != nil {
		return nil, fmt.Errorf("session: recording of %s: %w", r.ID, err)
	}
	sealed, err := io.ReadAll(in)
	err = errors.Join(err, in.Close())
	if err != nil {
		return nil, fmt.Errorf("session: recording of %s: %w", r.ID, err)
	}
	content, err := s.Sealer.Open(ctx, sealed, chunkPlace(r.Scope, r.ID, c.Number))
	if err != nil {
		return nil, fmt.Errorf("session: recording of %s, chunk %d: %w", r.ID, c.Number, err)
	}
	if int64(len(content)) != c.Length || link(c.Prev, c.Number, content) != c.Hash {
		return nil, fmt.Errorf("session: recording of %s: chunk %d is not what was written", r.ID, c.Number)
	}
	return content, nil
}

func insertChunk(tx *db.Tx, id string, c *Chunk) error {
	_, err := tx.Exec(`insert into session_chunk(account, region, session_id, number, position, length, written, blob_key, hash, prev)
		values($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		tx.Scope.Account, tx.Scope.Region, id, c.Number, c.Offset, c.Length, db.Micros(tx.Now), c.Key, c.Hash, c.Prev)
	return err
}

// listChunks reads chunks in order; n 0 is all of them.
func listChunks(tx *db.Tx, f *db.Filter, n int) ([]Chunk, error) {
	query := "select number, position, length, blob_key, hash, prev from session_chunk" + f.Where() + " order by number"
	if n > 0 {
		query += fmt.Sprintf(" limit %d", n)
	}
	return db.Rows(tx, query, f.Args, func(r *sql.Rows) (c Chunk, err error) {
		err = r.Scan(&c.Number, &c.Offset, &c.Length, &c.Key, &c.Hash, &c.Prev)
		return c, err
	})
}
