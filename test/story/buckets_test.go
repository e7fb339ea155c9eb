package story

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/wire/s3"
	"github.com/watchbill/watchbill/internal/wire/shape"
	"github.com/watchbill/watchbill/test/hubtest"
)

// bucketCalls are a request of each operation of S3, on the bucket red.
var bucketCalls = map[string][3]string{ // method, path and query, body
	"ListBuckets":           {"GET", "/", ""},
	"CreateBucket":          {"PUT", "/other", ""},
	"DeleteBucket":          {"DELETE", "/red", ""},
	"HeadBucket":            {"HEAD", "/red", ""},
	"GetBucketLocation":     {"GET", "/red?location", ""},
	"GetBucketEncryption":   {"GET", "/red?encryption", ""},
	"GetBucketAcl":          {"GET", "/red?acl", ""},
	"GetBucketPolicyStatus": {"GET", "/red?policyStatus", ""},
	"GetBucketTagging":      {"GET", "/red?tagging", ""},
	"PutBucketTagging":      {"PUT", "/red?tagging", "<Tagging><TagSet><Tag><Key>watchbill:nodes</Key><Value>read</Value></Tag></TagSet></Tagging>"},
	"DeleteBucketTagging":   {"DELETE", "/red?tagging", ""},
	"ListObjects":           {"GET", "/red", ""},
	"ListObjectsV2":         {"GET", "/red?list-type=2", ""},
	"ListMultipartUploads":  {"GET", "/red?uploads", ""},
	"GetObject":             {"GET", "/red/secret", ""},
	"HeadObject":            {"HEAD", "/red/secret", ""},
	"PutObject":             {"PUT", "/red/other", "x"},
	"CopyObject":            {"PUT", "/red/copy", ""},
	"DeleteObject":          {"DELETE", "/red/secret", ""},
	"DeleteObjects":         {"POST", "/red?delete", "<Delete><Object><Key>secret</Key></Object></Delete>"},
	"CreateMultipartUpload": {"POST", "/red/parts?uploads", ""},
	"UploadPart":            {"PUT", "/red/parts?partNumber=1&uploadId=u", "x"},
	"ListParts":             {"GET", "/red/parts?uploadId=u", ""},
	"CompleteMultipartUpload": {
		"POST", "/red/parts?uploadId=u", "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>",
	},
	"AbortMultipartUpload": {"DELETE", "/red/parts?uploadId=u", ""},
}

func bucketRequest(name string) hubtest.Request {
	call := bucketCalls[name]
	path, query, _ := strings.Cut(call[1], "?")
	values, _ := url.ParseQuery(query)
	sum := sha256.Sum256([]byte(call[2]))
	header := http.Header{"X-Amz-Content-Sha256": {hex.EncodeToString(sum[:])}}
	if name == "CopyObject" {
		header.Set("X-Amz-Copy-Source", "/red/secret")
	}
	return hubtest.Request{Service: "s3", Request: shape.Request{Method: call[0], Path: path, Query: values, Header: header, Body: []byte(call[2])}}
}

// nodesMay are the operations of S3 that a node may call on what is nobody's: they tell
// it where a bucket is, and nothing that is in it.
var nodesMay = map[string]bool{
	"HeadBucket": true, "GetBucketLocation": true, "GetBucketEncryption": true, "GetBucketAcl": true, "GetBucketPolicyStatus": true,
}

// Every operation of S3 for everybody: nobody may do a thing but the administrator,
// and no refusal leaves a trace.
func TestBucketMatrix(t *testing.T) {
	hubtest.Each(t, identityFiles(), func(t *testing.T, h *hubtest.Hub) {
		w := newWorld(t, h)
		for _, call := range []string{"/red", "/red/secret"} {
			sum := sha256.Sum256(nil)
			q := hubtest.Request{Service: "s3", Credentials: hubtest.Admin, Request: shape.Request{
				Method: "PUT", Path: call, Header: http.Header{"X-Amz-Content-Sha256": {hex.EncodeToString(sum[:])}},
			}}
			if a := h.Send(t, q); a.Status != http.StatusOK {
				t.Fatalf("%+v", a)
			}
		}
		w.store.Settle()
		refused := 0
		for _, op := range s3.Model.Operations {
			before := w.store.Snapshot()
			for _, p := range append(strangers(), known(w.node)...) {
				q := p.with(bucketRequest(op.Name))
				if p.name == "admin" || p.name == "wrong service" || p.name == "unserved service" { // those are not S3's to refuse
					continue
				}
				if a, ok := h.Send(t, q), p.name == "node" && nodesMay[op.Name]; ok != (a.Status/100 == 2) || !ok && a.Status != http.StatusForbidden {
					t.Errorf("%s by %s: %d %.300s", op.Name, p.name, a.Status, a.Body)
				}
				refused++
			}
			w.store.Unchanged(t, before, op.Name+", refused to all,")
		}
		for _, op := range s3.Model.Operations {
			q := bucketRequest(op.Name)
			q.Credentials = hubtest.Admin
			if a := h.Send(t, q); a.Status == http.StatusForbidden || a.Status == http.StatusInternalServerError {
				t.Errorf("%s by admin: %d %.300s", op.Name, a.Status, a.Body)
			}
		}
		t.Logf("%d tries over %d operations", refused, len(s3.Model.Operations))
	})
}
