// Package file writes the files of a hub's data directory so that they survive a
// crash of the program or of the machine.
package file

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// KeyBytes is the length of a key.
const KeyBytes = 32

// Write replaces a file as a whole: after a crash the old content is there or the
// new one. It returns when the content and the name are on the disk.
func Write(path string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Private refuses a file that others than its owner can read or write.
func Private(path string) error {
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = fmt.Errorf("%s must have mode 0600: others can read or write it", path)
	}
	return err
}

// Key reads a key of KeyBytes bytes, and makes it, with mode 0600, when there is no
// such file. One that others can read is refused.
func Key(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key = make([]byte, KeyBytes)
		_, _ = rand.Read(key) // never fails
		err = Write(path, key, 0o600)
	}
	if err == nil {
		err = Private(path)
	}
	if err == nil && len(key) != KeyBytes {
		err = fmt.Errorf("%s holds %d bytes, a key has %d", path, len(key), KeyBytes)
	}
	return key, err
}
