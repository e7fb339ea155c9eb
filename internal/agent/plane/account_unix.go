//go:build unix

package plane

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
)

// standard is the user of sessions on a node whose program is root's, unless the
// session names one. Source: the stock agent's name for it; we do not create it.
const standard = "ssm-user"

// account is whom a session runs as.
type account struct {
	name, home, shell string
	uid, gid          int
	groups            []int
	other             bool // not who the program is
}

// accountOf finds the user: the one that the session names; for root's program
// ssm-user, unless the document's commands are to run elevated; else the
// program's own.
func accountOf(name string, elevated bool) (*account, error) {
	me := os.Geteuid()
	if name == "" && me == 0 && !elevated {
		name = standard
	}
	u, err := user.Current()
	if name != "" {
		u, err = user.Lookup(name)
	}
	if err != nil {
		if _, unknown := errors.AsType[user.UnknownUserError](err); unknown {
			return nil, fmt.Errorf("the user %s does not exist on this node", name)
		}
		return nil, err
	}
	a := &account{name: u.Username, home: u.HomeDir, shell: shellOf(u.Username)}
	a.uid, _ = strconv.Atoi(u.Uid)
	a.gid, _ = strconv.Atoi(u.Gid)
	if a.other = a.uid != me; a.other {
		if me != 0 {
			return nil, fmt.Errorf("the node program is not root and cannot run as %s", name)
		}
		ids, err := u.GroupIds()
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			n, _ := strconv.Atoi(id)
			a.groups = append(a.groups, n)
		}
	}
	return a, nil
}

func shellOf(name string) string {
	f, err := os.Open("/etc/passwd")
	if err != nil {
		return "/bin/sh"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if p := strings.Split(lines.Text(), ":"); len(p) == 7 && p[0] == name && p[6] != "" {
			if strings.HasSuffix(p[6], "/nologin") || strings.HasSuffix(p[6], "/false") {
				break
			}
			return p[6]
		}
	}
	return "/bin/sh"
}

// command is a command line as the account.
func (a *account) command(line string) *exec.Cmd {
	cmd := exec.Command("/bin/sh", "-c", line)
	a.prepare(cmd)
	cmd.SysProcAttr.Setpgid = true
	return cmd
}

// prepare sets user, place and environment of a command.
func (a *account) prepare(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if a.other {
		groups := make([]uint32, len(a.groups))
		for i, g := range a.groups {
			groups[i] = uint32(g)
		}
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid), Groups: groups}
	}
	path := os.Getenv("PATH")
	if path == "" {
		path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	}
	cmd.Env = []string{"HOME=" + a.home, "USER=" + a.name, "LOGNAME=" + a.name, "SHELL=" + a.shell, "PATH=" + path}
	if lang := os.Getenv("LANG"); lang != "" {
		cmd.Env = append(cmd.Env, "LANG="+lang)
	}
	cmd.Dir = a.home
	if _, err := os.Stat(a.home); err != nil {
		cmd.Dir = "/"
	}
}

// signalGroup sends a signal to the group that a command leads.
func signalGroup(cmd *exec.Cmd, sig syscall.Signal) { _ = syscall.Kill(-cmd.Process.Pid, sig) }

// inTerminal lets the terminal make the command the leader of a session, and so
// of its group.
func inTerminal(cmd *exec.Cmd) {
	cmd.SysProcAttr.Setpgid, cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setctty = false, true, true
}
