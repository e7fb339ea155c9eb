package runner

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The limits of timeoutSeconds; a value outside them counts as the default,
// as on AWS.
const (
	minTimeout     = 5 * time.Second
	maxTimeout     = 172_800 * time.Second
	defaultTimeout = 3_600 * time.Second
)

// script is the input of a script plug-in.
type script struct {
	text    string
	dir     string
	timeout time.Duration
}

func scriptOf(inputs map[string]any) (script, error) {
	lines, err := lines(inputs["runCommand"])
	if err != nil {
		return script{}, err
	}
	dir := ""
	if inputs["workingDirectory"] != nil {
		dir = strings.TrimSpace(asText(inputs["workingDirectory"]))
	}
	return script{
		text:    strings.Join(lines, "\n") + "\n",
		dir:     dir,
		timeout: timeoutOf(inputs["timeoutSeconds"]),
	}, nil
}

func lines(in any) ([]string, error) {
	switch in := in.(type) {
	case string:
		return []string{in}, nil
	case []any:
		out := make([]string, len(in))
		for i, e := range in {
			line, ok := e.(string)
			if !ok {
				return nil, fmt.Errorf("runCommand: line %d is not a string", i+1)
			}
			out[i] = line
		}
		return out, nil
	case nil:
		return nil, fmt.Errorf("runCommand is missing")
	}
	return nil, fmt.Errorf("runCommand is not a list of strings")
}

func timeoutOf(in any) time.Duration {
	seconds, err := strconv.ParseFloat(strings.TrimSpace(asText(in)), 64)
	if err != nil || !(seconds >= minTimeout.Seconds() && seconds <= maxTimeout.Seconds()) {
		return defaultTimeout
	}
	return time.Duration(seconds * float64(time.Second))
}

// flag reads a boolean input, given as a boolean or as text.
func flag(inputs []map[string]any, name string) bool {
	return has(inputs, name, "true")
}

// has says whether an input has a value, in any letter case.
func has(inputs []map[string]any, name, want string) bool {
	for _, in := range inputs {
		if v, ok := in[name]; ok && strings.EqualFold(asText(v), want) {
			return true
		}
	}
	return false
}
