package rollout

import (
	"context"
	"time"

	api "github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
)

// HaltRollout stops a rollout: no further wave begins, and nodes of the running
// one that have not been sent the command do not get it. What runs goes on.
func (s *Service) HaltRollout(ctx context.Context, in *api.HaltRolloutInput) (*api.HaltRolloutOutput, error) {
	out := &api.HaltRolloutOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) (err error) {
		out.Rollout, err = s.ask(tx, *in.RolloutId, event{Kind: haltAsked, Why: *in.Reason}, api.RolloutStatusHalted)
		audit.Answer(tx, out)
		return err
	})
	return out, err
}

// ResumeRollout goes on with a halted rollout. The errors so far count no more;
// nodes that the halted wave did not reach come with the next one.
func (s *Service) ResumeRollout(ctx context.Context, in *api.ResumeRolloutInput) (*api.ResumeRolloutOutput, error) {
	out := &api.ResumeRolloutOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) (err error) {
		out.Rollout, err = s.ask(tx, *in.RolloutId, event{Kind: resumeAsked, Why: *in.Reason}, "")
		audit.Answer(tx, out)
		return err
	})
	return out, err
}

// RollBackRollout runs the rollout's RollBack command on the nodes that had its
// command, newest wave first. A rollout that succeeded may be rolled back too.
func (s *Service) RollBackRollout(ctx context.Context, in *api.RollBackRolloutInput) (*api.RollBackRolloutOutput, error) {
	out := &api.RollBackRolloutOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) (err error) {
		out.Rollout, err = s.ask(tx, *in.RolloutId, event{Kind: undoAsked, Why: *in.Reason}, api.RolloutStatusRollingBack)
		audit.Answer(tx, out)
		return err
	})
	return out, err
}

// ask moves a rollout by what a person wants. One that is in the wanted state
// already stays as it is.
func (s *Service) ask(tx *db.Tx, id string, e event, wanted api.RolloutStatus) (*api.Rollout, error) {
	r, err := findRollout(tx, id, true)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, errUnknown(id)
	}
	if r.State.Status == wanted {
		return r.project(), nil
	}
	before := r.State.Status
	if !possible(&r.State, e.Kind) {
		return nil, &api.InvalidStateException{Message: refusal(&r.State, e.Kind)}
	}
	r.Ended = time.Time{} // a roll back may follow a success
	if err := s.apply(tx, r, e); err != nil {
		return nil, err
	}
	if e.Kind == resumeAsked {
		if err := s.record(tx, "rollout.resumed", r, map[string]any{"why": e.Why, "before": before}); err != nil {
			return nil, err
		}
	}
	return r.project(), nil
}

func possible(s *state, k kind) bool {
	switch k {
	case haltAsked:
		return !over(s.Status) && s.Status != api.RolloutStatusRollingBack
	case resumeAsked:
		return s.Status == api.RolloutStatusHalted
	}
	return s.mayUndo()
}

func refusal(s *state, k kind) string {
	if k == undoAsked && !s.RollBack {
		return "The rollout was started without a RollBack command."
	}
	return "The rollout is " + string(s.Status) + "."
}
