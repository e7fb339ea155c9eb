// Package mgs is the message format between hub and node, for both ends: the
// binary frame that travels on a control channel's WebSocket, the JSON
// payloads inside it, and the JSON and XML bodies that open a channel.
//
// It is the measured format of the stock agent. Decoding is strict about what
// a peer could use to confuse us (lengths, digests, duplicate names, sizes,
// job ids) and tolerant of members it does not know, since newer agents add
// some. Frames whose type is unknown decode well; the reader ignores them.
//
// Two frame types are our own (JobOutput, JobOutputAck). The stock agent logs
// and ignores frames that it does not know, and a hub sends them only to nodes
// that said AgentName is OwnAgent when they opened the channel.
package mgs
