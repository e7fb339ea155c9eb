package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Types of sessions.
const (
	standardStream         = "Standard_Stream"
	interactiveCommands    = "InteractiveCommands"
	nonInteractiveCommands = "NonInteractiveCommands"
	portSession            = "Port"
)

// document is a session document (schema version 1.0) as the hub sends it.
type document struct {
	SchemaVersion string               `json:"schemaVersion"`
	SessionType   string               `json:"sessionType"`
	Parameters    map[string]parameter `json:"parameters"`
	Inputs        json.RawMessage      `json:"inputs"`
	Properties    json.RawMessage      `json:"properties"`
}

type parameter struct {
	Type              string          `json:"type"`
	Default           json.RawMessage `json:"default"`
	InterpolationType string          `json:"interpolationType"`
}

// inputs are the preferences of a session that the node follows. Time limits
// and recording are the hub's.
type inputs struct {
	KMSKeyID         string   `json:"kmsKeyId"`
	RunAsEnabled     flag     `json:"runAsEnabled"`
	RunAsDefaultUser string   `json:"runAsDefaultUser"`
	ShellProfile     platform `json:"shellProfile"`
}

type platform struct {
	Linux   string `json:"linux"`
	Windows string `json:"windows"`
	MacOS   string `json:"macos"`
}

// byPlatform is what commands have for each platform, or for all: some
// documents have the members without a platform.
type byPlatform[T any] struct {
	Linux   *T `json:"linux"`
	Windows *T `json:"windows"`
	MacOS   *T `json:"macos"`
}

func (b byPlatform[T]) platforms() map[string]*T {
	return map[string]*T{"linux": b.Linux, "windows": b.Windows, "darwin": b.MacOS}
}

// commands are the properties of both types of command sessions.
type commands struct {
	byPlatform[command]
	command
}

type command struct {
	Commands              string `json:"commands"`
	RunAsElevated         flag   `json:"runAsElevated"`
	SeparateOutputStream  flag   `json:"separateOutputStream"`
	StdOutSeparatorPrefix string `json:"stdOutSeparatorPrefix"`
	StdErrSeparatorPrefix string `json:"stdErrSeparatorPrefix"`
}

// templates are the texts of commands with their references.
type templates struct {
	byPlatform[template]
	template
}

type template struct {
	Commands string `json:"commands"`
}

// port are the properties of a Port session.
type port struct {
	PortNumber string `json:"portNumber"`
	Host       string `json:"host"`
	Type       string `json:"type"` // LocalPortForwarding, or "" for one connection over stdin and stdout
}

// flag is a boolean that documents also write as a text.
type flag bool

func (f *flag) UnmarshalJSON(b []byte) error {
	switch string(bytes.ToLower(bytes.Trim(b, `"`))) {
	case "true":
		*f = true
	case "false", "", "null":
		*f = false
	default:
		return fmt.Errorf("%s is neither true nor false", b)
	}
	return nil
}

// values are the parameters of a session by the text of their reference, and
// those that go to the program's environment.
type values struct {
	text map[string]string
	env  []string
}

// reference is {{ name }}, {{ ssm:name }} or {{ ssm-secure:name }}.
var reference = regexp.MustCompile(`\{\{\s*([A-Za-z0-9_]+|ssm(?:-secure)?:[/\w.:-]+)\s*\}\}`)

// fill replaces the references in a text once: what a value brings in is not
// looked at again.
func (v values) fill(in string) string {
	return reference.ReplaceAllStringFunc(in, func(ref string) string {
		if value, ok := v.text[reference.FindStringSubmatch(ref)[1]]; ok {
			return value
		}
		return ref
	})
}

// fillAll replaces the references in every string of a JSON value.
func (v values) fillAll(in any) any {
	switch in := in.(type) {
	case string:
		return v.fill(in)
	case []any:
		for i := range in {
			in[i] = v.fillAll(in[i])
		}
	case map[string]any:
		for k := range in {
			in[k] = v.fillAll(in[k])
		}
	}
	return in
}

// valuesOf are the values of a document's parameters, those given or the
// defaults. A parameter with interpolationType ENV_VAR is the variable
// SSM_<name> of the program and is not written into any text.
func (d *document) valuesOf(given map[string]json.RawMessage) (values, error) {
	v := values{text: map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(d.Parameters)) {
		p := d.Parameters[name]
		raw, ok := given[name]
		if !ok {
			raw = p.Default
		}
		text, err := parameterText(raw)
		if err != nil {
			return v, fmt.Errorf("parameter %s: %w", name, err)
		}
		if p.InterpolationType == "ENV_VAR" {
			v.env = append(v.env, "SSM_"+name+"="+text)
			continue
		}
		v.text[name] = text
	}
	return v, nil
}

// parameterText is a parameter as a text. A list of one text is that text,
// for hubs that send what the API got; longer lists are JSON.
func parameterText(raw json.RawMessage) (string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return "", nil
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, noNUL(text)
	}
	var list []string
	if json.Unmarshal(raw, &list) == nil && len(list) == 1 {
		return list[0], noNUL(list[0])
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		return "", err
	}
	return compact.String(), nil
}

func noNUL(text string) error {
	if strings.ContainsRune(text, 0) {
		return errors.New("the value holds a NUL character")
	}
	return nil
}

// stored adds the stored parameters that a document names.
func (v values) stored(ctx context.Context, read func(context.Context, []string, bool) (map[string]string, error), texts ...json.RawMessage) error {
	for prefix, secure := range map[string]bool{"ssm:": false, "ssm-secure:": true} {
		names := map[string]bool{}
		for _, text := range texts {
			for _, m := range reference.FindAllSubmatch(text, -1) {
				if name, ok := strings.CutPrefix(string(m[1]), prefix); ok {
					names[name] = true
				}
			}
		}
		if len(names) == 0 {
			continue
		}
		found, err := read(ctx, slices.Sorted(maps.Keys(names)), secure)
		if err != nil {
			return err
		}
		for name := range names {
			value, ok := found[name]
			if !ok {
				return fmt.Errorf("parameter %s does not exist or may not be read by this node", name)
			}
			v.text[prefix+name] = value
		}
	}
	return nil
}

// filled decodes a part of a document with the references in it replaced.
func (v values) filled(raw json.RawMessage, out any) (json.RawMessage, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		return nil, err
	}
	b, err := json.Marshal(v.fillAll(tree))
	if err != nil {
		return nil, err
	}
	return b, json.Unmarshal(b, out)
}
