package intake

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// lookEvery is how often the file is looked at.
const lookEvery = time.Second

// File is a configuration file in use. A change that cannot be read changes
// nothing: the last good content stays in force.
type File struct {
	path   string
	scopes Scopes
	log    *slog.Logger
	config atomic.Pointer[Config]
	mu     sync.Mutex
	last   [sha256.Size]byte // hash of what was read last, good or not
	mode   fs.FileMode
	seen   bool // it has been there
}

// OpenFile reads a file. That there is none is no error: it may come later. With
// one that cannot be read nobody is known until it is mended, and the error says
// what is wrong.
func OpenFile(path string, scopes Scopes, log *slog.Logger) (*File, error) {
	f := &File{path: path, scopes: scopes, log: log}
	f.config.Store(&Config{})
	_, err := f.Reload()
	return f, err
}

// Config is the last good content.
func (f *File) Config() *Config { return f.config.Load() }

// Watch follows the file until ctx ends.
func (f *File) Watch(ctx context.Context) error {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	var told string
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			changed, err := f.Reload()
			switch {
			case err != nil && err.Error() == told:
			case err != nil:
				told = err.Error()
				f.log.ErrorContext(ctx, "the intake file is not used; the last good one stays", "error", err)
			case changed:
				told = ""
				f.log.InfoContext(ctx, "the intake file was read", "integrations", len(f.Config().integrations))
			}
		}
	}
}

// Reload reads the file if it has changed. The same wrong content is an error
// once. A file that is gone stays in force.
func (f *File) Reload() (changed bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	data, mode, err := f.content()
	if errors.Is(err, fs.ErrNotExist) && !f.seen {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", filepath.Base(f.path), err)
	}
	hash := sha256.Sum256(data)
	if mode == f.mode && hash == f.last {
		return false, nil
	}
	f.last, f.mode, f.seen = hash, mode, true
	c, err := read(data, f.scopes, mode.Perm()&0o077 == 0)
	if err != nil {
		return false, fmt.Errorf("%s: %w", filepath.Base(f.path), err)
	}
	f.config.Store(c)
	return true, nil
}

func (f *File) content() ([]byte, fs.FileMode, error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return nil, 0, errors.Unwrap(err) // without the path
	}
	data, err := os.ReadFile(f.path)
	return data, info.Mode(), err
}
