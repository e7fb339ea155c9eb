package rollout

import (
	"context"
	"fmt"
	"time"

	api "github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/page"
)

const mostRollouts = 50 // of a page of ListRollouts

// GetRollout shows a rollout. With SinceVersion the answer waits up to
// WaitSeconds for a later version.
func (s *Service) GetRollout(ctx context.Context, in *api.GetRolloutInput) (*api.GetRolloutOutput, error) {
	news, stop := s.DB.Listen(topic(db.ScopeOf(ctx), *in.RolloutId))
	defer stop()
	timer := time.NewTimer(time.Duration(ptr.Value(in.WaitSeconds)) * time.Second)
	defer timer.Stop()
	for waited := in.WaitSeconds == nil; ; {
		out, err := s.show(ctx, *in.RolloutId)
		if err != nil {
			return nil, err
		}
		if waited || *out.Version > ptr.Value(in.SinceVersion) || over(out.Status) {
			return &api.GetRolloutOutput{Rollout: out}, nil
		}
		select {
		case <-news:
		case <-timer.C:
			waited = true
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s *Service) show(ctx context.Context, id string) (out *api.Rollout, err error) {
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		r, err := findRollout(tx, id, false)
		if err != nil {
			return err
		}
		if r == nil {
			return errUnknown(id)
		}
		out = r.project()
		out.Skipped, err = skipped(tx, id)
		return err
	})
	return out, err
}

// skipped are the nodes that no wave takes, and why.
func skipped(tx *db.Tx, id string) ([]api.CommandTarget, error) {
	list, err := targetsOf(tx, id, -1)
	out := make([]api.CommandTarget, len(list))
	for n := range list {
		t := &list[n]
		out[n] = api.CommandTarget{InstanceId: &t.Node, StatusDetails: &t.Details, Why: ptr.OrNil(t.Why)}
	}
	return out, err
}

type cursor struct {
	Requested int64  `json:"r"`
	ID        string `json:"i"`
}

// ListRollouts lists rollouts, newest first.
func (s *Service) ListRollouts(ctx context.Context, in *api.ListRolloutsInput) (*api.ListRolloutsOutput, error) {
	out := &api.ListRolloutsOutput{Rollouts: []api.Rollout{}}
	var from cursor
	if in.NextToken != nil {
		if err := page.Parse(*in.NextToken, &from); err != nil {
			return nil, &api.InvalidNextToken{Message: "The specified token is not valid."}
		}
	}
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		f := scoped(tx)
		if in.NextToken != nil {
			f.And("(requested < ? or requested = ? and id < ?)", from.Requested, from.Requested, from.ID)
		}
		size := page.Limit(in.MaxResults, mostRollouts)
		list, err := listRollouts(tx, f, size+1)
		if len(list) > size {
			list = list[:size]
			out.NextToken = new(page.Token(cursor{db.Micros(list[size-1].Requested), list[size-1].ID}))
		}
		for n := range list {
			out.Rollouts = append(out.Rollouts, *list[n].project())
		}
		return err
	})
	return out, err
}

func (r *rollout) project() *api.Rollout {
	st := &r.State
	out := &api.Rollout{
		RolloutId: &r.ID, Status: st.Status, Why: ptr.OrNil(st.Why), Comment: ptr.OrNil(r.Spec.Comment), DocumentName: &r.Spec.DocumentName,
		DocumentVersion: &r.Spec.DocumentVersion, CurrentWave: new(int32(st.Wave + 1)), TargetCount: new(int32(r.Spec.Targets)),
		ErrorCount: new(int32(st.Errors)), MaxErrors: &r.Spec.MaxErrors, RequestedBy: &r.RequestedBy, RequestedAt: &r.Requested,
		EndedAt: ptr.OrNil(r.Ended), Version: &r.Version,
		StatusDetails: new(fmt.Sprintf("wave %d of %d: %s", st.Wave+1, len(st.Waves), st.Waves[st.Wave].Status)),
	}
	for i := range st.Waves {
		w, t := &st.Waves[i], &r.Spec.Times[i]
		out.Waves = append(out.Waves, api.RolloutWave{
			Number: new(int32(i + 1)), Size: &w.Size, BakeSeconds: new(int32(w.Bake)), Status: &w.Status, TargetCount: new(int32(w.Targets)), Why: ptr.OrNil(w.Why),
			ErrorCount: new(int32(w.Errors)), StartedAt: ptr.OrNil(t.Started), EndedAt: ptr.OrNil(t.Ended),
			CommandId: ptr.OrNil(t.Sent[roleCommand]), HealthCheckCommandId: ptr.OrNil(t.Sent[roleHealth]), RollBackCommandId: ptr.OrNil(t.Sent[roleRollBack]),
		})
	}
	return out
}
