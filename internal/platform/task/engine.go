package task

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
)

const (
	leaseFor        = 12 * time.Second
	heartbeat       = 4 * time.Second
	pauseAfterError = 250 * time.Millisecond
	pollEvery       = time.Second // the net under the wake-ups; other hubs' tasks
	slots           = 64
	maxAttempts     = 20
	maxPause        = 5 * time.Minute
	claimAtOnce     = 64
)

// Handler does the work of a kind of task. Its context carries the task's scope.
type Handler func(ctx context.Context, r *Run) error

// Options of a kind.
type Options struct {
	MaxAttempts int           // 0 means 20
	Timeout     time.Duration // of one attempt; 0 means none
}

type kind struct {
	handle Handler
	opts   Options
}

// Engine runs tasks. Handlers are added before Start.
type Engine struct {
	db      *db.DB
	log     *slog.Logger
	place   string
	owner   string
	kinds   map[string]kind
	alarm   alarm
	free    chan struct{}
	running sync.WaitGroup
	mine    sync.Map // id of each task under way -> *Run
	paused  atomic.Bool
	stats   stats
}

// New makes an engine on d.
func New(d *db.DB, log *slog.Logger) *Engine {
	e := &Engine{db: d, log: log, owner: rand.Text(), kinds: map[string]kind{}, free: make(chan struct{}, slots), stats: newStats()}
	e.alarm.init()
	return e
}

// Handle adds the handler of a kind.
func (e *Engine) Handle(name string, h Handler) { e.HandleWith(name, Options{}, h) }

// HandleWith adds the handler of a kind with options of its own.
func (e *Engine) HandleWith(name string, o Options, h Handler) {
	if _, ok := e.kinds[name]; ok {
		panic("task: two handlers for " + name)
	}
	if o.MaxAttempts == 0 {
		o.MaxAttempts = maxAttempts
	}
	e.kinds[name] = kind{handle: h, opts: o}
}

// Place names where this engine runs, before Start. Only one engine may run in a
// place at a time: what an earlier one of the same place left running is taken up at
// the start, without waiting for its leases to run out.
func (e *Engine) Place(name string) { e.place, e.owner = name, name+"/"+rand.Text() }

// Pause stops claiming, for a hub whose clock is wrong; tasks under way go on.
func (e *Engine) Pause(on bool) {
	e.paused.Store(on)
	e.alarm.at(time.Time{})
}

// Start runs due tasks until ctx ends, then waits for those under way. It begins
// with those that a dead process left behind.
func (e *Engine) Start(ctx context.Context) error {
	if err := e.reclaim(ctx); err != nil {
		return err
	}
	beats, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	go e.beat(beats)
	other, end := e.db.Listen(topic)
	defer end()
	refused := false
	for ctx.Err() == nil {
		n, err := e.claimAndRun(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			if !refused {
				e.log.ErrorContext(ctx, "claim tasks", "error", err)
			}
			rest(ctx)
		case n == 0:
			e.alarm.wait(ctx, other, e.nextWake(ctx))
		}
		if refused && err == nil {
			e.log.InfoContext(ctx, "tasks are claimed again")
		}
		refused = err != nil
	}
	e.running.Wait()
	return nil
}

// rest waits after an error of the store. Due tasks would end any other wait at once.
func rest(ctx context.Context) {
	t := time.NewTimer(pauseAfterError)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// reclaim frees the tasks of processes that ended without finishing them. The
// file of SQLite has one process, so whoever owned a task is gone; on PostgreSQL only
// who ran in the same place is, and the leases of the others run out by themselves.
func (e *Engine) reclaim(ctx context.Context) error {
	before := e.place + "/"
	if !e.db.Postgres() {
		before = ""
	} else if e.place == "" {
		return nil
	}
	return e.db.Update(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec("update task_task set owner = '', wake = $1 where owner <> '' and owner <> $2 and dead = 0 and substr(owner, 1, length($3)) = $3",
			db.Micros(tx.Now), e.owner, before)
		return err
	})
}

// claimAndRun starts as many due tasks as there are free slots and says how many.
func (e *Engine) claimAndRun(ctx context.Context) (int, error) {
	if e.paused.Load() {
		return 0, nil
	}
	n := 0
	for n < claimAtOnce && e.take() {
		n++
	}
	if n == 0 { // all slots are busy: one of them wakes the alarm when it ends
		return 0, nil
	}
	runs, err := e.claim(ctx, n, time.Time{})
	for range n - len(runs) {
		<-e.free
	}
	for _, r := range runs {
		e.running.Go(func() {
			e.do(ctx, r)
			<-e.free
			e.alarm.at(r.next)
		})
	}
	return len(runs), err
}

func (e *Engine) take() bool {
	select {
	case e.free <- struct{}{}:
		return true
	default:
		return false
	}
}

// do runs one attempt and settles it.
func (e *Engine) do(ctx context.Context, r *Run) {
	e.mine.Store(r.id, r)
	defer e.mine.Delete(r.id)
	ctx = db.WithScope(context.WithoutCancel(ctx), r.scope)
	e.stats.started(r)
	err := e.attempt(ctx, r)
	if err == nil && !r.finished {
		err = e.db.Update(ctx, r.Done)
	}
	switch {
	case err == nil:
		e.stats.done.Inc()
	case errors.Is(err, ErrFenced):
		e.stats.fenced.Inc()
	default:
		e.stats.failed.Inc()
		e.fail(ctx, r, err)
	}
}

func (e *Engine) attempt(ctx context.Context, r *Run) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	k := e.kinds[r.Kind]
	if k.opts.Timeout > 0 {
		c, cancel := context.WithTimeout(ctx, k.opts.Timeout)
		defer cancel()
		ctx = c
	}
	return k.handle(ctx, r)
}

// RunDue runs what is due now, and what becomes due by that, in the calling
// goroutine, one after the other in the order of due times. It is for tests and
// for tools.
func (e *Engine) RunDue(ctx context.Context) error {
	now := time.Now()
	for {
		runs, err := e.claim(ctx, 1, now)
		if err != nil || len(runs) == 0 {
			return err
		}
		for _, r := range runs {
			e.do(ctx, r)
		}
	}
}

func (e *Engine) names() []string {
	names := make([]string, 0, len(e.kinds))
	for n := range e.kinds {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
