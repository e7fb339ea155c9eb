package inventory

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/agent/runner"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const dpkgStatus = `Package: bash
Status: install ok installed
Section: shells
Maintainer: Someone <someone@example.com>
Architecture: amd64
Version: 1:5.2.15-2+b7
Description: a shell
 with more lines
Homepage: https://example.com/bash

Package: gone
Status: deinstall ok config-files
Version: 1
`

const apkInstalled = `C:Q1abc=
P:musl
V:1.2.4-r2
A:x86_64
T:the C library
U:https://example.com/musl
m:Some One
F:lib
R:ld.so

`

// machine is a file system of its own.
func machine(t *testing.T) *Collector {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"var/lib/dpkg/status":  dpkgStatus,
		"lib/apk/db/installed": apkInstalled,
		"proc/cpuinfo":         "processor\t: 0\nmodel name\t: A CPU\ncpu MHz\t\t: 2500.123\nphysical id\t: 0\ncore id\t\t: 0\n\nprocessor\t: 1\nmodel name\t: A CPU\nphysical id\t: 0\ncore id\t\t: 0\n\n",
		"proc/net/route":       "Iface\tDestination\tGateway\neth0\t00000000\t0102A8C0\t0003\neth0\t0002A8C0\t00000000\t0001\n",
		"etc/resolv.conf":      "# x\nnameserver 192.0.2.53\nnameserver 192.0.2.54\n",
		"etc/a.conf":           "12345",
		"etc/sub/b.conf":       "",
		"etc/c.txt":            "",
		"custom/rack.json":     `{"TypeName":"Custom:Rack","SchemaVersion":"1.0","Content":{"Room":"B"}}`,
	} {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return &Collector{Root: root, State: filepath.Join(root, "state"), Custom: filepath.Join(root, "custom"), Version: "1.2.3.4"}
}

func run(t *testing.T, k *Collector, inputs map[string]any) runner.Result {
	t.Helper()
	payload, err := json.Marshal(map[string]any{"DocumentContent": map[string]any{
		"schemaVersion": "2.2", "mainSteps": []any{map[string]any{"action": "aws:softwareInventory", "name": "collect", "inputs": inputs}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	job, err := runner.ParseJob(payload)
	if err != nil {
		t.Fatal(err)
	}
	var res runner.Result
	r := &runner.Runner{Plugins: map[string]runner.Plugin{"aws:softwareInventory": k.Plugin}}
	r.Run(t.Context(), t.TempDir(), job, runner.Progress{}, func(one runner.Result) { res = one })
	return res
}

func TestInventory(t *testing.T) {
	k := machine(t)
	var puts [][]Item
	k.Put = func(_ context.Context, items []Item) (bool, error) {
		puts = append(puts, items)
		return len(puts) == 3, map[bool]error{true: errors.New("ItemContentMismatchException")}[len(puts) == 3]
	}
	inputs := map[string]any{
		"applications": "Enabled", "awsComponents": "Enabled", "instanceDetailedInformation": "Enabled", "customInventory": "Enabled",
		"networkConfig": "Disabled", "files": `[{"Path":"/etc","Pattern":["[ab].conf"],"Recursive":true}]`,
	}
	res := run(t, k, inputs)
	if res.Status != runner.Success || len(puts) != 1 {
		t.Fatalf("%+v, %d puts", res, len(puts))
	}
	want := map[string][]Entry{
		"AWS:Application": {
			{"Name": "bash", "Epoch": "1", "Version": "5.2.15", "Release": "2+b7", "ApplicationType": "shells", "Publisher": "Someone <someone@example.com>", "Architecture": "amd64", "URL": "https://example.com/bash", "Summary": "a shell"},
			{"Name": "musl", "Version": "1.2.4", "Release": "2", "Publisher": "Some One", "Architecture": "x86_64", "URL": "https://example.com/musl", "Summary": "the C library"},
		},
		"AWS:File": {
			{"Name": "a.conf", "InstalledDir": k.path("etc"), "Size": "5"},
			{"Name": "b.conf", "InstalledDir": k.path("etc/sub"), "Size": "0"},
		},
		"Custom:Rack": {{"Room": "B"}},
	}
	got := map[string][]Entry{}
	for _, i := range puts[0] {
		got[i.TypeName] = i.Content
		if i.ContentHash == "" || !strings.HasSuffix(i.CaptureTime, "Z") {
			t.Errorf("%+v", i)
		}
	}
	if d := got["AWS:InstanceDetailedInformation"][0]; d["CPUModel"] != "A CPU" || d["CPUSockets"] != "1" || d["CPUCores"] != "1" || d["CPUHyperThreadEnabled"] != "true" {
		t.Errorf("%v", d)
	}
	if v := got["AWS:AWSComponent"][0]["Version"]; v != "1.2.3.4" {
		t.Errorf("version %q", v)
	}
	delete(got, "AWS:InstanceDetailedInformation")
	delete(got, "AWS:AWSComponent")
	ignore := cmpopts.IgnoreMapEntries(func(k, _ string) bool { return k == "ModificationTime" })
	if diff := cmp.Diff(want, got, ignore); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	run(t, k, inputs) // nothing has changed
	for _, i := range puts[1] {
		if i.Content != nil {
			t.Errorf("%s was sent again", i.TypeName)
		}
	}
	if res := run(t, k, inputs); res.Status != runner.Success || len(puts) != 4 { // the hub has lost it
		t.Fatalf("%+v, %d puts", res, len(puts))
	}
	for _, i := range puts[3] {
		if i.Content == nil {
			t.Errorf("%s came without its content", i.TypeName)
		}
	}
}

func TestNetwork(t *testing.T) {
	k := machine(t)
	if got := k.gateways()["eth0"]; got != "192.168.2.1" {
		t.Errorf("gateway %q", got)
	}
	if got := k.nameServers(); got != "192.0.2.53,192.0.2.54" {
		t.Errorf("name servers %q", got)
	}
	if _, err := k.network(); err != nil {
		t.Error(err)
	}
}

func TestRPM(t *testing.T) {
	got := rpmPackages("bash\t5.1\t2.el9\t(none)\tVendor\tUnspecified\tx86_64\thttps://example.com\tA shell\nodd line\n")
	want := []Entry{{"Name": "bash", "Version": "5.1", "Release": "2.el9", "Publisher": "Vendor", "ApplicationType": "Unspecified", "Architecture": "x86_64", "URL": "https://example.com", "Summary": "A shell"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		inputs map[string]any
		custom string
		put    error
		want   string
	}{
		"files":         {map[string]any{"files": "x"}, "", nil, "files is not a list"},
		"relative path": {map[string]any{"files": `[{"Path":"etc","Pattern":["*"]}]`}, "", nil, "not an absolute path"},
		"custom name":   {map[string]any{"customInventory": "Enabled"}, `{"TypeName":"AWS:Application","SchemaVersion":"1.0","Content":{}}`, nil, "it is not TypeName"},
		"custom value":  {map[string]any{"customInventory": "Enabled"}, `{"TypeName":"Custom:X","SchemaVersion":"1.0","Content":{"a":1}}`, nil, "it is not TypeName"},
		"hub":           {map[string]any{"awsComponents": "Enabled"}, "", errors.New("AccessDeniedException"), "was not taken: AccessDenied"},
	} {
		k := machine(t)
		k.Put = func(context.Context, []Item) (bool, error) { return false, tt.put }
		if tt.custom != "" {
			if err := os.WriteFile(filepath.Join(k.Custom, "x.json"), []byte(tt.custom), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if res := run(t, k, tt.inputs); res.Status != runner.Failed || !strings.Contains(res.Stderr, tt.want) {
			t.Errorf("%s: %+v", name, res)
		}
	}
}
