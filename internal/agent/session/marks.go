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
// has not acknowledged. A file is named by the digest of the session's id, and
// holds the id and, behind a line break, what leadership says of the program.
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

// lead adds the program that leads the session, so that a later run finds what is
// left of it.
func (m marks) lead(id string, pid int) error {
	return durable.WriteFile(m.path(id), []byte(id+"\n"+leadership(pid)))
}

func (m marks) clear(id string) { _ = os.Remove(m.path(id)) }

// mark is a session that is remembered, and its program, "" before there was one.
type mark struct{ id, leader string }

// left lists the sessions that are remembered.
func (m marks) left() ([]mark, error) {
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return nil, err
	}
	files, err := os.ReadDir(m.dir)
	if err != nil {
		return nil, err
	}
	var out []mark
	for _, f := range files {
		path := filepath.Join(m.dir, f.Name())
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		id, leader, _ := strings.Cut(string(b), "\n")
		if strings.HasPrefix(f.Name(), ".") || path != m.path(id) {
			_ = os.Remove(path) // a write that did not end
			continue
		}
		out = append(out, mark{id, leader})
	}
	return out, nil
}
