package account

import (
	"errors"
	"os"
	"os/exec"
	"os/user"
	"syscall"
)

// User is the user of the node program: others are not supported on Windows.
type User struct{ Name, Home, Shell string }

// Find finds the node program's own user. Error: another is wanted.
func Find(w Want) (*User, error) {
	if w.Name != "" || w.RunAs {
		return nil, errors.New("this node does not support run-as users on Windows")
	}
	u, err := user.Current()
	if err != nil {
		return nil, err
	}
	return &User{Name: u.Username, Home: u.HomeDir, Shell: os.Getenv("COMSPEC")}, nil
}

// Dress gives a program the node program's environment and the home as its
// directory.
func (u *User) Dress(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	cmd.Env, cmd.Dir = os.Environ(), u.Home
}

// Do runs f.
func (u *User) Do(f func() error) error { return f() }
