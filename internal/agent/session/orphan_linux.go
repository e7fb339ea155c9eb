package session

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// leadership names a program for a later run of this one: by the start of the
// machine, its number and the time it began, for numbers are used again.
func leadership(pid int) string {
	for _, p := range processes() {
		if p.pid == pid {
			return bootID() + " " + strconv.Itoa(pid) + " " + p.began
		}
	}
	return ""
}

func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "-"
	}
	return strings.TrimSpace(string(b))
}

// orphans are the living processes of a session of an earlier run: those in the
// operating system's session of its program while that lives, and those that have
// the session's id in their environment.
func orphans(m mark) []process {
	all := processes()
	leader := 0
	for _, p := range all {
		if m.leader != "" && m.leader == bootID()+" "+strconv.Itoa(p.pid)+" "+p.began {
			leader = p.pid
		}
	}
	variable := []byte(sessionVariable + "=" + m.id)
	var out []process
	for _, p := range all {
		if !p.zombie && (leader != 0 && p.session == leader || marked(p.pid, variable)) {
			out = append(out, p)
		}
	}
	return out
}

// killOrphans kills what is left of a session of an earlier run, and names what
// is there still after most.
func killOrphans(m mark, most time.Duration) (killed int, left []string) {
	var found []process
	wait(func() bool {
		found = orphans(m)
		for _, p := range found {
			if syscall.Kill(p.pid, syscall.SIGKILL) == nil {
				killed++
			}
		}
		return len(found) == 0
	}, most)
	for _, p := range found {
		left = append(left, p.name+" ("+strconv.Itoa(p.pid)+")")
	}
	return killed, left
}
