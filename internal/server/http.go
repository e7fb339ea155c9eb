package server

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/watchbill/watchbill/internal/capability/document"
	"github.com/watchbill/watchbill/internal/capability/engage"
	"github.com/watchbill/watchbill/internal/channel/inbox"
	"github.com/watchbill/watchbill/internal/gateway/plane"
	"github.com/watchbill/watchbill/internal/intake"
	"github.com/watchbill/watchbill/internal/wire/s3"
)

// handler serves everything on the one port. The API is not under a ServeMux, which
// would redirect paths that hold encoded slashes.
func (h *hub) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthz)
	mux.HandleFunc("GET /readyz", h.readyz)
	mux.Handle("GET /metrics", h.metricsHandler())
	mux.Handle("/inbox/", h.all.inbox.ListHandler(h.log))
	mux.Handle(engage.LinkPath, inbox.LinkHandler(h.all.engage, h.log))
	mux.Handle("/v1/", h.meet(h.all.gateway.Handler()))
	mux.Handle(plane.Path, h.meet(h.all.plane.Handler()))
	mux.Handle(intake.Path, h.all.intake)
	mux.HandleFunc("GET "+releasesPath, h.releases)
	mux.Handle("GET "+document.FilesPath, h.all.document)
	pages := h.pages()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s3.Is(r, h.all.bucket.Bases) {
			h.all.bucket.ServeHTTP(w, r)
			return
		}
		for _, prefix := range pages {
			if strings.HasPrefix(r.URL.Path, prefix) {
				mux.ServeHTTP(w, r)
				return
			}
		}
		h.router.ServeHTTP(w, r)
	})
}

// pages are the paths that are not the API's.
func (h *hub) pages() []string {
	return []string{"/healthz", "/readyz", "/metrics", "/inbox/", engage.LinkPath, "/v1/", intake.Path, releasesPath, document.FilesPath}
}

// setURL tells those who make links where people reach the hub.
func (h *hub) setURL(url string) {
	h.all.node.SetHub(strings.TrimSuffix(cmp.Or(h.cfg.Advertise, url), "/"))
	h.all.session.SetStreamURL("ws" + strings.TrimPrefix(strings.TrimSuffix(cmp.Or(h.cfg.PublicURL, url), "/"), "http"))
	h.all.document.SetURL(cmp.Or(h.cfg.PublicURL, url))
	h.all.engage.BaseURL = strings.TrimSuffix(cmp.Or(h.cfg.PublicURL, url), "/")
}
