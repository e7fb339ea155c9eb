package session

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/watchbill/watchbill/internal/agent/durable"
)

// marks are files that say which sessions were started and whose end the hub
// has not acknowledged. A file holds a session id and is named by its digest.
type marks struct{ dir string }

func (m marks) path(id string) string {
	sum := sha256.Sum256([]byte(id))
	return filepath.Join(m.dir, hex.EncodeToString(sum[:16]))
}

// set remembers a session; it is on the disk when set returns. Error: it was
// started before.
func (m marks) set(id string) error {
	path := m.path(id)
	if _, err := os.Lstat(path); err == nil {
		return errors.New("the session was started before")
	}
	return durable.WriteFile(path, []byte(id))
}

func (m marks) clear(id string) { _ = os.Remove(m.path(id)) }

// left lists the sessions that are remembered.
func (m marks) left() ([]string, error) {
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return nil, err
	}
	files, err := os.ReadDir(m.dir)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, f := range files {
		path := filepath.Join(m.dir, f.Name())
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(f.Name(), ".") || path != m.path(string(b)) {
			_ = os.Remove(path) // a write that did not end
			continue
		}
		ids = append(ids, string(b))
	}
	return ids, nil
}
