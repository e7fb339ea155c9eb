// Package nodes shows the managed nodes of a hub as a table, once or again and again,
// and writes what a machine needs to become one.
package nodes
