package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	cdk "gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/watchbill/watchbill/internal/platform/db"
)

// ErrNotFound is the error of a key that nothing is kept under.
var ErrNotFound = errors.New("blob: there is no such blob")

// Store is a place for blobs. It is safe for concurrent use; two Puts of one key at a
// time leave one of them.
type Store struct {
	bucket *cdk.Bucket
	dir    string // of the file driver, "" for the others
}

// Info is what Put knows of what it wrote.
type Info struct {
	Size   int64  // bytes
	SHA256 string // lower case hex of the bytes
}

// Entry is one blob of a list.
type Entry struct {
	Key      string
	Size     int64 // bytes
	Modified time.Time
}

// Close lets go of the store.
func (s *Store) Close() error { return s.bucket.Close() }

// Put keeps what r gives under the key, in place of what was there. It returns when
// the bytes are durable; an error of r is returned as it is and nothing is kept. A
// full disk is db.ErrFull.
func (s *Store) Put(ctx context.Context, key string, r io.Reader) (Info, error) {
	if err := CheckKey(key); err != nil {
		return Info{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := s.bucket.NewWriter(ctx, key, &cdk.WriterOptions{
		ContentType: "application/octet-stream", DisableContentTypeDetection: true, BeforeWrite: private,
	})
	if err != nil {
		return Info{}, explain("put", key, err)
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, sum), r)
	if err != nil {
		cancel() // Close now throws away what was written
		_ = w.Close()
		return Info{}, explain("put", key, err)
	}
	if err := w.Close(); err != nil {
		return Info{}, explain("put", key, err)
	}
	return Info{Size: n, SHA256: hex.EncodeToString(sum.Sum(nil))}, explain("put", key, s.sync(key))
}

// private keeps a file of the file driver from others.
func private(as func(any) bool) error {
	var f *os.File
	if as(&f) {
		return f.Chmod(0o600)
	}
	return nil
}

// sync forces a file and the directories down to it onto the disk.
func (s *Store) sync(key string) error {
	if s.dir == "" {
		return nil
	}
	path := filepath.Join(s.dir, filepath.FromSlash(key))
	for ; len(path) >= len(s.dir); path = filepath.Dir(path) {
		if err := syncPath(path); err != nil {
			return err
		}
	}
	return nil
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	err = f.Sync()
	return errors.Join(err, f.Close())
}

// Get reads length bytes from offset, or to the end when length is negative. Beyond
// the end there is nothing, which is no error.
func (s *Store) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	if offset < 0 {
		return nil, fmt.Errorf("blob: the offset %d is negative", offset)
	}
	r, err := s.bucket.NewRangeReader(ctx, key, offset, length, nil)
	if err != nil {
		return nil, explain("get", key, err)
	}
	return r, nil
}

// Stat says how large a blob is and when it was written.
func (s *Store) Stat(ctx context.Context, key string) (Entry, error) {
	if err := CheckKey(key); err != nil {
		return Entry{}, err
	}
	a, err := s.bucket.Attributes(ctx, key)
	if err != nil {
		return Entry{}, explain("stat", key, err)
	}
	return Entry{Key: key, Size: a.Size, Modified: a.ModTime}, nil
}

// List gives up to limit blobs whose keys begin with prefix and come after the key
// after, in the order of their keys.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]Entry, error) {
	if err := checkPrefix(prefix); err != nil {
		return nil, err
	}
	var out []Entry
	for it := s.bucket.List(&cdk.ListOptions{Prefix: prefix}); len(out) < limit; {
		o, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, explain("list", prefix, err)
		}
		if !o.IsDir && o.Key > after && CheckKey(o.Key) == nil {
			out = append(out, Entry{Key: o.Key, Size: o.Size, Modified: o.ModTime})
		}
	}
	return out, nil
}

// Delete removes a blob. One that is not there is no error: a delete may be repeated.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	err := explain("delete", key, s.bucket.Delete(ctx, key))
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return err
}

// forgotten is the age from which an unfinished file is nobody's any more.
const forgotten = 24 * time.Hour

// Sweep removes what Puts left behind that a crash cut off, on the file driver. It
// reads the whole directory, so it belongs in the background.
func (s *Store) Sweep(ctx context.Context) error {
	if s.dir == "" {
		return nil
	}
	return filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return fs.SkipAll
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(path, unfinished) {
			return nil // what cannot be read now is read the next time
		}
		if info, err := d.Info(); err == nil && time.Since(info.ModTime()) > forgotten {
			_ = os.Remove(path)
		}
		return nil
	})
}

// explain gives the errors that callers tell apart their own names.
func explain(verb, key string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC):
		return db.ErrFull
	case gcerrors.Code(err) == gcerrors.NotFound, errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%s %s: %w", verb, key, ErrNotFound)
	}
	return fmt.Errorf("blob: %s %s: %w", verb, key, err)
}
