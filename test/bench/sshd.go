package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// maxAddresses is how many addresses one sshd listens on (MAX_LISTEN_SOCKS of
// OpenSSH): with more it ends.
const maxAddresses = 16

// sshd is OpenSSH's server on addresses of loopback.
type sshd struct {
	port  string
	key   string
	stops []func()
}

// sshHosts are the addresses of the targets.
func sshHosts() (hosts []string) {
	for i := range machines {
		hosts = append(hosts, fmt.Sprintf("127.0.2.%d", i+1))
	}
	return hosts
}

// options are those of ssh and scp; they use no file of the user's.
func (s *sshd) options() []string {
	return []string{
		"-F", "/dev/null", "-oPort=" + s.port, "-oIdentityFile=" + s.key, "-oIdentitiesOnly=yes", "-oStrictHostKeyChecking=no",
		"-oUserKnownHostsFile=/dev/null", "-oLogLevel=ERROR", "-oBatchMode=yes",
	}
}

// command is ssh or scp with the options of this server.
func (s *sshd) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, program, append(s.options(), args...)...)
}

func (s *sshd) stop() {
	for _, stop := range s.stops {
		stop()
	}
}

// startSSHD starts a private server with keys of its own on 127.0.0.1 and sshHosts.
// The error is exec.ErrNotFound when there is none.
func startSSHD(ctx context.Context, dir string) (*sshd, error) {
	program, err := exec.LookPath("sshd")
	if err != nil {
		if program, err = exec.LookPath("/usr/sbin/sshd"); err != nil {
			return nil, exec.ErrNotFound
		}
	}
	address, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &sshd{port: address[strings.LastIndex(address, ":")+1:], key: filepath.Join(dir, "ssh-client")}
	for _, k := range []string{s.key, filepath.Join(dir, "ssh-host")} {
		if err := command(ctx, nil, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", k); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil && os.Getuid() == 0 {
		return nil, err
	}
	for some := range slices.Chunk(append([]string{"127.0.0.1"}, sshHosts()...), maxAddresses) {
		if err := s.listen(ctx, program, dir, some); err != nil {
			s.stop()
			return nil, err
		}
	}
	return s, nil
}

// listen starts one server for some addresses.
func (s *sshd) listen(ctx context.Context, program, dir string, addresses []string) error {
	text := fmt.Sprintf("Port %s\nHostKey %s\nAuthorizedKeysFile %s.pub\nStrictModes no\nPermitRootLogin yes\nMaxStartups 500\nPidFile none\nUsePAM no\nSubsystem sftp internal-sftp\n",
		s.port, filepath.Join(dir, "ssh-host"), s.key)
	for _, a := range addresses {
		text += "ListenAddress " + a + "\n"
	}
	config := filepath.Join(dir, "sshd_config-"+addresses[0])
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	c := exec.CommandContext(ctx, program, "-D", "-e", "-f", config)
	log, err := os.Create(config + ".log")
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	c.Stderr = log
	stop, err := launch(c)
	if err != nil {
		return err
	}
	s.stops = append(s.stops, stop)
	for _, a := range addresses {
		if err := waitPort(ctx, a+":"+s.port); err != nil {
			said, _ := os.ReadFile(log.Name())
			return fmt.Errorf("sshd: %w: %s", err, said)
		}
	}
	return nil
}
