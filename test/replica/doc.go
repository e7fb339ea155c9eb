// Package replica plays with two hubs on one PostgreSQL: what one takes the other
// knows, and what one leaves behind the other ends.
package replica
