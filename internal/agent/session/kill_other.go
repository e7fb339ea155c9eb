//go:build unix && !linux

package session

import "syscall"

// members: without a process table to read, the process group of the leader
// stands for the session.
func members(leader int) []int {
	if syscall.Kill(-leader, 0) == nil {
		return []int{leader}
	}
	return nil
}

func signalAll(leader int, sig syscall.Signal) { _ = syscall.Kill(-leader, sig) }

func remaining(int, string) []string { return nil }
