package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/agent/runner"
	"github.com/watchbill/watchbill/internal/agent/update"
	"github.com/watchbill/watchbill/internal/wire/release"
)

// Times of an update of this program.
const (
	proveTime = 60 * time.Second // a new program has this long to open a control channel
	tryTime   = 60 * time.Second
)

// releasePath is where the hub has the releases.
const releasePath = "/agent/releases/"

func (n *node) updater(dir string, s *state) (*update.Updater, error) {
	exe, err := executable()
	if err != nil {
		return nil, err
	}
	return &update.Updater{
		Dir: dir, Exe: exe, Version: Version, Platform: runtime.GOOS + "/" + runtime.GOARCH, Keys: s.ReleaseKeys,
		Fetch: func(ctx context.Context, name string) (io.ReadCloser, error) {
			return n.fetch(ctx, "ssm", releasePath+url.PathEscape(name))
		},
		Try: func(ctx context.Context, path string) (string, error) { return try(ctx, path, dir) },
	}, nil
}

// try has a new program reach the hub with this node's registration.
func try(ctx context.Context, path, dir string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "agent", "check", "--state", dir).Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return strings.TrimSpace(string(out)), err
}

// Check reaches the hub with the registration of a state directory and gives
// the version of this program. It changes nothing, also beside a Run.
func Check(ctx context.Context, stateDir string) (version string, err error) {
	s, err := registered(stateDir)
	if err != nil {
		return "", err
	}
	h, err := newHub(s.Hub, s.CA, s.Region)
	if err != nil {
		return "", err
	}
	r, err := newRole(h, stateDir, s)
	if err != nil {
		return "", err
	}
	r.still = true
	var out struct{}
	err = r.call(ctx, "ListInstanceAssociations", map[string]any{"InstanceId": s.InstanceID, "MaxResults": 1}, &out)
	return Version, err
}

// updateAgent is the plug-in that brings this program to another release. The
// step is suspended over the restart; run again, it tells how it went.
func (n *node) updateAgent(ctx context.Context, c *runner.Call) runner.Result {
	ctx, cancel := c.Limit(ctx)
	defer cancel()
	_, known, _, err := n.updates.Outcome(c.ID)
	if known {
		return n.updated(ctx, c)
	}
	if err != nil {
		return c.Fail(err)
	}
	version, err := n.updates.Update(ctx, c.ID, c.Text("targetVersion"), c.Text("allowDowngrade") == "true")
	switch {
	case errors.Is(err, update.ErrCurrent):
		c.Print("the node program has version %s already", Version)
		return runner.Result{Status: runner.Success}
	case err != nil:
		return c.Ended(ctx, err)
	}
	c.Print("version %s is in place, version %s restarts", version, Version)
	return runner.Result{Status: runner.Suspended}
}

// updated waits until the update of a step is decided.
func (n *node) updated(ctx context.Context, c *runner.Call) runner.Result {
	t := time.NewTicker(100 * time.Millisecond)
	defer t.Stop()
	for {
		text, _, ended, err := n.updates.Outcome(c.ID)
		switch {
		case err != nil:
			return c.Fail(err)
		case ended:
			c.Print("%s", text)
			return runner.Result{Status: runner.Success}
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return c.Ended(ctx, errors.New("the update is not decided"))
		}
	}
}

// prove confirms a new program when it has a control channel, and puts the one
// before it back when it has none in time.
func (n *node) prove() {
	t := time.NewTimer(proveTime)
	defer t.Stop()
	select {
	case <-n.reached:
		if err := n.updates.Confirm(); err != nil {
			n.log.Error("the update of the node program cannot be confirmed", "error", err.Error())
			return
		}
		n.log.Info("the update of the node program is confirmed", "version", Version)
		return
	case <-t.C:
	}
	n.log.Error("no control channel since the update, the program before it comes back", "version", Version)
	if err := n.updates.Return("no control channel within " + proveTime.String()); err != nil {
		n.log.Error("the program before the update cannot be brought back", "error", err.Error())
		return
	}
	n.leaveWith(ErrRestart)
}

// Trust adds a key that updates of the program may be signed with to a
// registration that has none.
func Trust(stateDir, key string) error {
	if _, err := release.ParseKey(key); err != nil {
		return err
	}
	s, err := registered(stateDir)
	if err != nil {
		return err
	}
	if len(s.ReleaseKeys) > 0 {
		return fmt.Errorf("%s trusts a release key already: a release signed with it names the next one", filepath.Clean(stateDir))
	}
	s.ReleaseKeys = []string{key}
	return s.write(stateDir)
}
