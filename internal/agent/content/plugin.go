package content

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/watchbill/watchbill/internal/agent/runner"
)

// maxBytes is the size of all content of one step.
const maxBytes = 1 << 30

// Hub is what the hub holds. Errors are of one line.
type Hub interface {
	// Document is the content of a document, in JSON.
	Document(ctx context.Context, name, version string) ([]byte, error)
	// Object is an object of a bucket; the reader is closed by the caller.
	Object(ctx context.Context, bucket, key string) (io.ReadCloser, error)
	// Objects are the keys below a prefix, in order.
	Objects(ctx context.Context, bucket, prefix string) ([]string, error)
	// Host is the host and port of the hub.
	Host() string
}

// Fetcher is the plug-in.
type Fetcher struct {
	Hub      Hub
	Loopback bool           // this machine may be a source, too
	MaxBytes int64          // 0 is 1 GiB
	Roots    *x509.CertPool // nil for those of the system
}

// fetch is one use of the plug-in.
type fetch struct {
	*Fetcher
	call *runner.Call
	info info
	to   *place
}

// Plugin fetches what the inputs name: sourceType, sourceInfo, destinationPath.
func (f *Fetcher) Plugin(ctx context.Context, c *runner.Call) runner.Result {
	ctx, cancel := c.Limit(ctx)
	defer cancel()
	one := &fetch{Fetcher: f, call: c}
	if err := one.run(ctx); err != nil {
		return c.Ended(ctx, err)
	}
	return runner.Result{Status: runner.Success}
}

func (f *fetch) run(ctx context.Context) (err error) {
	if f.info, err = infoOf(f.call.Inputs["sourceInfo"]); err != nil {
		return err
	}
	sources := map[string]func(context.Context) error{
		"SSMDocument": f.document, "S3": f.object, "HTTP": f.http, "Git": f.git, "GitHub": f.gitHub,
	}
	kind := f.call.Text("sourceType")
	source := sources[kind]
	if source == nil {
		return fmt.Errorf("sourceType %q is not one of SSMDocument, S3, HTTP, Git and GitHub", kind)
	}
	if err := source(ctx); err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	return nil
}

func (f *fetch) limit() int64 {
	if f.MaxBytes > 0 {
		return f.MaxBytes
	}
	return maxBytes
}

// open opens the destination for one file, or for several.
func (f *fetch) open(single bool) (err error) {
	f.to, err = open(f.call.Text("destinationPath"), f.call.Downloads, single, f.limit())
	return err
}

// save writes the one file of a source.
func (f *fetch) save(name string, from io.Reader) error {
	if err := f.open(true); err != nil {
		return err
	}
	defer f.to.close()
	return f.put(name, 0o644, from)
}

// info is sourceInfo: names to strings, as AWS's documentation of the plug-in
// has them.
type info map[string]string

func infoOf(in any) (info, error) {
	if text, ok := in.(string); ok {
		in = nil
		if err := json.Unmarshal([]byte(text), &in); err != nil {
			return nil, errors.New("sourceInfo is not a JSON object")
		}
	}
	object, ok := in.(map[string]any)
	if !ok {
		return nil, errors.New("sourceInfo is not an object")
	}
	out := info{}
	for name, value := range object {
		switch value := value.(type) {
		case string:
			out[name] = value
		case bool:
			out[name] = fmt.Sprint(value)
		default:
			return nil, fmt.Errorf("sourceInfo: %s is not a string", name)
		}
	}
	return out, nil
}

// need is a member that the source cannot do without.
func (i info) need(name string) (string, error) {
	if i[name] == "" {
		return "", fmt.Errorf("sourceInfo has no %s", name)
	}
	return i[name], nil
}

// document saves a document of the hub, named NAME or NAME:VERSION.
func (f *fetch) document(ctx context.Context) error {
	name, err := f.info.need("name")
	if err != nil {
		return err
	}
	version := ""
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		name, version = name[:colon], name[colon+1:]
	}
	b, err := f.Hub.Document(ctx, name, version)
	if err != nil {
		return err
	}
	return f.save(path.Base(name)+".json", bytes.NewReader(b))
}
