package server

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/watchbill/watchbill/internal/wire"
)

// States of an operation.
const (
	implemented   = "implemented"
	partial       = "partial"
	unimplemented = "unimplemented"
)

// OperationState is one of the 216 operations and what there is of it.
type OperationState struct {
	Service    string `json:"service"`
	Operation  string `json:"operation"`
	Capability string `json:"capability"`
	State      string `json:"state"`
	Missing    string `json:"missing,omitzero"` // of a partial one
}

//go:embed capabilities.tsv
var capabilitiesTSV string

//go:embed partial.tsv
var partialTSV string

// OperationStates lists the 216 operations in the order of service and name.
func OperationStates() []OperationState {
	bound := map[string]bool{}
	for _, b := range bindings(&capabilities{}) {
		bound[operationKey(b)] = true
	}
	missing := map[string]string{}
	for f := range table(partialTSV) {
		missing[f[0]+":"+f[1]] = f[2]
	}
	var out []OperationState
	for f := range table(capabilitiesTSV) {
		o := OperationState{Service: f[0], Operation: f[1], Capability: f[2], State: unimplemented}
		key := o.Service + ":" + o.Operation
		if bound[key] {
			o.State = implemented
		}
		if o.Missing = missing[key]; o.Missing != "" && bound[key] {
			o.State = partial
		}
		out = append(out, o)
	}
	return out
}

func operationKey(b wire.Binding) string { return b.Model.Service + ":" + b.Operation.Name }

// table reads the rows of a TSV text.
func table(text string) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" && !yield(strings.SplitN(line, "\t", 3)) {
				return
			}
		}
	}
}

// PrintOperations writes the list, as a table or as JSON.
func PrintOperations(w io.Writer, asJSON bool) error {
	states := OperationStates()
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(states)
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, o := range states {
		state := o.State
		if o.Missing != "" {
			state += ": " + o.Missing
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", o.Service, o.Operation, o.Capability, state)
	}
	_, _ = fmt.Fprintf(t, "\n%s\n", tally(states))
	return t.Flush()
}

func tally(states []OperationState) string {
	n := map[string]int{}
	for _, o := range states {
		n[o.State]++
	}
	var parts []string
	for _, s := range slices.Sorted(slices.Values([]string{implemented, partial, unimplemented})) {
		parts = append(parts, fmt.Sprintf("%d %s", n[s], s))
	}
	return fmt.Sprintf("%d operations: %s", len(states), strings.Join(parts, ", "))
}
