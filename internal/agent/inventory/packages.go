package inventory

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
)

// applications are the packages of every package manager that there is.
func (k *Collector) applications(ctx context.Context) ([]Entry, error) {
	var out []Entry
	for _, list := range []func(context.Context) ([]Entry, error){k.dpkg, k.apk, k.rpm} {
		entries, err := list(ctx)
		if err != nil && !os.IsNotExist(err) {
			return nil, err
		}
		out = append(out, entries...)
	}
	slices.SortFunc(out, func(a, b Entry) int {
		return strings.Compare(a["Name"]+"\x00"+a["Architecture"]+"\x00"+a["Version"], b["Name"]+"\x00"+b["Architecture"]+"\x00"+b["Version"])
	})
	return out, nil
}

// stanzas reads blocks of lines that an empty line ends; field splits a line
// into a name and a value.
func stanzas(path string, field func(line string) (name, value string, ok bool)) ([]Entry, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []Entry
	one := Entry{}
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		if s.Text() == "" {
			out, one = append(out, one), Entry{}
		} else if name, value, ok := field(s.Text()); ok {
			one[name] = value
		}
	}
	if len(one) > 0 {
		out = append(out, one)
	}
	return out, s.Err()
}

func (k *Collector) dpkg(context.Context) ([]Entry, error) {
	rows, err := stanzas(k.path("var/lib/dpkg/status"), func(line string) (string, string, bool) {
		if line[0] == ' ' || line[0] == '\t' {
			return "", "", false
		}
		return strings.Cut(line, ": ")
	})
	var out []Entry
	for _, p := range rows {
		if !strings.HasSuffix(p["Status"], " installed") {
			continue
		}
		epoch, version, ok := strings.Cut(p["Version"], ":")
		if !ok {
			epoch, version = "", p["Version"]
		}
		version, release := cutLast(version, "-")
		out = append(out, application(Entry{
			"Name": p["Package"], "Version": version, "Release": release, "Epoch": epoch, "Publisher": p["Maintainer"],
			"ApplicationType": p["Section"], "Architecture": p["Architecture"], "URL": p["Homepage"], "Summary": p["Description"],
		}))
	}
	return out, err
}

func (k *Collector) apk(context.Context) ([]Entry, error) {
	rows, err := stanzas(k.path("lib/apk/db/installed"), func(line string) (string, string, bool) {
		name, value, ok := strings.Cut(line, ":")
		return name, value, ok && len(name) == 1
	})
	var out []Entry
	for _, p := range rows {
		if p["P"] == "" {
			continue
		}
		version, release := cutLast(p["V"], "-r")
		out = append(out, application(Entry{
			"Name": p["P"], "Version": version, "Release": release, "Publisher": p["m"], "Architecture": p["A"], "URL": p["U"], "Summary": p["T"],
		}))
	}
	return out, err
}

// rpmFormat writes one package in a line of fields.
const rpmFormat = `%{NAME}\t%{VERSION}\t%{RELEASE}\t%{EPOCH}\t%{VENDOR}\t%{GROUP}\t%{ARCH}\t%{URL}\t%{SUMMARY}\n`

// rpm asks the program: its database has had three forms.
func (k *Collector) rpm(ctx context.Context) ([]Entry, error) {
	if _, err := os.Stat(k.path("var/lib/rpm")); err != nil {
		if _, err = os.Stat(k.path("usr/lib/sysimage/rpm")); err != nil {
			return nil, err
		}
	}
	program, err := exec.LookPath("rpm")
	if err != nil {
		return nil, nil // an empty database of another system
	}
	text, err := exec.CommandContext(ctx, program, "-qa", "--root", k.Root, "--queryformat", rpmFormat).Output()
	if err != nil {
		return nil, fmt.Errorf("rpm: %w", err)
	}
	return rpmPackages(string(text)), nil
}

func rpmPackages(text string) []Entry {
	names := []string{"Name", "Version", "Release", "Epoch", "Publisher", "ApplicationType", "Architecture", "URL", "Summary"}
	var out []Entry
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) != len(names) {
			continue
		}
		e := Entry{}
		for i, f := range fields {
			if f != "(none)" {
				e[names[i]] = f
			}
		}
		out = append(out, application(e))
	}
	return out
}

// application drops the members that are not known.
func application(e Entry) Entry {
	for name, value := range e {
		if value == "" {
			delete(e, name)
		}
	}
	return e
}

func cutLast(s, sep string) (before, after string) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):]
	}
	return s, ""
}

// components are the programs of the hub itself.
func (k *Collector) components() []Entry {
	return []Entry{{
		"Name": "watchbill-agent", "Version": k.Version, "Publisher": "Watchbill", "ApplicationType": "admin", "Architecture": runtime.GOARCH,
	}}
}
