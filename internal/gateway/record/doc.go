// Package record writes what is seen in a session as an asciicast, version 2:
// one JSON line for each event, o (output), i (input), r (size of the terminal)
// and m (a mark of the hub). The lines go to the store in chunks of whole
// lines, about each second.
//
// Input is recorded as far as it was echoed: a person's password is not. What
// was typed and not shown is a mark with its length.
//
// A chunk that cannot be stored ends a strict session; in any other the gap is
// marked and the session goes on.
package record
