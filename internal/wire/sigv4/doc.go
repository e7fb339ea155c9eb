// Package sigv4 reads, checks and makes AWS Signature Version 4 signatures, in
// the Authorization header and in the query of a presigned URL.
//
// The canonical request is always rebuilt from the request as received, and the
// payload hash from the body: nothing that the client says about either is
// trusted. Invariants: host, content-type and every x-amz-* header is signed;
// security relevant headers and parameters occur once; a wrong key, an unknown
// key and an altered request give the same error after the same work. Secrets
// belong to the caller, who looks them up by access key id and session token.
//
// Source of the algorithm: the AWS signing reference
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html),
// checked against the signer of aws-sdk-go-v2 in the tests.
package sigv4
