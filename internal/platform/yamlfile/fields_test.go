package yamlfile_test

import (
	"encoding/json"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/watchbill/watchbill/internal/platform/yamlfile"
)

func node(t *testing.T, text string) *yaml.Node {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Content[0]
}

func TestMapping(t *testing.T) {
	for text, want := range map[string]string{
		"name: x\non: true\ntags: {a: b}\nlist: [c]\n": "",
		"- x":                   "line 1: the file must be a mapping",
		"name: x\nother: y":     `line 2: the file has no field "other" (known: list, name, on, tags)`,
		"name: x\nname: y":      `line 2: the file has the field "name" twice`,
		"name:":                 "line 1: name must be a text",
		"on: 1":                 "line 1: on must be true or false",
		"\nlist: c":             "line 2: list must be a list",
		"list: [{}]":            "line 1: an element must be a text",
		"tags: x":               "line 1: tags must be a mapping of names to texts",
		"tags:\n  a: b\n  a: c": `line 3: tags has "a" twice`,
		"tags:\n  a: []":        "line 2: tags a must be a text",
	} {
		var name, element string
		var on bool
		var tags map[string]string
		err := yamlfile.Mapping(node(t, text), "the file", yamlfile.Fields{
			"name": yamlfile.Text("name", &name), "on": yamlfile.Flag("on", &on),
			"tags": yamlfile.Texts("tags", &tags), "list": yamlfile.List("list", yamlfile.Text("an element", &element)),
		})
		if err == nil && (name != "x" || !on || tags["a"] != "b" || element != "c") {
			t.Errorf("%q: %v %v %v %v", text, name, on, tags, element)
		}
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// A line of the JSON is the same line of the file.
func TestJSONKeepsLines(t *testing.T) {
	data, shift, err := yamlfile.JSON(node(t, "\na: 1\nb:\n  - yes\n  - \"x\"\n  - 0o7\nc: null\n"))
	if err != nil || !json.Valid(data) {
		t.Fatalf("%s, %v", data, err)
	}
	lines := strings.Split(string(data), "\n")
	if shift != 1 || !strings.Contains(lines[3], `"x"`) {
		t.Errorf("shift %d: %q", shift, lines)
	}
	if _, _, err := yamlfile.JSON(node(t, "a: &x 1\nb: *x\n")); err == nil || err.Error() != "line 2: aliases and anchors are not read here" {
		t.Error(err)
	}
}
