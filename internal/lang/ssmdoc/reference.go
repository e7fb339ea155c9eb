package ssmdoc

import (
	"slices"
	"strings"
)

// globals are the references that every Automation execution has.
var globals = []string{
	"global:DATE", "global:DATE_TIME", "global:REGION", "global:ACCOUNT_ID", "global:AWS_PARTITION", "automation:EXECUTION_ID",
}

// checkReferences wants every reference of a step to name something that the
// document has. The text of a script keeps what it does not know, since
// doubled braces are common there.
func (c *automation) checkReferences(at place, s *Step) error {
	for _, key := range []string{"timeoutSeconds", "maxAttempts"} {
		if err := eachText(at.key(key), s.Node.Get(key), c.checkText); err != nil {
			return err
		}
	}
	if s.Inputs == nil {
		return nil
	}
	at = at.key("inputs")
	for _, f := range s.Inputs.Fields {
		if s.Action == "aws:executeScript" && f.Key == "Script" || s.Action == "aws:loop" && f.Key == "Steps" {
			continue
		}
		if err := eachText(at.key(f.Key), f.Value, c.checkText); err != nil {
			return err
		}
	}
	return nil
}

func (c *automation) checkText(at place, n *Node) error {
	for _, name := range References(n.Text) {
		if err := c.checkReference(at, n.Line, name); err != nil {
			return err
		}
	}
	return nil
}

func (c *automation) checkReference(at place, line int, name string) error {
	kind, rest, qualified := strings.Cut(name, ":")
	if qualified {
		return c.checkQualified(at, line, name, kind, rest)
	}
	if c.doc.Parameter(name) != nil || name == "RESOURCE_ID" {
		return nil
	}
	step, output, dotted := strings.Cut(name, ".")
	if !dotted {
		return at.errorf(line, "reference to undefined parameter %q", name)
	}
	if step == "loop" && c.steps["loop"] == nil { // {{ loop.CurrentIteratorValue }} of the loop around
		return nil
	}
	if err := c.checkOutput(step, output); err != nil {
		return at.errorf(line, "reference to undefined output %q: %v", name, err)
	}
	return nil
}

func (c *automation) checkQualified(at place, line int, name, kind, rest string) error {
	switch kind {
	case "global", "automation":
		if slices.Contains(globals, name) {
			return nil
		}
	case "variable":
		if slices.ContainsFunc(c.doc.Variables, func(v Variable) bool { return v.Name == rest }) {
			return nil
		}
		return at.errorf(line, "reference to undefined variable %q", rest)
	case "ssm", "ssm-secure":
		return at.errorf(line, "a Parameter Store reference is allowed in the default of a parameter only")
	}
	return at.errorf(line, "unknown reference %q", name)
}

// checkRole allows parameters in assumeRole, and nothing that only a run has.
func (c *automation) checkRole() error {
	n := c.doc.Root.Get("assumeRole")
	at := place{}.key("assumeRole")
	for _, name := range References(c.doc.AssumeRole) {
		if strings.HasPrefix(name, "ssm:") {
			return at.errorf(n.Line, "a Parameter Store reference is not supported here")
		}
		if c.doc.Parameter(name) == nil && !slices.Contains(globals, name) {
			return at.errorf(n.Line, "reference to undefined parameter %q", name)
		}
	}
	return nil
}
