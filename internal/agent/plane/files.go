package plane

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	wire "github.com/watchbill/watchbill/internal/wire/plane"
)

var errKind = errors.New("neither a file nor a directory")

// place is a path as the person means it: relative ones are below the home.
func (s *session) place(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok || path == "~" {
		path = rest
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.user.Home, path)
	}
	return filepath.Clean(path)
}

// get sends a file, from where the client has it.
func (s *session) get(st *wire.Stream) {
	open := st.Header()
	path := s.place(open.Path)
	var f *os.File
	err := s.user.Do(func() (err error) {
		f, err = openFile(path)
		return err
	})
	if errors.Is(err, errDirectory) {
		_ = st.Answer(wire.Opened{Dir: true, Path: path})
		return
	}
	if err != nil {
		s.refuse(st, err)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		s.refuse(st, err)
		return
	}
	sum := sha256.New()
	offset := known(f, sum, open, info.Size())
	answer := wire.Opened{Path: path, Mode: uint32(info.Mode().Perm()), Time: info.ModTime(), Size: info.Size(), Offset: offset}
	if st.Answer(answer) != nil {
		return
	}
	n, err := send(st, f, sum)
	exit := wire.Exit{Size: offset + n, SHA256: hex.EncodeToString(sum.Sum(nil))}
	if err != nil {
		exit = wire.Exit{Code: 1, Error: err.Error()}
	}
	_ = st.Exit(exit)
}

var errDirectory = errors.New("is a directory")

func openFile(path string) (*os.File, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, errDirectory
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: %w", path, errKind)
	}
	return os.Open(path)
}

// known is how much of the file the client has already: what it says, if the
// bytes are the same. The sum has them then.
func known(f *os.File, sum hash.Hash, open wire.Open, size int64) int64 {
	if open.Offset <= 0 || open.Offset > size {
		return 0
	}
	if _, err := io.CopyN(sum, f, open.Offset); err == nil && hex.EncodeToString(sum.Sum(nil)) == open.SHA256 {
		return open.Offset
	}
	sum.Reset()
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0
	}
	return 0
}

// send sends the rest of a file and adds it to the sum.
func send(st *wire.Stream, f *os.File, sum hash.Hash) (int64, error) {
	return st.Copy(wire.KindData, io.TeeReader(f, sum))
}

// put takes a file. It is written beside its place and gets its name when all of
// it is there and has the sum that the client tells.
func (s *session) put(st *wire.Stream) {
	open := st.Header()
	path := s.place(open.Path)
	if open.Dir {
		s.makeDirectory(st, path)
		return
	}
	t := &target{path: path, open: open, sum: sha256.New()}
	err := s.user.Do(t.begin)
	if errors.Is(err, errDirectory) {
		_ = st.Answer(wire.Opened{Dir: true, Path: path})
		return
	}
	if err != nil {
		s.refuse(st, err)
		return
	}
	defer t.file.Close()
	if st.Answer(wire.Opened{Path: path, Offset: t.size}) != nil {
		return
	}
	err = t.receive(st)
	if err == nil {
		err = s.user.Do(t.finish)
	}
	exit := wire.Exit{Size: t.size, SHA256: hex.EncodeToString(t.sum.Sum(nil))}
	if err != nil {
		exit = wire.Exit{Code: 1, Error: err.Error()}
	}
	_ = st.Exit(exit)
}

func (s *session) makeDirectory(st *wire.Stream, path string) {
	err := s.user.Do(func() error {
		if err := os.MkdirAll(path, 0o700|os.FileMode(st.Header().Mode).Perm()); err != nil {
			return err
		}
		return nil
	})
	if err != nil {
		s.refuse(st, err)
		return
	}
	if st.Answer(wire.Opened{Dir: true, Path: path}) == nil {
		_ = st.Exit(wire.Exit{})
	}
}

// target is a file that comes.
type target struct {
	path, part string
	open       wire.Open
	file       *os.File
	sum        hash.Hash
	size       int64
	told       string // the client's sum
}

// begin opens what an earlier attempt has left of the same file, or a new one.
func (t *target) begin() error {
	if info, err := os.Stat(t.path); err == nil && info.IsDir() {
		return errDirectory
	}
	key := sha256.Sum256(fmt.Appendf(nil, "%d %d", t.open.Size, t.open.Time.UnixNano()))
	dir, name := filepath.Split(t.path)
	t.part = filepath.Join(dir, "."+name+"."+hex.EncodeToString(key[:4])+".part")
	if info, err := os.Lstat(t.part); err == nil && !info.Mode().IsRegular() || t.open.Offset < 0 {
		_ = os.Remove(t.part)
	}
	f, err := os.OpenFile(t.part, os.O_RDWR|os.O_CREATE|noFollow, 0o600)
	if err != nil {
		return err
	}
	t.file = f
	t.size, err = io.Copy(t.sum, f)
	if err == nil && t.size > t.open.Size {
		t.size = 0
		t.sum.Reset()
		if err = f.Truncate(0); err == nil {
			_, err = f.Seek(0, io.SeekStart)
		}
	}
	if err != nil {
		_ = f.Close()
	}
	return err
}

// receive writes what comes.
func (t *target) receive(st *wire.Stream) error {
	for {
		f, err := st.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch f.Kind() {
		case wire.KindData:
			_, err = t.file.Write(f.Payload())
			_, _ = t.sum.Write(f.Payload())
			t.size += int64(len(f.Payload()))
		case wire.KindSum:
			t.told = string(f.Payload())
		}
		f.Release()
		if err != nil {
			return err
		}
	}
}

// finish gives the file its name. The content is on the disk before.
func (t *target) finish() error {
	if got := hex.EncodeToString(t.sum.Sum(nil)); got != t.told {
		_ = os.Remove(t.part)
		return errors.New("what arrived is not what was sent: the sums differ")
	}
	mode := os.FileMode(t.open.Mode).Perm()
	if t.open.Mode == 0 {
		mode = 0o644
	}
	err := t.file.Chmod(mode)
	if err == nil && !t.open.Time.IsZero() {
		err = os.Chtimes(t.part, time.Time{}, t.open.Time)
	}
	if err == nil {
		err = t.file.Sync()
	}
	if err == nil {
		err = os.Rename(t.part, t.path)
	}
	return err
}

// list sends the files below a directory, a line of JSON for each.
func (s *session) list(st *wire.Stream) {
	root := s.place(st.Header().Path)
	info, err := os.Stat(root)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a directory", root)
	}
	if err != nil {
		s.refuse(st, err)
		return
	}
	if st.Answer(wire.Opened{Dir: true, Path: root, Mode: uint32(info.Mode().Perm())}) != nil {
		return
	}
	r, w := io.Pipe()
	go func() {
		lines := json.NewEncoder(w)
		_ = w.CloseWithError(s.user.Do(func() error {
			return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
				return lines.Encode(entry(root, path, d, err))
			})
		}))
	}()
	_, err = st.Copy(wire.KindData, r)
	_ = r.CloseWithError(err)
	exit := wire.Exit{}
	if err != nil {
		exit = wire.Exit{Code: 1, Error: err.Error()}
	}
	_ = st.Exit(exit)
}

func entry(root, path string, d fs.DirEntry, failed error) wire.Entry {
	rel, err := filepath.Rel(root, path)
	e := wire.Entry{Path: filepath.ToSlash(rel)}
	if err = errors.Join(failed, err); err != nil || d == nil {
		e.Failed = fmt.Sprint(err)
		return e
	}
	info, err := d.Info()
	if err != nil {
		e.Failed = err.Error()
		return e
	}
	e.Dir, e.Mode, e.Time = d.IsDir(), uint32(info.Mode().Perm()), info.ModTime()
	switch {
	case d.IsDir():
	case d.Type()&fs.ModeSymlink != 0:
		e.Link, _ = os.Readlink(path)
	case d.Type().IsRegular():
		e.Size = info.Size()
	default:
		e.Failed = errKind.Error()
	}
	return e
}
