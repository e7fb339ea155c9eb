package service

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"
)

// Name is that of the unit.
const Name = "watchbill-agent.service"

// DefaultDir is where systemd looks for units of the machine's operator.
const DefaultDir = "/etc/systemd/system"

// Unit is what the unit says.
type Unit struct {
	Exe   string   // absolute path of the program
	State string   // absolute path of the state directory
	User  string   // "" or root for root
	Args  []string // further flags of watchbill agent run
}

var text = template.Must(template.New("").Parse(`# Made by "watchbill agent install".
[Unit]
Description=Watchbill node agent
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
# After an update: the program before it comes back when the new one cannot start.
ExecStartPre=-{{.Exe}}.previous agent guard --state {{.State}} --program {{.Exe}}
ExecStart={{.Exe}} agent run --state {{.State}}{{range .Args}} {{.}}{{end}}
{{- if .Plain}}
User={{.User}}
NoNewPrivileges=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
RestrictSUIDSGID=yes
{{- end}}
Restart=always
RestartSec=2
# Each command gets a control group of its own below this one.
Delegate=yes
# A restart of the program does not end what commands have left running.
KillMode=process
TimeoutStopSec=30
OOMPolicy=continue
OOMScoreAdjust=-200
LimitCORE=0
UMask=0077
LockPersonality=yes
RestrictRealtime=yes
Environment=GOMEMLIMIT=256MiB GOGC=50

[Install]
WantedBy=multi-user.target
`))

var (
	pathForm = regexp.MustCompile(`^/[A-Za-z0-9_./+:@-]*$`)
	userForm = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`)
	flagForm = regexp.MustCompile(`^--[a-z-]+(=[A-Za-z0-9._/-]+)?$`)
)

// Text is the unit's file. Paths and names that would need quoting are
// refused.
func (u Unit) Text() (string, error) {
	for _, path := range []string{u.Exe, u.State} {
		if !pathForm.MatchString(path) {
			return "", fmt.Errorf("%q is not an absolute path of letters, digits and ._/+:@-", path)
		}
	}
	if u.User != "" && !userForm.MatchString(u.User) {
		return "", fmt.Errorf("%q is not the name of a user", u.User)
	}
	for _, a := range u.Args {
		if !flagForm.MatchString(a) {
			return "", fmt.Errorf("%q is not a flag", a)
		}
	}
	var b bytes.Buffer
	err := text.Execute(&b, struct {
		Unit
		Plain bool
	}{u, u.User != "" && u.User != "root"})
	return b.String(), err
}

// Install writes the unit into a directory of systemd, and starts it where
// systemd runs.
func Install(u Unit, dir string) error {
	unit, err := u.Text()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, Name), []byte(unit), 0o644); err != nil {
		return err
	}
	if !running(dir) {
		return nil
	}
	return systemctl([]string{"daemon-reload"}, []string{"enable", "--now", Name})
}

// Uninstall stops the unit and removes its file. The state directory stays.
func Uninstall(dir string) error {
	if running(dir) {
		if err := systemctl([]string{"disable", "--now", Name}); err != nil {
			return err
		}
	}
	err := os.Remove(filepath.Join(dir, Name))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is not installed in %s", Name, dir)
	}
	if err == nil && running(dir) {
		err = systemctl([]string{"daemon-reload"})
	}
	return err
}

// running says whether systemd runs here and reads the directory.
func running(dir string) bool {
	_, err := os.Stat("/run/systemd/system")
	return err == nil && filepath.Clean(dir) == DefaultDir
}

func systemctl(calls ...[]string) error {
	for _, args := range calls {
		if out, err := exec.Command("systemctl", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("systemctl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}
