package ssmdoc

import (
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// maxSleep is the longest aws:sleep.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/automation-action-sleep.html
const maxSleep = 604799 * time.Second

// literal says that a value is written out, without references.
func literal(n *Node) bool { return n != nil && n.Kind != Null && len(References(n.Any())) == 0 }

func oneOf(key string, values ...string) func(*automation, place, *Step) error {
	return func(_ *automation, at place, s *Step) error {
		v := s.Inputs.Get(key)
		if literal(v) && !slices.Contains(values, v.Str()) {
			return at.key(key).errorf(v.Line, "%q is not one of %s", v.Str(), strings.Join(values, ", "))
		}
		return nil
	}
}

func checkApprove(_ *automation, at place, s *Step) error {
	who := s.Inputs.Get("Approvers")
	if enhanced := s.Inputs.Get("EnhancedApprovals"); enhanced != nil {
		return checkEnhanced(at.key("EnhancedApprovals"), enhanced)
	}
	if who == nil || who.Kind == Null {
		return at.errorf(s.Line, "aws:approve needs the input Approvers")
	}
	if err := at.key("Approvers").want(who, List, String); err != nil {
		return err
	}
	if who.Kind == List && (len(who.Items) == 0 || len(who.Items) > 10) {
		return at.key("Approvers").errorf(who.Line, "takes 1 to 10 approvers, not %d", len(who.Items))
	}
	if m := s.Inputs.Get("Message"); literal(m) && utf8.RuneCountInString(m.Str()) > 4096 {
		return at.key("Message").errorf(m.Line, "is longer than 4096 characters")
	}
	least := s.Inputs.Get("MinRequiredApprovals")
	if !literal(least) {
		return nil
	}
	n, ok := least.Int()
	if !ok || n < 1 {
		return at.key("MinRequiredApprovals").errorf(least.Line, "must be a whole number from 1")
	}
	if literal(who) && who.Kind == List && n > int64(len(who.Items)) {
		return at.key("MinRequiredApprovals").errorf(least.Line, "asks for %d approvals of %d approvers", n, len(who.Items))
	}
	return nil
}

var approverTypes = []string{"IamUser", "IamGroup", "IamRole", "SSOGroup", "SSOUser"}

func checkEnhanced(at place, n *Node) error {
	if err := at.want(n, Map); err != nil {
		return err
	}
	if err := at.only(n, "NotificationArn", "Approvers", "MinRequiredApprovals"); err != nil {
		return err
	}
	at, who := at.key("Approvers"), n.Get("Approvers")
	if err := at.want(who, List); err != nil {
		return err
	}
	if who == nil || len(who.Items) == 0 || len(who.Items) > 5 {
		return at.errorf(n.Line, "takes 1 to 5 approvers")
	}
	for i, a := range who.Items {
		at := at.index(i)
		if err := at.want(a, Map); err != nil {
			return err
		}
		if err := at.only(a, "approver", "type", "minRequiredApprovals"); err != nil {
			return err
		}
		if a.Get("approver").Str() == "" {
			return at.errorf(a.Line, "approver is missing")
		}
		if t := a.Get("type"); !slices.Contains(approverTypes, t.Str()) {
			return at.errorf(a.Line, "type %q is not one of %s", t.Str(), strings.Join(approverTypes, ", "))
		}
	}
	return nil
}

func checkProperty(_ *automation, at place, s *Step) error {
	sel := s.Inputs.Get("PropertySelector")
	if literal(sel) {
		if _, err := compilePath(sel.Str()); err != nil {
			return at.key("PropertySelector").errorf(sel.Line, "%v", err)
		}
	}
	v := s.Inputs.Get("DesiredValues")
	if err := at.key("DesiredValues").want(v, List, String); err != nil {
		return err
	}
	if v.Kind == List && len(v.Items) == 0 || v.Kind == String && literal(v) {
		return at.key("DesiredValues").errorf(v.Line, "must be a list of at least one value")
	}
	return nil
}

func checkBranch(c *automation, at place, s *Step) error {
	if len(s.Branch.Choices) == 0 {
		return at.key("Choices").errorf(s.Line, "needs at least one choice")
	}
	for i, choice := range s.Branch.Choices {
		if err := c.checkTarget(at.key("Choices").index(i).key("NextStep"), choice.Line, choice.NextStep); err != nil {
			return err
		}
	}
	if s.Branch.Default == "" {
		return nil
	}
	return c.checkTarget(at.key("Default"), s.Inputs.Get("Default").Line, s.Branch.Default)
}

var runtime = regexp.MustCompile(`^(python3\.[0-9]{1,2}|PowerShell( Core)? [0-9]+\.[0-9]+)$`)

func checkScript(_ *automation, at place, s *Step) error {
	r := s.Inputs.Get("Runtime")
	if literal(r) && !runtime.MatchString(r.Str()) {
		return at.key("Runtime").errorf(r.Line, "runtime %q is not a python3 or PowerShell version", r.Str())
	}
	if strings.HasPrefix(r.Str(), "python") && s.Inputs.Get("Handler").Str() == "" {
		return at.errorf(s.Line, "a Python script needs the input Handler")
	}
	script, attachment := s.Inputs.Get("Script"), s.Inputs.Get("Attachment")
	if (script == nil) == (attachment == nil) {
		return at.errorf(s.Line, "aws:executeScript needs one of Script and Attachment")
	}
	return at.key("Script").want(script, String)
}

var iteratorTypes = []string{TypeString, TypeInteger, TypeBoolean, TypeStringMap}

func checkLoop(_ *automation, at place, s *Step) error {
	if (s.Inputs.Get("Iterators") == nil) == (s.LoopCondition == nil) {
		return at.errorf(s.Line, "aws:loop needs one of Iterators and LoopCondition")
	}
	if t := s.Inputs.Get("IteratorDataType"); t != nil && !slices.Contains(iteratorTypes, t.Str()) {
		return at.key("IteratorDataType").errorf(t.Line, "%q is not one of %s", t.Str(), strings.Join(iteratorTypes, ", "))
	}
	if it := s.Inputs.Get("Iterators"); it != nil {
		if err := at.key("Iterators").want(it, List, String); err != nil {
			return err
		}
		if len(it.Items) > 100 {
			return at.key("Iterators").errorf(it.Line, "takes at most 100 iterators, not %d", len(it.Items))
		}
	}
	if most := s.Inputs.Get("MaxIterations"); literal(most) {
		if n, ok := most.Int(); !ok || n < 1 || n > 100 {
			return at.key("MaxIterations").errorf(most.Line, "must be a whole number from 1 to 100")
		}
	}
	return nil
}

func checkRunCommand(_ *automation, at place, s *Step) error {
	ids, targets := s.Inputs.Get("InstanceIds"), s.Inputs.Get("Targets")
	if (ids == nil) == (targets == nil) {
		return at.errorf(s.Line, "aws:runCommand needs one of InstanceIds and Targets")
	}
	if err := at.key("InstanceIds").want(ids, List, String); err != nil {
		return err
	}
	if err := at.key("Targets").want(targets, List, String); err != nil {
		return err
	}
	if ids != nil && len(ids.Items) > 50 {
		return at.key("InstanceIds").errorf(ids.Line, "takes at most 50 instances, not %d", len(ids.Items))
	}
	return at.key("Parameters").want(s.Inputs.Get("Parameters"), Map, String, Null)
}

func checkSleep(_ *automation, at place, s *Step) error {
	d, t := s.Inputs.Get("Duration"), s.Inputs.Get("Timestamp")
	if (d == nil) == (t == nil) {
		return at.errorf(s.Line, "aws:sleep needs one of Duration and Timestamp")
	}
	if literal(d) {
		span, err := Duration(d.Str())
		if err != nil {
			return at.key("Duration").errorf(d.Line, "%v", err)
		}
		if span > maxSleep {
			return at.key("Duration").errorf(d.Line, "is longer than 604799 seconds")
		}
	}
	if literal(t) {
		if _, err := time.Parse(time.RFC3339, t.Str()); err != nil {
			return at.key("Timestamp").errorf(t.Line, "%q is not a time such as 2026-01-02T15:04:05Z", t.Str())
		}
	}
	return nil
}

func checkUpdateVariable(c *automation, at place, s *Step) error {
	n := s.Inputs.Get("Name")
	name, ok := strings.CutPrefix(n.Str(), "variable:")
	if !ok {
		return at.key("Name").errorf(n.Line, "must be variable: and the name of a variable")
	}
	if !slices.ContainsFunc(c.doc.Variables, func(v Variable) bool { return v.Name == name }) {
		return at.key("Name").errorf(n.Line, "undefined variable %q", name)
	}
	return nil
}
