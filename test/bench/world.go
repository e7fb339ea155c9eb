package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/cli/hub"
	"github.com/watchbill/watchbill/internal/wire/client"
)

const nobody = 65534

// sessionTime is how long a bench of sessions may take.
const sessionTime = time.Minute

// world is a hub with one node of our own, and OpenSSH's server beside it.
type world struct {
	*hubProcess
	dir    string // all may enter it
	node   string
	client *client.Client
	ssh    *sshd // nil when it is not installed
	ends   []func()
}

// newWorld starts all of it. stop is never nil.
func newWorld(ctx context.Context, dir string) (w *world, stop func(), err error) {
	w = &world{dir: dir}
	stop = func() {
		for i := range w.ends {
			w.ends[len(w.ends)-1-i]()
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return w, stop, err
	}
	if w.hubProcess, err = startHub(ctx, dir); err != nil {
		return w, stop, err
	}
	w.ends = append(w.ends, w.kill)
	e := hub.Environment{
		Endpoint: w.https, Region: region, CAFile: filepath.Join(dir, "hub", "ca.pem"),
		Credentials: client.Credentials{AccessKeyID: adminID, SecretAccessKey: adminSecret},
	}
	if w.client, err = e.Client(); err != nil {
		return w, stop, err
	}
	if err := w.startNode(ctx); err != nil {
		return w, stop, err
	}
	w.ssh, err = startSSHD(ctx, dir)
	switch {
	case errors.Is(err, exec.ErrNotFound):
		fmt.Fprintln(os.Stderr, "sshd is not installed, rows beside OpenSSH are missing")
		err = nil
	case err == nil:
		w.ends = append(w.ends, w.ssh.stop)
	}
	return w, stop, err
}

// environment is what `watchbill env` prints.
func (w *world) environment() []string { return w.hubProcess.environment(w.dir) }

// own is our program as a person calls it.
func (w *world) own(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, *binary, args...)
	c.Env = append(os.Environ(), w.environment()...)
	return c
}

// startNode registers and runs a node; as nobody when root runs this, since a node
// whose program is root's opens sessions for another user only.
func (w *world) startNode(ctx context.Context) error {
	var a ssm.CreateActivationOutput
	if err := w.client.Call(ctx, "ssm", "CreateActivation", &ssm.CreateActivationInput{IamRole: new("watchbill-node")}, &a); err != nil {
		return err
	}
	home := w.place("node")
	program, ca, state := filepath.Join(home, "watchbill"), filepath.Join(home, "ca.pem"), filepath.Join(home, "state")
	if err := errors.Join(os.Mkdir(home, 0o755), copyFile(*binary, program, 0o755), copyFile(filepath.Join(w.dir, "hub", "ca.pem"), ca, 0o644)); err != nil {
		return err
	}
	if err := w.give(home); err != nil {
		return err
	}
	register := asNobody(exec.CommandContext(ctx, program, "agent", "register", "--hub", w.https, "--ca", ca,
		"--activation-id", *a.ActivationId, "--activation-code", *a.ActivationCode, "--state", state))
	if out, err := register.CombinedOutput(); err != nil {
		return fmt.Errorf("register: %w: %s", err, out)
	}
	stop, err := launch(asNobody(exec.CommandContext(ctx, program, "agent", "run", "--state", state, "--log-level", "error")))
	if err != nil {
		return err
	}
	w.ends = append(w.ends, stop)
	return w.online(ctx)
}

func (w *world) online(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	for {
		var d ssm.DescribeInstanceInformationOutput
		if err := w.client.Call(ctx, "ssm", "DescribeInstanceInformation", &ssm.DescribeInstanceInformationInput{}, &d); err != nil {
			return fmt.Errorf("the node does not come: %w", err)
		}
		if l := d.InstanceInformationList; len(l) == 1 && l[0].PingStatus == ssm.PingStatusOnline {
			w.node = *l[0].InstanceId
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the node does not come: %w", ctx.Err())
		}
	}
}

// place is a path in the world's directory.
func (w *world) place(name string) string { return filepath.Join(w.dir, name) }

// give makes a file or a directory the node's.
func (w *world) give(path string) error {
	if os.Getuid() != 0 {
		return nil
	}
	return os.Chown(path, nobody, nobody)
}

func asNobody(c *exec.Cmd) *exec.Cmd {
	c.Env = []string{"PATH=/usr/bin:/bin", "HOME=/tmp"}
	if os.Getuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	return c
}

func copyFile(from, to string, mode os.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
