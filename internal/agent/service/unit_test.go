package service

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestUnit(t *testing.T) {
	root := Unit{Exe: "/usr/local/bin/watchbill", State: "/var/lib/watchbill-agent", Args: []string{"--allow-reboot"}}
	text, err := root.Text()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"ExecStart=/usr/local/bin/watchbill agent run --state /var/lib/watchbill-agent --allow-reboot\n", "Delegate=yes\n", "Restart=always\n", "KillMode=process\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "User=") {
		t.Error("root has a user")
	}
	root.User = "ops"
	if text, err := root.Text(); err != nil || !strings.Contains(text, "\nUser=ops\nNoNewPrivileges=yes\n") {
		t.Errorf("%v\n%s", err, text)
	}
	for _, bad := range []Unit{
		{Exe: "watchbill", State: "/s"},
		{Exe: "/x", State: "/s p"},
		{Exe: "/x\nExecStartPre=/y", State: "/s"},
		{Exe: "/x", State: "/s", User: "a b"},
		{Exe: "/x", State: "/s", Args: []string{"--x; y"}},
	} {
		if text, err := bad.Text(); err == nil {
			t.Errorf("%+v: %s", bad, text)
		}
	}
}

func TestInstall(t *testing.T) {
	dir := t.TempDir()
	if err := Install(Unit{Exe: "/usr/bin/true", State: "/var/lib/x"}, dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, Name)
	if analyze, err := exec.LookPath("systemd-analyze"); err == nil {
		if out, err := exec.Command(analyze, "verify", path).CombinedOutput(); strings.Contains(string(out), path) {
			t.Errorf("%v: %s", err, out)
		}
	}
	if err := Uninstall(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the unit is left")
	}
	if err := Uninstall(dir); err == nil {
		t.Error("removed twice")
	}
}
