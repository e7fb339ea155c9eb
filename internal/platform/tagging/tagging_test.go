package tagging_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/tagging"
)

var all = []db.Migrations{tagging.Migrations}

func scope(ctx context.Context, region string) context.Context {
	return db.WithScope(ctx, db.Scope{Account: "123456789012", Region: region})
}

func update(t *testing.T, d *db.DB, ctx context.Context, f func(tx *db.Tx) error) error {
	t.Helper()
	return d.Update(ctx, f)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, d *db.DB, ctx context.Context, kind, id string) (out map[string]string) {
	t.Helper()
	must(t, d.View(ctx, func(tx *db.Tx) (err error) {
		out, err = tagging.Get(tx, kind, id)
		return err
	}))
	return out
}

func TestSetGetRemoveDrop(t *testing.T) {
	dbtest.Each(t, all, func(t *testing.T, d *db.DB) {
		ctx := scope(t.Context(), "us-east-1")
		must(t, update(t, d, ctx, func(tx *db.Tx) error {
			return tagging.Set(tx, "Parameter", "/a", map[string]string{"Env": "prod", "env": "dev", "Team": ""})
		}))
		must(t, update(t, d, ctx, func(tx *db.Tx) error {
			return tagging.Set(tx, "Parameter", "/a", map[string]string{"Env": "test"})
		}))
		want := map[string]string{"Env": "test", "env": "dev", "Team": ""}
		if diff := cmp.Diff(want, get(t, d, ctx, "Parameter", "/a")); diff != "" {
			t.Error(diff)
		}
		for _, c := range []struct {
			ctx      context.Context
			kind, id string
		}{{scope(t.Context(), "eu-west-1"), "Parameter", "/a"}, {ctx, "Document", "/a"}, {ctx, "Parameter", "/b"}} {
			if got := get(t, d, c.ctx, c.kind, c.id); len(got) != 0 {
				t.Errorf("%s %s has %v", c.kind, c.id, got)
			}
		}
		must(t, update(t, d, ctx, func(tx *db.Tx) error { return tagging.Remove(tx, "Parameter", "/a", []string{"Env", "none"}) }))
		if diff := cmp.Diff(map[string]string{"env": "dev", "Team": ""}, get(t, d, ctx, "Parameter", "/a")); diff != "" {
			t.Error(diff)
		}
		must(t, update(t, d, ctx, func(tx *db.Tx) error { return tagging.Drop(tx, "Parameter", "/a") }))
		if got := get(t, d, ctx, "Parameter", "/a"); len(got) != 0 {
			t.Errorf("after Drop: %v", got)
		}
	})
}

func TestLimits(t *testing.T) {
	dbtest.Each(t, all, func(t *testing.T, d *db.DB) {
		ctx := scope(t.Context(), "us-east-1")
		many := map[string]string{}
		for i := range tagging.Max {
			many[fmt.Sprint("k", i)] = "v"
		}
		must(t, update(t, d, ctx, func(tx *db.Tx) error { return tagging.Set(tx, "Parameter", "/a", many) }))
		must(t, update(t, d, ctx, func(tx *db.Tx) error { return tagging.Set(tx, "Parameter", "/a", map[string]string{"k0": "w"}) }))
		for _, tags := range []map[string]string{{"one": "more"}, {"aws:x": "y"}, {"AWS:x": "y"}} {
			if err := update(t, d, ctx, func(tx *db.Tx) error { return tagging.Set(tx, "Parameter", "/a", tags) }); err == nil {
				t.Errorf("%v was accepted", tags)
			}
		}
		if got := get(t, d, ctx, "Parameter", "/a"); len(got) != tagging.Max || got["k0"] != "w" {
			t.Errorf("%d tags, k0 %q", len(got), got["k0"])
		}
	})
}

func TestFind(t *testing.T) {
	dbtest.Each(t, all, func(t *testing.T, d *db.DB) {
		ctx := scope(t.Context(), "us-east-1")
		must(t, update(t, d, ctx, func(tx *db.Tx) error {
			return errors.Join(
				tagging.Set(tx, "Parameter", "b", map[string]string{"Env": "prod", "Team": "red"}),
				tagging.Set(tx, "Parameter", "a", map[string]string{"Env": "prod", "Team": "blue"}),
				tagging.Set(tx, "Parameter", "c", map[string]string{"Env": "dev"}),
				tagging.Set(tx, "Document", "d", map[string]string{"Env": "prod"}))
		}))
		tests := []struct {
			filters []tagging.Filter
			want    []string
		}{
			{[]tagging.Filter{{Key: "Env", Values: []string{"prod"}}}, []string{"a", "b"}},
			{[]tagging.Filter{{Key: "Env", Values: []string{"prod", "dev"}}}, []string{"a", "b", "c"}},
			{[]tagging.Filter{{Key: "Env", Values: []string{"prod"}}, {Key: "Team", Values: []string{"red", "green"}}}, []string{"b"}},
			{[]tagging.Filter{{Key: "Team", Values: nil}}, []string{"a", "b"}},
			{[]tagging.Filter{{Key: "env"}}, nil},
			{[]tagging.Filter{{Key: "Env", Values: []string{"de", "x"}, Prefix: true}}, []string{"c"}},
		}
		for _, tt := range tests {
			must(t, d.View(ctx, func(tx *db.Tx) error {
				got, err := tagging.Find(tx, "Parameter", tt.filters)
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("%v: %s", tt.filters, diff)
				}
				return err
			}))
		}
	})
}

func TestByARN(t *testing.T) {
	dbtest.Each(t, all, func(t *testing.T, d *db.DB) {
		ctx := scope(t.Context(), "us-east-1")
		contact := "arn:aws:ssm-contacts:us-east-1:123456789012:contact/ada"
		must(t, update(t, d, ctx, func(tx *db.Tx) error {
			return errors.Join(
				tagging.Set(tx, "Parameter", "/app/x", map[string]string{"n": "hierarchy"}),
				tagging.Set(tx, "Parameter", "plain", map[string]string{"n": "plain"}),
				tagging.Set(tx, "Parameter", "/slash", map[string]string{"n": "slash"}),
				tagging.Set(tx, "ManagedInstance", "mi-1", map[string]string{"n": "node"}),
				tagging.Set(tx, "Document", "AWS-X", map[string]string{"n": "doc"}),
				tagging.Set(tx, "arn:ssm-contacts", contact, map[string]string{"n": "contact"}))
		}))
		base := "arn:aws:ssm:us-east-1:123456789012:"
		for arn, want := range map[string]string{
			base + "parameter/app/x": "hierarchy", base + "parameter/plain": "plain", base + "parameter/slash": "slash",
			base + "managed-instance/mi-1": "node", "arn:aws:ssm:us-east-1::document/AWS-X": "doc", contact: "contact",
			"arn:aws:ssm:eu-west-1:123456789012:parameter/plain": "", "arn:aws:ssm:us-east-1:999999999999:parameter/plain": "",
			base + "servicesetting/ssm/x": "", "*": "", base + "parameter": "",
		} {
			must(t, d.View(ctx, func(tx *db.Tx) error {
				got, err := tagging.ByARN(tx, arn)
				if got["n"] != want {
					t.Errorf("%s: %v", arn, got)
				}
				return err
			}))
		}
	})
}

func TestKindsWithoutRegion(t *testing.T) {
	dbtest.Each(t, all, func(t *testing.T, d *db.DB) {
		kind := "arn:aws:ssm-incidents::123456789012:response-plan/p"
		must(t, update(t, d, scope(t.Context(), "us-east-1"), func(tx *db.Tx) error {
			return tagging.Set(tx, kind, kind, map[string]string{"a": "b"})
		}))
		if got := get(t, d, scope(t.Context(), ""), kind, kind); got["a"] != "b" {
			t.Errorf("%v", got)
		}
	})
}

func TestRegistry(t *testing.T) {
	d := dbtest.SQLite(t, all...)
	gone := errors.New("gone")
	tagging.Register("Test", func(_ *db.Tx, id string) error {
		if id != "x" {
			return gone
		}
		return nil
	})
	must(t, d.View(scope(t.Context(), "r"), func(tx *db.Tx) error {
		for id, want := range map[string]error{"x": nil, "y": gone} {
			if err := tagging.Exists(tx, "Test", id); !errors.Is(err, want) {
				t.Errorf("%s: %v", id, err)
			}
		}
		if err := tagging.Exists(tx, "Other", "x"); !errors.Is(err, tagging.ErrKind) {
			t.Errorf("another kind: %v", err)
		}
		return nil
	}))
}
