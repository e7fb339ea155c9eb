// Package s3 is the server side of the S3 protocol: it finds the operation that a
// request names, in the path style and in the virtual-host style, reads bodies in the
// forms that SDKs send them with their checksums, and renders answers and errors as
// XML. It knows no bucket and no storage.
//
// Source of the forms: the S3 API reference; what clients send was looked at with the
// aws command line, boto3 and aws-sdk-go-v2 (see the tests of capability/bucket).
package s3
