package wire

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/shape"
)

// target is what a request asks for.
type target struct {
	model  *shape.Model // whose protocol the request speaks, nil when unknown
	op     *shape.Operation
	name   string // of the operation, as the request gives it
	labels map[string]string
	raw    *Raw
}

// service is the signing name of what is asked for, "" when it is unknown.
func (t *target) service() string {
	switch {
	case t.raw != nil && t.raw.Service != "":
		return t.raw.Service
	case t.model != nil:
		return t.model.SigningName
	}
	return ""
}

// find reads what the request line and the header say of the operation. For
// the query protocol only the body knows more: see action.
func (rt *Router) find(r *http.Request) target {
	if t := r.Header.Get("X-Amz-Target"); t != "" {
		return rt.targeted(t)
	}
	if m := rt.byProtocol(shape.ProtocolQuery); m != nil && r.URL.Path == "/" && isForm(r) {
		return target{model: m}
	}
	for _, m := range rt.models {
		if op, labels := m.Match(r.Method, r.URL.EscapedPath()); op != nil {
			return target{model: m, op: op, name: op.Name, labels: labels}
		}
	}
	return target{}
}

func (rt *Router) targeted(header string) target {
	prefix, name, _ := strings.Cut(header, ".")
	t := target{model: rt.byPrefix(prefix), name: name}
	if t.model != nil {
		t.op = rt.names[t.model][name]
	}
	if raw, ok := rt.cfg.Raw[header]; ok {
		t.raw = &raw
	}
	return t
}

// isForm tells a query request: a form, or a GET that names an action.
func isForm(r *http.Request) bool {
	if r.Method == http.MethodGet {
		return r.URL.Query().Has("Action")
	}
	ct, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return r.Method == http.MethodPost && ct == "application/x-www-form-urlencoded"
}

// action finds the operation of a query request.
func (rt *Router) action(t *target, req *shape.Request) error {
	if t.model == nil || t.model.Protocol != shape.ProtocolQuery {
		return nil
	}
	form, err := shape.FormOf(req)
	if err != nil {
		return err
	}
	t.name = form.Get("Action")
	t.op = rt.names[t.model][t.name]
	if v := form.Get("Version"); v != "" && v != t.model.Version {
		t.op = nil
	}
	return nil
}

// renderer is the model whose form an answer takes.
func (t *target) renderer(rt *Router) *shape.Model {
	if t.model != nil {
		return t.model
	}
	if m := rt.byProtocol(shape.ProtocolJSON); m != nil {
		return m
	}
	return rt.models[0]
}

// large names the operations that take LargeMaxBody.
func (t *target) large() bool {
	return t.name == "PutInventory" || t.name == "PutComplianceItems" || t.name == "PutLogEvents"
}

// limit is how many bytes the body of a request may have; r is nil for a call in
// process.
func (rt *Router) limit(r *http.Request, t *target) int64 {
	if t.large() && (r == nil || rt.cfg.Large != nil && rt.cfg.Large(r)) {
		return max(LargeMaxBody, rt.cfg.MaxBody)
	}
	if t.name == "PutLogEvents" { // 1 MiB of messages, and the JSON around them
		return max(2<<20, rt.cfg.MaxBody)
	}
	return rt.cfg.MaxBody
}

// body reads the whole body within the limit. It is never unpacked.
func (rt *Router) body(w http.ResponseWriter, r *http.Request, t *target) ([]byte, error) {
	if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return nil, fault.UnsupportedMediaType("the content encoding is not supported; send the body as it is")
	}
	limit := rt.limit(r, t)
	if r.ContentLength > limit {
		return nil, fault.TooLarge(limit)
	}
	buf, err := readAll(http.MaxBytesReader(w, r.Body, limit), r.ContentLength)
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, fault.TooLarge(limit)
	}
	if err != nil {
		return nil, fault.Serialization("the body could not be read to its end")
	}
	return buf, nil
}

// believed is the length of a body up to which room is made for it before it is
// there: nobody is known yet, and what was announced need never come.
const believed = 64 << 10

// readAll reads a body whose length is known, -1 when not.
func readAll(r io.Reader, length int64) ([]byte, error) {
	if length < 0 {
		return io.ReadAll(r)
	}
	if length > believed {
		b, err := io.ReadAll(r)
		if err == nil && int64(len(b)) != length {
			err = io.ErrUnexpectedEOF
		}
		return b, err
	}
	buf := make([]byte, length)
	_, err := io.ReadFull(r, buf)
	return buf, err
}
