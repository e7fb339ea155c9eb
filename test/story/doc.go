// Package story tests the hub as a whole, from outside: who may do what, what it
// refuses, what it never lets out, and how it stops, starts and fills its disk.
package story
