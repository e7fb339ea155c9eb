package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/wire/client"
	"github.com/watchbill/watchbill/internal/wire/shape"
)

var models = []*shape.Model{ssm.Model, incidents.Model, contacts.Model}

const (
	account = "123456789012"
	region  = "us-east-1"
	nobody  = 65534
	patient = 40 * time.Second // how long any step of the story may take
	away    = 5 * time.Second  // how long the hub may be away
)

// stage is what the story plays on.
type stage struct {
	options
	began     time.Time
	url       string
	processes []*os.Process
	web       *http.Client
	admin     *client.Client
	bo        *client.Client
	intakeKey string
	nodeID    string
	nodeDir   string // of the node's user
	orders    string // host:port of the demo service
	ana, boID contactARNs
	plan      string // ARN of the escalation plan
	response  string // ARN of the response plan
	incident  string
	execution string
}

type contactARNs struct{ contact, channel string }

// say prints a line of the story with the time since its start.
func (s *stage) say(format string, args ...any) {
	fmt.Printf("%s  +%4.1fs  %s\n", time.Now().Format(time.TimeOnly), time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

// setUp starts the hub and makes the clients.
func (s *stage) setUp(ctx context.Context) error {
	if err := s.clean(); err != nil {
		return err
	}
	if err := s.writeFiles(); err != nil {
		return err
	}
	minute := "4s"
	if s.fast {
		minute = "1s"
	}
	if err := s.startHub(minute); err != nil {
		return err
	}
	s.say("hub ready at %s", s.url)
	if err := s.clients(); err != nil {
		return err
	}
	return s.startNode(ctx)
}

// clean stops what an earlier demonstration left running and empties the directory.
func (s *stage) clean() error {
	text, err := os.ReadFile(filepath.Join(s.dir, "pids"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for line := range strings.Lines(string(text)) {
		var pid int
		if _, err := fmt.Sscan(line, &pid); err == nil && ours(pid) {
			_ = syscall.Kill(-pid, syscall.SIGTERM)
		}
	}
	if err := os.RemoveAll(s.dir); err != nil {
		return err
	}
	return os.MkdirAll(filepath.Join(s.dir, "hub", "keys"), 0o755)
}

// ours says that a process is still one of a demonstration's.
func ours(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && (strings.Contains(string(text), "watchbill") || strings.Contains(string(text), "orders"))
}

func (s *stage) hubDir() string { return filepath.Join(s.dir, "hub") }

// startHub starts the hub on the wished address, or on a free one when that is taken.
func (s *stage) startHub(minute string) error {
	if l, err := net.Listen("tcp", s.listen); err == nil {
		_ = l.Close()
	} else {
		s.listen = "127.0.0.1:0"
	}
	log, err := os.Create(filepath.Join(s.dir, "hub.log"))
	if err != nil {
		return err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	c := exec.Command(s.binary, "server", "--data", s.hubDir(), "--listen", s.listen, "--stage-minute", minute, "--allow-private", "loopback")
	c.Stdout, c.Stderr = write, log
	if err := s.launch(c); err != nil {
		return err
	}
	_ = write.Close()
	line, err := bufio.NewReader(read).ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if !ok {
		return fmt.Errorf("the hub did not start, see %s: %w", log.Name(), err)
	}
	s.url = url
	return nil
}

// launch starts a process that outlives the demonstration, and notes its id.
func (s *stage) launch(c *exec.Cmd) error {
	if c.SysProcAttr == nil {
		c.SysProcAttr = &syscall.SysProcAttr{}
	}
	c.SysProcAttr.Setsid = true
	if err := c.Start(); err != nil {
		return err
	}
	s.processes = append(s.processes, c.Process)
	f, err := os.OpenFile(filepath.Join(s.dir, "pids"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, c.Process.Pid)
	return errors.Join(err, f.Close())
}

// stopAll ends every process of the demonstration, the broken service among them.
func (s *stage) stopAll() {
	if s.nodeDir != "" {
		_ = exec.Command(filepath.Join(s.nodeDir, "orders", "ctl"), "stop").Run()
	}
	for _, p := range s.processes {
		_ = p.Signal(syscall.SIGTERM)
	}
	for _, p := range s.processes {
		_, _ = p.Wait()
	}
	if s.nodeDir != "" && !strings.HasPrefix(s.nodeDir, s.dir) {
		_ = os.RemoveAll(s.nodeDir)
	}
}

// clients are those of the administrator and of Bo, who has a key of his own.
func (s *stage) clients() (err error) {
	ca := filepath.Join(s.hubDir(), "ca.pem")
	pem, err := os.ReadFile(ca)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	s.web = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	if s.admin, err = s.client(ca, s.adminKey); err != nil {
		return err
	}
	s.bo, err = s.client(ca, s.boKey)
	return err
}

func (s *stage) client(ca string, key func(context.Context) (client.Credentials, error)) (*client.Client, error) {
	return client.New(client.Config{Endpoint: s.url, Region: region, CAFile: ca, Credentials: key, Models: models, Attempts: 12})
}

func (s *stage) adminKey(context.Context) (c client.Credentials, err error) {
	text, err := os.ReadFile(filepath.Join(s.hubDir(), "credentials"))
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " = ")
		switch name {
		case "aws_access_key_id":
			c.AccessKeyID = value
		case "aws_secret_access_key":
			c.SecretAccessKey = value
		}
	}
	return c, err
}

const boKeyID = "AKIADEMOBODEMOBODEMO"

func (s *stage) boKey(context.Context) (client.Credentials, error) {
	secret, err := os.ReadFile(filepath.Join(s.hubDir(), "keys", "bo"))
	return client.Credentials{AccessKeyID: boKeyID, SecretAccessKey: strings.TrimSpace(string(secret))}, err
}

// await repeats look until it says yes or the step has taken too long.
func (s *stage) await(ctx context.Context, what string, look func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patient)
	defer cancel()
	for {
		ok, err := look()
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s did not happen within %v", what, patient)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func newKey() string { return rand.Text() + rand.Text() }
