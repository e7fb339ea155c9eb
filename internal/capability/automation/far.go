package automation

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/task"
)

// collect asks for the end of what a step waits for.
func (s *Service) collect(ctx context.Context, r *task.Run) error {
	var a stepArgs
	if err := r.Decode(&a); err != nil {
		return err
	}
	var c *call
	var caller actingAs
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		c = nil
		w, err := s.load(tx, a.Execution)
		if err != nil {
			return err
		}
		if w == nil || !w.running(a) {
			return r.Done(tx)
		}
		in, err := w.inputs(actions[w.row.Action])
		if err != nil {
			return err
		}
		caller = w.actingAs()
		c, err = actions[w.row.Action].collect(w, in)
		return err
	})
	if err != nil || c == nil {
		return err
	}
	body, callErr := s.perform(ctx, caller, c)
	if passing(callErr) && r.Attempt < patience {
		return callErr
	}
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		if err := r.Done(tx); err != nil {
			return err
		}
		w, err := s.load(tx, a.Execution)
		if err != nil || w == nil || !w.running(a) {
			return err
		}
		return w.collected(c, body, callErr)
	})
}

func (w *work) collected(c *call, body []byte, callErr error) error {
	if callErr != nil {
		return w.settle(callFailed(c, callErr))
	}
	v, err := w.s.opened(w.tx, w.row)
	if err != nil {
		return err
	}
	return w.settle(actions[w.row.Action].collected(w, v.Inputs, body))
}

// farEnded asks at once for the end of what a step started, when the journal
// says that it ended.
func (s *Service) farEnded(_ context.Context, tx *db.Tx, row journal.Row) error {
	far := row.Subject[strings.LastIndexByte(row.Subject, '/')+1:]
	executionID, stepID, attempt, err := executionOfFar(tx, far)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	a := stepArgs{Execution: executionID, Step: stepID, Attempt: attempt}
	moved, err := s.Tasks.Reschedule(tx, "automation.collect", a.key(), tx.Now)
	if err != nil || moved {
		return err
	}
	return s.Tasks.Enqueue(tx, task.Spec{Kind: "automation.collect", Key: a.key(), Args: a})
}

// farArgs are the arguments of a task that stops what an attempt started.
type farArgs struct {
	stepArgs
	Far string
}

// interrupt stops what an attempt started elsewhere; what has ended by itself
// meanwhile needs nothing.
func (s *Service) interrupt(ctx context.Context, r *task.Run) error {
	var a farArgs
	if err := r.Decode(&a); err != nil {
		return err
	}
	var c *call
	var caller actingAs
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		c = nil
		w, err := s.load(tx, a.Execution)
		if err != nil || w == nil {
			return err
		}
		caller = w.actingAs()
		if p := w.stepByID(a.Step); p != nil {
			c = actions[p.Action].interrupt(a.Far)
		}
		return nil
	})
	if err != nil || c == nil {
		return err
	}
	c.id = uuid.NewSHA1(space, []byte("interrupt/"+a.key())).String()
	_, err = s.perform(ctx, caller, c)
	if passing(err) {
		return err
	}
	return nil
}
