package endpoints

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/test/hubtest"
)

// unknown is the id of no command.
const unknown = "0b9be6a5-7f2f-4b8e-9a51-0d3a5ad0c001"

// sendCommand sends a command to a node and gives its id.
func sendCommand(t *testing.T, h *hubtest.Hub, node string) string {
	t.Helper()
	var out ssm.SendCommandOutput
	h.Must(t, "ssm", "SendCommand", &ssm.SendCommandInput{
		DocumentName: new("AWS-RunShellScript"), InstanceIds: []string{node}, Parameters: map[string][]string{"commands": {"true"}},
	}, &out)
	return *out.Command.CommandId
}

// A node writes where its outputs belong, and reads what is its own or for all nodes.
func TestNodesInBuckets(t *testing.T) {
	hubtest.Each(t, nil, func(t *testing.T, h *hubtest.Hub) {
		admin, n, other := client(t, h, hubtest.Admin, true), h.Register(t), h.Register(t)
		c := client(t, h, n.Credentials, true)
		command, foreign := sendCommand(t, h, n.ID), sendCommand(t, h, other.ID)
		for _, b := range []string{"outputs", "scripts"} {
			must(admin.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &b}))(t)
			must(admin.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &b, Key: new("run.sh"), Body: strings.NewReader("true")}))(t)
		}
		must(admin.PutBucketTagging(t.Context(), &s3.PutBucketTaggingInput{
			Bucket: new("scripts"), Tagging: &types.Tagging{TagSet: []types.Tag{{Key: new("watchbill:nodes"), Value: new("read")}}},
		}))(t)
		put := func(key string) error {
			_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: new("outputs"), Key: &key, Body: strings.NewReader("x"), ACL: types.ObjectCannedACLBucketOwnerFullControl})
			return err
		}
		fetch := func(bucket, key string) error {
			out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
			if err == nil {
				_ = out.Body.Close()
			}
			return err
		}
		list := func(bucket string) error {
			_, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket})
			return err
		}
		remove := func() error {
			_, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: new("outputs"), Key: new(command + "/" + n.ID + "/step/stdout")})
			return err
		}
		head := func() error {
			_, err := c.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: new("outputs")})
			return err
		}
		create := func() error {
			_, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: new("mine")})
			return err
		}
		for _, tt := range []struct {
			name string
			err  error
			want string
		}{
			{"head bucket", head(), ""},
			{"own output", put("prefix/" + command + "/" + n.ID + "/awsrunShellScript/step/stdout"), ""},
			{"own output without a prefix", put(command + "/" + n.ID + "/step/stdout"), ""},
			{"own association", put("p/" + n.ID + "/" + command + "/now/stdout"), ""},
			{"own output back", fetch("outputs", command+"/"+n.ID+"/step/stdout"), ""},
			{"script for all nodes", fetch("scripts", "run.sh"), ""},
			{"output of a command of another", put(foreign + "/" + n.ID + "/step/stdout"), "AccessDenied"},
			{"output of no command", put(unknown + "/" + n.ID + "/step/stdout"), "AccessDenied"},
			{"output of another", put(command + "/" + other.ID + "/step/stdout"), "AccessDenied"},
			{"no prefix of its own", put("run.sh"), "AccessDenied"},
			{"its name alone", put(n.ID + "/run.sh"), "AccessDenied"},
			{"no command", put("x/" + n.ID + "/run.sh"), "AccessDenied"},
			{"the prefix itself", put(command + "/" + n.ID), "AccessDenied"},
			{"log of a session that is not its own", put("logs/ada-0123456789abcdef0.log"), "AccessDenied"},
			{"other object", fetch("outputs", "run.sh"), "AccessDenied"},
			{"list for all nodes", list("scripts"), ""},
			{"list", list("outputs"), "AccessDenied"},
			{"list of nothing", list("no-such-bucket"), "AccessDenied"},
			{"delete its own", remove(), "AccessDenied"},
			{"create bucket", create(), "AccessDenied"},
		} {
			if got := code(t, tt.err); got != tt.want {
				t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
			}
		}
	})
}
