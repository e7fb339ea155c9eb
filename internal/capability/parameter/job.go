package parameter

import (
	"context"
	"strconv"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/task"
)

// policyTask acts on one policy of one parameter.
const policyTask = "parameter.policy"

type policyArgs struct {
	Name   string
	Policy int // its place in the list
}

func policyKey(name string, i int) string { return name + "#" + strconv.Itoa(i) }

// schedule replaces the timers of old's policies by those of v's.
func (s *Service) schedule(tx *db.Tx, old, v *version) error {
	if old != nil {
		if err := s.unschedule(tx, old); err != nil {
			return err
		}
	}
	for i := range v.policies {
		at := due(v.policies, i, v.modified)
		if at.IsZero() {
			continue
		}
		err := s.Tasks.Enqueue(tx, task.Spec{Kind: policyTask, Key: policyKey(v.name, i), Args: policyArgs{v.name, i}, Due: at})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) unschedule(tx *db.Tx, v *version) error {
	for i := range v.policies {
		if _, err := s.Tasks.Cancel(tx, policyTask, policyKey(v.name, i)); err != nil {
			return err
		}
	}
	return nil
}

// runPolicy acts on a policy that is due by the parameter's row, which has the
// last word: the parameter may have changed since the timer was set.
func (s *Service) runPolicy(ctx context.Context, run *task.Run) error {
	var args policyArgs
	if err := run.Decode(&args); err != nil {
		return err
	}
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		v, err := lock(tx, args.Name)
		if err != nil {
			return err
		}
		if v == nil || args.Policy >= len(v.policies) {
			return run.Done(tx)
		}
		at := due(v.policies, args.Policy, v.modified)
		if at.After(tx.Now) {
			return run.Again(tx, at)
		}
		if err := run.Done(tx); err != nil || at.IsZero() {
			return err
		}
		return s.act(tx, v, args.Policy)
	})
}

func (s *Service) act(tx *db.Tx, v *version, i int) error {
	p := &v.policies[i]
	if p.Type == expiration {
		return s.remove(tx, v, "parameter.expired")
	}
	p.Status = policyFinished
	if err := v.savePolicies(tx); err != nil {
		return err
	}
	kind := "parameter.unchanged"
	if p.Type == expirationNotification {
		kind = "parameter.expiring"
	}
	return s.record(tx, kind, fact{Name: v.name, Version: v.number, Type: v.typ, Policy: p.Text})
}
