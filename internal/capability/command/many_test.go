package command_test

import (
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// TestThousandNodes sends a command to a thousand nodes, takes their
// acknowledgements and results, a goroutine for each node, and logs the time.
func TestThousandNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("registers a thousand nodes")
	}
	x := newFixture(t, dbtest.SQLite(t, migrations...))
	ids := x.nodes(1000)
	began := time.Now()
	c := *x.send(&ssm.SendCommandInput{Targets: []ssm.Target{{Key: new("InstanceIds"), Values: []string{"*"}}}, MaxConcurrency: new("100%"), MaxErrors: new("100%")}).CommandId
	t.Logf("sent after %s", time.Since(began))
	content, err := json.Marshal(mgs.ReplyContent{DocumentStatus: "Success", RuntimeStatus: map[string]mgs.StepStatus{"run": {Status: "Success"}}})
	x.must(err)
	var all sync.WaitGroup
	for _, id := range ids {
		all.Go(func() {
			x.take(id)
			x.ack(id, c, mgs.AckOK)
			if err := x.Replied(x.ctx, id, mgs.AgentJobReply{JobID: mgs.JobID(c, id), Content: string(content)}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	t.Logf("all results after %s", time.Since(began))
	x.wantCommand(c, "Success")
}
