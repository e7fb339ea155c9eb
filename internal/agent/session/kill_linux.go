package session

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// process is a line of the process table.
type process struct {
	pid, session int
	began        string // ticks since the machine started
	name         string
	zombie       bool
}

// processes reads the process table.
func processes() []process {
	paths, _ := filepath.Glob("/proc/[0-9]*/stat")
	out := make([]process, 0, len(paths))
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if p, ok := parseStat(string(b)); ok {
			out = append(out, p)
		}
	}
	return out
}

// parseStat reads "pid (name) state ppid group session ...". A name may hold
// anything, also brackets.
func parseStat(line string) (process, bool) {
	open, end := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 1 || end < open {
		return process{}, false
	}
	fields := strings.Fields(line[end+1:])
	pid, err := strconv.Atoi(strings.TrimSpace(line[:open]))
	if err != nil || len(fields) < 4 {
		return process{}, false
	}
	session, err := strconv.Atoi(fields[3])
	began := ""
	if len(fields) > 19 {
		began = fields[19]
	}
	return process{pid: pid, session: session, began: began, name: line[open+1 : end], zombie: fields[0] == "Z" || fields[0] == "X"}, err == nil
}

// members are the living processes of the operating system's session that a
// program leads.
func members(leader int) []process {
	var out []process
	for _, p := range processes() {
		if p.session == leader && !p.zombie {
			out = append(out, p)
		}
	}
	return out
}

func signalAll(leader int, sig syscall.Signal) {
	for _, p := range members(leader) {
		_ = syscall.Kill(p.pid, sig)
	}
}

// remaining names what is left of a session: processes that could not be
// killed, and those that left the operating system's session and still have
// the session's id in their environment.
func remaining(leader int, id string) []string {
	mark := []byte(sessionVariable + "=" + id)
	var out []string
	for _, p := range processes() {
		if p.zombie {
			continue
		}
		if p.session != leader && !marked(p.pid, mark) {
			continue
		}
		out = append(out, fmt.Sprintf("%s (%d)", p.name, p.pid))
		if len(out) == 20 {
			return append(out, "and others")
		}
	}
	return out
}

func marked(pid int, mark []byte) bool {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
	if err != nil {
		return false
	}
	return hasVariable(b, mark)
}

func hasVariable(b, mark []byte) bool {
	for variable := range bytes.SplitSeq(b, []byte{0}) {
		if bytes.Equal(variable, mark) {
			return true
		}
	}
	return false
}
