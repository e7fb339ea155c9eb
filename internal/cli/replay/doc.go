// Package replay shows the recordings of sessions: in the terminal at the pace at
// which they were made, live while a session goes on, as text that can be searched,
// and as files. Recordings are asciicast v2, read through the public API.
//
// Exports are the recording byte for byte. On a terminal it is played as it is,
// which is what a recording is for; anywhere else control sequences are taken out.
package replay
