package runner

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Document is the content of a command document (schema 1.2, 2.0 or 2.2) as
// the hub sends it.
type Document struct {
	SchemaVersion string                   `json:"schemaVersion"`
	Parameters    map[string]ParameterRule `json:"parameters"`
	RuntimeConfig map[string]PluginConfig  `json:"runtimeConfig"`
	MainSteps     []Step                   `json:"mainSteps"`
}

// ParameterRule is what the runner needs of a document parameter; the hub has
// checked the rest (patterns, allowed values) before it sent the command.
type ParameterRule struct {
	Type              string `json:"type"`
	Default           any    `json:"default"`
	InterpolationType string `json:"interpolationType"`
}

// PluginConfig is a plug-in of schema 1.2: one set of inputs or a list of them.
type PluginConfig struct {
	Properties any `json:"properties"`
}

// Step is one step of schema 2.x.
type Step struct {
	Action       string              `json:"action"`
	Name         string              `json:"name"`
	Precondition map[string][]string `json:"precondition"`
	Inputs       map[string]any      `json:"inputs"`
}

// Job is a command document with the values of its parameters: a string, a
// list of strings or a map, as the document's types say.
type Job struct {
	DocumentName string
	Document     Document
	Parameters   map[string]any

	depth int // how many documents this one is inside of
}

// ParseJob reads the payload of a command, the JSON text inside an agent_job
// frame. The error names what is wrong with it.
func ParseJob(payload []byte) (Job, error) {
	var p struct {
		DocumentName    string
		DocumentContent Document
		Parameters      map[string]any
	}
	if err := json.Unmarshal(payload, &p); err != nil {
		return Job{}, fmt.Errorf("the command's payload is not valid: %w", err)
	}
	job := Job{DocumentName: p.DocumentName, Document: p.DocumentContent, Parameters: p.Parameters}
	if _, err := job.steps(); err != nil {
		return Job{}, err
	}
	return job, nil
}

// StepNames are the keys of the steps in order, as results carry them.
func (j Job) StepNames() []string {
	steps, err := j.steps()
	if err != nil {
		return nil
	}
	names := make([]string, len(steps))
	for i, s := range steps {
		names[i] = s.name
	}
	return names
}

// step is a step of either schema: several inputs only in schema 1.2.
type step struct {
	name         string
	action       string
	precondition map[string][]string
	inputs       []map[string]any
}

func (j Job) steps() ([]step, error) {
	var steps []step
	var err error
	switch j.Document.SchemaVersion {
	case "1.0", "1.2":
		steps, err = j.Document.configured()
	case "2.0", "2.0.1", "2.0.2", "2.0.3", "2.2":
		steps, err = j.Document.main()
	default:
		return nil, fmt.Errorf("document schema version %q is not supported (1.2, 2.0 and 2.2 are)", j.Document.SchemaVersion)
	}
	if err == nil && len(steps) == 0 {
		err = fmt.Errorf("document %s has no steps", j.DocumentName)
	}
	return steps, err
}

func (d Document) main() ([]step, error) {
	var steps []step
	seen := map[string]bool{}
	for i, s := range d.MainSteps {
		if s.Action == "" || s.Name == "" {
			return nil, fmt.Errorf("step %d of the document has no action or no name", i+1)
		}
		if seen[s.Name] {
			return nil, fmt.Errorf("the document has two steps named %s", s.Name)
		}
		seen[s.Name] = true
		steps = append(steps, step{s.Name, s.Action, s.Precondition, []map[string]any{s.Inputs}})
	}
	return steps, nil
}

// configured lists the plug-ins of schema 1.2 by name: JSON objects have no
// order and AWS promises none.
func (d Document) configured() ([]step, error) {
	var steps []step
	for _, name := range slices.Sorted(maps.Keys(d.RuntimeConfig)) {
		s := step{name: name, action: name}
		switch p := d.RuntimeConfig[name].Properties.(type) {
		case map[string]any:
			s.inputs = []map[string]any{p}
		case []any:
			for _, one := range p {
				inputs, ok := one.(map[string]any)
				if !ok {
					return nil, fmt.Errorf("the properties of %s are not a list of objects", name)
				}
				s.inputs = append(s.inputs, inputs)
			}
		default:
			return nil, fmt.Errorf("%s has no properties", name)
		}
		steps = append(steps, s)
	}
	return steps, nil
}
