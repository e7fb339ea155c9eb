package endpoints

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/watchbill/watchbill/test/hubtest"
)

const (
	signedChunks    = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	unsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
)

func do(t *testing.T, h *hubtest.Hub, r *http.Request) (status int, body string) {
	t.Helper()
	res, err := httpClient(t, h).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// request makes a request to S3 that is not signed yet; headers are names and values.
func request(t *testing.T, method, path, body string, headers ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "https://s3.us-east-1.amazonaws.com"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Content-Sha256", hashOf(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// Nothing of a request that is not what it says is kept.
func TestBadBodies(t *testing.T) {
	h := hubtest.Start(t, "", nil)
	c := client(t, h, hubtest.Admin, true)
	must(c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: new("bad")}))(t)
	stream := func(length, trailer string) []string {
		return []string{"X-Amz-Content-Sha256", unsignedTrailer, "X-Amz-Decoded-Content-Length", length, "X-Amz-Trailer", trailer, "Content-Encoding", "aws-chunked"}
	}
	bomb := `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><Delete><Object><Key>&b;</Key></Object></Delete>`
	tests := []struct {
		name, want string
		r          *http.Request
	}{
		{"other hash", "XAmzContentSHA256Mismatch", request(t, "PUT", "/bad/k", "body", "X-Amz-Content-Sha256", hashOf("other"))},
		{"no hash", "InvalidRequest", request(t, "PUT", "/bad/k", "body", "X-Amz-Content-Sha256", "yes")},
		{"other md5", "BadDigest", request(t, "PUT", "/bad/k", "body", "Content-Md5", "AAAAAAAAAAAAAAAAAAAAAA==")},
		{"no md5", "InvalidDigest", request(t, "PUT", "/bad/k", "body", "Content-Md5", "AAAA")},
		{"other checksum", "BadDigest", request(t, "PUT", "/bad/k", "body", "X-Amz-Checksum-Crc32", "AAAAAA==")},
		{"trailer missing", "BadDigest", request(t, "PUT", "/bad/k", "4\r\nbody\r\n0\r\n\r\n", stream("4", "x-amz-checksum-crc32")...)},
		{"trailer wrong", "BadDigest", request(t, "PUT", "/bad/k", "4\r\nbody\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", stream("4", "x-amz-checksum-crc32")...)},
		{"chunks end early", "IncompleteBody", request(t, "PUT", "/bad/k", "4\r\nbo", stream("4", "")...)},
		{"no last chunk", "IncompleteBody", request(t, "PUT", "/bad/k", "4\r\nbody\r\n", stream("4", "")...)},
		{"less than said", "IncompleteBody", request(t, "PUT", "/bad/k", "4\r\nbody\r\n0\r\n\r\n", stream("5", "")...)},
		{"more than said", "IncompleteBody", request(t, "PUT", "/bad/k", "4\r\nbody\r\n0\r\n\r\n", stream("3", "")...)},
		{"more after the end", "IncompleteBody", request(t, "PUT", "/bad/k", "4\r\nbody\r\n0\r\n\r\nmore", stream("4", "")...)},
		{"no chunk", "IncompleteBody", request(t, "PUT", "/bad/k", strings.Repeat("z", 10_000), stream("10000", "")...)},
		{"negative chunk", "IncompleteBody", request(t, "PUT", "/bad/k", "-4\r\nbody\r\n0\r\n\r\n", stream("4", "")...)},
		{"chunk signature", "SignatureDoesNotMatch", request(t, "PUT", "/bad/k", "4;chunk-signature="+hashOf("x")+"\r\nbody\r\n0;chunk-signature="+hashOf("x")+"\r\n\r\n",
			"X-Amz-Content-Sha256", signedChunks, "X-Amz-Decoded-Content-Length", "4")},
		{"too large", "EntityTooLarge", request(t, "PUT", "/bad/k", "", stream("5368709121", "")...)},
		{"entities", "MalformedXML", request(t, "POST", "/bad?delete=", bomb)},
		{"no xml", "MalformedXML", request(t, "PUT", "/bad?tagging=", "<Tagging><TagSet>")},
		{"deep xml", "MalformedXML", request(t, "PUT", "/bad?tagging=", strings.Repeat("<a>", 100_000))},
		{"long key", "KeyTooLongError", request(t, "PUT", "/bad/"+strings.Repeat("k", 1025), "")},
		{"nul in key", "InvalidURI", request(t, "PUT", "/bad/a%00b", "")},
		{"no utf-8", "InvalidURI", request(t, "PUT", "/bad/a%ffb", "")},
		{"bucket name", "InvalidBucketName", request(t, "PUT", "/..", "")},
		{"unknown resource", "NotImplemented", request(t, "GET", "/bad?policy=", "")},
		{"copy of elsewhere", "InvalidArgument", request(t, "PUT", "/bad/k", "", "X-Amz-Copy-Source", "../etc/passwd")},
		{"other owner", "AccessDenied", request(t, "PUT", "/bad/k", "", "X-Amz-Expected-Bucket-Owner", "210987654321")},
		{"customer key", "NotImplemented", request(t, "PUT", "/bad/k", "", "X-Amz-Server-Side-Encryption-Customer-Algorithm", "AES256")},
		{"metadata", "MetadataTooLarge", request(t, "PUT", "/bad/k", "", "X-Amz-Meta-A", strings.Repeat("a", 2100))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if status, body := send(t, h, tt.r); status < 400 || !strings.Contains(body, "<Code>"+tt.want+"</Code>") {
				t.Errorf("%d %s, want %s", status, body, tt.want)
			}
		})
	}
	if out := must(c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: new("bad")}))(t); len(out.Contents) != 0 {
		t.Errorf("kept %v", *out.Contents[0].Key)
	}
}

// Keys are names, whatever they look like.
func TestKeysAreNoPaths(t *testing.T) {
	h := hubtest.Start(t, "", nil)
	c := client(t, h, hubtest.Admin, true)
	must(c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: new("keys")}))(t)
	for _, path := range []string{"/keys/a%2F..%2F..%2Fetc%2Fpasswd", "/keys//slashes//", "/keys/..%2f..%2f", "/keys/a%5Cb", "/keys/%252e%252e"} {
		if status, body := send(t, h, request(t, "PUT", path, path)); status != http.StatusOK {
			t.Errorf("PUT %s: %d %s", path, status, body)
		}
		if status, body := send(t, h, request(t, "GET", path, "")); status != http.StatusOK || body != path {
			t.Errorf("GET %s: %d %s", path, status, body)
		}
	}
}

// A body that is signed in chunks.
func TestSignedChunks(t *testing.T) {
	h := hubtest.Start(t, "", nil)
	c := client(t, h, hubtest.Admin, true)
	must(c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: new("chunks")}))(t)
	r := request(t, "PUT", "/chunks/k", "", "X-Amz-Content-Sha256", signedChunks, "X-Amz-Decoded-Content-Length", "11", "Content-Encoding", "aws-chunked")
	r.ContentLength = 0
	sign(t, r)
	body := chunked(r, "hello ", "world", "")
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	if status, text := do(t, h, r); status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	if got := get(t, c, new("chunks"), new("k"), ""); string(got) != "hello world" {
		t.Errorf("kept %q", got)
	}
	out := must(c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: new("chunks"), Key: new("k")}))(t)
	if out.ContentEncoding != nil {
		t.Errorf("the encoding of the transport was kept: %s", *out.ContentEncoding)
	}
}

// chunked signs chunks after the seed signature of a request.
func chunked(r *http.Request, chunks ...string) string {
	at := r.Header.Get("X-Amz-Date")
	scope := at[:8] + "/" + hubtest.Region + "/s3/aws4_request"
	key := []byte("AWS4" + hubtest.Admin.SecretAccessKey)
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	_, previous, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
	var b strings.Builder
	for _, c := range chunks {
		text := strings.Join([]string{"AWS4-HMAC-SHA256-PAYLOAD", at, scope, previous, hashOf(""), hashOf(c)}, "\n")
		previous = hex.EncodeToString(mac(key, text))
		fmt.Fprintf(&b, "%x;chunk-signature=%s\r\n%s\r\n", len(c), previous, c)
	}
	return b.String()
}

func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}
