package audit

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/shape"
)

const (
	taskPrune  = "audit.prune"
	pruneEvery = 5 * time.Minute
	// How long answers are kept: by an invocation id for longer than any SDK goes on
	// repeating, by a client token for a day.
	keepInvocation = 15 * time.Minute
	keepToken      = 24 * time.Hour
)

// errRepeated says that another attempt of the same call committed first.
var errRepeated = errors.New("audit: repeated call")

// replay names a call over all its attempts. The invocation is the client token of
// the input, or the SDK's id of the call.
type replay struct {
	principal, operation, invocation string
	input                            string // hash
	keep                             time.Duration
}

const whereReplay = " where account = $1 and region = $2 and principal = $3 and operation = $4 and invocation = $5"

func (r *replay) args(s db.Scope, more ...any) []any {
	return append([]any{s.Account, s.Region, r.principal, r.operation, r.invocation}, more...)
}

func (r *replay) aad(s db.Scope) string {
	return "audit_answer/" + s.Account + "/" + s.Region + "/" + r.principal + "/" + r.operation + "/" + r.invocation
}

func newReplay(ctx context.Context, c *call) (*replay, error) {
	r := &replay{principal: c.caller.ARN, operation: c.binding.Model.SigningName + ":" + c.binding.Operation.Name}
	if token := clientToken(c); token != "" {
		r.invocation, r.keep = "token/"+token, keepToken
	} else if id := wire.InvocationID(ctx); id != "" {
		r.invocation, r.keep = "invocation/"+id, keepInvocation
	} else {
		return nil, nil
	}
	in, err := shape.EncodeJSON(c.binding.Model, c.binding.Operation.Input, c.input)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(in)
	r.input = hex.EncodeToString(sum[:])
	return r, nil
}

// clientToken is the member of the input that the model marks as the idempotency
// token, "" when it is absent. The Go field has the member's index.
func clientToken(c *call) string {
	if c.binding.Operation.Input == shape.None {
		return ""
	}
	for i, m := range c.binding.Model.Shapes[c.binding.Operation.Input].Members {
		if !m.IdempotencyToken {
			continue
		}
		if token, ok := reflect.ValueOf(c.input).Elem().Field(i).Interface().(*string); ok && token != nil {
			return *token
		}
	}
	return ""
}

// mismatch is the operation's own error for a token that was used with another input.
func mismatch(c *call) error {
	const text = "The client token, or the invocation id, was used for another request."
	for _, ref := range c.binding.Operation.Errors {
		if name := c.binding.Model.Shapes[ref].Name; name == "IdempotentParameterMismatch" || name == "ConflictException" {
			return fault.New(http.StatusBadRequest, name, text)
		}
	}
	return fault.Validation(text)
}

// earlier looks for the answer of an earlier attempt.
func (s *Service) earlier(ctx context.Context, c *call) (answer any, again bool, err error) {
	if c.replay == nil {
		if c.replay, err = newReplay(ctx, c); err != nil || c.replay == nil {
			return nil, false, err
		}
	}
	var input string
	var sealed []byte
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		return tx.QueryRow("select input, answer from audit_answer"+whereReplay, c.replay.args(tx.Scope)...).Scan(&input, &sealed)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	case input != c.replay.input:
		return nil, false, mismatch(c)
	case sealed == nil && s.Repeatable(c.binding.Model.SigningName, c.binding.Operation.Name):
		c.claimed = true
		return nil, false, nil
	case sealed == nil:
		return nil, false, fault.New(http.StatusConflict, "ConflictException", "An earlier attempt of this request was carried out, or still is, and its answer is not known here: look at the resource instead of repeating.")
	}
	return s.readAnswer(ctx, c, sealed)
}

func (s *Service) readAnswer(ctx context.Context, c *call, sealed []byte) (any, bool, error) {
	plain, err := s.Sealer.Open(ctx, sealed, c.replay.aad(db.ScopeOf(ctx)))
	if err != nil {
		return nil, false, err
	}
	out := c.binding.Operation.NewOutput()
	if c.binding.Operation.Output == shape.None {
		return out, true, nil
	}
	return out, true, json.Unmarshal(plain, out)
}

// claim takes the invocation id inside the transaction of the change, with the
// answer when it is known there.
func (s *Service) claim(tx *db.Tx, c *call, out any) error {
	if c.replay == nil || c.claimed {
		return nil
	}
	var sealed []byte
	if out != nil {
		var err error
		if sealed, err = s.sealAnswer(tx.Context(), c, out); err != nil {
			return err
		}
	}
	n, err := tx.Exec(`insert into audit_answer(account, region, principal, operation, invocation, input, until, answer)
		values($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing`, c.replay.args(db.ScopeOf(tx.Context()), c.replay.input, db.Micros(tx.Now.Add(c.replay.keep)), sealed)...)
	if err != nil {
		return err
	}
	if n == 0 {
		return errRepeated
	}
	return s.Tasks.Enqueue(tx, task.Spec{Kind: taskPrune, Key: "all", Due: tx.Now.Add(pruneEvery)})
}

// sealAnswer is the answer as it is kept: it may hold a secret.
func (s *Service) sealAnswer(ctx context.Context, c *call, out any) ([]byte, error) {
	plain, err := json.Marshal(out)
	if err != nil {
		return nil, err
	}
	return s.Sealer.Seal(ctx, plain, c.replay.aad(db.ScopeOf(ctx)))
}

// keepAnswer keeps the answer of an operation that does not name it in its
// transaction.
func (s *Service) keepAnswer(ctx context.Context, c *call, out any) error {
	sealed, err := s.sealAnswer(ctx, c, out)
	if err != nil {
		return err
	}
	return s.DB.Update(context.WithoutCancel(ctx), func(tx *db.Tx) error {
		_, err := tx.Exec("update audit_answer set answer = $6"+whereReplay, c.replay.args(tx.Scope, sealed)...)
		return err
	})
}

// prune forgets answers that no SDK will ask for again.
func (s *Service) prune(ctx context.Context, r *task.Run) error {
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec("delete from audit_answer where until < $1", db.Micros(tx.Now))
		if err != nil {
			return err
		}
		var left int64
		if err := tx.QueryRow("select count(*) from audit_answer where account = $1 and region = $2", tx.Scope.Account, tx.Scope.Region).Scan(&left); err != nil {
			return err
		}
		if left == 0 {
			return r.Done(tx)
		}
		return r.Again(tx, tx.Now.Add(pruneEvery))
	})
}
