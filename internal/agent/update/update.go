package update

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/watchbill/watchbill/internal/agent/durable"
	"github.com/watchbill/watchbill/internal/wire/release"
)

// ManifestFile is the name of the signed manifest beside the binaries.
const ManifestFile = "manifest.json"

// maxStarts is how often a new program may start without being confirmed.
const maxStarts = 3

// Updater updates one program.
type Updater struct {
	Dir      string   // private directory for the state
	Exe      string   // the program's file
	Version  string   // of the program that runs
	Platform string   // GOOS/GOARCH
	Keys     []string // trusted since the registration

	// Fetch opens a file of the releases that the hub has.
	Fetch func(ctx context.Context, name string) (io.ReadCloser, error)
	// Try runs a new program once, without replacing anything, and gives the
	// version it says it has.
	Try func(ctx context.Context, path string) (version string, err error)

	at func(point string) // for tests: where the program may be killed
}

// ErrCurrent says that there is nothing to do.
var ErrCurrent = errors.New("the program has this version already")

func (u *Updater) staged() string   { return u.Exe + ".new" }
func (u *Updater) previous() string { return u.Exe + ".previous" }

func (u *Updater) point(name string) {
	if u.at != nil {
		u.at(name)
	}
}

// Update fetches a release and puts it into place for the program's next
// start, which is up to the caller. target is "" or the version that it must
// have; a version below the present one is taken only with downgrade, and none
// below the floor. id is remembered for Outcome. Nothing has changed when the
// error is not nil.
func (u *Updater) Update(ctx context.Context, id, target string, downgrade bool) (version string, err error) {
	s, err := u.load()
	if err != nil {
		return "", err
	}
	if s.Phase == switching || s.Phase == returning {
		return "", errors.New("another update is not finished")
	}
	m, b, err := u.manifest(ctx, s, target, downgrade)
	if err != nil {
		return "", err
	}
	old, err := sum(u.Exe)
	if err != nil {
		return "", err
	}
	next := &state{ID: id, Phase: staged, From: u.Version, To: m.Version, Old: old, New: b.SHA256, Floor: s.Floor, Keys: s.Keys, NextKeys: m.Keys}
	if release.Compare(m.Floor, s.Floor) > 0 {
		next.Floor = m.Floor
	}
	if err := u.stage(ctx, next, b); err != nil {
		return "", errors.Join(err, u.fail(next, err.Error()))
	}
	return m.Version, u.swap(next)
}

// manifest fetches the manifest and decides whether its release is taken.
func (u *Updater) manifest(ctx context.Context, s *state, target string, downgrade bool) (*release.Manifest, release.Binary, error) {
	none := release.Binary{}
	text, err := u.read(ctx, ManifestFile, release.MaxManifest)
	if err != nil {
		return nil, none, err
	}
	keys := s.Keys
	if len(keys) == 0 {
		keys = u.Keys
	}
	m, err := release.Verify(text, keys, time.Now())
	if err != nil {
		return nil, none, err
	}
	b, ok := m.Binaries[u.Platform]
	order := release.Compare(m.Version, u.Version)
	switch {
	case target != "" && target != "latest" && release.Compare(target, m.Version) != 0:
		return nil, none, fmt.Errorf("the hub has version %s, not %s", m.Version, target)
	case order == 0:
		return nil, none, ErrCurrent
	case release.Compare(m.Version, s.Floor) < 0:
		return nil, none, fmt.Errorf("version %s is below the floor %s", m.Version, s.Floor)
	case order < 0 && !downgrade:
		return nil, none, fmt.Errorf("version %s is older than %s, which runs (see allowDowngrade)", m.Version, u.Version)
	case !ok:
		return nil, none, fmt.Errorf("release %s has no program for %s", m.Version, u.Platform)
	}
	return m, b, nil
}

func (u *Updater) read(ctx context.Context, name string, limit int64) ([]byte, error) {
	body, err := u.Fetch(ctx, name)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(io.LimitReader(body, limit+1))
}

// stage fetches the new program beside the present one, and tries it.
func (u *Updater) stage(ctx context.Context, s *state, b release.Binary) error {
	if err := u.save(s); err != nil {
		return err
	}
	u.point("begun")
	body, err := u.Fetch(ctx, b.File)
	if err != nil {
		return err
	}
	defer body.Close()
	got, n, err := write(u.staged(), io.LimitReader(body, b.Size+1), func() { u.point("fetching") })
	if err != nil {
		return err
	}
	if n != b.Size || got != b.SHA256 {
		return fmt.Errorf("the program that the hub sent (%d bytes, SHA-256 %s) is not the one of the release", n, got)
	}
	u.point("fetched")
	version, err := u.Try(ctx, u.staged())
	if err != nil {
		return fmt.Errorf("the new program does not work: %w", err)
	}
	if release.Compare(version, s.To) != 0 {
		return fmt.Errorf("the new program says it is version %q, the release says %s", version, s.To)
	}
	u.point("tried")
	return nil
}

// swap keeps the present program and puts the new one into its place.
func (u *Updater) swap(s *state) error {
	if err := copyFile(u.Exe, u.previous()); err != nil {
		return errors.Join(err, u.fail(s, err.Error()))
	}
	u.point("kept")
	s.Phase = switching
	if err := u.save(s); err != nil {
		return err
	}
	u.point("recorded")
	if err := replace(u.staged(), u.Exe); err != nil {
		return errors.Join(err, u.fail(s, err.Error()))
	}
	u.point("switched")
	return nil
}

// write puts a program into a file and onto the disk.
func write(path string, from io.Reader, midway func()) (sum string, n int64, err error) {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return "", 0, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return "", 0, err
	}
	h := sha256.New()
	n, err = io.Copy(io.MultiWriter(f, h), from)
	midway()
	err = errors.Join(err, f.Sync(), f.Close())
	return hex.EncodeToString(h.Sum(nil)), n, err
}

func copyFile(from, to string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, _, err := write(to+".part", f, func() {}); err != nil {
		return err
	}
	return replace(to+".part", to)
}

func replace(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(to))
}

func sum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
