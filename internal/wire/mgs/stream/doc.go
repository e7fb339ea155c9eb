// Package stream is one end of the reliable stream inside a session's data
// channel: numbered messages, acknowledgements, repeats, a buffer for messages
// that come too early. The node's end and the client's end are the same
// machine with the message types exchanged.
//
// It is pure: it reads no clock and does no I/O. Its owner passes in the
// frames that arrive and the time, and asks for the next frame to send until
// there is none. A message is in the machine before its first frame is given
// out, so that no acknowledgement can come too early (a defect of both stock
// ends). Everything it keeps is bounded.
package stream
