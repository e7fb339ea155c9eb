package ssmdoc

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// automation is one check of an Automation document.
type automation struct {
	doc    *Document
	steps  map[string]*Step // all of them, those inside loops too
	places map[string]int   // line of each name
	scope  []Step           // the list whose steps the current step may name
}

func (d *Document) checkAutomation() error {
	if err := (place{}).only(d.Root, automationKeys...); err != nil {
		return err
	}
	return d.checkRunbook()
}

var automationKeys = []string{"schemaVersion", "description", "assumeRole", "parameters", "variables", "mainSteps", "outputs", "files"}

func (d *Document) checkChangeTemplate() error {
	keys := append(slices.Clone(automationKeys), "templateInformation", "executableRunBooks", "emergencyChange", "autoApprovable")
	if err := (place{}).only(d.Root, keys...); err != nil {
		return err
	}
	if err := d.checkTemplateKeys(); err != nil {
		return err
	}
	if err := d.checkRunbook(); err != nil {
		return err
	}
	if len(d.MainSteps) > 5 {
		return place{}.key("mainSteps").errorf(d.Root.Get("mainSteps").Line, "a change template has at most 5 approval levels, not %d", len(d.MainSteps))
	}
	for i := range d.MainSteps {
		s := &d.MainSteps[i]
		at := place{step: s.Name}.key("mainSteps").index(i)
		if s.Action != "aws:approve" {
			return at.key("action").errorf(actionLine(s), "a change template has aws:approve steps only, not %s", s.Action)
		}
		if s.Inputs.Get("EnhancedApprovals") == nil {
			return at.key("inputs").errorf(s.Line, "an approval level of a change template needs EnhancedApprovals")
		}
	}
	return nil
}

func (d *Document) checkTemplateKeys() error {
	for _, key := range []string{"emergencyChange", "autoApprovable"} {
		v := d.Root.Get(key)
		if _, ok := v.Bool(); v != nil && !ok {
			return place{}.key(key).errorf(v.Line, "must be true or false")
		}
	}
	at, books := place{}.key("executableRunBooks"), d.Root.Get("executableRunBooks")
	if books == nil {
		return at.errorf(d.Root.Line, "a change template needs executableRunBooks")
	}
	if err := at.want(books, List); err != nil {
		return err
	}
	for i, b := range books.Items {
		if err := at.index(i).want(b, Map); err != nil {
			return err
		}
		if b.Get("name").Str() == "" {
			return at.index(i).errorf(b.Line, "name is missing")
		}
	}
	return nil
}

func (d *Document) checkRunbook() error {
	if len(d.MainSteps) == 0 {
		return &Error{Line: d.Root.Line, Message: "the document has no mainSteps"}
	}
	c := &automation{doc: d, steps: map[string]*Step{}, places: map[string]int{}}
	at := place{}.key("mainSteps")
	if err := c.collect(at, d.MainSteps); err != nil {
		return err
	}
	if err := c.checkSteps(at, d.MainSteps); err != nil {
		return err
	}
	if err := c.checkRole(); err != nil {
		return err
	}
	return c.checkOutputs()
}

var stepName = regexp.MustCompile(`^[a-zA-Z0-9_]{1,128}$`)

// commandName is wider: step names of Command documents may have - and dots.
var commandName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,128}$`)

func checkStepName(at place, s *Step, seen map[string]int) error {
	if s.Name == "" {
		return at.errorf(s.Line, "the step has no name")
	}
	line := s.Node.Get("name").Line
	if !commandName.MatchString(s.Name) || s.Name == "." || s.Name == ".." {
		return at.key("name").errorf(line, "a step name has letters, digits, _, - and . only")
	}
	if first, dup := seen[s.Name]; dup {
		return at.key("name").errorf(line, "the step name is used twice, first in line %d", first)
	}
	seen[s.Name] = line
	return nil
}

func (c *automation) collect(at place, steps []Step) error {
	for i := range steps {
		s := &steps[i]
		at := place{s.Name, at.path}.index(i)
		if err := checkStepName(at, s, c.places); err != nil {
			return err
		}
		if !stepName.MatchString(s.Name) {
			return at.key("name").errorf(s.Node.Get("name").Line, "the name of an Automation step has letters, digits and _ only")
		}
		c.steps[s.Name] = s
		if err := c.collect(at.key("inputs").key("Steps"), s.Steps); err != nil {
			return err
		}
	}
	return nil
}

// checkSteps checks one list of steps, then the way through them.
func (c *automation) checkSteps(at place, steps []Step) error {
	for i := range steps {
		s := &steps[i]
		at := place{s.Name, at.path}.index(i)
		c.scope = steps
		if err := c.checkStep(at, s); err != nil {
			return err
		}
		if s.Action == "aws:loop" {
			if len(s.Steps) == 0 {
				return at.key("inputs").key("Steps").errorf(s.Line, "needs at least one step")
			}
			if err := c.checkSteps(at.key("inputs").key("Steps"), s.Steps); err != nil {
				return err
			}
		}
	}
	return checkFlow(at, steps)
}

func (c *automation) checkStep(at place, s *Step) error {
	err := at.only(s.Node, "name", "action", "inputs", "description", "maxAttempts", "timeoutSeconds",
		"onFailure", "onCancel", "isCritical", "isEnd", "nextStep", "outputs")
	if err != nil {
		return err
	}
	if err := c.checkInputs(at, s); err != nil {
		return err
	}
	if err := c.checkNext(at, s); err != nil {
		return err
	}
	for _, key := range []string{"maxAttempts", "timeoutSeconds"} {
		v := s.Node.Get(key)
		if n, ok := v.Int(); literal(v) && (!ok || n < 1) {
			return at.key(key).errorf(v.Line, "must be a whole number from 1")
		}
	}
	if err := checkStepOutputs(at.key("outputs"), s); err != nil {
		return err
	}
	return c.checkReferences(at, s)
}

// checkNext checks the names of the steps that may follow.
func (c *automation) checkNext(at place, s *Step) error {
	if s.NextStep != "" {
		if err := c.checkTarget(at.key("nextStep"), s.Node.Get("nextStep").Line, s.NextStep); err != nil {
			return err
		}
	}
	if s.OnFailure != "" && s.OnFailure != "Abort" && s.OnFailure != "Continue" {
		if err := c.checkJump(at.key("onFailure"), s.Node.Get("onFailure"), "Abort, Continue"); err != nil {
			return err
		}
	}
	if s.OnCancel == "" || s.OnCancel == "Abort" {
		return nil
	}
	at, n := at.key("onCancel"), s.Node.Get("onCancel")
	if s.Action == "aws:loop" || s.Action == "aws:updateVariable" {
		return at.errorf(n.Line, "%s takes no onCancel", s.Action)
	}
	if err := c.checkJump(at, n, "Abort"); err != nil {
		return err
	}
	if target := c.steps[strings.TrimPrefix(s.OnCancel, "step:")]; slices.Contains(notOnCancel, target.Action) {
		return at.errorf(n.Line, "step %q is %s, which may not follow a cancel", target.Name, target.Action)
	}
	return nil
}

// notOnCancel are the actions that the way after a cancel may not start with.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/automation-actions.html
var notOnCancel = []string{
	"aws:approve", "aws:copyImage", "aws:createImage", "aws:createStack", "aws:createTags",
	"aws:pause", "aws:runInstances", "aws:sleep",
}

func (c *automation) checkJump(at place, n *Node, words string) error {
	target, ok := strings.CutPrefix(n.Str(), "step:")
	if !ok {
		return at.errorf(n.Line, "%q is not one of %s or step:name", n.Str(), words)
	}
	return c.checkTarget(at, n.Line, target)
}

func (c *automation) checkTarget(at place, line int, name string) error {
	if slices.ContainsFunc(c.scope, func(s Step) bool { return s.Name == name }) {
		return nil
	}
	if c.steps[name] != nil {
		return at.errorf(line, "step %q is not in the same list of steps", name)
	}
	return at.errorf(line, "step %q does not exist", name)
}

func checkStepOutputs(at place, s *Step) error {
	seen := map[string]bool{}
	for i, o := range s.Outputs {
		at := at.index(i)
		switch {
		case o.Name == "":
			return at.errorf(o.Line, "the output has no Name")
		case !stepName.MatchString(o.Name):
			return at.errorf(o.Line, "the name of an output has letters, digits and _ only")
		case seen[o.Name]:
			return at.errorf(o.Line, "output %q is declared twice", o.Name)
		case o.Selector == "":
			return at.errorf(o.Line, "output %q has no Selector", o.Name)
		case o.Type != "" && !slices.Contains(types, o.Type):
			return at.errorf(o.Line, "output type %q is not one of %s", o.Type, strings.Join(types, ", "))
		}
		if _, err := compilePath(o.Selector); err != nil {
			return at.errorf(o.Line, "%v", err)
		}
		seen[o.Name] = true
	}
	return nil
}

// checkOutputs wants every output of the document to be one of a step.
func (c *automation) checkOutputs() error {
	for i, name := range c.doc.Outputs {
		at := place{}.key("outputs").index(i)
		line := c.doc.Root.Get("outputs").Items[i].Line
		step, output, ok := strings.Cut(name, ".")
		if !ok {
			return at.errorf(line, "%q is not of the form step.Output", name)
		}
		if output == "*" && c.steps[step] != nil {
			continue
		}
		if err := c.checkOutput(step, output); err != nil {
			return at.errorf(line, "%v", err)
		}
	}
	return nil
}

func (c *automation) checkOutput(step, output string) error {
	s := c.steps[step]
	if s == nil {
		return fmt.Errorf("step %q does not exist", step)
	}
	declared := slices.ContainsFunc(s.Outputs, func(o Output) bool { return o.Name == output })
	if declared || output == "OutputPayload" || slices.Contains(actions[s.Action].outputs, output) {
		return nil
	}
	return fmt.Errorf("step %q has no output %q", step, output)
}
