//go:build unix

package account

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// standard is the user of sessions of a node program that runs as root, when
// nobody said otherwise. Source: the stock agent's name for it.
const standard = "ssm-user"

// User is a user of the node.
type User struct {
	Name, Home, Shell string // Home and Shell are paths

	uid, gid uint32
	groups   []uint32
	other    bool // not the user of the node program
}

// Find finds the user of a session: the wanted one, else the node program's own
// when it is not root or the command is elevated, else ssm-user. Errors: no such
// user, root without an elevated command, another user where the node program is
// not root; the text is for the person whose session it is.
func Find(w Want) (*User, error) {
	name, err := w.name()
	if err != nil {
		return nil, err
	}
	self, err := user.Current()
	if err != nil {
		return nil, fmt.Errorf("the user of the node program: %w", err)
	}
	root := os.Geteuid() == 0
	switch {
	case w.Elevated && (w.Over || name == ""):
		name = self.Username
	case !root && name != "" && name != self.Username:
		return nil, fmt.Errorf("this node runs as %s and cannot open a session as %s", self.Username, name)
	case !root:
		name = self.Username
	case name == "":
		name = standard
	}
	return lookup(name, w.Elevated)
}

// lookup finds a user. root is only for elevated commands.
func lookup(name string, elevated bool) (*User, error) {
	found, err := user.Lookup(name)
	if _, unknown := errors.AsType[user.UnknownUserError](err); unknown && name == standard {
		return nil, errors.New("this node runs as root: create the user ssm-user for sessions, or configure a run-as user")
	}
	if err != nil {
		return nil, fmt.Errorf("user %s: %w", name, err)
	}
	u := &User{Name: found.Username, Home: found.HomeDir, Shell: loginShell(found.Username)}
	if u.uid, err = id(found.Uid); err == nil {
		u.gid, err = id(found.Gid)
	}
	if err != nil {
		return nil, fmt.Errorf("user %s: %w", name, err)
	}
	u.other = int(u.uid) != os.Geteuid()
	if u.uid == 0 && !elevated {
		return nil, errors.New("sessions as root are not allowed: invalid uid and gid")
	}
	groups, err := found.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("groups of user %s: %w", name, err)
	}
	for _, text := range groups {
		if n, err := id(text); err == nil {
			u.groups = append(u.groups, n)
		}
	}
	return u, nil
}

func id(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err
}

// loginShell is the shell of a user in /etc/passwd, /bin/sh for an account
// without one that works.
func loginShell(name string) string {
	const fallback = "/bin/sh"
	b, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return fallback
	}
	for line := range strings.Lines(string(b)) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) != 7 || fields[0] != name {
			continue
		}
		shell := fields[6]
		base := filepath.Base(shell)
		info, err := os.Stat(shell)
		if err != nil || info.IsDir() || info.Mode()&0o111 == 0 || base == "nologin" || base == "false" {
			return fallback
		}
		return shell
	}
	return fallback
}

// Dress gives a program its user, its environment (nothing of the node
// program's own but its language and zone) and its directory: the home where the
// user may go into it, else the root. SysProcAttr is set, for callers to add to.
func (u *User) Dress(cmd *exec.Cmd) {
	cmd.Env = []string{
		"HOME=" + u.Home, "USER=" + u.Name, "LOGNAME=" + u.Name, "SHELL=" + u.Shell,
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	}
	for _, name := range []string{"LANG", "LC_ALL", "TZ"} {
		if value, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	cmd.Dir = "/"
	if info, err := os.Stat(u.Home); err == nil && info.IsDir() && u.mayEnter(info) {
		cmd.Dir = u.Home
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if u.other {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: u.uid, Gid: u.gid, Groups: u.groups}
	}
}

// Own makes a file the user's, where it is another than the node program's.
func (u *User) Own(f *os.File) {
	if u.other {
		_ = f.Chown(int(u.uid), int(u.gid))
	}
}

// mayEnter says whether the user may go into a directory, by owner, group and
// others.
func (u *User) mayEnter(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || u.uid == 0 {
		return true
	}
	mode := info.Mode().Perm()
	switch {
	case st.Uid == u.uid:
		return mode&0o100 != 0
	case st.Gid == u.gid:
		return mode&0o010 != 0
	}
	return mode&0o001 != 0
}
