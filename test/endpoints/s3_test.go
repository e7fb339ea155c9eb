package endpoints

import (
	"bytes"
	"crypto/rand"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/watchbill/watchbill/test/hubtest"
)

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

func must[T any](out T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

// The SDK's own round trips, in both styles of addresses.
func TestSDK(t *testing.T) {
	hubtest.Each(t, nil, func(t *testing.T, h *hubtest.Hub) {
		for _, path := range []bool{true, false} {
			t.Run("path "+strconv.FormatBool(path), func(t *testing.T) {
				c, bucket := client(t, h, hubtest.Admin, path), new("bucket-"+strconv.FormatBool(path))
				must(c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket}))(t)
				sizes(t, c, bucket)
				multipart(t, c, bucket)
				lists(t, c, bucket)
			})
		}
	})
}

// sizes puts and gets objects around the borders of segments, whole and in ranges.
func sizes(t *testing.T, c *s3.Client, bucket *string) {
	for _, n := range []int{0, 1, 65535, 65536, 65537, 131072, 200_000} {
		key, data := new("sizes/"+strconv.Itoa(n)), random(n)
		must(c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: key, Body: bytes.NewReader(data), Metadata: map[string]string{"n": "v"}}))(t)
		if got := get(t, c, bucket, key, ""); !bytes.Equal(got, data) {
			t.Errorf("%d bytes came back as %d", n, len(got))
		}
		if n < 10 {
			continue
		}
		for _, r := range [][2]int{{0, 0}, {n - 1, n - 1}, {n / 2, n - 1}, {min(65530, n-2), n - 1}} {
			if got := get(t, c, bucket, key, "bytes="+strconv.Itoa(r[0])+"-"+strconv.Itoa(r[1])); !bytes.Equal(got, data[r[0]:r[1]+1]) {
				t.Errorf("range %v of %d bytes has %d", r, n, len(got))
			}
		}
	}
}

func get(t *testing.T, c *s3.Client, bucket, key *string, span string) []byte {
	t.Helper()
	in := &s3.GetObjectInput{Bucket: bucket, Key: key}
	if span != "" {
		in.Range = &span
	}
	out := must(c.GetObject(t.Context(), in))(t)
	defer func() { _ = out.Body.Close() }()
	return must(io.ReadAll(out.Body))(t)
}

func multipart(t *testing.T, c *s3.Client, bucket *string) {
	key, one, two, three := new("multi/part"), random(5<<20), random(5<<20), random(12345)
	up := must(c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key}))(t)
	var parts []types.CompletedPart
	for i, data := range [][]byte{random(100), one, two, three} {
		n := int32(max(i, 1)) // the first part is sent twice: the second replaces it
		out := must(c.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: bucket, Key: key, UploadId: up.UploadId, PartNumber: &n, Body: bytes.NewReader(data)}))(t)
		if i > 0 {
			parts = append(parts, types.CompletedPart{PartNumber: &n, ETag: out.ETag})
		}
	}
	complete := func(p []types.CompletedPart) error {
		_, err := c.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
			Bucket: bucket, Key: key, UploadId: up.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: p},
		})
		return err
	}
	if got := code(t, complete([]types.CompletedPart{parts[1], parts[0]})); got != "InvalidPartOrder" {
		t.Errorf("parts out of order: %s", got)
	}
	if got := code(t, complete([]types.CompletedPart{{PartNumber: new(int32(1)), ETag: parts[1].ETag}})); got != "InvalidPart" {
		t.Errorf("a part of another content: %s", got)
	}
	if got := code(t, complete([]types.CompletedPart{parts[2], {PartNumber: new(int32(9)), ETag: parts[1].ETag}})); got != "EntityTooSmall" && got != "InvalidPart" {
		t.Errorf("a small part: %s", got)
	}
	if err := complete(parts); err != nil {
		t.Fatal(err)
	}
	whole := slices.Concat(one, two, three)
	if got := get(t, c, bucket, key, ""); !bytes.Equal(got, whole) {
		t.Errorf("%d bytes came back as %d", len(whole), len(got))
	}
	from, to := 5<<20-10, 10<<20+10
	if got := get(t, c, bucket, key, "bytes="+strconv.Itoa(from)+"-"+strconv.Itoa(to)); !bytes.Equal(got, whole[from:to+1]) {
		t.Errorf("a range over three parts has %d bytes", len(got))
	}
}

// lists goes through pages of every size: each key and each prefix once, in order.
func lists(t *testing.T, c *s3.Client, bucket *string) {
	keys := []string{"l/a", "l/b/1", "l/b/2", "l/b/3", "l/c", "l/d/1", "l/e/f/g", "l/z", "l/ü/1"}
	for _, k := range keys {
		must(c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: &k, Body: strings.NewReader("x")}))(t)
	}
	for _, tt := range []struct {
		delimiter string
		want      []string
	}{{"", keys}, {"/", []string{"l/a", "l/b/", "l/c", "l/d/", "l/e/", "l/z", "l/ü/"}}} {
		for size := int32(1); size < 11; size++ {
			p := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: bucket, Prefix: new("l/"), Delimiter: aws.String(tt.delimiter), MaxKeys: &size})
			var got []string
			for p.HasMorePages() {
				page := must(p.NextPage(t.Context()))(t)
				for _, o := range page.Contents {
					got = append(got, *o.Key)
				}
				for _, x := range page.CommonPrefixes {
					got = append(got, *x.Prefix)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, tt.want) {
				t.Errorf("delimiter %q, pages of %d: %v", tt.delimiter, size, got)
			}
		}
	}
}

// A presigned address opens one object for a time, and nothing else.
func TestPresigned(t *testing.T) {
	h := hubtest.Start(t, "", nil)
	c := client(t, h, hubtest.Admin, true)
	must(c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: new("presigned")}))(t)
	must(c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: new("presigned"), Key: new("a b"), Body: strings.NewReader("hello")}))(t)
	signed := must(s3.NewPresignClient(c).PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: new("presigned"), Key: new("a b")}))(t)
	for _, tt := range []struct {
		name, url string
		status    int
	}{
		{"as it is", signed.URL, http.StatusOK},
		{"another key", strings.Replace(signed.URL, "a%20b", "a%20c", 1), http.StatusForbidden},
		{"longer", strings.Replace(signed.URL, "X-Amz-Expires=900", "X-Amz-Expires=901", 1), http.StatusForbidden},
		{"more asked", signed.URL + "&response-content-type=text/html", http.StatusForbidden},
	} {
		r := must(http.NewRequestWithContext(t.Context(), http.MethodGet, tt.url, nil))(t)
		if status, body := do(t, h, r); status != tt.status {
			t.Errorf("%s: %d %s", tt.name, status, body)
		}
	}
}
