package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/watchbill/watchbill/internal/agent/ledger"
	"github.com/watchbill/watchbill/internal/agent/runner"
	"github.com/watchbill/watchbill/internal/agent/session"
	"github.com/watchbill/watchbill/internal/agent/update"
)

// Intervals and limits of a running node.
const (
	healthEvery = 5 * time.Minute // as the stock agent
	keepJobs    = 30 * 24 * time.Hour
	keepOutputs = 14 * 24 * time.Hour
	maxOutputs  = 1 << 30 // bytes of the files of all ended commands
	pruneEvery  = time.Hour
	slimFirst   = 15 * time.Second
	slimEvery   = 10 * time.Minute
	staleAfter  = time.Hour // a command that waited longer for a restart does not run
	maxRunning  = 5         // commands at a time, as the stock agent
	maxWaiting  = 50        // accepted and not started; the hub keeps the others
)

// node is a running node program.
type node struct {
	log      *slog.Logger
	id       string
	hub      *hub
	role     *role
	ledger   *ledger.Ledger
	runner   runner.Runner
	outputs  *outputs
	sessions *session.Service
	slots    chan struct{} // holds one element for each running command
	jobs     sync.WaitGroup
	stop     context.Context // ends, with runner.ErrStopped, when the node stops
	leave    chan error      // ends the run with ErrRestart
	reboot   func() error
	updates  *update.Updater
	boot     string // id of the machine's start, "" when it cannot be had

	mu      sync.Mutex
	cancels map[string]context.CancelCauseFunc // commands that wait or run
	channel *channel                           // nil while there is none
	leaving bool                               // no command is launched any more: a restart is due
	sent    map[string]sending                 // replies, by id
	once    sync.Once
	reached chan struct{} // closed when the first control channel is open
}

// Settings are what the operator of a node decides. The zero value is the
// most careful one.
type Settings struct {
	// AllowReboot lets scripts restart the machine by exit code 194 (3010 on Windows).
	AllowReboot bool
	// AllowLoopback lets aws:downloadContent fetch from this machine itself.
	AllowLoopback bool
}

// Run runs the node that is registered in a state directory with the zero
// Settings.
func Run(ctx context.Context, stateDir string, log *slog.Logger) error {
	return Settings{}.Run(ctx, stateDir, log)
}

// Run runs the node that is registered in a state directory until the context
// ends; then it stops the commands that run and returns nil. ErrRestart says
// that the program should start anew, from the file it is now. Any other error
// is one that waiting cannot cure: no registration, or a state directory that
// cannot be used.
func (o Settings) Run(ctx context.Context, stateDir string, log *slog.Logger) error {
	s, err := registered(stateDir)
	if err != nil {
		return err
	}
	unlock, err := lockDir(stateDir)
	if err != nil {
		return err
	}
	defer unlock()
	n, err := newNode(stateDir, s, log)
	if err != nil {
		return err
	}
	n.equip(o)
	next, err := n.updates.Begin()
	if err != nil {
		return fmt.Errorf("the update of the node program: %w", err)
	}
	if next == update.Restart {
		log.Error("the new program did not reach the hub, the one before it is back")
		return ErrRestart
	}
	if next == update.Prove {
		go n.prove()
	}
	return n.run(ctx)
}

func newNode(stateDir string, s *state, log *slog.Logger) (*node, error) {
	h, err := newHub(s.Hub, s.CA, s.Region)
	if err != nil {
		return nil, err
	}
	r, err := newRole(h, stateDir, s)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(stateDir)
	if err != nil {
		return nil, err
	}
	l, err := ledger.Open(filepath.Join(dir, "jobs"))
	if err != nil {
		return nil, err
	}
	for _, id := range l.Damaged() {
		log.Error("the record of a command is damaged, its result is lost and it will not run", "command", id)
	}
	n := &node{
		log: log.With("node", s.InstanceID), id: s.InstanceID, hub: h, role: r, ledger: l,
		runner:  runner.Runner{InstanceID: s.InstanceID, Region: s.Region},
		outputs: newOutputs(),
		slots:   make(chan struct{}, maxRunning),
		cancels: map[string]context.CancelCauseFunc{}, sent: map[string]sending{},
		leave: make(chan error, 1), reboot: reboot, boot: bootID(), reached: make(chan struct{}),
	}
	if n.updates, err = n.updater(dir, s); err != nil {
		return nil, err
	}
	n.runner.Stored, n.runner.Document = n.stored, n.Document
	n.sessions, err = n.newSessions(dir)
	return n, err
}

func (n *node) run(ctx context.Context) error {
	ctx, quit := context.WithCancel(ctx)
	defer quit()
	stop, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	n.stop = stop
	if err := n.recover(); err != nil {
		return err
	}
	n.jobs.Go(func() {
		<-stop.Done()
		n.sessions.Shutdown()
	})
	n.log.Info("node started", "hub", n.hub.base.String(), "version", Version)
	var loops sync.WaitGroup
	for _, loop := range []func(context.Context){n.keepChannel, n.keepHealth, n.keepPruned, n.keepSlim} {
		loops.Go(func() { loop(ctx) })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-n.leave:
		quit()
	}
	n.mu.Lock() // no command is launched behind this point
	cancel(runner.ErrStopped)
	n.mu.Unlock()
	n.jobs.Wait()
	loops.Wait()
	n.log.Info("node stopped")
	return err
}

// recover takes up what an earlier run of the program left: jobs that were
// started end with an unknown result, those that were not started run now
// unless they are stale.
func (n *node) recover() error {
	for _, rec := range n.ledger.Open() {
		switch {
		case !rec.Finished.IsZero():
		case rec.Suspended != nil:
			n.resume(rec)
		case rec.Started.IsZero() && time.Since(rec.Received) > staleAfter:
			n.finish(rec, newReply(rec.JobID, runner.Failed, "the node program stopped before the command started, and came back too late to start it"))
		case rec.Started.IsZero():
			n.launch(rec)
		default:
			if err := n.interrupted(rec); err != nil {
				return fmt.Errorf("command %s: %w", rec.CommandID, err)
			}
		}
	}
	return nil
}

// keepHealth reports to the hub at once and every five minutes.
func (n *node) keepHealth(ctx context.Context) {
	var wait backoff
	for {
		var out struct{}
		err := n.role.call(ctx, "UpdateInstanceInformation", facts(n.id, n.hub.base), &out)
		delay := healthEvery
		if err == nil {
			wait.reset()
		} else {
			delay = wait.next(err)
		}
		if err != nil && ctx.Err() == nil {
			n.log.Warn("health report failed", "error", err.Error(), "again", delay.Round(time.Millisecond).String())
		}
		if !pause(ctx, delay) {
			return
		}
	}
}

func (n *node) keepPruned(ctx context.Context) {
	for {
		if count, err := n.ledger.Prune(time.Now().Add(-keepJobs)); err != nil {
			n.log.Warn("old commands cannot be removed", "error", err.Error())
		} else if count > 0 {
			n.log.Info("removed old commands", "count", count)
		}
		if count, err := n.ledger.Trim(time.Now().Add(-keepOutputs), maxOutputs); err != nil {
			n.log.Warn("the files of old commands cannot be removed", "error", err.Error())
		} else if count > 0 {
			n.log.Info("removed the files of old commands", "count", count)
		}
		if !pause(ctx, pruneEvery) {
			return
		}
	}
}

// keepSlim gives memory back when no command has run for a while.
func (n *node) keepSlim(ctx context.Context) {
	for delay := slimFirst; pause(ctx, delay); delay = slimEvery {
		if n.busyWith() == 0 {
			slim()
		}
	}
}

// keepChannel keeps the control channel open.
func (n *node) keepChannel(ctx context.Context) {
	var wait backoff
	var replaced yielding
	for {
		began := time.Now()
		opened, err := n.openAndServe(ctx)
		if ctx.Err() != nil {
			return
		}
		if opened {
			wait.reset()
		}
		delay := wait.next(err)
		if wasReplaced(err) {
			delay = replaced.next(time.Since(began))
			n.log.Error("another program has the registration of this node: the newest one wins, this one waits", "again", delay.Round(time.Second).String())
		}
		n.log.Warn("no control channel", "error", errorText(err), "again", delay.Round(time.Millisecond).String())
		if !pause(ctx, delay) {
			return
		}
	}
}

func errorText(err error) string {
	if err == nil {
		err = errors.New("the hub closed it")
	}
	return err.Error()
}
