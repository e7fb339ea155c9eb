package content

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
)

// http saves what a web server answers: sourceInfo has url, and may have
// authMethod (None, Basic, Header), username, password and
// allowInsecureDownload.
func (f *fetch) http(ctx context.Context) error {
	address, err := f.info.need("url")
	if err != nil {
		return err
	}
	return f.url(ctx, address)
}

func (f *fetch) url(ctx context.Context, address string) error {
	r, err := f.request(ctx, address)
	if err != nil {
		return err
	}
	body, err := f.answer(r)
	if err != nil {
		return err
	}
	defer body.Close()
	name := path.Base(r.URL.Path)
	if check(name) != nil || name == "." {
		name = "content"
	}
	return f.save(name, body)
}

// answer is the body of a successful answer.
func (f *fetch) answer(r *http.Request) (io.ReadCloser, error) {
	res, err := f.client().Do(r)
	if err != nil {
		return nil, plain(err)
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		return nil, fmt.Errorf("%s answered %s", r.URL.Host, res.Status)
	}
	return res.Body, nil
}

func (f *fetch) client() *http.Client { return newClient(f.Loopback, f.limit(), f.Roots) }

func (f *fetch) request(ctx context.Context, address string) (*http.Request, error) {
	u, err := f.address(address)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, errors.New("url is not a URL")
	}
	switch method := f.info["authMethod"]; method {
	case "", "None":
	case "Basic":
		r.SetBasicAuth(f.info["username"], f.info["password"])
	case "Header":
		r.Header.Set(f.info["username"], f.info["password"])
	default:
		return nil, fmt.Errorf("authMethod %s is not supported (None, Basic and Header are)", method)
	}
	return r, nil
}

// address checks the URL of a source.
func (f *fetch) address(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "":
		return nil, errors.New("url is not a URL") // its text may hold a secret
	case u.Scheme == "http" && f.info["allowInsecureDownload"] != "true":
		return nil, errors.New("http is not fetched from without allowInsecureDownload, use https")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("content is fetched by https, not by %s", u.Scheme)
	}
	return u, nil
}

// plain is an error without the URL, whose query may hold a secret.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// put writes one file, checks it against the sum that sourceInfo has, and says
// what was written.
func (f *fetch) put(name string, mode os.FileMode, from io.Reader) error {
	sum := &checked{r: from, hash: sha256.New(), want: strings.ToLower(f.info["sha256"])}
	if err := f.to.write(name, mode, sum); err != nil {
		return err
	}
	if f.to.name != "" {
		name = f.to.name
	}
	f.call.Print("%s (%d bytes, SHA-256 %s)", path.Join(f.to.dir, name), sum.n, sum.sum())
	return nil
}

// checked is a reader that ends with an error when its content has another
// SHA-256 than the wanted one.
type checked struct {
	r    io.Reader
	hash hash.Hash
	want string
	n    int64
}

// Read passes on.
func (c *checked) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.hash.Write(p[:n])
	c.n += int64(n)
	if err == io.EOF && c.want != "" && c.sum() != c.want {
		return n, fmt.Errorf("the content has SHA-256 %s, not %s", c.sum(), c.want)
	}
	return n, err
}

func (c *checked) sum() string { return hex.EncodeToString(c.hash.Sum(nil)) }

// Open opens an address as the source S3 does: an object of the hub, or the
// URL of a web server.
func (f *Fetcher) Open(ctx context.Context, address string) (io.ReadCloser, error) {
	bucket, key, err := bucketKey(address, f.Hub.Host())
	if err == nil {
		return f.Hub.Object(ctx, bucket, key)
	}
	if !errors.Is(err, errNotOurs) {
		return nil, err
	}
	own := *f
	one := &fetch{Fetcher: &own, info: info{}}
	r, err := one.request(ctx, address)
	if err != nil {
		return nil, err
	}
	if r.URL.Host == f.Hub.Host() { // the node talks to it anyway, wherever it is
		own.Loopback = true
	}
	return one.answer(r)
}
