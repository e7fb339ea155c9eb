// Package bucket serves the part of S3 that outputs of commands, logs of sessions and
// scripts for nodes need: buckets, objects, multipart uploads and lists.
//
// Rows say what there is; the bytes lie in platform/blob, each part of an object under
// an id of its own, encrypted with a data key that only its row has, sealed. Keys of
// objects are never paths of files. The bytes are durable before the row names them,
// and a row that goes leaves a task that throws its bytes away.
//
// A node may write under its own command and association prefixes and the log of its
// own sessions, and read back what is its own; of other objects it reads those in
// buckets with the tag watchbill:nodes = read. Everything else is for people and roles
// with policies. Buckets belong to the account and are the same in all its regions.
//
// Facts: bucket.created, bucket.deleted, bucket.tagged, bucket.object.put,
// bucket.object.deleted. Tasks: bucket.discard, bucket.abandon.
package bucket
