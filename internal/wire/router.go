package wire

import (
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/wire/shape"
)

// Router serves the operations of all models on one port, and in process. It
// is an http.Handler and a Caller.
type Router struct {
	cfg      Config
	models   []*shape.Model
	bindings map[*shape.Operation]Binding
	names    map[*shape.Model]map[string]*shape.Operation
}

var (
	_ http.Handler = (*Router)(nil)
	_ Caller       = (*Router)(nil)
)

// NewRouter makes a router. Two bindings of one operation, or a raw operation
// that a model has, are programming errors and panic.
func NewRouter(cfg Config) *Router {
	rt := &Router{cfg: cfg, models: slices.Clone(cfg.Models), bindings: map[*shape.Operation]Binding{}}
	for _, b := range cfg.Bindings {
		if _, twice := rt.bindings[b.Operation]; twice {
			panic("wire: two bindings of " + b.Model.Service + ":" + b.Operation.Name)
		}
		rt.bindings[b.Operation] = b
		if !slices.Contains(rt.models, b.Model) {
			rt.models = append(rt.models, b.Model)
		}
	}
	rt.defaults()
	rt.index()
	return rt
}

func (rt *Router) defaults() {
	if rt.cfg.Authenticate == nil {
		panic("wire: a router needs Authenticate")
	}
	if rt.cfg.MaxBody == 0 {
		rt.cfg.MaxBody = DefaultMaxBody
	}
	if rt.cfg.Logger == nil {
		rt.cfg.Logger = slog.Default()
	}
	if rt.cfg.Now == nil {
		rt.cfg.Now = time.Now
	}
}

func (rt *Router) index() {
	rt.names = map[*shape.Model]map[string]*shape.Operation{}
	for _, m := range rt.models {
		rt.names[m] = map[string]*shape.Operation{}
		for i := range m.Operations {
			rt.names[m][m.Operations[i].Name] = &m.Operations[i]
		}
	}
	for target := range rt.cfg.Raw {
		prefix, name, _ := strings.Cut(target, ".")
		if m := rt.byPrefix(prefix); m != nil && rt.names[m][name] != nil {
			panic("wire: " + target + " is in the model, bind it")
		}
	}
}

func (rt *Router) byPrefix(prefix string) *shape.Model {
	for _, m := range rt.models {
		if m.TargetPrefix != "" && m.TargetPrefix == prefix {
			return m
		}
	}
	return nil
}

func (rt *Router) byProtocol(protocol string) *shape.Model {
	for _, m := range rt.models {
		if m.Protocol == protocol {
			return m
		}
	}
	return nil
}

// byService finds a model by the signing name or the service name.
func (rt *Router) byService(service string) *shape.Model {
	for _, m := range rt.models {
		if m.SigningName == service || m.Service == service {
			return m
		}
	}
	return nil
}

// ServeHTTP answers one request. It never panics on account of an operation.
func (rt *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := uuid.NewString()
	ctx := take(WithInvocationID(WithRequestID(r.Context(), id), r.Header.Get("Amz-Sdk-Invocation-Id")))
	x := &exchange{rt: rt, started: rt.cfg.Now(), id: id}
	x.source, _, _ = net.SplitHostPort(r.RemoteAddr)
	resp := x.serve(ctx, w, r.WithContext(ctx))
	x.finish(resp.Status)
	write(w, resp, id)
}

func write(w http.ResponseWriter, resp *shape.Response, id string) {
	h := w.Header()
	for k, v := range resp.Header {
		h[k] = v
	}
	h.Set("X-Amzn-Requestid", id)
	w.WriteHeader(resp.Status)
	_, _ = w.Write(resp.Body) // a client that went away is no error here
}
