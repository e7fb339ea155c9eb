package s3

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/wire/shape"
)

// Target is what an operation is about, as permissions and the journal see it.
type Target struct {
	Bucket       *string
	Key          *string
	Keys         []string // of DeleteObjects
	Prefix       *string  // of lists
	SourceBucket *string  // of CopyObject
	SourceKey    *string
	UploadId     *string
}

// Model describes the operations of this package to the permissions and the journal.
// They are not routed by it.
var Model = func() *shape.Model {
	const text, list, target = 0, 1, 2
	m := &shape.Model{Service: "s3", SigningName: "s3", Protocol: shape.ProtocolJSON, Shapes: []shape.Shape{
		{Name: "String", Kind: shape.String},
		{Name: "Strings", Kind: shape.List, Elem: text},
		{Name: "Target", Kind: shape.Structure, Members: []shape.Member{
			{Name: "Bucket", Shape: text},
			{Name: "Key", Shape: text},
			{Name: "Keys", Shape: list},
			{Name: "Prefix", Shape: text},
			{Name: "SourceBucket", Shape: text},
			{Name: "SourceKey", Shape: text},
			{Name: "UploadId", Shape: text},
		}},
	}}
	for _, name := range operations {
		m.Operations = append(m.Operations, shape.Operation{
			Name: name, Input: target, Output: shape.None, Status: http.StatusOK, NewInput: func() any { return new(Target) },
		})
	}
	return m
}()

var operations = []string{
	"AbortMultipartUpload", "CompleteMultipartUpload", "CopyObject", "CreateBucket", "CreateMultipartUpload", "DeleteBucket",
	"DeleteBucketTagging", "DeleteObject", "DeleteObjects", "GetBucketAcl", "GetBucketEncryption", "GetBucketLocation",
	"GetBucketPolicyStatus", "GetBucketTagging", "GetObject", "HeadBucket", "HeadObject", "ListBuckets", "ListMultipartUploads",
	"ListObjects", "ListObjectsV2", "ListParts", "PutBucketTagging", "PutObject", "UploadPart",
}

// Request is a request that was understood.
type Request struct {
	*http.Request
	Operation string
	Target    Target
	Query     url.Values
}

const maxKey = 1024 // bytes

// Parse finds out what a request asks for. Bases are the host names, without a port,
// that stand for the service itself: BUCKET.base is a bucket.
func Parse(r *http.Request, bases []string) (*Request, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, BadRequest("InvalidURI", "Couldn't parse the specified URI.")
	}
	out := &Request{Request: r, Query: q}
	bucket, key := split(r, bases)
	if bucket != "" {
		if !BucketName(bucket) {
			return out, BadRequest("InvalidBucketName", "The specified bucket is not valid.")
		}
		out.Target.Bucket = &bucket
	}
	if key != "" {
		out.Target.Key = &key
		if err := checkKey(key); err != nil {
			return out, err
		}
	}
	if out.Operation = operation(r.Method, bucket, key, q, r.Header); out.Operation == "" {
		return out, &Error{Status: http.StatusNotImplemented, Code: "NotImplemented", Message: "A header or query you provided implies functionality that is not implemented."}
	}
	return out, out.fill()
}

// fill reads the rest of the target.
func (r *Request) fill() error {
	if id := r.Query.Get("uploadId"); id != "" {
		r.Target.UploadId = &id
	}
	if strings.HasPrefix(r.Operation, "ListObjects") {
		r.Target.Prefix = new(r.Query.Get("prefix"))
	}
	if r.Operation != "CopyObject" {
		return nil
	}
	source, _, versioned := strings.Cut(r.Header.Get("X-Amz-Copy-Source"), "?versionId=")
	plain, err := url.PathUnescape(strings.TrimPrefix(source, "/"))
	bucket, key, ok := strings.Cut(plain, "/")
	if err != nil || versioned || !ok || !BucketName(bucket) || checkKey(key) != nil {
		return BadRequest("InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	}
	r.Target.SourceBucket, r.Target.SourceKey = &bucket, &key
	return nil
}

// Is says whether a request is for S3: by the service that it is signed for, or by its
// host.
func Is(r *http.Request, bases []string) bool {
	const scope = "/s3/aws4_request"
	if strings.Contains(r.Header.Get("Authorization"), scope) || strings.Contains(r.URL.Query().Get("X-Amz-Credential"), scope) {
		return true
	}
	host := hostOf(r)
	return slices.ContainsFunc(bases, func(b string) bool {
		return strings.HasPrefix(b, "s3.") && (host == b || strings.HasSuffix(host, "."+b))
	})
}

func hostOf(r *http.Request) string {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// split finds the bucket and the key. A key may hold anything: it is never a path
// here.
func split(r *http.Request, bases []string) (bucket, key string) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	host, longest := hostOf(r), ""
	for _, b := range bases {
		if name, ok := strings.CutSuffix(host, "."+b); ok && len(b) > len(longest) && !slices.Contains(bases, host) {
			bucket, longest = name, b
		}
	}
	if bucket != "" {
		return bucket, path
	}
	bucket, key, _ = strings.Cut(path, "/")
	return bucket, key
}

// BucketName tells the names that a bucket can have. Source: the S3 user guide, "General
// purpose bucket naming rules".
func BucketName(s string) bool {
	if len(s) < 3 || len(s) > 63 || strings.Contains(s, "..") || net.ParseIP(s) != nil {
		return false
	}
	for i := range len(s) {
		c := s[i]
		inner := (c == '-' || c == '.') && i > 0 && i < len(s)-1
		if !inner && !('a' <= c && c <= 'z') && !('0' <= c && c <= '9') {
			return false
		}
	}
	return true
}

func checkKey(key string) error {
	switch {
	case len(key) > maxKey:
		return BadRequest("KeyTooLongError", "Your key is too long")
	case key == "" || !utf8.ValidString(key) || strings.ContainsRune(key, 0):
		return BadRequest("InvalidURI", "Couldn't parse the specified URI.")
	}
	return nil
}

// rule is one operation: a method, where it applies, and the query parameters that
// name it. Parameters that are only allowed are in extra.
type rule struct {
	method, level, names string
	operation            string
	extra                string
}

const lists = "prefix delimiter max-keys marker encoding-type continuation-token start-after fetch-owner"

var rules = []rule{
	{"GET", "service", "", "ListBuckets", "max-buckets continuation-token prefix bucket-region"},
	{"PUT", "bucket", "tagging", "PutBucketTagging", ""},
	{"PUT", "bucket", "", "CreateBucket", ""},
	{"GET", "bucket", "location", "GetBucketLocation", ""},
	{"GET", "bucket", "encryption", "GetBucketEncryption", ""},
	{"GET", "bucket", "acl", "GetBucketAcl", ""},
	{"GET", "bucket", "policyStatus", "GetBucketPolicyStatus", ""},
	{"GET", "bucket", "tagging", "GetBucketTagging", ""},
	{"GET", "bucket", "uploads", "ListMultipartUploads", lists + " key-marker max-uploads upload-id-marker"},
	{"GET", "bucket", "list-type", "ListObjectsV2", lists},
	{"GET", "bucket", "", "ListObjects", lists},
	{"HEAD", "bucket", "", "HeadBucket", ""},
	{"DELETE", "bucket", "tagging", "DeleteBucketTagging", ""},
	{"DELETE", "bucket", "", "DeleteBucket", ""},
	{"POST", "bucket", "delete", "DeleteObjects", ""},
	{"PUT", "object", "partNumber uploadId", "UploadPart", ""},
	{"PUT", "object", "", "PutObject", ""},
	{"GET", "object", "uploadId", "ListParts", "max-parts part-number-marker encoding-type"},
	{"GET", "object", "", "GetObject", "response-content-type response-content-disposition response-content-language response-cache-control response-content-encoding response-expires"},
	{"HEAD", "object", "", "HeadObject", ""},
	{"DELETE", "object", "uploadId", "AbortMultipartUpload", ""},
	{"DELETE", "object", "", "DeleteObject", ""},
	{"POST", "object", "uploads", "CreateMultipartUpload", ""},
	{"POST", "object", "uploadId", "CompleteMultipartUpload", ""},
}

// operation is the name of the operation, "" when there is none of this form.
func operation(method, bucket, key string, q url.Values, h http.Header) string {
	level := "object"
	switch {
	case bucket == "":
		level = "service"
	case key == "":
		level = "bucket"
	}
	for _, r := range rules {
		if r.method != method || r.level != level || !r.matches(q) {
			continue
		}
		if copied := h.Get("X-Amz-Copy-Source") != ""; copied && r.operation == "PutObject" {
			return "CopyObject"
		} else if copied {
			return "" // UploadPartCopy
		}
		return r.operation
	}
	return ""
}

func (r rule) matches(q url.Values) bool {
	names, extra := strings.Fields(r.names), strings.Fields(r.extra)
	for _, n := range names {
		if !q.Has(n) {
			return false
		}
	}
	for n := range q {
		signing := strings.HasPrefix(strings.ToLower(n), "x-amz-") || n == "x-id"
		if !signing && !slices.Contains(names, n) && !slices.Contains(extra, n) {
			return false
		}
	}
	return true
}
