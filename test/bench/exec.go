package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/wire/sigv4"
	"github.com/watchbill/watchbill/test/fleet"
)

const (
	machines   = 50 // nodes with our own program, and targets of the peers
	execRounds = 9
)

// benchExec measures `true` on 50 nodes as a person types it: the whole command of each
// tool, from its start to its exit.
func benchExec(ctx context.Context, dir string) ([]result, error) {
	ctx, stop := context.WithTimeout(ctx, 4*time.Minute)
	defer stop()
	h, err := startHub(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer h.kill()
	end, err := startNodes(ctx, h, dir, machines)
	defer end()
	if err != nil {
		return nil, err
	}
	own, err := median(execRounds, func() error {
		return command(ctx, h.environment(dir), *binary, "exec", "--target", "tag:Fleet=bench", "--", "true")
	})
	if err != nil {
		return nil, err
	}
	out := []result{{
		fmt.Sprintf("`watchbill exec` of true on %d nodes, median of %d", machines, execRounds), own.Round(time.Millisecond).String(), "-", "-", "-", true,
	}}
	peers, stopPeers, err := sshPeers(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer stopPeers()
	for _, p := range peers {
		fmt.Fprintf(os.Stderr, "exec: %s, %d times\n", p.name, p.rounds)
		took, err := median(p.rounds, func() error { return command(ctx, p.env, p.argv...) })
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		x := float64(took) / float64(own)
		out = append(out, result{
			fmt.Sprintf("the same beside %s over %d ssh targets on loopback", p.name, machines), own.Round(time.Millisecond).String(),
			p.name + " " + took.Round(time.Millisecond).String(), fmt.Sprintf("%.1fx", x), fmt.Sprintf("%.0fx faster", p.wanted), x >= p.wanted,
		})
	}
	return out, nil
}

// median runs work some times and gives the middle time.
func median(rounds int, work func() error) (time.Duration, error) {
	var took []time.Duration
	for range rounds {
		began := time.Now()
		if err := work(); err != nil {
			return 0, err
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

func command(ctx context.Context, env []string, argv ...string) error {
	c := exec.CommandContext(ctx, argv[0], argv[1:]...)
	c.Env = append(os.Environ(), env...)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", argv[0], err, out)
	}
	return nil
}

// launch starts a program in the background; stop kills it and waits for its end.
func launch(c *exec.Cmd) (stop func(), err error) {
	c.WaitDelay = time.Second // its children may hold its output
	if err := c.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = c.Wait()
	}()
	return func() {
		_ = c.Process.Kill()
		<-ended
	}, nil
}

// environment is what `watchbill env` prints.
func (h *hubProcess) environment(dir string) []string {
	return []string{
		"AWS_ENDPOINT_URL=" + h.https, "AWS_CA_BUNDLE=" + filepath.Join(dir, "hub", "ca.pem"), "AWS_REGION=" + region,
		"AWS_ACCESS_KEY_ID=" + adminID, "AWS_SECRET_ACCESS_KEY=" + adminSecret,
	}
}

// startNodes registers and runs nodes with our own program; end stops them.
func startNodes(ctx context.Context, h *hubProcess, dir string, n int) (end func(), err error) {
	var ends []func()
	end = func() {
		for _, f := range ends {
			f()
		}
	}
	ca := filepath.Join(dir, "hub", "ca.pem")
	admin := sigv4.Credentials{AccessKeyID: adminID, SecretAccessKey: adminSecret}
	f, err := fleet.New(ctx, fleet.Config{URL: h.https, CAFile: ca, Region: region, Admin: admin}, 0, [2]string{})
	if err != nil {
		return end, err
	}
	var a struct {
		ID   string `json:"ActivationId"`
		Code string `json:"ActivationCode"`
	}
	if err := f.Call(ctx, "CreateActivation", map[string]any{
		"IamRole": "watchbill-node", "RegistrationLimit": n, "Tags": []map[string]string{{"Key": "Fleet", "Value": "bench"}},
	}, &a); err != nil {
		return end, err
	}
	for i := range n {
		state := filepath.Join(dir, "nodes", fmt.Sprint(i))
		if err := command(ctx, nil, *binary, "agent", "register", "--hub", h.https, "--activation-id", a.ID, "--activation-code", a.Code, "--state", state, "--ca", ca); err != nil {
			return end, err
		}
		stop, err := launch(exec.CommandContext(ctx, *binary, "agent", "run", "--state", state, "--log-level", "error"))
		if err != nil {
			return end, err
		}
		ends = append(ends, stop)
	}
	return end, online(ctx, f, n)
}

// online waits until n nodes are online.
func online(ctx context.Context, f *fleet.Fleet, n int) error {
	for {
		var out struct {
			InstanceInformationList []struct{ PingStatus string }
		}
		if err := f.Call(ctx, "DescribeInstanceInformation", map[string]any{"MaxResults": 50}, &out); err != nil {
			return err
		}
		up := 0
		for _, i := range out.InstanceInformationList {
			if i.PingStatus == "Online" {
				up++
			}
		}
		if up == n {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%d of %d nodes are online: %w", up, n, ctx.Err())
		}
	}
}

// peer is another tool that does the same.
type peer struct {
	name   string
	argv   []string
	env    []string
	rounds int
	wanted float64
}

// sshPeers starts a private sshd on loopback and gives the tools that are installed.
func sshPeers(ctx context.Context, dir string) (peers []peer, stop func(), err error) {
	s, err := startSSHD(ctx, dir)
	if errors.Is(err, exec.ErrNotFound) {
		fmt.Fprintln(os.Stderr, "exec: sshd is not installed, there are no peers")
		return nil, func() {}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	hosts := sshHosts()
	inventory := filepath.Join(dir, "inventory")
	if err := os.WriteFile(inventory, []byte(strings.Join(hosts, "\n")+"\n"), 0o600); err != nil {
		s.stop()
		return nil, nil, err
	}
	all := []peer{
		{"pdsh", []string{"pdsh", "-R", "ssh", "-f", fmt.Sprint(machines), "-w", strings.Join(hosts, ","), "true"}, []string{"PDSH_SSH_ARGS_APPEND=" + strings.Join(s.options(), " ")}, 3, 10},
		{"clush", []string{"clush", "-f", fmt.Sprint(machines), "-o", strings.Join(s.options(), " "), "-w", strings.Join(hosts, ","), "true"}, nil, 3, 10},
		{"ansible", []string{"ansible", "all", "-i", inventory, "-f", fmt.Sprint(machines), "-m", "command", "-a", "true"}, []string{
			"ANSIBLE_HOST_KEY_CHECKING=False", "ANSIBLE_SSH_ARGS=" + strings.Join(s.options(), " "), "ANSIBLE_LOCAL_TEMP=" + dir, "ANSIBLE_REMOTE_TMP=" + dir,
		}, 1, 30},
	}
	return slices.DeleteFunc(all, func(p peer) bool {
		_, err := exec.LookPath(p.argv[0])
		if err != nil {
			fmt.Fprintf(os.Stderr, "exec: %s is not installed, its row is missing\n", p.name)
		}
		return err != nil
	}), s.stop, nil
}
