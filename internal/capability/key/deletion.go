package key

import (
	"context"
	"time"

	"github.com/watchbill/watchbill/internal/api/kms"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/task"
)

// deleteTask takes a key away when its time has come. Its key is the key's id.
const deleteTask = "key.delete"

// ScheduleKeyDeletion ends the use of a key now and deletes it after 7 to 30 days.
func (s *Service) ScheduleKeyDeletion(ctx context.Context, in *kms.ScheduleKeyDeletionInput) (*kms.ScheduleKeyDeletionOutput, error) {
	wait, days, err := window(in.PendingWindowInDays)
	if err != nil {
		return nil, err
	}
	out := &kms.ScheduleKeyDeletionOutput{}
	return out, s.change(ctx, "kms:ScheduleKeyDeletion", *in.KeyId, out, func(tx *db.Tx, k *row) error {
		if err := pending(k, false); err != nil {
			return err
		}
		k.enabled, k.deletion = false, tx.Now.Add(wait)
		out.KeyId, out.KeyState, out.DeletionDate, out.PendingWindowInDays = new(k.arn()), k.state(), new(k.deletion), new(days)
		if err := s.Tasks.Enqueue(tx, task.Spec{Kind: deleteTask, Key: k.id, Due: k.deletion}); err != nil {
			return err
		}
		return s.record(tx, "key.deletion.scheduled", k, map[string]any{"Due": k.deletion})
	})
}

// CancelKeyDeletion keeps a key after all; it is disabled.
func (s *Service) CancelKeyDeletion(ctx context.Context, in *kms.CancelKeyDeletionInput) (*kms.CancelKeyDeletionOutput, error) {
	out := &kms.CancelKeyDeletionOutput{}
	return out, s.change(ctx, "kms:CancelKeyDeletion", *in.KeyId, out, func(tx *db.Tx, k *row) error {
		if err := pending(k, true); err != nil {
			return err
		}
		k.deletion = time.Time{}
		out.KeyId = new(k.arn())
		if _, err := s.Tasks.Cancel(tx, deleteTask, k.id); err != nil {
			return err
		}
		return s.record(tx, "key.deletion.cancelled", k, nil)
	})
}

// delete takes a key away for good.
func (s *Service) delete(ctx context.Context, run *task.Run) error {
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		k, err := load(tx, run.Key, "{lock}")
		if err != nil {
			return err
		}
		if k != nil && k.deletion.After(tx.Now) {
			return run.Again(tx, k.deletion)
		}
		if err := run.Done(tx); err != nil || k == nil || k.deletion.IsZero() {
			return err
		}
		if err := remove(tx, k.id); err != nil {
			return err
		}
		return s.record(tx, "key.deleted", k, nil)
	})
}
