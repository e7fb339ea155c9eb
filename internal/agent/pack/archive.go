package pack

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Limits of an archive.
const (
	maxArchive = 1 << 30
	maxContent = 2 << 30
	maxFiles   = 20_000
)

// fetch puts the archive of a package into a file and checks it.
func (m *Manager) fetch(ctx context.Context, address, file, sum string) error {
	body, err := m.Open(ctx, address)
	if err != nil {
		return err
	}
	defer body.Close()
	f, err := os.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, h), io.LimitReader(body, maxArchive+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); n > maxArchive || got != strings.ToLower(sum) {
		return fmt.Errorf("the archive has SHA-256 %s, the package's manifest says %s", got, sum)
	}
	return nil
}

// unpack writes the files of a zip archive below a directory. Links, names
// that lead out and archives that grow too far are refused.
func unpack(archive, dir string) error {
	r, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("the archive cannot be read: %w", err)
	}
	defer r.Close()
	if len(r.File) > maxFiles {
		return fmt.Errorf("the archive has %d files, at most %d are unpacked", len(r.File), maxFiles)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	left := int64(maxContent)
	for _, f := range r.File {
		if err := member(root, f, &left); err != nil {
			return fmt.Errorf("%q in the archive: %w", f.Name, err)
		}
	}
	return nil
}

func member(root *os.Root, f *zip.File, left *int64) error {
	name := strings.TrimSuffix(f.Name, "/")
	if !filepath.IsLocal(filepath.FromSlash(name)) || strings.ContainsAny(name, "\\\x00") {
		return errors.New("the name leads out of the directory")
	}
	if f.Mode().IsDir() {
		return root.MkdirAll(name, 0o755)
	}
	if !f.Mode().IsRegular() {
		return errors.New("it is not a file")
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	from, err := f.Open()
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, f.Mode().Perm()&0o755|0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(to, io.LimitReader(from, *left+1))
	if *left -= n; *left < 0 {
		err = fmt.Errorf("the archive holds more than %d bytes", int64(maxContent))
	}
	return errors.Join(err, to.Close())
}
