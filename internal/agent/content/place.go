package content

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// place is the directory that content goes to, and the name of a single file
// in it when the document chose one.
type place struct {
	root *os.Root
	dir  string
	name string
	left int64 // bytes that may still be written
}

// maxName is the longest path of a file below the directory.
const maxName = 1024

// open opens the destination: "" is the downloads of the command, a relative
// path is below those, an absolute one is itself. A path that is no directory
// and does not end in a slash names the file when single says that there is
// only one.
func open(destination, downloads string, single bool, limit int64) (*place, error) {
	dir := destination
	if !filepath.IsAbs(dir) {
		local := filepath.FromSlash(strings.TrimSuffix(destination, "/"))
		if local != "" && !filepath.IsLocal(local) {
			return nil, fmt.Errorf("destinationPath %q leads out of the directory of the command", destination)
		}
		dir = filepath.Join(downloads, local)
	}
	p := &place{left: limit}
	st, err := os.Stat(dir)
	if single && destination != "" && !strings.HasSuffix(destination, "/") && (err != nil || !st.IsDir()) {
		dir, p.name = filepath.Dir(dir), filepath.Base(dir)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("destinationPath %q: %w", destination, err)
	}
	p.dir = dir
	p.root, err = os.OpenRoot(dir)
	return p, err
}

func (p *place) close() { p.root.Close() }

// check refuses names that could lead out of a directory, or that some system
// reads in another way.
func check(name string) error {
	if name == "" || len(name) > maxName || !filepath.IsLocal(filepath.FromSlash(name)) || path.Clean(name) != name || strings.ContainsAny(name, "\\\x00:") {
		return fmt.Errorf("the name %q is not one of a file below the destination", name)
	}
	return nil
}

// write puts a file below the directory, whole or not at all.
func (p *place) write(name string, mode os.FileMode, from io.Reader) (err error) {
	if p.name != "" {
		name = p.name
	}
	if err := check(name); err != nil {
		return err
	}
	if dir := path.Dir(name); dir != "." {
		if err := p.root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	part := path.Join(path.Dir(name), ".part-"+path.Base(name))
	_ = p.root.Remove(part)
	f, err := p.root.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, io.LimitReader(from, p.left+1))
	if p.left -= n; err == nil && p.left < 0 {
		err = ErrTooLarge
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = p.root.Rename(part, name)
	}
	if err != nil {
		_ = p.root.Remove(part)
	}
	return err
}
