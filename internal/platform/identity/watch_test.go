package identity_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
)

// A changed file is read within seconds, a broken one changes nothing, and the
// revocations of another replica arrive.
func TestWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.SQLite(t, migrations...)
		w := open(t, d, "users: [{name: ann}]\n")
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Watch(ctx) }()
		knows := func(name string) bool {
			_, ok := w.Principal("arn:aws:iam::123456789012:user/" + name)
			return ok
		}
		after := func() { <-time.After(5 * time.Second) }
		w.write(t, "users: [{name: ann}, {name: ben}]\n")
		after()
		if !knows("ben") {
			t.Error("the new user is not known")
		}
		w.write(t, "users: [{nam: eve}]\n")
		after()
		if _, _, problem := w.Status(); problem == nil || !knows("ben") {
			t.Errorf("problem %v", problem)
		}
		w.write(t, "users: [{name: eve}]\n")
		after()
		if _, _, problem := w.Status(); problem != nil || !knows("eve") || knows("ben") {
			t.Errorf("problem %v", problem)
		}
		other := w.another(t)
		creds, err := w.MintNode(ctx, "mi-1", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Revoke(ctx, w.NodeARN("mi-1")); err != nil {
			t.Fatal(err)
		}
		after()
		if _, err := call(t, w.Service, temporary(creds), "ssm", "eu-west-1"); code(err) != "ExpiredTokenException" {
			t.Errorf("revoked elsewhere: %v", err)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		_ = d.Close()
	})
}
