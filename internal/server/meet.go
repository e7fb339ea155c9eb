package server

import (
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"

	"github.com/watchbill/watchbill/internal/gateway/plane"
	"github.com/watchbill/watchbill/internal/wire/client"
)

const dataPath = "/v1/data-channel/"

// meet serves the ends of sessions with next, if they meet here, and passes them on to
// the hub where they do: the one that has the node's control channel. A hub that cannot
// be reached is gone, and the node on its way to another one; until then the ends are
// asked to come again.
func (h *hub) meet(next http.Handler) http.Handler {
	forwarder := sync.OnceValues(func() (*client.Forwarder, error) { return client.NewForwarder(filepath.Join(h.cfg.Data, caFile)) })
	again := func(w http.ResponseWriter, err error) {
		h.log.Warn("the end of a session cannot go on to its hub", "error", err)
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := sessionOf(r)
		if id == "" {
			next.ServeHTTP(w, r)
			return
		}
		address, err := h.all.session.Meeting(r.Context(), id)
		switch {
		case err != nil:
			again(w, err)
			return
		case address == "" || address == h.all.node.Hub():
			next.ServeHTTP(w, r)
			return
		case r.Header.Get(client.ForwardedHeader) != "": // the node has moved meanwhile
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		f, err := forwarder()
		if err != nil {
			again(w, err)
			return
		}
		to, err := f.To(address, again)
		if err != nil {
			again(w, err)
			return
		}
		to.ServeHTTP(w, r)
	})
}

// sessionOf is the session whose end is to be opened, "" for other requests.
func sessionOf(r *http.Request) string {
	if r.Method != http.MethodGet {
		return ""
	}
	for _, prefix := range []string{dataPath, plane.Path} {
		if rest, ok := strings.CutPrefix(r.URL.EscapedPath(), prefix); ok {
			if id, err := url.PathUnescape(rest); err == nil {
				return id
			}
		}
	}
	return ""
}
