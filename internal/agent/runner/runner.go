package runner

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/watchbill/watchbill/internal/agent/cgroup"
)

// Status is the state of a step or of a whole document, as results carry it.
type Status string

// The states. InProgress is never the result of a run.
const (
	InProgress Status = "InProgress"
	Success    Status = "Success"
	Failed     Status = "Failed"
	TimedOut   Status = "TimedOut"
	Cancelled  Status = "Cancelled"
	Skipped    Status = "Skipped"
)

// Suspended is the state of a step, and of its document, that goes on after
// the restart of the machine or of the node program that it asked for.
const Suspended Status = "Suspended"

// The causes that end a run from outside, given to context.WithCancelCause.
// Any other end of the context counts as ErrStopped.
var (
	// ErrCancelled says that the command was cancelled.
	ErrCancelled = errors.New("the command was cancelled")
	// ErrStopped says that the program that runs the command is stopping.
	ErrStopped = errors.New("the node program was stopped while this step ran")
)

var errTimedOut = errors.New("the step exceeded its time")

// Result is what one step did. Stdout and Stderr are valid UTF-8 within the
// limits of this package; the whole streams are in the job's directory.
type Result struct {
	Name   string
	Action string
	Status Status
	Code   int
	Signal string // the name of the signal that ended the step's process, as SIGTERM
	Stdout string
	Stderr string
	Start  time.Time
	End    time.Time

	Machine bool // with Suspended: the machine restarts, not only the node program
}

// Runner runs command documents.
type Runner struct {
	InstanceID string
	Region     string
	MaxStream  int64 // bytes kept on disk of each stream of a step; 0 is 16 MiB

	// Stored gives the values of the hub's parameters that a document's text
	// names, by the name with its version or label if it has one; secure are
	// the ones that may be SecureString. Nil refuses documents that name any.
	Stored func(ctx context.Context, names []string, secure bool) (map[string]string, error)

	// Document gives the content of a document that the hub keeps, for
	// aws:runDocument; version may be "". Nil refuses.
	Document func(ctx context.Context, name, version string) ([]byte, error)

	// Plugins are the actions beside those of this package.
	Plugins map[string]Plugin

	// Groups makes a control group for each script; nil leaves them to their
	// process groups.
	Groups *cgroup.Parent

	// MayReboot says that a script may have the machine restarted by its exit
	// code (194, on Windows 3010); elsewhere such a step fails.
	MayReboot bool
}

const defaultMaxStream = 16 << 20

// Progress is where a document stands that goes on after a restart: the step
// that comes next (again), and what the ones before it decided.
type Progress struct {
	Step    int    `json:"step"`
	Status  Status `json:"status"`
	Stopped bool   `json:"stopped,omitzero"`
	Machine bool   `json:"machine,omitzero"` // the machine restarts, not only the node program
}

// Run runs the steps of a job in order, from the one that from names, and
// reports each when it ends. Scripts and streams go to dir, which must exist
// and be private. The status is that of the whole document; with Suspended
// comes the progress to give to the next Run, after the restart.
func (r *Runner) Run(ctx context.Context, dir string, job Job, from Progress, report func(Result)) (Status, Progress) {
	steps, err := job.steps()
	if err != nil {
		return Failed, Progress{}
	}
	f := flow{values: job.values(), status: worse(Success, from.Status), stopped: from.Stopped, dir: dir, depth: job.depth}
	if err := r.stored(ctx, steps, f.values); err != nil {
		return unresolved(steps[from.Step:], err, report), Progress{}
	}
	for i := from.Step; i < len(steps); i++ {
		s := steps[i]
		f.last = i == len(steps)-1
		started := time.Now().UTC()
		res := r.step(ctx, filepath.Join(dir, StepDir(i)), s, &f)
		if res.Status == Suspended {
			return Suspended, Progress{Step: i, Status: f.status, Stopped: f.stopped, Machine: res.Machine}
		}
		res.Name, res.Action = s.name, s.action
		res.Start, res.End = started, time.Now().UTC()
		f.status = worse(f.status, res.Status)
		report(res)
	}
	return f.status, Progress{}
}

// StepDir is the directory of a step below that of its job, by its position
// from 0; the files stdout and stderr in it are the streams.
func StepDir(i int) string { return "step-" + strconv.Itoa(i+1) }

// flow is what earlier steps decided about later ones.
type flow struct {
	values  values
	status  Status
	stopped bool // an earlier step asked to leave; only a finally step runs
	last    bool // the current step is the last of the document
	dir     string
	depth   int // how many documents this one is inside of
}

// worse joins the states of steps: the highest of Success, Failed, TimedOut,
// Cancelled. Skipped steps do not count.
func worse(a, b Status) Status {
	rank := map[Status]int{Failed: 1, TimedOut: 2, Cancelled: 3}
	if rank[b] > rank[a] {
		return b
	}
	return a
}

func (r *Runner) step(ctx context.Context, dir string, s step, f *flow) Result {
	if ctx.Err() != nil {
		return notStarted(ctx)
	}
	inputs := f.values.fillAll(s.inputs)
	if f.stopped && !(f.last && flag(inputs, "finallyStep")) {
		return Result{Status: Skipped, Stdout: "an earlier step ended the document"}
	}
	if reason, status := precondition(s.precondition, f.values); status != Success {
		return refused(status, reason)
	}
	plugin, reason, status := r.plugin(s.action)
	if plugin == nil {
		return refused(status, reason)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return refused(Failed, "cannot make the directory of the step: "+err.Error())
	}
	secrets, err := r.secrets(ctx, s, f.values)
	if err != nil {
		return f.decide(inputs, refused(Failed, "the document's parameters cannot be resolved: "+err.Error()))
	}
	call := Call{
		ID: filepath.Base(f.dir) + "/" + s.name, Dir: dir, Downloads: filepath.Join(f.dir, downloads),
		Env: f.values.env, depth: f.depth, hush: newRedactor(secrets.secret()),
	}
	return f.decide(inputs, r.call(ctx, plugin, call, secrets.fillAll(s.inputs)))
}

// notStarted is the result of a step that the end of the run left out.
func notStarted(ctx context.Context) Result {
	if errors.Is(context.Cause(ctx), ErrCancelled) {
		return Result{Status: Cancelled, Code: 1}
	}
	return Result{Status: Skipped, Code: 1, Stdout: ErrStopped.Error()}
}

func refused(status Status, reason string) Result {
	if status == Skipped {
		return Result{Status: Skipped, Stdout: reason}
	}
	return Result{Status: status, Code: 1, Stderr: reason}
}

// The exit codes by which a script ends its document.
const (
	exitSuccess = 168
	exitFailure = 169
)

// decide applies exit codes 168 and 169, onFailure and onSuccess to a result.
func (f *flow) decide(inputs []map[string]any, res Result) Result {
	switch {
	case res.Status == Failed && res.Code == exitSuccess:
		f.stopped, res.Status, res.Code = true, Success, 0
	case res.Status == Failed && res.Code == exitFailure:
		f.stopped = true
	case res.Status == Success && has(inputs, "onSuccess", "exit"):
		f.stopped = true
	case res.Status == Failed || res.Status == TimedOut:
		if has(inputs, "onFailure", "successAndExit") {
			f.stopped, res.Status, res.Code = true, Success, 0
		}
		if has(inputs, "onFailure", "exit") {
			f.stopped = true
		}
	}
	return res
}

// PlatformType is this machine's platform in AWS's words: Linux, MacOS or
// Windows.
func PlatformType() string {
	switch runtime.GOOS {
	case "darwin":
		return "MacOS"
	case "windows":
		return "Windows"
	}
	return "Linux"
}

// Interrupted gives the results of the steps that a job has not reported when
// the program that ran it ended without warning: done steps were reported. The
// step after those may have run or not, so it failed with what it had printed;
// the ones behind it were never started.
func Interrupted(dir string, job Job, done int) []Result {
	steps, err := job.steps()
	if err != nil || done >= len(steps) {
		return nil
	}
	var out []Result
	now := time.Now().UTC()
	for i, s := range steps[done:] {
		res := Result{Status: Skipped, Code: 1, Stdout: ErrStopped.Error()}
		if i == 0 {
			res = unknown(filepath.Join(dir, StepDir(done)))
		}
		res.Name, res.Action, res.Start, res.End = s.name, s.action, now, now
		out = append(out, res)
	}
	return out
}

// unknownText is the result of a step that a crash interrupted.
const unknownText = "the result is unknown: the node program ended while this step ran; the step is not started again, and processes it started may still run"

func unknown(dir string) Result {
	res := Result{Status: Failed, Code: -1}
	out := streams{notes: []string{unknownText}}
	out.stdout, _ = os.Open(filepath.Join(dir, "stdout"))
	out.stderr, _ = os.Open(filepath.Join(dir, "stderr"))
	defer out.close()
	res.Stdout, res.Stderr = out.text()
	scripts, _ := filepath.Glob(filepath.Join(dir, "*-script.*"))
	for _, path := range scripts {
		os.Remove(path)
	}
	return res
}
