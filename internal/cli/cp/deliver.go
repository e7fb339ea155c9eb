package cp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	wire "github.com/watchbill/watchbill/internal/wire/plane"
)

// deliver copies to the node.
func (x *copier) deliver(ctx context.Context, from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return x.deliverFile(ctx, from, to, true)
	}
	if !x.Recursive {
		return fmt.Errorf("%s %w", from, errDirectory)
	}
	return x.deliverTree(ctx, from, to)
}

// deliverTree copies a directory, below the one of the node if that is there.
func (x *copier) deliverTree(ctx context.Context, from, to string) error {
	if to == "" || strings.HasSuffix(to, "/") || x.isDirectory(ctx, to) {
		name, err := filepath.Abs(from)
		if err != nil {
			return err
		}
		to = path.Join(to, filepath.Base(name))
	}
	var files []string
	err := filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			x.fail(p, err)
			return nil
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			return x.makeDirectory(ctx, path.Join(to, filepath.ToSlash(rel)), d)
		case d.Type().IsRegular():
			files = append(files, rel)
		default:
			_, _ = fmt.Fprintf(x.Err, "watchbill: %s: not a file, not copied\n", p)
		}
		return nil
	})
	if err != nil {
		return err
	}
	each(ctx, x, files, func(rel string) string { return rel }, func(rel string) error {
		return x.deliverFile(ctx, filepath.Join(from, rel), path.Join(to, filepath.ToSlash(rel)), false)
	})
	return x.failed
}

func (x *copier) isDirectory(ctx context.Context, p string) bool {
	st, opened, err := x.session.Open(ctx, wire.Open{Kind: wire.List, Path: p})
	if err != nil {
		return false
	}
	st.Reset("only asked")
	return opened.Dir
}

func (x *copier) makeDirectory(ctx context.Context, p string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	st, _, err := x.session.Open(ctx, wire.Open{Kind: wire.Put, Path: p, Dir: true, Mode: uint32(info.Mode().Perm())})
	if err != nil {
		return err
	}
	defer st.Close()
	_, err = st.Receive(io.Discard, io.Discard)
	return err
}

// deliverFile copies one file, again from the beginning when what an earlier
// attempt left turns out to be of another file.
func (x *copier) deliverFile(ctx context.Context, from, to string, intoDirectory bool) error {
	err := x.send(ctx, from, to, 0)
	if errors.Is(err, errDirectory) && intoDirectory {
		to = path.Join(to, filepath.Base(from))
		err = x.send(ctx, from, to, 0)
	}
	if errors.Is(err, errSums) {
		err = x.send(ctx, from, to, -1)
	}
	return err
}

var errSums = errors.New("what arrived is not what was sent: the sums differ")

func (x *copier) send(ctx context.Context, from, to string, offset int64) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	st, opened, err := x.session.Open(ctx, wire.Open{
		Kind: wire.Put, Path: to, Mode: uint32(info.Mode().Perm()), Time: info.ModTime(), Size: info.Size(), Offset: offset,
	})
	if err != nil {
		return err
	}
	defer st.Close()
	if opened.Dir {
		return errDirectory
	}
	sum := sha256.New()
	if _, err := io.CopyN(sum, f, opened.Offset); err != nil {
		return errSums // the file is shorter now
	}
	if _, err := st.Copy(wire.KindData, io.TeeReader(f, sum)); err != nil {
		return err
	}
	mine := hex.EncodeToString(sum.Sum(nil))
	if _, err := st.WriteKind(wire.KindSum, []byte(mine)); err != nil {
		return err
	}
	if err := st.CloseWrite(); err != nil {
		return err
	}
	result, err := st.Receive(io.Discard, io.Discard)
	switch {
	case err != nil:
		return err
	case result.Error == errSums.Error():
		return errSums
	case result.Error != "":
		return errors.New(result.Error)
	case result.SHA256 != mine:
		return errSums
	}
	x.done(opened.Path, mine, result.Size)
	return nil
}
