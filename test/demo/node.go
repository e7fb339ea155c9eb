package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/watchbill/watchbill/internal/api/ssm"
)

// startNode registers this machine and runs the agent as an ordinary user: nobody,
// when the demonstration is run by root.
func (s *stage) startNode(ctx context.Context) error {
	if err := s.makeNodeDir(); err != nil {
		return err
	}
	if err := s.startOrders(); err != nil {
		return err
	}
	var activation ssm.CreateActivationOutput
	err := s.admin.Call(ctx, "ssm", "CreateActivation", &ssm.CreateActivationInput{
		IamRole: new("watchbill-node"), RegistrationLimit: new(int32(1)), Description: new("the demo node"),
		Tags: []ssm.Tag{{Key: new("Service"), Value: new("orders")}},
	}, &activation)
	if err != nil {
		return err
	}
	register := s.asNode("agent", "register", "--hub", s.url, "--ca", filepath.Join(s.nodeDir, "ca.pem"),
		"--activation-id", *activation.ActivationId, "--activation-code", *activation.ActivationCode, "--state", filepath.Join(s.nodeDir, "state"))
	out, err := register.CombinedOutput()
	if err != nil {
		return fmt.Errorf("register the node: %w: %s", err, out)
	}
	s.nodeID = strings.TrimSpace(string(out))
	log, err := os.Create(filepath.Join(s.dir, "node.log"))
	if err != nil {
		return err
	}
	run := s.asNode("agent", "run", "--state", filepath.Join(s.nodeDir, "state"))
	run.Stdout, run.Stderr = log, log
	if err := s.launch(run); err != nil {
		return err
	}
	err = s.await(ctx, "the node online", func() (bool, error) {
		var info ssm.DescribeInstanceInformationOutput
		err := s.admin.Call(ctx, "ssm", "DescribeInstanceInformation", &ssm.DescribeInstanceInformationInput{}, &info)
		return len(info.InstanceInformationList) == 1 && info.InstanceInformationList[0].PingStatus == ssm.PingStatusOnline, err
	})
	if err == nil {
		s.say("node %s online, running as %s", s.nodeID, s.nodeUser())
	}
	return err
}

func (s *stage) asRoot() bool { return os.Getuid() == 0 }

func (s *stage) nodeUser() string {
	if s.asRoot() {
		return "nobody"
	}
	return "you"
}

// makeNodeDir makes the directory that the node's user owns, with a copy of what it
// needs: that user may not read this one.
func (s *stage) makeNodeDir() (err error) {
	s.nodeDir = filepath.Join(s.dir, "node")
	if !s.asRoot() {
		err = os.MkdirAll(s.nodeDir, 0o755)
	} else if s.nodeDir, err = os.MkdirTemp("", "watchbill-demo-node-"); err == nil {
		err = os.Chmod(s.nodeDir, 0o755)
	}
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for name, from := range map[string]string{"watchbill": s.binary, "orders-service": self, "ca.pem": filepath.Join(s.hubDir(), "ca.pem")} {
		if err := copyFile(from, filepath.Join(s.nodeDir, name)); err != nil {
			return err
		}
	}
	return s.writeControl()
}

const control = `#!/bin/sh
# Controls the orders service of the demonstration.
cd "$(dirname "$0")"
case $1 in
start) rm -f wedged; setsid ../orders-service orders -listen %[1]s -dir . </dev/null >>orders.log 2>&1 & echo $! >pid
	for i in 1 2 3 4 5 6 7 8 9 10; do curl -fsS -m 2 -o /dev/null http://%[1]s/health 2>/dev/null && exit 0; sleep 0.2; done; exit 1 ;;
stop) [ -f pid ] && kill "$(cat pid)" 2>/dev/null; rm -f pid; exit 0 ;;
restart) "./$(basename "$0")" stop; exec "./$(basename "$0")" start ;;
status) kill -0 "$(cat pid)" && curl -sS -m 2 -w ' (HTTP %%{http_code})\n' http://%[1]s/health ;;
esac
`

// writeControl gives the service its control script and the whole directory its owner.
func (s *stage) writeControl() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.orders = l.Addr().String()
	_ = l.Close()
	dir := filepath.Join(s.nodeDir, "orders")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "ctl"), fmt.Appendf(nil, control, s.orders), 0o755); err != nil {
		return err
	}
	if !s.asRoot() {
		return nil
	}
	return filepath.WalkDir(s.nodeDir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, nobody, nobody)
	})
}

// asNode is a command of the node's user.
func (s *stage) asNode(args ...string) *exec.Cmd {
	return s.asUser(exec.Command(filepath.Join(s.nodeDir, "watchbill"), args...))
}

func (s *stage) asUser(c *exec.Cmd) *exec.Cmd {
	c.Dir = s.nodeDir
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.nodeDir}
	if s.asRoot() {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	return c
}

func (s *stage) startOrders() error {
	out, err := s.asUser(exec.Command(filepath.Join(s.nodeDir, "orders", "ctl"), "start")).CombinedOutput()
	if err != nil {
		return fmt.Errorf("start the orders service: %w: %s", err, out)
	}
	s.say("orders service healthy at http://%s/health", s.orders)
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		_ = out.Close()
		return err
	}
	return out.Close()
}
