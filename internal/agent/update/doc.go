// Package update replaces the node program by another release: fetched,
// verified against the keys that the node trusts, tried, put into the
// program's file, and kept only when it reaches the hub after its restart;
// else the program before it comes back. What was begun is on the disk before
// it is done, so a crash at any point leaves a program that runs, and either
// the old or the new one.
package update
