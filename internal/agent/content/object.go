package content

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
)

// maxObjects is how many objects one step may fetch.
const maxObjects = 10_000

// object saves an object of the hub, or all below a path that ends in a slash.
// A presigned URL, and one of another store, is fetched as it is.
func (f *fetch) object(ctx context.Context) error {
	address, err := f.info.need("path")
	if err != nil {
		return err
	}
	bucket, key, err := bucketKey(address, f.Hub.Host())
	if errors.Is(err, errNotOurs) {
		return f.url(ctx, address)
	}
	if err != nil {
		return err
	}
	if key != "" && !strings.HasSuffix(key, "/") {
		r, err := f.Hub.Object(ctx, bucket, key)
		if err != nil {
			return err
		}
		defer r.Close()
		return f.save(path.Base(key), r)
	}
	return f.objects(ctx, bucket, key)
}

func (f *fetch) objects(ctx context.Context, bucket, prefix string) error {
	keys, err := f.Hub.Objects(ctx, bucket, prefix)
	if err != nil {
		return err
	}
	if len(keys) == 0 || len(keys) > maxObjects {
		return fmt.Errorf("%d objects are below %s of bucket %s, 1 to %d can be fetched", len(keys), prefix, bucket, maxObjects)
	}
	if err := f.open(false); err != nil {
		return err
	}
	defer f.to.close()
	for _, key := range keys {
		if strings.HasSuffix(key, "/") {
			continue
		}
		if err := f.one(ctx, bucket, key, strings.TrimPrefix(key, prefix)); err != nil {
			return err
		}
	}
	return nil
}

func (f *fetch) one(ctx context.Context, bucket, key, name string) error {
	if err := check(name); err != nil {
		return err
	}
	r, err := f.Hub.Object(ctx, bucket, key)
	if err != nil {
		return err
	}
	defer r.Close()
	return f.put(name, 0o644, r)
}

var errNotOurs = errors.New("not an object of the hub")

// bucketKey reads the forms of an object's address: s3://BUCKET/KEY, a URL of
// the hub or of an S3 endpoint with the bucket in the path, and one with the
// bucket in the host. All of them are looked up in the hub; errNotOurs is a
// URL with a signature of its own, or of something else.
func bucketKey(address, hub string) (bucket, key string, err error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", "", errors.New("path is not a URL")
	}
	if u.RawQuery != "" || u.Scheme != "s3" && u.Scheme != "https" && u.Scheme != "http" {
		return "", "", errNotOurs
	}
	host, rest := u.Host, strings.TrimPrefix(u.Path, "/")
	switch {
	case u.Scheme == "s3":
		bucket, key = host, rest
	case host == hub || strings.HasPrefix(host, "s3.") || strings.HasPrefix(host, "s3-"):
		bucket, key, _ = strings.Cut(rest, "/")
	case strings.Contains(host, ".s3.") || strings.Contains(host, ".s3-"):
		bucket, _, _ = strings.Cut(host, ".s3")
		key = rest
	default:
		return "", "", errNotOurs
	}
	if bucket == "" {
		return "", "", fmt.Errorf("path %s names no bucket", address)
	}
	return bucket, key, nil
}
