package pack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/watchbill/watchbill/internal/agent/durable"
	"github.com/watchbill/watchbill/internal/agent/runner"
)

// Attachment is a file of a document.
type Attachment struct{ Name, URL string }

// Manager is the plug-in of one machine.
type Manager struct {
	Dir     string // private directory of the packages
	Machine Machine
	// Package is the manifest of a package and its files; version may be "".
	Package func(ctx context.Context, name, version string) (content []byte, files []Attachment, err error)
	// Open opens the content of an address.
	Open func(ctx context.Context, address string) (io.ReadCloser, error)
	// Exec runs a program as a part of a step.
	Exec func(ctx context.Context, c *runner.Call, dir string, env []string, argv ...string) runner.Result
}

// installed is the file installed.json of a package.
type installed struct {
	Version string `json:"version"`
	State   string `json:"state"` // installing, installed or removing
}

// job is one use of the plug-in.
type job struct {
	*Manager
	call *runner.Call
	name string
	dir  string
	env  []string
}

// Plugin installs or removes a package: name, action (Install, Uninstall),
// version, installationType, additionalArguments.
func (m *Manager) Plugin(ctx context.Context, c *runner.Call) runner.Result {
	ctx, cancel := c.Limit(ctx)
	defer cancel()
	name := c.Text("name")
	if short := name[strings.LastIndexByte(name, '/')+1:]; nameForm.MatchString(short) {
		j := &job{Manager: m, call: c, name: name, dir: filepath.Join(m.Dir, short), env: arguments(c.Inputs["additionalArguments"])}
		switch action := c.Text("action"); action {
		case "Install":
			return j.install(ctx)
		case "Uninstall":
			return j.remove(ctx)
		default:
			return c.Fail(fmt.Errorf("action %q is not Install or Uninstall", action))
		}
	}
	return c.Fail(fmt.Errorf("name %q is not one of a package", name))
}

// arguments go to the scripts as variables SSM_<name>.
func arguments(in any) []string {
	if text, ok := in.(string); ok {
		in = nil
		_ = json.Unmarshal([]byte(text), &in)
	}
	object, _ := in.(map[string]any)
	var out []string
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if nameForm.MatchString(name) {
			out = append(out, "SSM_"+name+"="+fmt.Sprint(object[name]))
		}
	}
	return out
}

func (j *job) install(ctx context.Context) runner.Result {
	content, files, err := j.Package(ctx, j.name, j.call.Text("version"))
	if err != nil {
		return j.call.Ended(ctx, err)
	}
	want, err := choose(content, j.Machine)
	if err != nil {
		return j.call.Fail(err)
	}
	now, err := j.state()
	if err != nil {
		return j.call.Fail(err)
	}
	if now.Version == want.version && now.State == "installed" {
		j.call.Print("%s %s is installed already", j.name, want.version)
		return runner.Result{Status: runner.Success}
	}
	if err := j.unpack(ctx, want, files); err != nil {
		return j.call.Ended(ctx, err)
	}
	script := "install"
	if now.Version != "" && now.Version != want.version {
		if strings.HasPrefix(j.call.Text("installationType"), "In-place") {
			script = "update"
		} else if res := j.uninstall(ctx, now.Version); res.Status != runner.Success {
			return res
		}
	}
	if err := j.save(installed{want.version, "installing"}); err != nil {
		return j.call.Fail(err)
	}
	if res := j.script(ctx, want.version, script); res.Status != runner.Success {
		return res
	}
	if err := j.save(installed{want.version, "installed"}); err != nil {
		return j.call.Fail(err)
	}
	j.call.Print("%s %s is installed", j.name, want.version)
	return runner.Result{Status: runner.Success}
}

// unpack fetches the archive of a version and puts it into the version's
// directory.
func (j *job) unpack(ctx context.Context, want choice, files []Attachment) error {
	i := slices.IndexFunc(files, func(a Attachment) bool { return a.Name == want.file })
	if i < 0 {
		return fmt.Errorf("the package has no attachment %s", want.file)
	}
	if err := os.MkdirAll(j.dir, 0o700); err != nil {
		return err
	}
	archive, dir := filepath.Join(j.dir, "archive.part"), filepath.Join(j.dir, want.version)
	defer os.Remove(archive)
	if err := j.fetch(ctx, files[i].URL, archive, want.sha256); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return unpack(archive, dir)
}

func (j *job) remove(ctx context.Context) runner.Result {
	now, err := j.state()
	if err != nil {
		return j.call.Fail(err)
	}
	version := j.call.Text("version")
	if now.Version == "" || version != "" && version != "latest" && version != now.Version {
		j.call.Print("%s %s is not installed", j.name, version)
		return runner.Result{Status: runner.Success}
	}
	if res := j.uninstall(ctx, now.Version); res.Status != runner.Success {
		return res
	}
	j.call.Print("%s %s is removed", j.name, now.Version)
	return runner.Result{Status: runner.Success}
}

// uninstall runs the script of an installed version and forgets it.
func (j *job) uninstall(ctx context.Context, version string) runner.Result {
	if err := j.save(installed{version, "removing"}); err != nil {
		return j.call.Fail(err)
	}
	if res := j.script(ctx, version, "uninstall"); res.Status != runner.Success {
		return res
	}
	err := os.Remove(j.file())
	if err = errors.Join(err, os.RemoveAll(filepath.Join(j.dir, version))); err != nil {
		return j.call.Fail(err)
	}
	return runner.Result{Status: runner.Success}
}

// script runs one of a package's scripts in its directory.
func (j *job) script(ctx context.Context, version, name string) runner.Result {
	dir := filepath.Join(j.dir, version)
	path := filepath.Join(dir, name+".sh")
	if _, err := os.Stat(path); err != nil {
		return j.call.Fail(fmt.Errorf("the package has no %s.sh", name))
	}
	env := append(slices.Clone(j.env), "BWS_PACKAGE_NAME="+j.name, "BWS_PACKAGE_VERSION="+version, "BWS_ACTION_NAME="+name)
	return j.Exec(ctx, j.call, dir, env, "sh", path)
}

func (j *job) file() string { return filepath.Join(j.dir, "installed.json") }

func (j *job) state() (now installed, err error) {
	b, err := os.ReadFile(j.file())
	if errors.Is(err, fs.ErrNotExist) {
		return now, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &now)
	}
	if err == nil && !versionForm.MatchString(now.Version) {
		err = fmt.Errorf("%s is damaged", j.file())
	}
	return now, err
}

func (j *job) save(now installed) error {
	b, err := json.Marshal(now)
	if err != nil {
		return err
	}
	return durable.WriteFile(j.file(), b)
}
