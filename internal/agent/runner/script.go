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

// The exit codes by which a script asks for a restart of the machine.
const (
	exitReboot        = 194
	exitRebootWindows = 3010
)

func (r *Runner) shell(ctx context.Context, c *Call) Result {
	return r.script(ctx, c, "script.sh", shellCommand)
}

func (r *Runner) power(ctx context.Context, c *Call) Result {
	return r.script(ctx, c, "script.ps1", func(path, _ string) []string {
		return []string{powerShell(), "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Unrestricted", "-File", path}
	})
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

// script runs the script that the inputs hold. One with secrets in it never
// gets to the disk: the interpreter reads it from a pipe.
func (r *Runner) script(ctx context.Context, c *Call, name string, command func(path, text string) []string) Result {
	s, err := scriptOf(c.Inputs)
	if err != nil {
		return c.Fail(err)
	}
	dir, err := c.workingDir(s.dir)
	if err != nil {
		return c.Fail(err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, errTimedOut)
	defer cancel()
	cmd := &exec.Cmd{Dir: dir, Env: r.environment(c)}
	path := filepath.Join(c.Dir, fmt.Sprintf("%d-%s", c.index, name))
	done, err := c.hand(cmd, &path, s.text)
	if err != nil {
		return c.Fail(fmt.Errorf("cannot write the script: %w", err))
	}
	defer done()
	cmd.Args = command(path, s.text)
	if cmd.Path, err = exec.LookPath(cmd.Args[0]); err != nil {
		return c.Fail(fmt.Errorf("failed to run commands: %w", err))
	}
	return r.reboots(c, r.wait(ctx, cmd, c))
}

// hand gives the script's text to a command: as a private file, removed
// afterwards since it may hold what is not for others, or through a pipe.
func (c *Call) hand(cmd *exec.Cmd, path *string, text string) (done func(), err error) {
	if c.hush == nil {
		file := *path
		return func() { os.Remove(file) }, os.WriteFile(file, []byte(text), 0o700)
	}
	if runtime.GOOS == "windows" {
		return nil, errors.New("{{ssm-secure:}} in a script is not supported on Windows")
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.ExtraFiles = []*os.File{r}
	*path = "/dev/fd/3"
	go func() {
		_, _ = w.WriteString(text) // ends when the reader is closed
		w.Close()
	}()
	return func() { r.Close(); w.Close() }, nil
}

// workingDir is the directory that a script starts in: the given one, a
// relative one below what the command has downloaded. "" is the downloads
// themselves, or this program's directory without any.
func (c *Call) workingDir(dir string) (string, error) {
	full := dir
	if !filepath.IsAbs(dir) {
		full = filepath.Join(c.Downloads, dir)
	}
	st, err := os.Stat(full)
	switch {
	case err == nil && st.IsDir():
		return full, nil
	case dir == "":
		return "", nil
	}
	return "", fmt.Errorf("workingDirectory %s is not a directory on this node", dir)
}

// stepMark is the variable by which processes of a step are found when they
// have left its process group.
const stepMark = "WATCHBILL_STEP"

func (r *Runner) environment(c *Call) []string {
	env := append(os.Environ(), "AWS_SSM_INSTANCE_ID="+r.InstanceID, "AWS_SSM_REGION_NAME="+r.Region, stepMark+"="+c.ID)
	return append(env, c.Env...)
}

// drainTime is how long the output of a step with secrets is awaited behind
// its end: a process in the background may hold it for ever.
const drainTime = time.Second

// wait runs the command and turns its end into a result. Streams are files,
// so a process that a script leaves in the background does not hold it; with
// secrets they go through the redactor first.
func (r *Runner) wait(ctx context.Context, cmd *exec.Cmd, c *Call) Result {
	cmd.Stdout, cmd.Stderr = c.out.stdout, c.out.stderr
	drained := func() {}
	if c.hush != nil {
		var err error
		if drained, err = c.redacted(cmd); err != nil {
			return c.Fail(err)
		}
	}
	if ctx.Err() != nil {
		return c.killed(ctx, 1)
	}
	p := r.processes(cmd, c.ID)
	defer p.close()
	if err := cmd.Start(); err != nil {
		drained()
		return c.Fail(fmt.Errorf("failed to run commands: %w", err))
	}
	cut := c.out.watch(100 * time.Millisecond)
	exited := make(chan struct{})
	killed := make(chan string, 1)
	go func() {
		select {
		case <-ctx.Done():
			killed <- p.kill()
		case <-exited:
			killed <- ""
		}
	}()
	err := cmd.Wait()
	close(exited)
	left := <-killed
	drained()
	cut()
	code, signal := exitCode(cmd.ProcessState)
	switch {
	case code == 0 && cmd.ProcessState.Success():
		return Result{Status: Success}
	case ctx.Err() != nil:
		res := c.killed(ctx, code)
		res.Signal = signal
		if left != "" {
			c.out.note(left)
		}
		return res
	}
	if exit := new(exec.ExitError); !errors.As(err, &exit) {
		err = fmt.Errorf("exit status %d", code)
	}
	c.out.note("failed to run commands: " + err.Error())
	return Result{Status: Failed, Code: code, Signal: signal}
}

func (c *Call) killed(ctx context.Context, code int) Result {
	c.out.note("failed to run commands: " + context.Cause(ctx).Error())
	return ended(ctx, code)
}

// redacted puts the redactor between a command and its files. The function
// waits for the rest after the command's end.
func (c *Call) redacted(cmd *exec.Cmd) (drained func(), err error) {
	var readers, writers []*os.File
	ends := make(chan struct{}, 2)
	for _, to := range []*os.File{c.out.stdout, c.out.stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		readers, writers = append(readers, r), append(writers, w)
		go func() {
			c.hush.copy(to, r)
			ends <- struct{}{}
		}()
	}
	cmd.Stdout, cmd.Stderr = writers[0], writers[1]
	return func() {
		for _, w := range writers {
			w.Close()
		}
		for _, r := range readers {
			_ = r.SetReadDeadline(time.Now().Add(drainTime))
		}
		<-ends
		<-ends
		for _, r := range readers {
			r.Close()
		}
	}, nil
}

// reboots turns the exit code by which a script asks for a restart of the
// machine into a suspended step, where that is allowed.
func (r *Runner) reboots(c *Call, res Result) Result {
	asks := res.Code == exitReboot && runtime.GOOS != "windows" || res.Code == exitRebootWindows && runtime.GOOS == "windows"
	switch {
	case !asks || res.Status != Failed:
		return res
	case c.depth > 0:
		c.out.note("a document that another document runs cannot restart the machine")
	case !r.MayReboot:
		c.out.note("the script asks for a restart of the machine, which this node program may not do (see --allow-reboot)")
	default:
		return Result{Status: Suspended, Machine: true}
	}
	return res
}

// Exec runs a program as a part of a step, in a directory and with variables
// added to its environment: killed with all it started when the context ends.
func (r *Runner) Exec(ctx context.Context, c *Call, dir string, env []string, argv ...string) Result {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return c.Fail(err)
	}
	return r.wait(ctx, &exec.Cmd{Path: path, Args: argv, Dir: dir, Env: append(r.environment(c), env...)}, c)
}
