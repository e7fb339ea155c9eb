// Package cgroup gives each step of a command a control group (cgroup v2) of
// its own, so that every process it started can be found and killed, also one
// that left its process group. It uses nothing but a group that systemd has
// delegated to the node program (Delegate=yes): elsewhere the tree of groups
// belongs to somebody else, and there is no Parent. Linux only.
package cgroup
