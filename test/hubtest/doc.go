// Package hubtest starts whole hubs for tests, in this process or as a process of
// its own, speaks to them in well- and ill-formed requests, and looks at what is in
// their stores behind their back.
package hubtest
