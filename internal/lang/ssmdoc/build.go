package ssmdoc

// build fills a Document from its root. A root without schemaVersion (an
// application configuration, a template of another service) is left as a tree.
func build(root *Node) (*Document, error) {
	d := &Document{Root: root}
	if root.Get("schemaVersion") == nil {
		return d, nil
	}
	top := place{}
	for _, key := range []string{"schemaVersion", "description", "assumeRole", "sessionType"} {
		if err := top.key(key).want(root.Get(key), String, Number, Null); err != nil {
			return nil, err
		}
	}
	d.SchemaVersion = root.Get("schemaVersion").Str()
	d.Description = root.Get("description").Str()
	d.AssumeRole = root.Get("assumeRole").Str()
	d.SessionType = root.Get("sessionType").Str()
	for _, fill := range []func(*Node) error{d.buildParameters, d.buildVariables, d.buildSteps, d.buildOutputs} {
		if err := fill(root); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (d *Document) buildParameters(root *Node) error {
	at, n := place{}.key("parameters"), root.Get("parameters")
	if err := at.want(n, Map, Null); err != nil || n == nil {
		return err
	}
	for _, f := range n.Fields {
		p, err := buildParameter(at.key(f.Key), f)
		if err != nil {
			return err
		}
		d.Parameters = append(d.Parameters, p)
	}
	return nil
}

func buildParameter(at place, f Field) (Parameter, error) {
	n, p := f.Value, Parameter{Name: f.Key, Line: f.Line}
	if err := at.want(n, Map); err != nil {
		return p, err
	}
	for _, key := range []string{"type", "description", "allowedPattern", "displayType"} {
		if err := at.key(key).want(n.Get(key), String, Null); err != nil {
			return p, err
		}
	}
	p.Type = n.Get("type").Str()
	p.Description = n.Get("description").Str()
	p.AllowedPattern = n.Get("allowedPattern").Str()
	p.DisplayType = n.Get("displayType").Str()
	if v := n.Get("default"); v != nil && v.Kind != Null {
		p.Default = v
	}
	if err := at.key("allowedValues").want(n.Get("allowedValues"), List, Null); err != nil {
		return p, err
	}
	if v := n.Get("allowedValues"); v != nil && v.Kind == List {
		p.AllowedValues = v.Any().([]any)
	}
	return p, p.buildLimits(at, n)
}

func (p *Parameter) buildLimits(at place, n *Node) error {
	limits := []struct {
		key string
		to  **int
	}{{"minChars", &p.MinChars}, {"maxChars", &p.MaxChars}, {"minItems", &p.MinItems}, {"maxItems", &p.MaxItems}}
	for _, l := range limits {
		v := n.Get(l.key)
		if v == nil || v.Kind == Null {
			continue
		}
		i, ok := v.Int()
		if !ok || i < 0 || i > MaxContent {
			return at.key(l.key).errorf(v.Line, "must be a whole number from 0 to %d", MaxContent)
		}
		*l.to = new(int(i))
	}
	return nil
}

func (d *Document) buildVariables(root *Node) error {
	at, n := place{}.key("variables"), root.Get("variables")
	if err := at.want(n, Map, Null); err != nil || n == nil {
		return err
	}
	for _, f := range n.Fields {
		if err := at.key(f.Key).want(f.Value, Map); err != nil {
			return err
		}
		v := Variable{Name: f.Key, Type: f.Value.Get("type").Str(), Line: f.Line}
		if def := f.Value.Get("default"); def != nil && def.Kind != Null {
			v.Default = def
		}
		d.Variables = append(d.Variables, v)
	}
	return nil
}

func (d *Document) buildOutputs(root *Node) error {
	at, n := place{}.key("outputs"), root.Get("outputs")
	if n != nil && n.Kind == Map { // Session and package documents use the word otherwise
		return nil
	}
	if err := at.want(n, List, Null); err != nil || n == nil {
		return err
	}
	for i, item := range n.Items {
		if err := at.index(i).want(item, String); err != nil {
			return err
		}
		d.Outputs = append(d.Outputs, item.Str())
	}
	return nil
}
