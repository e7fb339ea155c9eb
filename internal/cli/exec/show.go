package exec

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// noCode is the exit code of a node on which the command has none.
const noCode = 255

// result is what came of a command on a node; a line of --json.
type result struct {
	CommandID     string `json:"commandId"`
	InstanceID    string `json:"instanceId"`
	Name          string `json:"name,omitzero"`
	Status        string `json:"status"`
	StatusDetails string `json:"statusDetails"`
	Why           string `json:"why,omitzero"`
	ExitCode      *int   `json:"exitCode,omitzero"`
	Stdout        string `json:"stdout"`
	Stderr        string `json:"stderr"`
}

func (r *result) code() int {
	switch {
	case r.Status == "Success":
		return 0
	case r.ExitCode != nil && *r.ExitCode > 0:
		return min(*r.ExitCode, noCode)
	}
	return noCode
}

// label names a node for people.
func (r *result) label() string {
	if r.Name == "" {
		return r.InstanceID
	}
	return r.InstanceID + " (" + r.Name + ")"
}

// heading tells how it ended.
func (r *result) heading() string {
	text := r.StatusDetails
	if r.ExitCode != nil {
		text += fmt.Sprintf(", exit code %d", *r.ExitCode)
	}
	if r.Why != "" && (r.ExitCode == nil || *r.ExitCode == 0) {
		text += ": " + r.Why
	}
	return text
}

// same says that two results are told together.
func (r *result) same(o *result) bool {
	return r.heading() == o.heading() && r.Stdout == o.Stdout && r.Stderr == o.Stderr
}

// show gathers results and tells them.
type show struct {
	json     bool
	out, err io.Writer
	results  map[string]result // by node: a target may come twice
	heard    bool              // the output of the only node was shown already
}

func newShow(asJSON bool, out, err io.Writer) *show {
	return &show{json: asJSON, out: out, err: err, results: map[string]result{}}
}

func (s *show) add(r result) error {
	key := r.CommandID + "/" + r.InstanceID
	_, known := s.results[key]
	s.results[key] = r
	if known || !s.json {
		return nil
	}
	return json.NewEncoder(s.out).Encode(r)
}

// finish tells the results and answers the worst exit code.
func (s *show) finish() (code int) {
	list := make([]result, 0, len(s.results))
	for _, r := range s.results {
		list = append(list, r)
		code = max(code, r.code())
	}
	if s.json {
		return code
	}
	slices.SortFunc(list, func(a, b result) int { return strings.Compare(a.InstanceID, b.InstanceID) })
	if len(list) == 1 {
		s.alone(&list[0])
		return code
	}
	for _, group := range groups(list) {
		s.tell(group)
	}
	return code
}

// alone gives the output of the only node as if it had run here.
func (s *show) alone(r *result) {
	if !s.heard {
		_, _ = io.WriteString(s.out, r.Stdout)
		_, _ = io.WriteString(s.err, r.Stderr)
	}
	if r.Status != "Success" {
		_, _ = fmt.Fprintf(s.err, "%s: %s\n", r.label(), r.heading())
	}
}

// groups joins the results that are the same, the largest group first.
func groups(list []result) [][]result {
	var out [][]result
	for _, r := range list {
		at := slices.IndexFunc(out, func(g []result) bool { return g[0].same(&r) })
		if at < 0 {
			out = append(out, []result{r})
			continue
		}
		out[at] = append(out[at], r)
	}
	slices.SortStableFunc(out, func(a, b []result) int { return len(b) - len(a) })
	return out
}

func (s *show) tell(group []result) {
	names := make([]string, len(group))
	for i := range group {
		names[i] = group[i].label()
	}
	first := &group[0]
	noun := "nodes"
	if len(group) == 1 {
		noun = "node"
	}
	_, _ = fmt.Fprintf(s.out, "---- %d %s: %s\n     %s\n", len(group), noun, first.heading(), strings.Join(names, ", "))
	line(s.out, first.Stdout)
	if first.Stderr != "" {
		_, _ = fmt.Fprintln(s.out, "  -- stderr")
		line(s.out, first.Stderr)
	}
}

// line writes a text that ends with its line.
func line(w io.Writer, text string) {
	if text == "" {
		return
	}
	_, _ = io.WriteString(w, text)
	if !strings.HasSuffix(text, "\n") {
		_, _ = io.WriteString(w, "\n")
	}
}
