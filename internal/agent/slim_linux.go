package agent

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
)

// slim gives memory back once the node is idle: what the garbage collector has
// freed, and the pages of this program's file that only its start has read.
// The kernel reads the latter again when they are needed.
func slim() {
	debug.FreeOSMemory()
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return
	}
	for _, m := range clean(string(maps), exe) {
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, m.from, m.to-m.from, syscall.MADV_DONTNEED)
	}
}

// mapping is a part of this program's memory.
type mapping struct{ from, to uintptr }

// clean are the mappings of a file that are not writable and hold no page that
// differs from the file: dropping one that does would lose it.
func clean(smaps, file string) []mapping {
	var out []mapping
	var m mapping
	mine := false
	for line := range strings.Lines(smaps) {
		var at mapping
		var mode string
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &at.from, &at.to, &mode); n == 3 {
			m, mine = at, (mode == "r-xp" || mode == "r--p") && strings.HasSuffix(strings.TrimSpace(line), " "+file)
			continue
		}
		if fields := strings.Fields(line); mine && len(fields) == 3 && fields[0] == "Anonymous:" && fields[1] == "0" {
			out = append(out, m)
		}
	}
	return out
}
