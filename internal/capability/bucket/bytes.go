package bucket

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/task"
)

// write keeps the bytes of r under an id of their own. Until a row names them, which
// own does, they are rubbish with a task that throws them away.
func (s *Service) write(ctx context.Context, r io.Reader) (part, error) {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	p := part{Blob: hex.EncodeToString(random[:])}
	key := make([]byte, keyBytes)
	_, _ = rand.Read(key)
	var err error
	if p.Key, err = s.Sealer.Seal(ctx, key, blobKey(p.Blob)); err != nil {
		return p, fmt.Errorf("bucket: %w", err)
	}
	in, err := newSealing(r, key)
	if err != nil {
		return p, err
	}
	if err := s.intend(ctx, p.Blob); err != nil {
		return p, err
	}
	if _, err := s.Blobs.Put(ctx, blobKey(p.Blob), in); err != nil {
		return p, err
	}
	p.Size = in.size
	return p, nil
}

// intend leaves word of bytes that are about to be written, in a transaction of its
// own that the record of the call is no part of.
func (s *Service) intend(ctx context.Context, id string) error {
	alone := journal.WithActor(db.WithScope(context.Background(), db.ScopeOf(everywhere(ctx))), journal.ActorOf(ctx))
	return s.DB.Update(alone, func(tx *db.Tx) error {
		return s.Tasks.Enqueue(tx, task.Spec{Kind: discardTask, Key: id, Due: tx.Now.Add(uploading)})
	})
}

// own makes written bytes those of a row of the transaction.
func (s *Service) own(tx *db.Tx, p part) error {
	waits, err := s.Tasks.Cancel(tx, discardTask, p.Blob)
	if err == nil && !waits {
		err = errors.New("bucket: the bytes were thrown away before the upload was done")
	}
	return err
}

// read gives out length bytes of an object from an offset.
func (s *Service) read(ctx context.Context, parts []part, offset, length int64) io.ReadCloser {
	return &reader{s: s, ctx: ctx, parts: parts, skip: offset, left: length}
}

// reader goes through the parts of an object.
type reader struct {
	s     *Service
	ctx   context.Context // of the request that reads
	parts []part
	skip  int64 // bytes before the first one to give out
	left  int64
	now   io.Reader
	close io.Closer
}

// Read gives out bytes.
func (r *reader) Read(p []byte) (int, error) {
	for r.left > 0 {
		if r.now == nil {
			if err := r.next(); err != nil {
				return 0, err
			}
		}
		n, err := r.now.Read(p[:min(int64(len(p)), r.left)])
		r.left -= int64(n)
		if errors.Is(err, io.EOF) {
			err = r.Close()
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.EOF
}

// next opens the part that the next byte is in.
func (r *reader) next() error {
	for len(r.parts) > 0 && r.skip >= r.parts[0].Size {
		r.skip -= r.parts[0].Size
		r.parts = r.parts[1:]
	}
	if len(r.parts) == 0 {
		return io.ErrUnexpectedEOF
	}
	p := r.parts[0]
	r.parts = r.parts[1:]
	key, err := r.s.Sealer.Open(r.ctx, p.Key, blobKey(p.Blob))
	if err != nil {
		return err
	}
	aead, err := newAEAD(key)
	if err != nil {
		return err
	}
	first := r.skip / segment
	in, err := r.s.Blobs.Get(r.ctx, blobKey(p.Blob), first*(segment+tagBytes), -1)
	if err != nil {
		return err
	}
	r.close = in
	r.now = &opening{in: in, aead: aead, number: first, last: lastSegment(p.Size), buf: make([]byte, segment+tagBytes)}
	_, err = io.CopyN(io.Discard, r.now, r.skip%segment)
	r.skip = 0
	return err
}

// Close lets go of the part being read.
func (r *reader) Close() error {
	if r.close == nil {
		return nil
	}
	err := r.close.Close()
	r.now, r.close = nil, nil
	return err
}
