package automation

import (
	"database/sql"
	"fmt"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
)

const stepColumns = `position, id, name, action, parent, iteration, status, attempt, intent, far, started, ended, spec, sealed`

func scanStep(rows *sql.Rows) (*step, error) {
	var p step
	var intent, started, ended int64
	var sp []byte
	err := rows.Scan(&p.Position, &p.ID, &p.Name, &p.Action, &p.Parent, &p.Iteration, &p.Status, &p.Attempt, &intent, &p.Far,
		&started, &ended, &sp, &p.sealed)
	if err != nil {
		return nil, err
	}
	p.Intent, p.Started, p.Ended = db.FromMicros(intent), db.FromMicros(started), db.FromMicros(ended)
	if err := unmarshal(sp, &p.Spec); err != nil {
		return nil, fmt.Errorf("step %s: spec: %w", p.ID, err)
	}
	return &p, nil
}

// findSteps are the rows of an execution in order.
func findSteps(tx *db.Tx, executionID string) ([]*step, error) {
	return db.Rows(tx, "select "+stepColumns+" from automation_step where account = $1 and region = $2 and execution = $3 order by position",
		[]any{tx.Scope.Account, tx.Scope.Region, executionID}, scanStep)
}

// executionOfFar is the execution and step that wait for what they started.
func executionOfFar(tx *db.Tx, far string) (executionID, stepID string, attempt int, err error) {
	err = tx.QueryRow("select execution, id, attempt from automation_step where account = $1 and region = $2 and far = $3 and far <> ''",
		tx.Scope.Account, tx.Scope.Region, far).Scan(&executionID, &stepID, &attempt)
	return executionID, stepID, attempt, err
}

func (s *Service) stepBlobs(tx *db.Tx, p *step) (string, []byte, error) {
	b, err := marshal(p.Spec)
	if err != nil {
		return "", nil, err
	}
	if p.vault == nil {
		return string(b), p.sealed, nil
	}
	sealed, err := s.seal(tx, p.ID, p.vault)
	return string(b), sealed, err
}

func (s *Service) insertStep(tx *db.Tx, executionID string, p *step) error {
	sp, sealed, err := s.stepBlobs(tx, p)
	if err != nil {
		return err
	}
	if sealed == nil {
		sealed = []byte{}
	}
	_, err = tx.Exec(`insert into automation_step(account, region, execution, `+stepColumns+`)
		values($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`,
		tx.Scope.Account, tx.Scope.Region, executionID, p.Position, p.ID, p.Name, p.Action, p.Parent, p.Iteration, p.Status, p.Attempt,
		db.Micros(p.Intent), p.Far, db.Micros(p.Started), db.Micros(p.Ended), sp, sealed)
	return err
}

func (s *Service) updateStep(tx *db.Tx, p *step) error {
	sp, sealed, err := s.stepBlobs(tx, p)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`update automation_step set status = $4, attempt = $5, intent = $6, far = $7, started = $8, ended = $9, spec = $10, sealed = $11
		where account = $1 and region = $2 and id = $3`,
		tx.Scope.Account, tx.Scope.Region, p.ID, p.Status, p.Attempt, db.Micros(p.Intent), p.Far, db.Micros(p.Started), db.Micros(p.Ended), sp, sealed)
	return err
}

// opened is the sealed part of a step.
func (s *Service) opened(tx *db.Tx, p *step) (*stepVault, error) {
	if p.vault != nil {
		return p.vault, nil
	}
	v := &stepVault{}
	if err := s.open(tx, p.ID, p.sealed, v); err != nil {
		return nil, err
	}
	wholeMap(v.Inputs)
	wholeMap(v.Outputs)
	p.vault = v
	return v, nil
}

func approvals(tx *db.Tx, stepID string) ([]approval, error) {
	return db.Rows(tx, `select arn, human, decision, comment, at from automation_approval
		where account = $1 and region = $2 and step = $3 order by position`,
		[]any{tx.Scope.Account, tx.Scope.Region, stepID}, func(rows *sql.Rows) (a approval, err error) {
			var at int64
			err = rows.Scan(&a.ARN, &a.Human, &a.Decision, &a.Comment, &at)
			a.At = db.FromMicros(at)
			return a, err
		})
}

func insertApproval(tx *db.Tx, stepID string, position int, a approval) error {
	_, err := tx.Exec(`insert into automation_approval(account, region, step, position, arn, human, decision, comment, at)
		values($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		tx.Scope.Account, tx.Scope.Region, stepID, position, a.ARN, a.Human, a.Decision, a.Comment, db.Micros(a.At))
	return err
}

// zeroTime drops what only the running attempt has.
func (p *step) reset(attempt int, now time.Time) {
	p.Status, p.Attempt, p.Intent, p.Far, p.Ended = inProgress, attempt, time.Time{}, "", time.Time{}
	if attempt == 1 {
		p.Started = now
	}
	p.Spec = stepSpec{IteratorValue: p.Spec.IteratorValue}
	if p.vault != nil {
		p.vault.Response = ""
	}
}
