package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// plugin is an action that writes a script to a file and runs it.
type plugin struct {
	file    string
	command func(path, text string) []string
}

// pluginFor finds the plug-in of an action. With none, the status says
// whether the step is skipped (known, not for this platform) or fails.
func pluginFor(action string) (*plugin, string, Status) {
	switch action {
	case "aws:runShellScript":
		if runtime.GOOS == "windows" {
			return nil, "aws:runShellScript does not run on Windows", Skipped
		}
		return &plugin{"script.sh", shellCommand}, "", Success
	case "aws:runPowerShellScript":
		shell := powerShell()
		if shell == "" {
			return nil, "aws:runPowerShellScript needs PowerShell (pwsh), which is not installed on this node", Failed
		}
		return &plugin{"script.ps1", func(path, _ string) []string {
			return []string{shell, "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Unrestricted", "-File", path}
		}}, "", Success
	}
	return nil, fmt.Sprintf("plug-in %s is not supported on this node (aws:runShellScript and aws:runPowerShellScript are)", action), Failed
}

func powerShell() string {
	names := []string{"pwsh"}
	if runtime.GOOS == "windows" {
		names = append(names, "powershell")
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// shellCommand runs a script with sh, or with the interpreter that its first
// line names, given one argument at most, as the kernel does it. The file
// itself is never executed, so a state directory without exec rights works.
func shellCommand(path, text string) []string {
	first, _, _ := strings.Cut(text, "\n")
	line, ok := strings.CutPrefix(first, "#!")
	if interpreter, arg, _ := strings.Cut(strings.TrimSpace(line), " "); ok && interpreter != "" {
		if arg = strings.TrimSpace(arg); arg != "" {
			return []string{interpreter, arg, path}
		}
		return []string{interpreter, path}
	}
	return []string{"sh", path}
}

// scripts runs the scripts of one step into one pair of streams: one script
// in schema 2.x, as many as there are properties in schema 1.2.
func (r *Runner) scripts(ctx context.Context, dir string, p plugin, inputs []map[string]any, env []string) Result {
	out, err := openStreams(dir, r.maxStream())
	if err != nil {
		return refused(Failed, "cannot open the output files of the step: "+err.Error())
	}
	defer out.close()
	res := Result{Status: Success}
	for i, in := range inputs {
		one := Result{Status: Failed, Code: 1}
		if s, err := scriptOf(in); err != nil {
			out.note(err.Error())
		} else {
			one = r.script(ctx, filepath.Join(dir, fmt.Sprintf("%d-%s", i+1, p.file)), p, s, env, out)
		}
		if one.Code != 0 {
			res.Code = one.Code
		}
		res.Status = worse(res.Status, one.Status)
	}
	res.Stdout, res.Stderr = out.text()
	return res
}

func (r *Runner) maxStream() int64 {
	if r.MaxStream > 0 {
		return r.MaxStream
	}
	return defaultMaxStream
}

func (r *Runner) script(ctx context.Context, path string, p plugin, s script, env []string, out *streams) Result {
	if s.dir != "" {
		if st, err := os.Stat(s.dir); err != nil || !st.IsDir() {
			out.note("workingDirectory " + s.dir + " is not a directory on this node")
			return Result{Status: Failed, Code: 1}
		}
	}
	if err := os.WriteFile(path, []byte(s.text), 0o700); err != nil {
		out.note("cannot write the script: " + err.Error())
		return Result{Status: Failed, Code: 1}
	}
	defer os.Remove(path) // it may hold secrets that were parameters
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, errTimedOut)
	defer cancel()
	argv := p.command(path, s.text)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "AWS_SSM_INSTANCE_ID="+r.InstanceID, "AWS_SSM_REGION_NAME="+r.Region)
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdout, cmd.Stderr = out.stdout, out.stderr
	ownGroup(cmd)
	return r.wait(ctx, cmd, out)
}

// wait runs the command and turns its end into a result. Streams are files,
// so a process that a script leaves in the background does not hold it.
func (r *Runner) wait(ctx context.Context, cmd *exec.Cmd, out *streams) Result {
	if err := cmd.Start(); err != nil {
		if ctx.Err() != nil {
			out.note("failed to run commands: " + context.Cause(ctx).Error())
			return ended(ctx, 1)
		}
		out.note("failed to run commands: " + err.Error())
		return Result{Status: Failed, Code: 1}
	}
	done := out.watch(100 * time.Millisecond)
	err := cmd.Wait()
	done()
	code := exitCode(cmd.ProcessState)
	switch {
	case code == 0 && cmd.ProcessState.Success():
		return Result{Status: Success}
	case ctx.Err() != nil:
		out.note("failed to run commands: " + context.Cause(ctx).Error())
		return ended(ctx, code)
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		err = fmt.Errorf("exit status %d", code)
	}
	out.note("failed to run commands: " + err.Error())
	return Result{Status: Failed, Code: code}
}

// ended is the result of a script that was killed.
func ended(ctx context.Context, code int) Result {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errTimedOut):
		return Result{Status: TimedOut, Code: code}
	case errors.Is(cause, ErrCancelled):
		return Result{Status: Cancelled, Code: code}
	}
	return Result{Status: Failed, Code: code}
}
