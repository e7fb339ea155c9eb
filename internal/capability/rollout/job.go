package rollout

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	api "github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/capability/command"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

const (
	launchTask = "rollout.launch" // sends a command that was decided
	bakeTask   = "rollout.bake"   // ends the baking of a wave
)

// job is what a task is about.
type job struct {
	Rollout string
	Role    role `json:",omitzero"`
	Wave    int
}

func (j job) key() string { return fmt.Sprintf("%s/%s/%d", j.Rollout, j.Role, j.Wave) }

// commandID is the id of a command of a rollout.
func (j job) commandID() string { return uuid.NewSHA1(idSpace, []byte(j.key())).String() }

// apply moves a rollout by an event and does what follows from it. The caller
// holds the lock of its row.
func (s *Service) apply(tx *db.Tx, r *rollout, e event) error {
	before := r.State.Status
	waves := slices.Clone(r.State.Waves)
	for effects := next(&r.State, e); len(effects) > 0; effects = effects[1:] {
		more, err := s.perform(tx, r, effects[0])
		if err != nil {
			return err
		}
		effects = append(effects, more...)
	}
	if err := s.recordWaves(tx, r, waves); err != nil {
		return err
	}
	if kind := statusFacts[r.State.Status]; kind != "" && before != r.State.Status {
		if err := s.record(tx, kind, r, map[string]any{"why": r.State.Why, "wave": r.State.Wave + 1}); err != nil {
			return err
		}
	}
	return saveRollout(tx, r)
}

// statusFacts are the facts that a rollout came into a state.
var statusFacts = map[api.RolloutStatus]string{
	api.RolloutStatusBaking: "rollout.baking", api.RolloutStatusHalted: "rollout.halted", api.RolloutStatusRollingBack: "rollout.rollback.started",
	api.RolloutStatusSuccess: "rollout.finished", api.RolloutStatusRolledBack: "rollout.finished", api.RolloutStatusFailed: "rollout.finished",
}

// recordWaves records the waves that began or ended since they were as in old.
func (s *Service) recordWaves(tx *db.Tx, r *rollout, old []wave) error {
	for i := range r.State.Waves {
		w := &r.State.Waves[i]
		if i < len(old) && old[i].Status == w.Status {
			continue
		}
		kind, t := "", &r.Spec.Times[i]
		switch w.Status {
		case waveRunning:
			kind, t.Started = "rollout.wave.started", tx.Now
		case waveSuccess, waveFailed, waveSkipped, waveRolledBack, waveNotUndone:
			kind, t.Ended = "rollout.wave.finished", tx.Now
		}
		if kind == "" {
			continue
		}
		body := map[string]any{"wave": i + 1, "waveStatus": w.Status, "targets": w.Targets, "errors": w.Errors, "why": w.Why, "commandId": t.Sent[roleCommand]}
		if err := s.record(tx, kind, r, body); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) perform(tx *db.Tx, r *rollout, e effect) (more []effect, err error) {
	j := job{Rollout: r.ID, Role: e.Role, Wave: e.Wave}
	switch e.Do {
	case launch:
		t := &r.Spec.Times[e.Wave]
		if t.Sent == nil {
			t.Sent = map[role]string{}
		}
		t.Sent[e.Role] = j.commandID()
		if err := insertLink(tx, j.commandID(), link(j)); err != nil {
			return nil, err
		}
		return nil, s.Tasks.Enqueue(tx, task.Spec{Kind: launchTask, Key: j.key(), Args: j})
	case bake:
		due := tx.Now.Add(time.Duration(r.State.Waves[e.Wave].Bake) * time.Second)
		return nil, s.Tasks.Enqueue(tx, task.Spec{Kind: bakeTask, Key: j.key(), Args: j, Due: due})
	case withdraw, stop:
		return nil, s.Commands.Withdraw(tx, j.commandID(), e.Do == stop)
	case carry:
		if err := s.carry(tx, r, e.Wave); err != nil {
			return nil, err
		}
		return r.State.carried(), nil
	case close:
		r.Ended = tx.Now
	}
	return nil, nil
}

// carry moves the nodes that a wave did not reach to the next one, which is made
// when there is none.
func (s *Service) carry(tx *db.Tx, r *rollout, at int) error {
	list, err := s.Commands.Outcomes(tx, job{Rollout: r.ID, Role: roleCommand, Wave: at}.commandID())
	if err != nil {
		return err
	}
	var left []string
	for _, o := range list {
		if !o.Ran && (o.Details == "Terminated" || o.Details == "Cancelled") {
			left = append(left, o.NodeID)
		}
	}
	if len(left) == 0 {
		return nil
	}
	if at == len(r.State.Waves)-1 {
		r.State.Waves = append(r.State.Waves, wave{Size: "100%", Status: wavePending})
		r.Spec.Times = append(r.Spec.Times, times{})
	}
	r.State.Waves[at].Targets -= len(left)
	r.State.Waves[at+1].Targets += len(left)
	return moveTargets(tx, r.ID, left, at+1)
}

// wanted says that a command which was decided is still to be sent.
func (s *state) wanted(j job) bool {
	w := s.Waves[j.Wave].Status
	switch j.Role {
	case roleCommand:
		return s.Status == api.RolloutStatusInProgress && w == waveRunning
	case roleHealth:
		return s.Status == api.RolloutStatusInProgress && w == waveChecking
	}
	return s.Status == api.RolloutStatusRollingBack && w == waveRollingBack
}

// launch sends a command that was decided.
func (s *Service) launch(ctx context.Context, run *task.Run) error {
	var j job
	if err := run.Decode(&j); err != nil {
		return err
	}
	order, refused, err := s.prepare(ctx, j)
	if err != nil {
		return err
	}
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		r, err := findRollout(tx, j.Rollout, true)
		if err != nil {
			return err
		}
		switch {
		case r == nil:
		case refused != nil:
			err = s.apply(tx, r, event{Kind: unsendable, Role: j.Role, Wave: j.Wave, Why: fmt.Sprintf("wave %d: %s cannot be sent: %s", j.Wave+1, j.Role, fault.Of(refused).Error())})
		case !r.State.wanted(j):
			err = s.apply(tx, r, event{Kind: notSent, Role: j.Role, Wave: j.Wave})
		default:
			err = s.sendTo(tx, r, j, order)
		}
		if err != nil {
			return err
		}
		return run.Done(tx)
	})
}

// prepare makes the command of a job ready. Refused is why it never can be.
func (s *Service) prepare(ctx context.Context, j job) (order *command.Order, refused, err error) {
	var r *rollout
	err = s.DB.View(ctx, func(tx *db.Tx) (err error) {
		r, err = findRollout(tx, j.Rollout, false)
		return err
	})
	if err != nil || r == nil {
		return nil, nil, err
	}
	o, err := s.openOrders(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	in := o.input(map[role]*api.RolloutCommand{roleCommand: o.Command, roleHealth: o.Health, roleRollBack: o.RollBack}[j.Role])
	in.Comment = new(fmt.Sprintf("rollout %s, wave %d, %s", r.ID, j.Wave+1, j.Role))
	in.MaxErrors = new("100%") // a check and a roll back go everywhere
	if j.Role == roleCommand {
		in.MaxErrors = new(strconv.Itoa(max(0, r.State.Budget-(r.State.Errors-r.State.Pardoned))))
	}
	order, err = s.Commands.Prepare(ctx, j.commandID(), nil, in)
	if err != nil && fault.Of(err).HTTPStatus() < http.StatusInternalServerError {
		return nil, err, nil
	}
	return order, nil, err
}

// sendTo makes the command of a job for the nodes that it is for.
func (s *Service) sendTo(tx *db.Tx, r *rollout, j job, order *command.Order) error {
	var nodes []string
	if j.Role == roleCommand {
		list, err := targetsOf(tx, r.ID, j.Wave)
		if err != nil {
			return err
		}
		for _, t := range list {
			nodes = append(nodes, t.Node)
		}
		return s.Commands.Launch(tx, order, nodes, j.Wave+1)
	}
	list, err := s.Commands.Outcomes(tx, job{Rollout: r.ID, Role: roleCommand, Wave: j.Wave}.commandID())
	if err != nil {
		return err
	}
	for _, o := range list {
		if j.Role == roleHealth && o.Details == "Success" || j.Role == roleRollBack && o.Ran {
			nodes = append(nodes, o.NodeID)
		}
	}
	return s.Commands.Launch(tx, order, nodes, j.Wave+1)
}

// commandIsOver hears of a command that ended.
func (s *Service) commandIsOver(_ context.Context, tx *db.Tx, row journal.Row) error {
	l, err := findLink(tx, row.Subject)
	if err != nil || l == nil {
		return err
	}
	r, err := findRollout(tx, l.Rollout, true)
	if err != nil || r == nil {
		return err
	}
	list, err := s.Commands.Outcomes(tx, row.Subject)
	if err != nil {
		return err
	}
	return s.apply(tx, r, result(l, list))
}

// result sums up what became of a command. A node that took the command and was
// not heard of again counts as an error.
func result(l *link, list []command.Outcome) event {
	e := event{Kind: ended, Role: l.Role, Wave: l.Wave, Total: len(list)}
	for _, o := range list {
		switch o.Details {
		case "Success":
			e.Success++
		case "Failed", "ExecutionTimedOut":
			e.Errors++
		case "DeliveryTimedOut":
			if o.Ran {
				e.Errors++
			}
		case "Cancelled", "Terminated":
			e.Stopped++
		}
	}
	return e
}

// bakeIsOver ends the baking of a wave.
func (s *Service) bakeIsOver(ctx context.Context, run *task.Run) error {
	var j job
	if err := run.Decode(&j); err != nil {
		return err
	}
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		r, err := findRollout(tx, j.Rollout, true)
		if err != nil {
			return err
		}
		if r != nil {
			if err := s.apply(tx, r, event{Kind: bakeOver, Wave: j.Wave}); err != nil {
				return err
			}
		}
		return run.Done(tx)
	})
}
