package session_test

import (
	"context"
	"testing"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/capability/session"
)

// A hub that lost the sockets of a session late takes nothing from the hub that has them.
func TestLateEndAtAnotherHub(t *testing.T) {
	t.Parallel()
	eachStore(t, func(x *fixture) {
		ctx := context.Background()
		x.Nodes.SetHub("https://b") // has them by now
		out := x.start("", nil)
		x.connect(out)
		x.Nodes.SetHub("https://a")
		x.must(x.NodeLeft(ctx, *out.SessionId))
		x.must(x.ClientLeft(ctx, *out.SessionId, session.Client{Role: session.Owner}))
		x.want(*out.SessionId, ssm.SessionStatusConnected)
		x.Nodes.SetHub("https://b")
		x.must(x.NodeLeft(ctx, *out.SessionId))
		x.want(*out.SessionId, ssm.SessionStatusDisconnected)
	})
}
