// Package client calls operations over the AWS protocols: awsJson1.1, restJson1
// and query, signed with SigV4. The command line, the node's program and the
// demo use it against a hub. Package shape makes and reads the messages, here as
// in the server.
//
// A call is sent again after a time-out, a broken connection, a 5xx or a
// throttling answer, with full jitter and under one amz-sdk-invocation-id, so
// that the hub answers a repetition from its memory instead of acting twice.
package client
