package command_test

import (
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
)

func TestCommandsOfANode(t *testing.T) {
	inBubble(t, func(t *testing.T, x fixture) {
		ids := x.nodes(3)
		one, other := ids[0], ids[1]
		if one > other {
			one, other = other, one
		}
		id := *x.send(&ssm.SendCommandInput{InstanceIds: []string{one, other}, MaxConcurrency: new("1")}).CommandId
		want := func(when, node, id string, want bool) {
			t.Helper()
			if got, err := x.Sent(x.ctx, node, id); err != nil || got != want {
				t.Errorf("%s: %v %v", when, got, err)
			}
		}
		want("sent", one, id, true)
		want("waiting for its turn", other, id, false)
		want("not a target", ids[2], id, false)
		want("unknown", one, "0b9be6a5-7f2f-4b8e-9a51-0d3a5ad0c001", false)
		x.take(one)
		x.ack(one, id, "")
		x.reply(one, id, "Success", nil)
		want("ended", one, id, true)
		<-time.After(2 * time.Hour)
		want("ended long ago", one, id, false)
	})
}
