package ssmdoc

import (
	"regexp"
	"slices"
	"strings"
)

// plugin is what a Command document may say to one plugin of the agent.
type plugin struct {
	required []string
}

// plugins are those of amazon-ssm-agent 3.3 (agent/appconfig/constants_*.go
// and agent/plugins).
var plugins = map[string]plugin{
	"aws:runShellScript":      {required: []string{"runCommand"}},
	"aws:runPowerShellScript": {required: []string{"runCommand"}},
	"aws:runDocument":         {required: []string{"documentType", "documentPath"}},
	"aws:downloadContent":     {required: []string{"sourceType", "sourceInfo"}},
	"aws:configurePackage":    {required: []string{"name", "action"}},
	"aws:softwareInventory":   {},
	"aws:applications":        {required: []string{"action", "source"}},
	"aws:psModule":            {},
	"aws:domainJoin":          {required: []string{"directoryId", "directoryName"}},
	"aws:configureDocker":     {required: []string{"action"}},
	"aws:runDockerAction":     {required: []string{"action"}},
	"aws:refreshAssociation":  {},
	"aws:updateSsmAgent":      {},
	"aws:updateAgent":         {},
	"aws:cloudWatch":          {},
	"aws:configureDaemon":     {},
}

// Plugins are the names of the plugins a Command document may use.
func Plugins() []string {
	names := make([]string, 0, len(plugins))
	for name := range plugins {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (d *Document) checkCommand() error {
	if d.SchemaVersion == "1.2" {
		return d.checkRuntimeConfig()
	}
	if err := (place{}).only(d.Root, "schemaVersion", "description", "parameters", "mainSteps", "files", "variables", "outputs"); err != nil {
		return err
	}
	if len(d.MainSteps) == 0 {
		return &Error{Line: d.Root.Line, Message: "the document has no mainSteps"}
	}
	seen := map[string]int{}
	for i := range d.MainSteps {
		s := &d.MainSteps[i]
		at := place{step: s.Name}.key("mainSteps").index(i)
		if err := checkStepName(at, s, seen); err != nil {
			return err
		}
		if err := d.checkCommandStep(at, s); err != nil {
			return err
		}
	}
	return nil
}

func (d *Document) checkCommandStep(at place, s *Step) error {
	err := at.only(s.Node, "name", "action", "inputs", "precondition", "description", "onFailure",
		"maxAttempts", "timeoutSeconds", "settings", "isCritical", "isEnd")
	if err != nil {
		return err
	}
	if err := checkPlugin(at, s); err != nil {
		return err
	}
	if s.Precondition == nil {
		return nil
	}
	if d.SchemaVersion != "2.2" {
		return at.key("precondition").errorf(s.Precondition.Line, "schema version %s has no preconditions, 2.2 has", d.SchemaVersion)
	}
	return checkPrecondition(at.key("precondition"), s.Precondition)
}

// inputID is what the id of a set of inputs may be. The stock agent makes a path of it
// as root, in which its versions before 3.3.1957.0 follow "..".
var inputID = regexp.MustCompile(`^[a-zA-Z0-9_.:-]{1,128}$`)

func checkID(at place, id *Node) error {
	if id == nil {
		return nil
	}
	if id.Kind != String || !inputID.MatchString(id.Str()) || id.Str() == "." || id.Str() == ".." {
		return at.key("id").errorf(id.Line, "an id has letters, digits, _, -, . and : only")
	}
	return nil
}

func checkPlugin(at place, s *Step) error {
	p, known := plugins[s.Action]
	if !known {
		return at.key("action").errorf(actionLine(s), "unknown plugin %q%s", s.Action, meant(s.Action, Plugins()))
	}
	at = at.key("inputs")
	for _, key := range p.required {
		// A set that is one reference ("properties": "{{ x }}") is known at run time.
		if s.Inputs.Get(key) == nil && s.Inputs.Get("properties") == nil {
			return at.errorf(s.Line, "%s needs the input %s", s.Action, key)
		}
	}
	flags := []struct {
		key  string
		want []string
	}{{"onFailure", []string{"exit", "successAndExit"}}, {"onSuccess", []string{"exit"}}}
	for _, f := range flags {
		v := s.Inputs.Get(f.key)
		if v != nil && !slices.Contains(f.want, v.Str()) {
			return at.key(f.key).errorf(v.Line, "%q is not one of %s", v.Str(), strings.Join(f.want, ", "))
		}
	}
	if v := s.Inputs.Get("finallyStep"); v != nil {
		if _, ok := v.Bool(); !ok {
			return at.key("finallyStep").errorf(v.Line, "must be true or false")
		}
	}
	if err := checkID(at, s.Inputs.Get("id")); err != nil {
		return err
	}
	if run := s.Inputs.Get("runCommand"); run != nil {
		return at.key("runCommand").want(run, List, String)
	}
	return nil
}

func actionLine(s *Step) int {
	if n := s.Node.Get("action"); n != nil {
		return n.Line
	}
	return s.Line
}

// checkPrecondition wants StringEquals of two texts, one of which is
// platformType or holds a reference to a parameter.
// amazon-ssm-agent, agent/runcommand/docmanager preconditions (3.3).
func checkPrecondition(at place, n *Node) error {
	if err := at.want(n, Map); err != nil {
		return err
	}
	if len(n.Fields) != 1 || n.Fields[0].Key != "StringEquals" {
		return at.errorf(n.Line, "a precondition has exactly one operator, StringEquals")
	}
	pair := n.Fields[0].Value
	at = at.key("StringEquals")
	if pair.Kind != List || len(pair.Items) != 2 || pair.Items[0].Kind != String || pair.Items[1].Kind != String {
		return at.errorf(pair.Line, "must be a list of two strings")
	}
	a, b := pair.Items[0].Str(), pair.Items[1].Str()
	if a == b {
		return at.errorf(pair.Line, "compares %q with itself", a)
	}
	platform := a == "platformType" || b == "platformType"
	refs := References(pair.Any())
	if !platform && len(refs) == 0 {
		return at.errorf(pair.Line, "one of the two must be platformType or a document parameter")
	}
	for _, name := range refs {
		if strings.HasPrefix(name, "ssm") && strings.Contains(name, ":") {
			return at.errorf(pair.Line, "a precondition may not refer to Parameter Store")
		}
	}
	if !platform {
		return nil
	}
	if a == "platformType" {
		a = b
	}
	if len(refs) == 0 && !slices.ContainsFunc([]string{"Linux", "Windows", "MacOS"}, func(p string) bool { return strings.EqualFold(p, a) }) {
		return at.errorf(pair.Line, "platform %q is not one of Linux, Windows, MacOS", a)
	}
	return nil
}

func (d *Document) checkRuntimeConfig() error {
	if err := (place{}).only(d.Root, "schemaVersion", "description", "parameters", "runtimeConfig"); err != nil {
		return err
	}
	if len(d.MainSteps) == 0 {
		return &Error{Line: d.Root.Line, Message: "the document has no runtimeConfig"}
	}
	for i := range d.MainSteps {
		s := &d.MainSteps[i]
		at := place{step: s.Name}.key("runtimeConfig").key(s.Action)
		if err := checkPlugin(at, s); err != nil {
			return err
		}
	}
	return nil
}
