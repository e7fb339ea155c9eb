package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/watchbill/watchbill/internal/agent/durable"
)

// Errors of the ledger.
var (
	ErrBadID    = errors.New("the command id is not 1 to 128 letters, digits, - or _")
	ErrNoJob    = errors.New("no such open job")
	ErrStarted  = errors.New("the job was started before")
	ErrFinished = errors.New("the job has finished")
)

// Record is one job.
type Record struct {
	JobID     string
	CommandID string
	Payload   string    `json:",omitzero"` // dropped when the job finishes
	Received  time.Time // when it was accepted
	Started   time.Time `json:",omitzero"`
	Finished  time.Time `json:",omitzero"`
	Reported  int       `json:",omitzero"` // steps whose result has been recorded
	Replies   []Reply   `json:",omitzero"` // not acknowledged, oldest first

	Suspended json.RawMessage `json:",omitzero"` // where the job goes on after a restart it asked for
}

// Reply is a message to the hub that it has not acknowledged. The id stays the
// same when it is sent again.
type Reply struct {
	ID      string
	JobID   string
	Content string // JSON
	Created time.Time
}

// Ledger is open on one directory; only one at a time may be. Its methods may
// be called from several goroutines.
type Ledger struct {
	dir  string
	mu   sync.Mutex
	open map[string]*Record

	damaged []string
}

var idPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// Open reads the open jobs of a directory, which it makes when missing.
func Open(dir string) (*Ledger, error) {
	l := &Ledger{dir: dir, open: map[string]*Record{}}
	for _, sub := range []string{"open", "done"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("cannot make the job directory: %w", err)
		}
	}
	entries, err := os.ReadDir(filepath.Join(dir, "open"))
	if err != nil {
		return nil, fmt.Errorf("cannot read the job directory: %w", err)
	}
	for _, e := range entries {
		if err := l.load(e.Name()); err != nil {
			return nil, fmt.Errorf("job %s: %w", e.Name(), err)
		}
	}
	return l, nil
}

// load reads one job. A directory without a record was left by a crash before
// the job was accepted; one that needs nothing more by a crash before it was
// moved away. One that cannot be read is put with the done ones, so that its
// job never runs again.
func (l *Ledger) load(id string) error {
	b, err := os.ReadFile(l.record(id))
	if errors.Is(err, fs.ErrNotExist) {
		return os.RemoveAll(l.Dir(id))
	}
	if err != nil {
		return err
	}
	rec := new(Record)
	if err := json.Unmarshal(b, rec); err != nil || rec.CommandID != id {
		l.damaged = append(l.damaged, id)
		return os.Rename(l.Dir(id), l.done(id))
	}
	l.open[id] = rec
	return l.retire(id, rec)
}

// Damaged are the jobs whose record could not be read when the ledger was
// opened: they will not run and have no replies.
func (l *Ledger) Damaged() []string { return l.damaged }

// Dir is the directory of an open job.
func (l *Ledger) Dir(commandID string) string { return filepath.Join(l.dir, "open", commandID) }

// Path is the directory of a job, open or done.
func (l *Ledger) Path(commandID string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[commandID] != nil {
		return l.Dir(commandID)
	}
	return l.done(commandID)
}

func (l *Ledger) done(commandID string) string { return filepath.Join(l.dir, "done", commandID) }

func (l *Ledger) record(commandID string) string {
	return filepath.Join(l.Dir(commandID), "record.json")
}

// Accept puts a job on the disk. It is false when the node has had the job
// before; then nothing changes.
func (l *Ledger) Accept(commandID, jobID, payload string) (bool, error) {
	if !idPattern.MatchString(commandID) {
		return false, ErrBadID
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[commandID] != nil {
		return false, nil
	}
	if _, err := os.Lstat(l.done(commandID)); err == nil {
		return false, nil
	}
	if err := os.MkdirAll(l.Dir(commandID), 0o700); err != nil {
		return false, err
	}
	rec := &Record{JobID: jobID, CommandID: commandID, Payload: payload, Received: time.Now().UTC()}
	if err := l.save(rec); err != nil {
		return false, err
	}
	if err := durable.SyncDir(filepath.Join(l.dir, "open")); err != nil {
		return false, err
	}
	l.open[commandID] = rec
	return true, nil
}

func (l *Ledger) save(rec *Record) error {
	b, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	return durable.WriteFile(l.record(rec.CommandID), b)
}

// change saves a changed copy of a job and then takes it over.
func (l *Ledger) change(commandID string, f func(*Record) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	rec := l.open[commandID]
	if rec == nil {
		return ErrNoJob
	}
	next := *rec
	next.Replies = slices.Clone(rec.Replies)
	if err := f(&next); err != nil {
		return err
	}
	if err := l.save(&next); err != nil {
		return err
	}
	l.open[commandID] = &next
	return l.retire(commandID, &next)
}

// retire moves a job that needs nothing more out of the open ones.
func (l *Ledger) retire(commandID string, rec *Record) error {
	if rec.Finished.IsZero() || len(rec.Replies) > 0 {
		return nil
	}
	if err := os.Rename(l.Dir(commandID), l.done(commandID)); err != nil {
		return err
	}
	delete(l.open, commandID)
	return nil
}

// Start marks the start of a job. Only after it returned nil may a process of
// the job be started.
func (l *Ledger) Start(commandID string) error {
	return l.change(commandID, func(r *Record) error {
		if !r.Finished.IsZero() {
			return ErrFinished
		}
		if !r.Started.IsZero() {
			return ErrStarted
		}
		r.Started = time.Now().UTC()
		return nil
	})
}

// Suspend records that a started job goes on after a restart, and where.
func (l *Ledger) Suspend(commandID string, at json.RawMessage) error {
	return l.change(commandID, func(r *Record) error {
		r.Suspended = at
		return nil
	})
}

// Resume marks that a suspended job goes on. Only after it returned nil may a
// process of the job be started; it is not suspended any more.
func (l *Ledger) Resume(commandID string) error {
	return l.change(commandID, func(r *Record) error {
		if r.Suspended == nil {
			return ErrStarted
		}
		r.Suspended = nil
		return nil
	})
}

// Step records the reply that carries the result of one more step.
func (l *Ledger) Step(commandID string, reply Reply) error {
	return l.change(commandID, func(r *Record) error {
		r.Reported++
		r.Replies = append(r.Replies, reply)
		return nil
	})
}

// Finish records the last reply of a job.
func (l *Ledger) Finish(commandID string, reply Reply) error {
	return l.change(commandID, func(r *Record) error {
		if !r.Finished.IsZero() {
			return ErrFinished
		}
		r.Finished = time.Now().UTC()
		r.Payload = ""
		r.Replies = append(r.Replies, reply)
		return nil
	})
}

// Acknowledge drops a reply that the hub has. One that is not known is
// ignored.
func (l *Ledger) Acknowledge(commandID, replyID string) error {
	err := l.change(commandID, func(r *Record) error {
		before := len(r.Replies)
		r.Replies = slices.DeleteFunc(r.Replies, func(p Reply) bool { return p.ID == replyID })
		if len(r.Replies) == before {
			return ErrNoJob
		}
		return nil
	})
	if errors.Is(err, ErrNoJob) {
		return nil
	}
	return err
}

// Get is a copy of an open job.
func (l *Ledger) Get(commandID string) (Record, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	rec := l.open[commandID]
	if rec == nil {
		return Record{}, false
	}
	return *rec, true
}

// Unacknowledged are the replies that the hub has not acknowledged, oldest job
// first.
func (l *Ledger) Unacknowledged() []Reply {
	var out []Reply
	for _, rec := range l.Open() {
		out = append(out, rec.Replies...)
	}
	return out
}

// Open are copies of the open jobs, oldest first.
func (l *Ledger) Open() []Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]Record, 0, len(l.open))
	for _, rec := range l.open {
		out = append(out, *rec)
	}
	slices.SortFunc(out, func(a, b Record) int {
		return a.Received.Compare(b.Received)
	})
	return out
}

// Prune removes the jobs that were done before a time and says how many.
func (l *Ledger) Prune(before time.Time) (int, error) {
	entries, err := os.ReadDir(filepath.Join(l.dir, "done"))
	if err != nil {
		return 0, err
	}
	removed := 0
	for _, e := range entries {
		st, err := os.Lstat(filepath.Join(l.done(e.Name()), "record.json"))
		if err == nil && !st.ModTime().Before(before) {
			continue
		}
		if err := os.RemoveAll(l.done(e.Name())); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}
