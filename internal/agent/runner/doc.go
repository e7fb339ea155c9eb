// Package runner runs one command document on this machine: it fills in the
// parameters, walks the steps, starts each script in a process group of its
// own and captures what it prints within fixed bounds. It knows nothing of the
// network and keeps no state between runs. A step that exceeds its time or is
// cancelled loses its whole process group.
package runner
