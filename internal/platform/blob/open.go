package blob

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	cdk "gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/blob/memblob"
	"gocloud.dev/blob/s3blob"
)

// Option changes how a store is opened.
type Option func(*options)

type options struct{ client *http.Client }

// WithClient gives the HTTP client that an object store is reached by. Without one
// the SDK's own is used.
func WithClient(c *http.Client) Option { return func(o *options) { o.client = c } }

// Open opens the store at an address:
//
//	file:///var/lib/watchbill/blobs   a directory, made when it is not there
//	s3://bucket/prefix?region=eu-west-1&endpoint=https://minio:9000
//	mem://                            gone with the process, for tests
//
// An endpoint is of another object store than AWS's and is spoken to in the path
// style. Credentials of s3 are those of the environment, as the SDK finds them.
func Open(ctx context.Context, address string, opts ...Option) (*Store, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("blob: %w", err)
	}
	var o options
	for _, f := range opts {
		f(&o)
	}
	switch u.Scheme {
	case "file":
		return openFile(u)
	case "s3":
		return openS3(ctx, u, o)
	case "mem":
		return &Store{bucket: memblob.OpenBucket(nil)}, nil
	}
	return nil, fmt.Errorf("blob: %q is not file:///directory, s3://bucket or mem://", address)
}

func openFile(u *url.URL) (*Store, error) {
	dir := filepath.FromSlash(u.Path)
	if (u.Host != "" && u.Host != "localhost") || !filepath.IsAbs(dir) || u.RawQuery != "" {
		return nil, errors.New("blob: write a directory as file:///absolute/path")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	b, err := fileblob.OpenBucket(dir, &fileblob.Options{NoTempDir: true, DirFileMode: 0o700, Metadata: fileblob.MetadataDontWrite})
	if err != nil {
		return nil, err
	}
	return &Store{bucket: b, dir: dir}, nil
}

func openS3(ctx context.Context, u *url.URL, o options) (*Store, error) {
	q := u.Query()
	for name := range q {
		if name != "region" && name != "endpoint" {
			return nil, fmt.Errorf("blob: %s is no parameter of s3://, region and endpoint are", name)
		}
	}
	load := []func(*config.LoadOptions) error{}
	if o.client != nil {
		load = append(load, config.WithHTTPClient(o.client))
	}
	if r := q.Get("region"); r != "" {
		load = append(load, config.WithRegion(r))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, fmt.Errorf("blob: %w", err)
	}
	client := s3.NewFromConfig(cfg, func(c *s3.Options) {
		if e := q.Get("endpoint"); e != "" {
			c.BaseEndpoint, c.UsePathStyle = new(e), true
			c.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		}
	})
	b, err := s3blob.OpenBucket(ctx, client, u.Host, nil)
	if err != nil {
		return nil, err
	}
	return &Store{bucket: prefixed(b, u.Path)}, nil
}

func prefixed(b *cdk.Bucket, path string) *cdk.Bucket {
	for len(path) > 0 && path[0] == '/' {
		path = path[1:]
	}
	if path == "" {
		return b
	}
	if path[len(path)-1] != '/' {
		path += "/"
	}
	return cdk.PrefixedBucket(b, path)
}
