package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/watchbill/watchbill/internal/wire/sigv4"
)

// emptyBody is the SHA-256 of no bytes.
var emptyBody = hex.EncodeToString(sha256.New().Sum(nil))

// Host is the host and port of the hub.
func (n *node) Host() string { return n.hub.base.Host }

// Document is a document at the hub, in its JSON form.
func (n *node) Document(ctx context.Context, name, version string) ([]byte, error) {
	in := map[string]any{"Name": name, "DocumentFormat": "JSON"}
	if version != "" {
		in["DocumentVersion"] = version
	}
	var out struct{ Content string }
	if err := n.role.call(ctx, "GetDocument", in, &out); err != nil {
		return nil, fmt.Errorf("document %s: %w", name, err)
	}
	return []byte(out.Content), nil
}

// Object is an object of a bucket at the hub.
func (n *node) Object(ctx context.Context, bucket, key string) (io.ReadCloser, error) {
	body, err := n.fetch(ctx, "s3", (&url.URL{Path: "/" + bucket + "/" + key}).EscapedPath())
	if err != nil {
		return nil, fmt.Errorf("object %s of bucket %s: %w", key, bucket, err)
	}
	return body, nil
}

// Objects are the keys of a bucket at the hub below a prefix.
func (n *node) Objects(ctx context.Context, bucket, prefix string) ([]string, error) {
	var keys []string
	query := url.Values{"list-type": {"2"}, "prefix": {prefix}}
	for {
		var page struct {
			Contents              []struct{ Key string }
			IsTruncated           bool
			NextContinuationToken string
		}
		body, err := n.fetch(ctx, "s3", "/"+url.PathEscape(bucket)+"?"+strings.ReplaceAll(query.Encode(), "+", "%20"))
		if err != nil {
			return nil, fmt.Errorf("bucket %s: %w", bucket, err)
		}
		err = xml.NewDecoder(io.LimitReader(body, maxAnswer)).Decode(&page)
		body.Close()
		if err != nil {
			return nil, fmt.Errorf("the list of bucket %s cannot be read: %w", bucket, err)
		}
		for _, c := range page.Contents {
			keys = append(keys, c.Key)
		}
		if !page.IsTruncated || page.NextContinuationToken == "" {
			return keys, nil
		}
		query.Set("continuation-token", page.NextContinuationToken)
	}
}

// fetch gets a path of the hub, signed for a service.
func (n *node) fetch(ctx context.Context, service, path string) (body io.ReadCloser, err error) {
	err = n.role.with(ctx, func(c sigv4.Credentials) error {
		body, err = n.hub.get(ctx, path, n.hub.byCredentials(c, service))
		return err
	})
	return body, err
}

// get gets a path of the hub; the body is not bounded.
func (h *hub) get(ctx context.Context, path string, sign signer) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.base.String()+path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", userAgent())
	r.Header.Set("X-Amz-Content-Sha256", emptyBody)
	if err := sign(r, nil, h.now()); err != nil {
		return nil, err
	}
	res, err := h.http.Do(r)
	if err != nil {
		return nil, h.unreachable(err)
	}
	h.follow(res.Header.Get("Date"))
	if res.StatusCode == http.StatusOK {
		return res.Body, nil
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, h.unreachable(err)
	}
	return nil, answered(res, text)
}
