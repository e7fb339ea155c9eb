package cgroup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// namePrefix marks the groups of this package.
const namePrefix = "watchbill-"

// Parent is a group in which groups may be made.
type Parent struct{ dir string }

// Delegated is the group of this process when systemd has delegated it. The
// error says why there is none.
func Delegated() (*Parent, error) {
	dir, err := own()
	if err != nil {
		return nil, err
	}
	if !delegated(dir) {
		return nil, fmt.Errorf("the control group %s is not delegated to this program (Delegate=yes in its unit)", dir)
	}
	return Open(dir)
}

// Open takes a directory of the cgroup v2 tree as parent, removes the empty
// groups that an earlier run left in it, and tries whether processes can be
// started in a group there.
func Open(dir string) (*Parent, error) {
	p := &Parent{dir: dir}
	left, _ := filepath.Glob(filepath.Join(dir, namePrefix+"*"))
	for _, path := range left {
		_ = os.Remove(path) // fails while processes are in it
	}
	g, err := p.New("probe")
	if err != nil {
		return nil, err
	}
	defer g.Close()
	cmd := exec.Command("/bin/sh", "-c", ":")
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	g.Into(cmd.SysProcAttr)
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("no process can be started in a control group below %s: %w", dir, err)
	}
	return p, nil
}

// own is the directory of the cgroup v2 group that this process is in.
func own() (string, error) {
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	mount := mountPoint(string(mounts))
	for line := range strings.Lines(string(groups)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok && mount != "" {
			return filepath.Join(mount, path), nil
		}
	}
	return "", errors.New("this machine has no control groups of version 2")
}

// mountPoint is where cgroup2 is mounted, "" when it is not.
func mountPoint(mounts string) string {
	for line := range strings.Lines(mounts) {
		before, after, ok := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		if ok && len(fields) > 4 && strings.HasPrefix(after, "cgroup2 ") {
			return fields[4]
		}
	}
	return ""
}

// delegated reads the mark that systemd puts on a group it gives away.
func delegated(dir string) bool {
	value := make([]byte, 8)
	for _, name := range []string{"user.delegate", "trusted.delegate"} {
		if n, err := syscall.Getxattr(dir, name, value); err == nil && string(value[:n]) == "1" {
			return true
		}
	}
	return false
}

// Group is one group and the processes in it.
type Group struct {
	dir string
	f   *os.File
}

// New makes a group; name is unique among the open ones.
func (p *Parent) New(name string) (*Group, error) {
	dir := filepath.Join(p.dir, namePrefix+name)
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	return &Group{dir: dir, f: f}, nil
}

// Into makes a command start inside the group.
func (g *Group) Into(attr *syscall.SysProcAttr) {
	attr.UseCgroupFD, attr.CgroupFD = true, int(g.f.Fd())
}

// Kill ends every process of the group with SIGKILL and waits until they are
// gone, or the context ends.
func (g *Group) Kill(ctx context.Context) error {
	if err := os.WriteFile(filepath.Join(g.dir, "cgroup.kill"), []byte("1"), 0); err != nil {
		g.killEach() // a kernel before 5.14
	}
	t := time.NewTicker(10 * time.Millisecond)
	defer t.Stop()
	for {
		left := g.Processes()
		if len(left) == 0 {
			return nil
		}
		select {
		case <-t.C:
			g.killEach()
		case <-ctx.Done():
			return fmt.Errorf("processes %v of the control group do not end", left)
		}
	}
}

func (g *Group) killEach() {
	for _, pid := range g.Processes() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// Processes are the ids of the processes in the group.
func (g *Group) Processes() []int {
	b, _ := os.ReadFile(filepath.Join(g.dir, "cgroup.procs"))
	var out []int
	for field := range strings.FieldsSeq(string(b)) {
		if pid, err := strconv.Atoi(field); err == nil {
			out = append(out, pid)
		}
	}
	return out
}

// Close removes the group. One that still has processes stays until a later
// run of the program finds it empty.
func (g *Group) Close() {
	g.f.Close()
	_ = os.Remove(g.dir)
}
