package inbox

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"strings"

	"github.com/watchbill/watchbill/internal/capability/engage"
)

//go:embed *.html
var files embed.FS

var pages = template.Must(template.ParseFS(files, "*.html"))

const mostMessages = 200

// Links opens and acknowledges pages by their links; package engage does.
type Links interface {
	OpenLink(ctx context.Context, path string) (engage.Linked, error)
	AcknowledgeLink(ctx context.Context, path string) error
}

// ListHandler shows the inbox (GET /inbox/, ?address=A for one address), as
// JSON to who accepts application/json. It answers this machine only.
func (b *Inbox) ListHandler(log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		harden(w)
		if !local(r) {
			http.Error(w, "the inbox is read on the hub's own machine only", http.StatusForbidden)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			refuseMethod(w, "GET")
			return
		}
		list, err := b.List(r.Context(), r.URL.Query().Get("address"), mostMessages)
		if err != nil {
			fail(w, r, log, err)
			return
		}
		if strings.Contains(r.Header.Get("Accept"), "application/json") {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(map[string]any{"messages": append([]Message{}, list...)})
			return
		}
		show(w, r, log, http.StatusOK, "list.html", list)
	})
}

// local says that a request came from this machine and was meant for it: the
// Host too, so that no web page elsewhere can read the inbox through a name
// that it points here.
func local(r *http.Request) bool {
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if r.Header.Get(h) != "" { // a proxy on this machine speaks for somebody else
			return false
		}
	}
	from, _, err := net.SplitHostPort(r.RemoteAddr)
	ip := net.ParseIP(from)
	if err != nil || ip == nil || !ip.IsLoopback() {
		return false
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	to := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || to != nil && to.IsLoopback()
}

// LinkHandler serves engage.LinkPath: GET shows one page, POST acknowledges it.
func LinkHandler(l Links, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		harden(w)
		path := strings.TrimPrefix(r.URL.Path, engage.LinkPath)
		switch r.Method {
		case http.MethodGet, http.MethodHead:
		case http.MethodPost:
			if err := l.AcknowledgeLink(r.Context(), path); err != nil {
				fail(w, r, log, err)
				return
			}
		default:
			refuseMethod(w, "GET, POST")
			return
		}
		p, err := l.OpenLink(r.Context(), path)
		if err != nil {
			fail(w, r, log, err)
			return
		}
		show(w, r, log, http.StatusOK, "page.html", p)
	})
}

// harden forbids what these pages never need.
func harden(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Robots-Tag", "noindex")
}

func refuseMethod(w http.ResponseWriter, allow string) {
	w.Header().Set("Allow", allow)
	http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
}

func fail(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	if errors.Is(err, engage.ErrLink) {
		http.Error(w, "this link opens nothing", http.StatusNotFound)
		return
	}
	log.ErrorContext(r.Context(), "serve the inbox", "error", err)
	http.Error(w, "something went wrong; try again", http.StatusInternalServerError)
}

func show(w http.ResponseWriter, r *http.Request, log *slog.Logger, status int, name string, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if err := pages.ExecuteTemplate(w, name, data); err != nil {
		log.ErrorContext(r.Context(), "render "+name, "error", err)
	}
}
