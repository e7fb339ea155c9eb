package bucket

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/wire"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/s3"
	"github.com/watchbill/watchbill/internal/wire/sigv4"
)

// answer is what an operation answers.
type answer struct {
	status int // 200 when 0
	header http.Header
	xml    any           // a document, or
	body   io.ReadCloser // bytes, of
	length int64         // so many
}

// call is one request on its way.
type call struct {
	*s3.Request
	ctx     context.Context // of the caller
	binding wire.Binding
	payload string
	stream  *sigv4.Stream
	remove  []deletion // of DeleteObjects
}

// ServeHTTP answers one request.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started, id := time.Now(), uuid.NewString()
	c := &call{ctx: wire.WithRequestID(r.Context(), id)}
	w.Header().Set("X-Amz-Request-Id", id)
	var a *answer
	err := s.guard(id, func() (err error) {
		a, err = s.serve(c, r.WithContext(c.ctx), pace(w, r))
		return err
	})
	status := http.StatusOK
	switch {
	case err != nil:
		e := s3.ErrorOf(err)
		status = e.Status
		e.Write(w, r, id)
	default:
		status = a.write(w, r.Method)
	}
	s.observe(c, r, wire.Call{RequestID: id, Started: started, Duration: time.Since(started), Status: status, Err: err})
}

func (s *Service) observe(c *call, r *http.Request, done wire.Call) {
	done.Service = "s3"
	done.Source, _, _ = net.SplitHostPort(r.RemoteAddr)
	if done.Err != nil {
		done.Err = s3.ErrorOf(done.Err)
	}
	if c.binding.Operation != nil {
		done = done.About(c.binding, &c.Target)
	}
	s.Observe(c.ctx, done)
}

// guard logs what has no code, and panics.
func (s *Service) guard(id string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.Log.Error("the operation panicked", slog.Any("panic", p), slog.String("stack", string(debug.Stack())), slog.String("request_id", id))
			err = fault.Internal(nil)
		}
	}()
	err = f()
	if err == nil {
		return nil
	}
	if _, ours := errors.AsType[*s3.Error](err); ours {
		return err
	}
	if e, ok := fault.Of(err).(*fault.Fault); ok && e.Cause != nil {
		s.Log.Error("the operation failed", slog.Any("error", e.Cause), slog.String("service", "s3"), slog.String("request_id", id))
	}
	return err
}

// serve takes a request through all its steps.
func (s *Service) serve(c *call, r *http.Request, body io.ReadCloser) (*answer, error) {
	r.Body = body
	var err error
	if c.payload, err = s3.Payload(r); err != nil && r.Header.Get("Authorization") != "" {
		return nil, err
	}
	ctx, stream, err := s.Authenticate(r, c.payload)
	c.ctx = ctx
	if err != nil {
		return nil, err
	}
	c.stream = stream
	if c.Request, err = s3.Parse(r, s.Bases); c.Request != nil && c.Operation != "" {
		c.binding = wire.Binding{Model: s3.Model, Operation: s3.Model.Operation(c.Operation)}
	}
	if err != nil {
		return nil, err
	}
	if err := s.prepare(c); err != nil {
		return nil, err
	}
	if c.ctx, err = s.Authorize(ctx, "s3", c.Operation, &c.Target); err != nil {
		c.ctx = ctx
		return nil, err
	}
	if node := identity.From(ctx).NodeID(); node != "" {
		if err := s.nodeMay(ctx, node, c.Request); err != nil {
			return nil, err
		}
	}
	out, err := s.Around(c.ctx, c.binding, &c.Target, func(ctx context.Context) (any, error) { return s.run(ctx, c) })
	if err != nil {
		return nil, err
	}
	return out.(*answer), nil
}

// prepare reads what the permissions need to know, and refuses what no operation does.
func (s *Service) prepare(c *call) error {
	if want := c.Header.Get("X-Amz-Expected-Bucket-Owner"); want != "" && want != identity.From(c.ctx).Account {
		return s3.AccessDenied("Access Denied")
	}
	if c.Operation != "DeleteObjects" {
		return nil
	}
	return c.readDeletions()
}

// operationFunc is an operation.
type operationFunc func(s *Service, ctx context.Context, c *call) (*answer, error)

var operations = map[string]operationFunc{
	"ListBuckets": (*Service).ListBuckets, "CreateBucket": (*Service).CreateBucket, "DeleteBucket": (*Service).DeleteBucket,
	"HeadBucket": (*Service).HeadBucket, "GetBucketLocation": (*Service).GetBucketLocation, "GetBucketEncryption": (*Service).GetBucketEncryption,
	"GetBucketAcl": (*Service).GetBucketAcl, "GetBucketPolicyStatus": (*Service).GetBucketPolicyStatus, "GetBucketTagging": (*Service).GetBucketTagging,
	"PutBucketTagging": (*Service).PutBucketTagging, "DeleteBucketTagging": (*Service).DeleteBucketTagging,
	"ListObjects": (*Service).ListObjects, "ListObjectsV2": (*Service).ListObjectsV2,
	"PutObject": (*Service).PutObject, "CopyObject": (*Service).CopyObject, "GetObject": (*Service).GetObject, "HeadObject": (*Service).GetObject,
	"DeleteObject": (*Service).DeleteObject, "DeleteObjects": (*Service).DeleteObjects,
	"CreateMultipartUpload": (*Service).CreateMultipartUpload, "UploadPart": (*Service).UploadPart, "ListParts": (*Service).ListParts,
	"CompleteMultipartUpload": (*Service).CompleteMultipartUpload, "AbortMultipartUpload": (*Service).AbortMultipartUpload,
	"ListMultipartUploads": (*Service).ListMultipartUploads,
}

func (s *Service) run(ctx context.Context, c *call) (*answer, error) {
	return operations[c.Operation](s, everywhere(ctx), c)
}

// content is the body of the request, checked as it is read.
func (c *call) content() (*s3.Body, error) { return s3.NewBody(c.Request.Request, c.payload, c.stream) }

// readXML reads a body that is a document.
func (c *call) readXML(v any) error {
	body, err := c.content()
	if err != nil {
		return err
	}
	return s3.ReadXML(body, v)
}

// lowerMetadata gives the names of metadata the form in which S3 sends them: clients
// show them as they come.
func lowerMetadata(h http.Header) {
	for name, v := range h {
		if strings.HasPrefix(name, "X-Amz-Meta-") {
			delete(h, name)
			h[strings.ToLower(name)] = v
		}
	}
}

// write sends an answer and gives its status.
func (a *answer) write(w http.ResponseWriter, method string) int {
	if a.body != nil {
		defer func() { _ = a.body.Close() }()
	}
	maps.Copy(w.Header(), a.header)
	lowerMetadata(w.Header())
	status := a.status
	if status == 0 {
		status = http.StatusOK
	}
	switch {
	case a.xml != nil:
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		_ = s3.WriteXML(w, a.xml) // a client that went away is no error here
	case a.body != nil:
		w.Header().Set("Content-Length", strconv.FormatInt(a.length, 10))
		w.WriteHeader(status)
		if method != http.MethodHead {
			if _, err := io.CopyN(&pacedWriter{w: w}, a.body, a.length); err != nil {
				panic(http.ErrAbortHandler) // the length was promised: the client must see that it was not kept
			}
		}
	default:
		w.WriteHeader(status)
	}
	return status
}
