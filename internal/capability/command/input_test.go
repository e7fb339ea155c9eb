package command_test

import (
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/capability/node"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/tagging"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// TestConstrainedParameters: what a parameter's declaration does not allow never
// leaves the hub.
func TestConstrainedParameters(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		n := x.nodes(1)[0]
		send := func(name string, values ...string) error {
			_, err := x.SendCommand(x.ctx, &ssm.SendCommandInput{DocumentName: new("Safe"), InstanceIds: []string{n}, Parameters: map[string][]string{name: values}})
			return err
		}
		payloads := []string{
			"a;id", "a$(id)", "a`id`", "a\nid", "a\rid", "a|id", "a&id", `a\`, "a'", `a"`, "a\x00b", "a\u202eb", "a{{ loose }}", "a ", "", "$IFS", "a\u2028b", "a\x1b[2J",
			strings.Repeat("a", 20) + ";",
		}
		for _, p := range payloads {
			for _, name := range []string{"word", "anchored", "choice"} {
				if err := send(name, p); err == nil {
					t.Errorf("%s took %q", name, p)
				} else {
					x.wantCode(err, "InvalidParameters")
				}
			}
		}
		for name, values := range map[string][]string{
			"loose": {"a\nrm"}, "list": {"a", "b", "c"}, "short": {"four"}, "lines": {"a\x00"}, "word": {"a", "b"},
		} {
			if err := send(name, values...); err == nil {
				t.Errorf("%s took %q", name, values)
			}
		}
		for name, value := range map[string]string{"word": "abc1", "anchored": "abc", "loose": "a b 'c'", "lines": "a\nb", "choice": "off", "short": "äöü"} {
			if err := send(name, value); err != nil {
				t.Errorf("%s refused %q: %v", name, value, err)
			}
		}
	})
}

// TestValuesAreNotExpanded: a value that looks like a reference goes to the node
// as it is.
func TestValuesAreNotExpanded(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		n := x.nodes(1)[0]
		text := "echo {{ user }} {{ global:DATE }} {{ssm-secure:x}}"
		x.send(&ssm.SendCommandInput{DocumentName: new("Run"), InstanceIds: []string{n}, Parameters: map[string][]string{"commands": {text}}})
		var job mgs.SendCommand
		x.must(mgs.Decode([]byte(x.take(n)[0].Content), &job))
		if got := string(job.Parameters["commands"]); got != `["`+text+`"]` {
			t.Errorf("the node gets %s", got)
		}
	})
}

func TestOldSchema(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		n := x.nodes(1)[0]
		c := *x.send(&ssm.SendCommandInput{DocumentName: new("Old"), InstanceIds: []string{n}, Parameters: map[string][]string{"commands": {"id"}}}).CommandId
		x.take(n)
		x.reply(n, c, "Success", map[string]mgs.StepStatus{"aws:runShellScript": {Status: "Success", StandardOutput: "out"}})
		if got := x.get(c, n, new("aws:runShellScript")); *got.StandardOutputContent != "out" || *got.PluginName != "aws:runShellScript" {
			t.Errorf("invocation %+v", got)
		}
	})
}

func TestTargetKeys(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		ids := x.nodes(3)
		for id, tags := range map[string][]ssm.Tag{
			ids[0]: {{Key: new("Name"), Value: new("web 1")}, {Key: new("ResourceGroup"), Value: new("shop")}},
			ids[1]: {{Key: new("Name"), Value: new("db")}, {Key: new("ResourceGroup"), Value: new("shop")}},
			ids[2]: {{Key: new("Other"), Value: new("x")}},
		} {
			x.tag(id, tags)
		}
		for name, c := range map[string]struct {
			targets []ssm.Target
			want    int32
		}{
			"tag:Name":           {[]ssm.Target{{Key: new("tag:Name"), Values: []string{"web 1", "db"}}}, 2},
			"no wildcard":        {[]ssm.Target{{Key: new("tag:Name"), Values: []string{"web*", "%", "_b"}}}, 0},
			"keys are and-ed":    {[]ssm.Target{{Key: new("tag:Name"), Values: []string{"db"}}, {Key: new("tag:ResourceGroup"), Values: []string{"shop"}}}, 1},
			"tag-key":            {[]ssm.Target{{Key: new("tag-key"), Values: []string{"Other"}}}, 1},
			"group":              {[]ssm.Target{{Key: new("resource-groups:Name"), Values: []string{"shop"}}}, 2},
			"type":               {[]ssm.Target{{Key: new("resource-groups:ResourceTypeFilters"), Values: []string{"AWS::S3::Bucket", "AWS::SSM::ManagedInstance"}}}, 3},
			"type of none":       {[]ssm.Target{{Key: new("resource-groups:ResourceTypeFilters"), Values: []string{"AWS::S3::Bucket"}}}, 0},
			"ids":                {[]ssm.Target{{Key: new("InstanceIds"), Values: ids[:2]}}, 2},
			"ids that are none":  {[]ssm.Target{{Key: new("InstanceIds"), Values: []string{"' or 1=1 --"}}}, 0},
			"group and its type": {[]ssm.Target{{Key: new("resource-groups:Name"), Values: []string{"shop"}}, {Key: new("resource-groups:ResourceTypeFilters"), Values: []string{"AWS::EC2::Instance"}}}, 2},
		} {
			if got := x.send(&ssm.SendCommandInput{Targets: c.targets}); *got.TargetCount != c.want {
				t.Errorf("%s: %d nodes, want %d", name, *got.TargetCount, c.want)
			}
		}
	})
}

func (x fixture) tag(id string, tags []ssm.Tag) {
	x.t.Helper()
	m := map[string]string{}
	for _, t := range tags {
		m[*t.Key] = *t.Value
	}
	x.must(x.DB.Update(x.ctx, func(tx *db.Tx) error { return tagging.Set(tx, node.TagKind, id, m) }))
}
