package update

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/watchbill/watchbill/internal/agent/durable"
)

// The phases of an update, as the file has them.
const (
	staged    = "staged"    // fetched and verified, nothing is changed
	switching = "switching" // the new program may be in place
	returning = "returning" // the old program is to be in place
	done      = "done"
	failed    = "failed"
)

// state is the file update.json: the last update, and what updates have
// decided for good.
type state struct {
	ID       string   `json:"id,omitzero"` // of the step that asked
	Phase    string   `json:"phase,omitzero"`
	From     string   `json:"from,omitzero"` // versions
	To       string   `json:"to,omitzero"`
	Old      string   `json:"old,omitzero"` // SHA-256 of the programs
	New      string   `json:"new,omitzero"`
	Starts   int      `json:"starts,omitzero"`   // of the new program, not confirmed
	Guarded  int      `json:"guarded,omitzero"`  // starts that the old program has seen
	Reason   string   `json:"reason,omitzero"`   // of a failure
	Floor    string   `json:"floor,omitzero"`    // no version below it is taken
	NextKeys []string `json:"nextKeys,omitzero"` // trusted once the update is confirmed
	Keys     []string `json:"keys,omitzero"`     // trusted; none: those of the registration
}

func (u *Updater) load() (*state, error) {
	s := new(state)
	b, err := os.ReadFile(u.path())
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", u.path(), err)
	}
	return s, nil
}

func (u *Updater) path() string { return filepath.Join(u.Dir, "update.json") }

func (u *Updater) save(s *state) error {
	b, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err
	}
	return durable.WriteFile(u.path(), append(b, '\n'))
}

func (u *Updater) fail(s *state, reason string) error {
	s.Phase, s.Reason = failed, reason
	_ = os.Remove(u.staged())
	return u.save(s)
}
