//go:build unix

package account

import (
	"os"
	"os/exec"
	"os/user"
	"slices"
	"testing"
)

func TestFind(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root's node program has other users")
	}
	if _, err := user.Lookup("nobody"); err != nil {
		t.Skip(err)
	}
	for _, c := range []struct {
		w    Want
		want string // "" for an error
	}{
		{Want{Name: "nobody"}, "nobody"},
		{Want{RunAs: true, Default: "nobody"}, "nobody"},
		{Want{RunAs: true}, ""},
		{Want{RunAs: true, Elevated: true, Over: true}, ""},
		{Want{Name: "root"}, ""},
		{Want{Name: "no-such-user"}, ""},
		{Want{Elevated: true}, "root"},
		{Want{Name: "root", Elevated: true}, "root"},
		{Want{Name: "nobody", Elevated: true}, "nobody"},
		{Want{Name: "nobody", Elevated: true, Over: true}, "root"},
	} {
		got := ""
		u, err := Find(c.w)
		if err == nil {
			got = u.Name
		}
		if got != c.want {
			t.Errorf("Find(%+v) = %q, %v", c.w, got, err)
		}
	}
}

// A session's program gets nothing of the node program's environment.
func TestDress(t *testing.T) {
	t.Setenv("SOME_SECRET", "x")
	t.Setenv("PATH", "/tmp:"+os.Getenv("PATH"))
	u, err := Find(Want{Elevated: true})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("true")
	u.Dress(cmd)
	if slices.Contains(cmd.Env, "SOME_SECRET=x") || !slices.Contains(cmd.Env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin") {
		t.Error(cmd.Env)
	}
}
