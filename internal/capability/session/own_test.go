package session_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
)

func TestOwnSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newFixture(t, dbtest.SQLite(t, migrations...), false)
		id := *x.start("", nil).SessionId
		x.nodeEnd(id)
		want := func(when, node, id string, live, logs bool) {
			t.Helper()
			for name, f := range map[string]struct {
				ask  func(ctx context.Context, node, id string) (bool, error)
				want bool
			}{"live": {x.Live, live}, "logs": {x.Logs, logs}} {
				if got, err := f.ask(x.asNode(), node, id); err != nil || got != f.want {
					t.Errorf("%s, %s: %v %v", when, name, got, err)
				}
			}
		}
		want("of its own", x.node, id, true, true)
		want("of another", "mi-00000000000000000", id, false, false)
		want("of nobody", "", id, false, false)
		want("unknown", x.node, "ada-00000000000000000", false, false)
		x.complete(id, "Success", "")
		want("ended", x.node, id, false, true)
		<-time.After(2 * time.Hour)
		want("ended long ago", x.node, id, false, false)
	})
}
