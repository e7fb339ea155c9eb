package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"runtime"
	"slices"
	"strings"
)

// Plugin runs one step, or one set of inputs of a step in schema 1.2. It
// prints with the Call's methods and returns status and code.
type Plugin func(ctx context.Context, c *Call) Result

// downloads is the directory, below that of the command, that the content of
// aws:downloadContent goes to when the document names no other.
const downloads = "downloads"

// Call is one use of a plug-in.
type Call struct {
	ID        string         // command id and step name; the same when the step goes on after a restart
	Dir       string         // the step's own directory, private
	Downloads string         // where content for the command is put; it may not exist
	Inputs    map[string]any // references filled in
	Env       []string       // parameters that go to the environment

	index int
	depth int
	hush  *redactor
	out   *streams
}

// Print adds a line to the step's standard output.
func (c *Call) Print(format string, args ...any) {
	_, _ = c.out.stdout.WriteString(c.hush.text(fmt.Sprintf(format, args...)) + "\n")
}

// Fail is the result of a step that failed, with its reason.
func (c *Call) Fail(err error) Result {
	c.out.note(err.Error())
	return Result{Status: Failed, Code: 1}
}

// Ended is the result of a step that an error ended: as Fail, and Cancelled or
// TimedOut when that was the cause.
func (c *Call) Ended(ctx context.Context, err error) Result {
	if ctx.Err() == nil {
		return c.Fail(err)
	}
	c.out.note(context.Cause(ctx).Error())
	return ended(ctx, 1)
}

// Text is an input as text, "" without one. Anything but a string is JSON.
func (c *Call) Text(name string) string { return strings.TrimSpace(asText(c.Inputs[name])) }

// Limit gives a context that ends with the step's time, its timeoutSeconds or
// an hour.
func (c *Call) Limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, timeoutOf(c.Inputs["timeoutSeconds"]), errTimedOut)
}

// plugin finds an action. Without one, the status says whether its step is
// skipped (known, not for this platform) or fails.
func (r *Runner) plugin(action string) (Plugin, string, Status) {
	switch action {
	case "aws:runShellScript":
		if runtime.GOOS == "windows" {
			return nil, "aws:runShellScript does not run on Windows", Skipped
		}
		return r.shell, "", Success
	case "aws:runPowerShellScript":
		if powerShell() == "" {
			return nil, "aws:runPowerShellScript needs PowerShell (pwsh), which is not installed on this node", Failed
		}
		return r.power, "", Success
	case "aws:runDocument":
		return r.document, "", Success
	}
	if p := r.Plugins[action]; p != nil {
		return p, "", Success
	}
	return nil, fmt.Sprintf("plug-in %s is not supported on this node (%s are)", action, strings.Join(r.known(), ", ")), Failed
}

func (r *Runner) known() []string {
	own := []string{"aws:runShellScript", "aws:runPowerShellScript", "aws:runDocument"}
	return append(own, slices.Sorted(maps.Keys(r.Plugins))...)
}

// call runs a plug-in over the inputs of one step into one pair of streams:
// one set in schema 2.x, as many as there are properties in schema 1.2.
func (r *Runner) call(ctx context.Context, p Plugin, c Call, inputs []map[string]any) Result {
	out, err := openStreams(c.Dir, r.maxStream())
	if err != nil {
		return refused(Failed, "cannot open the output files of the step: "+err.Error())
	}
	defer out.close()
	out.hush, c.out = c.hush, out
	res := Result{Status: Success}
	for i, in := range inputs {
		c.Inputs, c.index = in, i+1
		one := p(ctx, &c)
		if one.Status == Suspended {
			return one
		}
		if one.Code != 0 {
			res.Code, res.Signal = one.Code, one.Signal
		}
		res.Status = worse(res.Status, one.Status)
	}
	out.cut()
	res.Stdout, res.Stderr = out.text()
	return res
}

func (r *Runner) maxStream() int64 {
	if r.MaxStream > 0 {
		return r.MaxStream
	}
	return defaultMaxStream
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
