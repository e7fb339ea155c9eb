//go:build unix

package session

import (
	"os/exec"
	"syscall"
	"time"
)

// Steps of the end of a program: it hears SIGHUP, and what is there some time
// later is killed.
const (
	hangupWait = 500 * time.Millisecond
	killWait   = 2 * time.Second
)

// watch waits for a program, and ends it and its processes with the session.
// exited is closed when the program is gone.
func (s *session) watch(cmd *exec.Cmd, exited chan<- struct{}) {
	if err := s.marks.lead(s.id, cmd.Process.Pid); err != nil {
		s.log.Warn("the program of a session cannot be remembered", "error", err)
	}
	gone := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		close(exited)
		return
	case <-s.ctx.Done():
	}
	pid := cmd.Process.Pid
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGCONT} {
		signalAll(pid, sig)
	}
	wait(func() bool { return len(members(pid)) == 0 }, hangupWait)
	wait(func() bool { signalAll(pid, syscall.SIGKILL); return len(members(pid)) == 0 }, killWait)
	s.left = remaining(pid, s.id)
	select {
	case <-gone:
	case <-time.After(killWait): // it cannot be killed, for example in a broken disk
	}
	close(exited)
}

// wait asks for a condition until it holds or a time is over.
func wait(done func() bool, most time.Duration) {
	deadline := time.Now().Add(most)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() && time.Now().Before(deadline) {
		<-tick.C
	}
}
