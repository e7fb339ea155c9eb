package ssmdoc

import "fmt"

func (d *Document) buildSteps(root *Node) error {
	if root.Get("runtimeConfig") != nil {
		return d.buildRuntimeConfig(root.Get("runtimeConfig"))
	}
	at, n := place{}.key("mainSteps"), root.Get("mainSteps")
	if err := at.want(n, List, Null); err != nil || n == nil {
		return err
	}
	steps, err := buildStepList(at, n)
	d.MainSteps = steps
	return err
}

func buildStepList(at place, n *Node) ([]Step, error) {
	steps := make([]Step, 0, len(n.Items))
	for i, item := range n.Items {
		s, err := buildStep(at.index(i), item)
		if err != nil {
			return nil, err
		}
		steps = append(steps, s)
	}
	return steps, nil
}

func buildStep(at place, n *Node) (Step, error) {
	s := Step{Line: n.Line, Node: n}
	if err := at.want(n, Map); err != nil {
		return s, err
	}
	for _, key := range []string{"name", "action", "description", "onFailure", "onCancel", "nextStep"} {
		if err := at.key(key).want(n.Get(key), String, Null); err != nil {
			return s, err
		}
	}
	s.Name, s.Action, s.Description = n.Get("name").Str(), n.Get("action").Str(), n.Get("description").Str()
	s.OnFailure, s.OnCancel, s.NextStep = n.Get("onFailure").Str(), n.Get("onCancel").Str(), n.Get("nextStep").Str()
	at.step = s.Name
	s.Inputs, s.Precondition = n.Get("inputs"), n.Get("precondition")
	if s.Inputs != nil && s.Inputs.Kind == Null {
		s.Inputs = nil
	}
	if err := at.key("inputs").want(s.Inputs, Map); err != nil {
		return s, err
	}
	s.TimeoutSeconds, s.MaxAttempts = n.Get("timeoutSeconds"), n.Get("maxAttempts")
	if err := s.buildFlags(at); err != nil {
		return s, err
	}
	if err := s.buildOutputs(at); err != nil {
		return s, err
	}
	return s, s.buildNested(at)
}

func (s *Step) buildFlags(at place) error {
	for _, key := range []string{"isEnd", "isCritical"} {
		v := s.Node.Get(key)
		b, ok := v.Bool()
		if v != nil && !ok {
			return at.key(key).errorf(v.Line, "must be true or false")
		}
		switch {
		case v == nil:
		case key == "isEnd":
			s.IsEnd = b
		default:
			s.IsCritical = new(b)
		}
	}
	s.FinallyStep, _ = s.Inputs.Get("finallyStep").Bool()
	s.CommandFail, s.CommandOK = s.Inputs.Get("onFailure").Str(), s.Inputs.Get("onSuccess").Str()
	return nil
}

func (s *Step) buildOutputs(at place) error {
	at = at.key("outputs")
	n := s.Node.Get("outputs")
	if err := at.want(n, List, Null); err != nil || n == nil {
		return err
	}
	for i, item := range n.Items {
		at := at.index(i)
		if err := at.want(item, Map); err != nil {
			return err
		}
		if err := at.only(item, "Name", "Selector", "Type"); err != nil {
			return err
		}
		o := Output{Name: item.Get("Name").Str(), Selector: item.Get("Selector").Str(), Type: item.Get("Type").Str(), Line: item.Line}
		s.Outputs = append(s.Outputs, o)
	}
	return nil
}

// buildNested reads the choices of an aws:branch and the steps of an aws:loop.
func (s *Step) buildNested(at place) error {
	at = at.key("inputs")
	switch s.Action {
	case "aws:branch":
		b, err := buildBranch(at, s.Inputs)
		s.Branch = b
		return err
	case "aws:loop":
		return s.buildLoop(at)
	}
	return nil
}

func (s *Step) buildLoop(at place) error {
	if n := s.Inputs.Get("LoopCondition"); n != nil {
		rule, err := buildRule(at.key("LoopCondition"), n)
		if err != nil {
			return err
		}
		s.LoopCondition = &rule
	}
	n := s.Inputs.Get("Steps")
	if err := at.key("Steps").want(n, List); err != nil || n == nil {
		return err
	}
	steps, err := buildStepList(at.key("Steps"), n)
	s.Steps = steps
	return err
}

// buildRuntimeConfig reads the plugins of schema 1.2: each property set of a
// plugin is one step. The first is named after the plugin, as the agent reports
// it; a further one after its id or its place.
func (d *Document) buildRuntimeConfig(n *Node) error {
	at := place{}.key("runtimeConfig")
	if err := at.want(n, Map); err != nil {
		return err
	}
	for _, plugin := range n.Fields {
		at := at.key(plugin.Key)
		if err := at.want(plugin.Value, Map); err != nil {
			return err
		}
		properties := plugin.Value.Get("properties")
		if err := at.key("properties").want(properties, List, Map, String); err != nil {
			return err
		}
		sets := []*Node{properties}
		if properties != nil && properties.Kind == List {
			sets = properties.Items
		}
		for i, set := range sets {
			if err := d.addProperty(at.key("properties").index(i), plugin, i, set); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *Document) addProperty(at place, plugin Field, i int, set *Node) error {
	s := Step{Action: plugin.Key, Line: plugin.Line, Node: plugin.Value, Inputs: set}
	if set != nil && set.Kind == String { // the whole set is one reference
		s.Inputs = &Node{Kind: Map, Line: set.Line, Fields: []Field{{Key: "properties", Line: set.Line, Value: set}}}
	} else if err := at.want(set, Map); err != nil {
		return err
	}
	if i == 0 {
		s.Name = plugin.Key
	} else if s.Name = s.Inputs.Get("id").Str(); s.Name == "" {
		s.Name = fmt.Sprintf("%d.%s", i, plugin.Key)
	}
	d.MainSteps = append(d.MainSteps, s)
	return nil
}
