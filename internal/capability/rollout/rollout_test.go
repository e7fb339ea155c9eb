package rollout_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	api "github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/platform/db"
)

func waves(sizes ...string) (out []api.Wave) {
	for _, s := range sizes {
		out = append(out, api.Wave{Size: new(s)})
	}
	return out
}

func (x fixture) facts(id string) (kinds []string) {
	x.t.Helper()
	x.must(x.DB.View(x.ctx, func(tx *db.Tx) error {
		rows, err := x.Journal.About(tx, []string{id}, 0, 100)
		for _, r := range rows {
			kinds = append(kinds, strings.TrimPrefix(r.Kind, "rollout."))
		}
		return err
	}))
	return kinds
}

func TestWavesOneAfterAnother(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		ids := x.register(8)
		id := x.start(&api.StartRolloutInput{Waves: waves("1", "50%", "100%"), HealthCheck: run("check")})
		var online string
		if n, scripts := x.serve(ids, func(id string) string { online = id; return "Success" }); n != 1 || scripts[0] != `["change"]` {
			t.Fatalf("%d nodes at first: %v", n, scripts)
		}
		if n, scripts := x.serve(ids, well); n != 1 || scripts[0] != `["check"]` {
			t.Fatalf("the check of the first wave: %d, %v", n, scripts)
		}
		if info, err := x.nodes.Lookup(x.ctx, online); err != nil || !info.Online {
			t.Errorf("the canary is not the connected node: %v", err)
		}
		if n, _ := x.drain(ids, well); n != 2*(3+4) {
			t.Errorf("%d jobs in the other waves, want 14", n)
		}
		got := x.want(id, api.RolloutStatusSuccess)
		var counts []int32
		for _, w := range got.Waves {
			counts = append(counts, *w.TargetCount)
			if *w.Status != "Success" || w.CommandId == nil || w.HealthCheckCommandId == nil || w.EndedAt == nil {
				t.Errorf("wave %+v", w)
			}
		}
		if diff := cmp.Diff([]int32{1, 3, 4}, counts); diff != "" {
			t.Errorf("waves (-want +got):\n%s", diff)
		}
		want := []string{"started", "wave.started", "wave.finished", "wave.started", "wave.finished", "wave.started", "wave.finished", "finished"}
		if diff := cmp.Diff(want, x.facts(id)); diff != "" {
			t.Errorf("facts (-want +got):\n%s", diff)
		}
	})
}

func TestBakeTime(t *testing.T) {
	inBubble(t, func(t *testing.T, x fixture) {
		ids := x.register(3)
		id := x.start(&api.StartRolloutInput{Waves: []api.Wave{{Size: new("1"), BakeSeconds: new(int32(60))}, {Size: new("100%"), BakeSeconds: new(int32(60))}}})
		x.serve(ids, well)
		x.want(id, api.RolloutStatusBaking)
		<-time.After(59 * time.Second)
		if n, _ := x.serve(ids, well); n != 0 {
			t.Error("went on too early")
		}
		<-time.After(time.Second)
		x.drain(ids, well)
		x.want(id, api.RolloutStatusSuccess)
	})
}

func TestHaltsOnErrorsResumesAndRollsBack(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		ids := x.register(6)
		id := x.start(&api.StartRolloutInput{Waves: waves("1", "3", "100%"), RollBack: run("undo"), MaxErrors: new("0")})
		if n, _ := x.drain(ids, badly); n != 1 {
			t.Fatalf("%d nodes, want the canary only", n)
		}
		if got := x.want(id, api.RolloutStatusHalted); *got.Why != "wave 1: 1 errors, more than 0" || *got.ErrorCount != 1 {
			t.Errorf("halted: %+v", got)
		}
		_, err := x.HaltRollout(x.ctx, &api.HaltRolloutInput{RolloutId: &id, Reason: new("again")})
		x.must(err)
		_, err = x.ResumeRollout(x.ctx, &api.ResumeRolloutInput{RolloutId: &id, Reason: new("known")})
		x.must(err)
		x.serve(ids, well) // the ramp: one of the two nodes first
		x.serve(ids, badly)
		x.want(id, api.RolloutStatusHalted)
		_, err = x.RollBackRollout(x.ctx, &api.RollBackRolloutInput{RolloutId: &id, Reason: new("it is bad")})
		x.must(err)
		n, scripts := x.drain(ids, well)
		if n != 3 || slices.ContainsFunc(scripts, func(s string) bool { return s != `["undo"]` }) {
			t.Errorf("rolled back with %v", scripts)
		}
		got := x.want(id, api.RolloutStatusRolledBack)
		if *got.Waves[0].Status != "RolledBack" || *got.Waves[1].Status != "RolledBack" || *got.Waves[2].Status != "Pending" {
			t.Errorf("waves %+v", got.Waves)
		}
		_, err = x.ResumeRollout(x.ctx, &api.ResumeRolloutInput{RolloutId: &id, Reason: new("no")})
		x.wantCode(err, "InvalidStateException")
	})
}

func TestHealthCheckHalts(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		ids := x.register(3)
		id := x.start(&api.StartRolloutInput{Waves: waves("1", "100%"), HealthCheck: run("check")})
		x.serve(ids, well)
		x.serve(ids, badly)
		if got := x.want(id, api.RolloutStatusHalted); *got.Why != "wave 1: the health check failed on 1 of 1 nodes" {
			t.Errorf("why %q", *got.Why)
		}
		_, err := x.RollBackRollout(x.ctx, &api.RollBackRolloutInput{RolloutId: &id, Reason: new("no command for it")})
		x.wantCode(err, "InvalidStateException")
	})
}

func TestHaltedWaveIsCarriedOver(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		ids := x.register(5)
		id := x.start(&api.StartRolloutInput{Waves: waves("100%"), MaxErrors: new("1")})
		x.serve(ids, well) // the ramp begins with one
		_, err := x.HaltRollout(x.ctx, &api.HaltRolloutInput{RolloutId: &id, Reason: new("wait")})
		x.must(err)
		if n, _ := x.drain(ids, well); n != 0 {
			t.Errorf("%d nodes after the halt", n)
		}
		x.want(id, api.RolloutStatusHalted)
		_, err = x.ResumeRollout(x.ctx, &api.ResumeRolloutInput{RolloutId: &id, Reason: new("go on")})
		x.must(err)
		if n, _ := x.drain(ids, well); n != 4 {
			t.Errorf("%d nodes after the resume, want 4", n)
		}
		if got := x.want(id, api.RolloutStatusSuccess); len(got.Waves) != 2 || *got.Waves[0].TargetCount != 1 || *got.Waves[1].TargetCount != 4 {
			t.Errorf("waves %+v", got.Waves)
		}
	})
}

func TestStartRollout(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		ids := x.register(3)
		in := func() *api.StartRolloutInput {
			return &api.StartRolloutInput{Command: run("canary-secret"), InstanceIds: ids, ClientToken: new("token"), Waves: waves("1", "2")}
		}
		first, again := x.start(in()), x.start(in())
		if first != again {
			t.Errorf("two rollouts of one token: %s, %s", first, again)
		}
		other := in()
		other.Comment = new("other")
		_, err := x.StartRollout(x.ctx, other)
		x.wantCode(err, "ConflictException")
		got := x.get(first)
		if len(got.Skipped) != 1 || *got.Skipped[0].Why != "the waves end before this node" || *got.DocumentVersion != "3" {
			t.Errorf("rollout %+v", got)
		}
		for name, c := range map[string]struct {
			in   api.StartRolloutInput
			code string
		}{
			"no node":        {api.StartRolloutInput{Command: run("x"), Targets: []api.Target{{Key: new("tag:a"), Values: []string{"b"}}}}, "ValidationException"},
			"no target":      {api.StartRolloutInput{Command: run("x")}, "ValidationException"},
			"bad document":   {api.StartRolloutInput{Command: run("x"), InstanceIds: ids, HealthCheck: &api.RolloutCommand{DocumentName: new("Nothing")}}, "InvalidDocument"},
			"bad parameters": {api.StartRolloutInput{Command: run("x"), InstanceIds: ids, RollBack: &api.RolloutCommand{DocumentName: new("Run")}}, "InvalidParameters"},
		} {
			if _, err := x.StartRollout(x.ctx, &c.in); err == nil {
				t.Errorf("%s: started", name)
			} else {
				x.wantCode(err, c.code)
			}
		}
		x.must(x.DB.View(x.ctx, func(tx *db.Tx) error {
			var state, spec string
			var orders []byte
			err := tx.QueryRow("select state, spec, orders from rollout_rollout").Scan(&state, &spec, &orders)
			if strings.Contains(state+spec+string(orders), "canary-secret") {
				t.Error("a parameter is stored as it is")
			}
			return err
		}))
		list, err := x.ListRollouts(x.ctx, &api.ListRolloutsInput{})
		x.must(err)
		if len(list.Rollouts) != 1 {
			t.Errorf("%d rollouts", len(list.Rollouts))
		}
		_, err = x.GetRollout(x.ctx, &api.GetRolloutInput{RolloutId: new("11111111-2222-3333-4444-555555555555")})
		x.wantCode(err, "DoesNotExistException")
	})
}

func TestRollBackWhileAWaveRuns(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		ids := x.register(4)
		id := x.start(&api.StartRolloutInput{Waves: waves("1", "100%"), RollBack: run("undo")})
		x.serve(ids, well)
		_, err := x.RollBackRollout(x.ctx, &api.RollBackRolloutInput{RolloutId: &id, Reason: new("stop")})
		x.must(err)
		if n, scripts := x.drain(ids, well); n != 1 || scripts[0] != `["undo"]` {
			t.Errorf("%d jobs: %v", n, scripts)
		}
		x.want(id, api.RolloutStatusRolledBack)
	})
}
