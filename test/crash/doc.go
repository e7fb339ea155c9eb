// Package crash kills the hub and its node, again and again, while a story goes on,
// and looks afterwards whether anything was lost or done twice.
package crash
