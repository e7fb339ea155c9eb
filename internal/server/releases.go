package server

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/wire/release"
)

// The releases of the node program are files that an operator puts into a
// directory of the hub: the signed manifest, its binaries, and the public keys
// that nodes pin when they register. The hub cannot sign.
const (
	releasesPath = "/agent/releases/"
	releasesDir  = "releases"
	releaseKeys  = "release.pub"

	releaseTimeout = 30 * time.Minute // of one download
)

// releaseKeys are the public keys in the directory, a line for each.
func (h *hub) releaseKeys() []string {
	text, err := os.ReadFile(h.path(releasesDir + "/" + releaseKeys))
	if err != nil {
		return nil
	}
	var out []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if _, err := release.ParseKey(line); err != nil {
			h.log.Error("a line of "+releaseKeys+" is left out", "error", err)
			continue
		}
		out = append(out, line)
	}
	return out
}

// releases serves the directory to nodes.
func (h *hub) releases(w http.ResponseWriter, r *http.Request) {
	ctx, _, err := h.platform.identity.Authenticate(r, nil)
	if err != nil || identity.From(ctx).NodeID() == "" {
		http.Error(w, "Only a managed node may fetch a release.", http.StatusForbidden)
		return
	}
	f, err := h.release(strings.TrimPrefix(r.URL.Path, releasesPath))
	if err != nil {
		http.Error(w, "The hub has no such file of a release.", http.StatusNotFound)
		return
	}
	defer func() { _ = f.Close() }()
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(releaseTimeout))
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, f)
}

// release opens one file of the directory.
func (h *hub) release(name string) (*os.File, error) {
	dir, err := os.OpenRoot(h.path(releasesDir))
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }()
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
