// Package server puts the hub together: it opens the store, makes every platform
// service and capability, serves them on one port, and stops them in order. It is
// the only package that imports everything.
package server
