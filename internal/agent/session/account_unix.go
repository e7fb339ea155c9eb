//go:build unix

package session

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

// sessionUser is whom sessions of a node program that runs as root use when
// nobody said otherwise. The stock agent makes this user; Watchbill does not.
const sessionUser = "ssm-user"

// account decides as whom a session's program runs: the user that the hub
// names, else the one of the document, else, for root, ssm-user. A node
// program of an ordinary user has only itself. An elevated command runs as the
// node program.
func (s *session) account(elevated bool) (account, error) {
	name := s.start.RunAsUser
	if name == "" && bool(s.inputs.RunAsEnabled) {
		if name = s.inputs.RunAsDefaultUser; name == "" {
			return account{}, errors.New("the session document asks for a run-as user, and none is configured")
		}
	}
	self, err := user.Current()
	if err != nil {
		return account{}, fmt.Errorf("the user of the node program: %w", err)
	}
	switch {
	case elevated:
		name = self.Username
	case os.Geteuid() != 0 && name != "" && name != self.Username:
		return account{}, fmt.Errorf("this node runs as %s and cannot open a session as %s", self.Username, name)
	case os.Geteuid() != 0:
		name = self.Username
	case name == "":
		name = sessionUser
	}
	return lookup(name, elevated)
}

// lookup finds an account. root is only for elevated commands.
func lookup(name string, elevated bool) (account, error) {
	u, err := user.Lookup(name)
	var unknown user.UnknownUserError
	if errors.As(err, &unknown) && name == sessionUser {
		return account{}, errors.New("this node runs as root: create the user ssm-user for sessions, or configure a run-as user")
	}
	if err != nil {
		return account{}, fmt.Errorf("user %s: %w", name, err)
	}
	a := account{name: u.Username, home: u.HomeDir, shell: loginShell(u.Username)}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("user %s: %w", name, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("user %s: %w", name, err)
	}
	a.uid, a.gid = uint32(uid), uint32(gid)
	a.other = int(a.uid) != os.Geteuid()
	if a.uid == 0 && !elevated {
		return account{}, errors.New("sessions as root are not allowed: invalid uid and gid")
	}
	ids, err := u.GroupIds()
	if err != nil {
		return account{}, fmt.Errorf("groups of user %s: %w", name, err)
	}
	for _, text := range ids {
		if n, err := strconv.ParseUint(text, 10, 32); err == nil {
			a.groups = append(a.groups, uint32(n))
		}
	}
	return a, nil
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

// dress gives a program its user, environment, directory and a session of its
// own in the operating system.
func (s *session) dress(cmd *exec.Cmd, a account) {
	cmd.Env = s.environment(a)
	cmd.Dir = "/"
	if info, err := os.Stat(a.home); err == nil && info.IsDir() && unixAccess(a, info) {
		cmd.Dir = a.home
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if a.other {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid, Groups: a.groups}
	}
}

// unixAccess says whether an account may go into a directory, by owner, group
// and others.
func unixAccess(a account, info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || a.uid == 0 {
		return true
	}
	mode := info.Mode().Perm()
	switch {
	case st.Uid == a.uid:
		return mode&0o100 != 0
	case st.Gid == a.gid:
		return mode&0o010 != 0
	}
	return mode&0o001 != 0
}
