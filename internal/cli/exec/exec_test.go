package exec

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestQuote gives arguments to a real shell, which must see exactly them.
func TestQuote(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh on this machine")
	}
	check := func(fail func(string, ...any), argv []string) {
		out, err := exec.Command(sh, "-c", "printf '%s\\0' "+Quote(argv)).Output()
		got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
		if err != nil || !slices.Equal(got, argv) {
			fail("%q came as %q (%v)", argv, got, err)
		}
	}
	for _, a := range []string{"", "a b", "it's", "$(id)", "`id`", `\`, "a\nb", "*", "-n", "{{ ssm:x }}", `"`, "'''", "ä", ";rm", "~", "\xff"} {
		check(t.Errorf, []string{a, "end"})
	}
	rapid.Check(t, func(r *rapid.T) {
		argv := rapid.SliceOfN(rapid.StringMatching(`[ -~\n\t]{0,12}`), 1, 4).Draw(r, "argv")
		check(r.Errorf, argv)
	})
}

func TestTargets(t *testing.T) {
	ids, targets, err := Targets([]string{"mi-0123456789abcdef0", "i-01234567"})
	if err != nil || len(ids) != 2 || targets != nil {
		t.Errorf("ids %v, %v, %v", ids, targets, err)
	}
	_, targets, err = Targets([]string{"tag:Role=a,b", "mi-0123456789abcdef0"})
	if err != nil || len(targets) != 2 || *targets[0].Key != "tag:Role" || len(targets[0].Values) != 2 || *targets[1].Key != "InstanceIds" {
		t.Errorf("targets %+v, %v", targets, err)
	}
	for _, bad := range [][]string{nil, {"web"}, {"tag:Role="}, {"=x"}} {
		if _, _, err := Targets(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestIdenticalOutputsAreToldOnce(t *testing.T) {
	var out, errs bytes.Buffer
	s := newShow(false, &out, &errs)
	for _, r := range []result{
		{InstanceID: "mi-3", Status: "Failed", StatusDetails: "Failed", ExitCode: new(7), Stderr: "no"},
		{InstanceID: "mi-2", Status: "Success", StatusDetails: "Success", ExitCode: new(0), Stdout: "yes\n"},
		{InstanceID: "mi-1", Name: "web", Status: "Success", StatusDetails: "Success", ExitCode: new(0), Stdout: "yes\n"},
		{InstanceID: "mi-1", Name: "web", Status: "Success", StatusDetails: "Success", ExitCode: new(0), Stdout: "yes\n"},
	} {
		if err := s.add(r); err != nil {
			t.Fatal(err)
		}
	}
	if code := s.finish(); code != 7 {
		t.Errorf("exit code %d, want 7", code)
	}
	want := `---- 2 nodes: Success, exit code 0
     mi-1 (web), mi-2
yes
---- 1 node: Failed, exit code 7
     mi-3
  -- stderr
no
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
	s = newShow(false, &out, &errs)
	_ = s.add(result{InstanceID: "mi-1", Status: "TimedOut", StatusDetails: "DeliveryTimedOut", Why: "not taken"})
	if code := s.finish(); code != 255 || !strings.Contains(errs.String(), "DeliveryTimedOut: not taken") {
		t.Errorf("exit code %d, %q", code, errs.String())
	}
}
