package cp

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"path/filepath"
	"time"

	wire "github.com/watchbill/watchbill/internal/wire/plane"
)

// errDirectory says that the other end has a directory where a file was meant.
var errDirectory = errors.New("is a directory (use -r)")

// fetch copies from the node.
func (x *copier) fetch(ctx context.Context, from, to string) error {
	dir, name := filepath.Split(filepath.Clean(to))
	if info, err := os.Stat(to); err == nil && info.IsDir() {
		dir = to
		if name, err = base(from); err != nil {
			return err
		}
	}
	if dir == "" {
		dir = "."
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	err = x.fetchFile(ctx, from, root, name)
	if errors.Is(err, errDirectory) && x.Recursive {
		return x.fetchTree(ctx, from, root, name)
	}
	return err
}

// fetchTree copies what the node lists below a directory.
func (x *copier) fetchTree(ctx context.Context, from string, root *os.Root, name string) error {
	entries, err := x.list(ctx, from)
	if err != nil {
		return err
	}
	if err := root.MkdirAll(name, 0o755); err != nil {
		return err
	}
	below, err := root.OpenRoot(name)
	if err != nil {
		return err
	}
	defer below.Close()
	var files []wire.Entry
	for _, e := range entries {
		rel, err := local(e.Path)
		switch {
		case err != nil:
			return err
		case e.Failed != "":
			x.fail(e.Path, errors.New(e.Failed))
		case e.Link != "":
			_, _ = fmt.Fprintf(x.Err, "watchbill: %s: a link to %s, not copied\n", e.Path, e.Link)
		case e.Dir:
			if err := below.MkdirAll(rel, 0o700|os.FileMode(e.Mode).Perm()); err != nil {
				return err
			}
		default:
			files = append(files, e)
		}
	}
	each(ctx, x, files, func(e wire.Entry) string { return e.Path }, func(e wire.Entry) error {
		rel, _ := local(e.Path)
		return x.fetchFile(ctx, path.Join(from, e.Path), below, rel)
	})
	return x.failed
}

// list asks for the files below a directory.
func (x *copier) list(ctx context.Context, from string) (out []wire.Entry, err error) {
	st, _, err := x.session.Open(ctx, wire.Open{Kind: wire.List, Path: from})
	if err != nil {
		return nil, err
	}
	defer st.Close()
	r, w := io.Pipe()
	go func() {
		result, err := st.Receive(w, io.Discard)
		if err == nil && result.Error != "" {
			err = errors.New(result.Error)
		}
		_ = w.CloseWithError(err)
	}()
	d := json.NewDecoder(bufio.NewReader(r))
	for {
		var e wire.Entry
		if err := d.Decode(&e); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
}

// fetchFile copies one file. What an earlier attempt left is kept if the node
// finds it to be the beginning of the file.
func (x *copier) fetchFile(ctx context.Context, from string, root *os.Root, name string) error {
	part := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".part")
	f, sum, have, err := openPart(root, part)
	if err != nil {
		return err
	}
	defer f.Close()
	st, opened, err := x.session.Open(ctx, wire.Open{Kind: wire.Get, Path: from, Offset: have, SHA256: hex.EncodeToString(sum.Sum(nil))})
	if err == nil {
		defer st.Close()
		if opened.Dir {
			err = errDirectory
		}
	}
	if err != nil {
		if have == 0 {
			_ = root.Remove(part)
		}
		return err
	}
	if opened.Offset != have {
		if err := restart(f, sum); err != nil {
			return err
		}
	}
	result, err := st.Receive(io.MultiWriter(f, sum), io.Discard)
	if err != nil {
		return err
	}
	got := hex.EncodeToString(sum.Sum(nil))
	switch {
	case result.Error != "":
		return errors.New(result.Error)
	case got != result.SHA256:
		_ = root.Remove(part)
		return errors.New("what arrived is not what was sent: the sums differ")
	}
	if err := finish(root, f, part, name, opened); err != nil {
		return err
	}
	x.done(name, got, result.Size)
	return nil
}

func openPart(root *os.Root, part string) (*os.File, hash.Hash, int64, error) {
	if info, err := root.Lstat(part); err == nil && !info.Mode().IsRegular() {
		if err := root.Remove(part); err != nil {
			return nil, nil, 0, err
		}
	}
	f, err := root.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, 0, err
	}
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	return f, sum, n, err
}

func restart(f *os.File, sum hash.Hash) error {
	sum.Reset()
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.Seek(0, io.SeekStart)
	return err
}

// finish gives a file that is complete its mode, time and name.
func finish(root *os.Root, f *os.File, part, name string, o wire.Opened) error {
	err := f.Chmod(os.FileMode(o.Mode).Perm())
	if err == nil && !o.Time.IsZero() {
		err = root.Chtimes(part, time.Time{}, o.Time)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = root.Rename(part, name)
	}
	return err
}
