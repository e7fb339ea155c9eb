package bucket

import (
	"io"
	"net/http"
	"time"
)

// patience is how long a body may make no progress. The hub's limits for whole
// requests are too short for large objects.
const patience = time.Minute

// pace gives a body that goes on the time that it needs.
func pace(w http.ResponseWriter, r *http.Request) io.ReadCloser {
	if r.Body == nil || r.Body == http.NoBody {
		return http.NoBody
	}
	return &paced{ReadCloser: r.Body, control: http.NewResponseController(w)}
}

type paced struct {
	io.ReadCloser
	control *http.ResponseController
	until   time.Time
}

// Read reads on, with a new deadline.
func (p *paced) Read(b []byte) (int, error) {
	if now := time.Now(); p.until.Sub(now) < patience/2 {
		p.until = now.Add(patience)
		_ = p.control.SetReadDeadline(p.until) // a connection without deadlines has its own
		_ = p.control.SetWriteDeadline(p.until.Add(patience))
	}
	return p.ReadCloser.Read(b)
}

type pacedWriter struct {
	w     http.ResponseWriter
	until time.Time
}

// Write writes on, with a new deadline.
func (p *pacedWriter) Write(b []byte) (int, error) {
	if now := time.Now(); p.until.Sub(now) < patience/2 {
		p.until = now.Add(patience)
		_ = http.NewResponseController(p.w).SetWriteDeadline(p.until)
	}
	return p.w.Write(b)
}
