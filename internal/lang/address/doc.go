// Package address says which network addresses sessions and downloads never
// reach, in whatever form an address is written.
package address
