package command_test

import (
	"context"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

func TestOutputGoesToBucketsAndLogs(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		got := map[string]string{}
		sink := func(_ context.Context, container, name string, body io.Reader) error {
			b, err := io.ReadAll(body)
			got[container+" "+name] = string(b)
			return err
		}
		x.Bucket, x.Log = sink, sink
		n := x.nodes(1)[0]
		c := *x.send(&ssm.SendCommandInput{
			InstanceIds: []string{n}, OutputS3BucketName: new("outputs"), OutputS3KeyPrefix: new("a/"), OutputS3Region: new("us-east-1"),
			CloudWatchOutputConfig: &ssm.CloudWatchOutputConfig{CloudWatchOutputEnabled: new(true)},
		}).CommandId
		x.take(n)
		x.ack(n, c, mgs.AckOK)
		x.reply(n, c, "Success", map[string]mgs.StepStatus{"run": {Status: "Success", StandardOutput: "hello"}})
		x.must(x.Tasks.RunDue(x.ctx))
		want := map[string]string{
			"outputs a/" + c + "/" + n + "/awsrunShellScript/run/stdout": "hello",
			"/aws/ssm/Run " + c + "/" + n + "/aws-runShellScript/stdout": "hello",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("kept (-want +got):\n%s", diff)
		}
		url := "https://s3.us-east-1.amazonaws.com/outputs/a/" + c + "/" + n + "/awsrunShellScript/run/stdout"
		if i := x.get(c, n, nil); *i.StandardOutputUrl != url {
			t.Errorf("address %s", *i.StandardOutputUrl)
		}
	})
}
