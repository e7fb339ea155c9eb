package intake

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/watchbill/watchbill/internal/intake/alertmanager"
	"github.com/watchbill/watchbill/internal/intake/cloudwatch"
	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/yamlfile"
)

var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)
	keyForm  = regexp.MustCompile(`^[A-Za-z0-9_.~-]{20,256}$`)
	severity = []string{"1", "2", "3", "4"}
)

// Scopes says what a file may name.
type Scopes struct {
	Account string
	Regions []string // the first is home
}

type reader struct {
	scopes Scopes
	secret bool // nobody else can read the file
	out    *Config
}

// read reads a file. An error names the line. A key is taken in clear only from a
// file that its owner alone can read, which secret says.
func read(data []byte, scopes Scopes, secret bool) (*Config, error) {
	r := &reader{scopes: scopes, secret: secret, out: &Config{}}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(doc.Content) == 0 {
		return r.out, nil
	}
	return r.out, yamlfile.Mapping(doc.Content[0], "the file", yamlfile.Fields{"integrations": yamlfile.List("integrations", r.integration)})
}

func (r *reader) integration(n *yaml.Node) error {
	i := &integration{region: r.scopes.Regions[0]}
	keys := 0
	err := yamlfile.Mapping(n, "an integration", yamlfile.Fields{
		"name": yamlfile.Text("name", &i.name), "kind": yamlfile.Text("kind", &i.kind), "region": r.region(&i.region),
		"key":      func(n *yaml.Node) error { keys++; return r.key(n, i) },
		"key_hash": func(n *yaml.Node) error { keys++; return keyHash(n, i) },
		"rules": yamlfile.List("rules", func(n *yaml.Node) error {
			one, err := r.rule(n)
			i.rules = append(i.rules, one)
			return err
		}),
		"default": func(n *yaml.Node) (err error) { i.fallback, err = r.action(n, "the default", nil); return err },
	})
	if err != nil {
		return err
	}
	r.out.integrations = append(r.out.integrations, i)
	return r.check(n, i, keys)
}

func (r *reader) check(n *yaml.Node, i *integration, keys int) error {
	if !nameForm.MatchString(i.name) {
		return yamlfile.Errorf(n, "an integration needs a name of 1 to 64 letters, digits or _.-")
	}
	if i.kind != alertmanager.Kind && i.kind != cloudwatch.Kind {
		return yamlfile.Errorf(n, "the integration %s needs a kind: %s or %s", i.name, alertmanager.Kind, cloudwatch.Kind)
	}
	if keys != 1 {
		return yamlfile.Errorf(n, "the integration %s needs either key or key_hash", i.name)
	}
	for _, other := range r.out.integrations[:len(r.out.integrations)-1] {
		if other.name == i.name {
			return yamlfile.Errorf(n, "the integration %s is defined twice", i.name)
		}
		if other.hash == i.hash {
			return yamlfile.Errorf(n, "the integrations %s and %s have the same key", other.name, i.name)
		}
	}
	return nil
}

func (r *reader) region(to *string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if err := yamlfile.Text("region", to)(n); err != nil {
			return err
		}
		if !slices.Contains(r.scopes.Regions, *to) {
			return yamlfile.Errorf(n, "the hub does not serve the region %q", *to)
		}
		return nil
	}
}

// key takes a key in clear. Its text is in no error.
func (r *reader) key(n *yaml.Node, i *integration) error {
	if n.Kind != yaml.ScalarNode || !keyForm.MatchString(n.Value) {
		return yamlfile.Errorf(n, "a key has 20 to 256 letters, digits or _.~-")
	}
	if !r.secret {
		return yamlfile.Errorf(n, "the file must have mode 0600 to hold a key; or write its key_hash")
	}
	i.hash = sha256.Sum256([]byte(n.Value))
	return nil
}

func keyHash(n *yaml.Node, i *integration) error {
	sum, err := hex.DecodeString(strings.TrimPrefix(n.Value, "sha256:"))
	if n.Kind != yaml.ScalarNode || err != nil || len(sum) != len(i.hash) {
		return yamlfile.Errorf(n, "a key_hash is sha256: and the 64 hexadecimal digits of the SHA-256 of the key")
	}
	copy(i.hash[:], sum)
	return nil
}

func (r *reader) rule(n *yaml.Node) (out rule, err error) {
	var matched bool
	out.action, err = r.action(n, "a rule", func(n *yaml.Node) (err error) {
		matched = true
		out.match, err = matchers(n)
		return err
	})
	if err == nil && !matched {
		err = yamlfile.Errorf(n, "a rule needs a match; what holds for all others is the default")
	}
	return out, err
}

func matchers(n *yaml.Node) (out []matcher, err error) {
	if n.Kind != yaml.MappingNode || len(n.Content) == 0 {
		return nil, yamlfile.Errorf(n, "match must be a mapping of labels to values")
	}
	known := yamlfile.Fields{}
	for i := 0; i < len(n.Content); i += 2 {
		label := n.Content[i].Value
		known[label] = func(n *yaml.Node) error {
			m := matcher{label: label}
			if err := yamlfile.Text("the value of "+label, &m.value)(n); err != nil {
				return err
			}
			if p, ok := strings.CutPrefix(m.value, "~"); ok {
				if m.pattern, err = regexp.Compile("^(?:" + p + ")$"); err != nil {
					return yamlfile.Errorf(n, "the pattern of %s: %s", label, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
				}
			}
			out = append(out, m)
			return nil
		}
	}
	return out, yamlfile.Mapping(n, "match", known)
}

// action reads what an alarm leads to, and a match where there is one.
func (r *reader) action(n *yaml.Node, what string, match func(*yaml.Node) error) (a action, err error) {
	targets := 0
	target := func(read func(*yaml.Node) error) func(*yaml.Node) error {
		return func(n *yaml.Node) error { targets++; return read(n) }
	}
	known := yamlfile.Fields{
		"response_plan": target(r.plan(&a.plan)),
		"opsitem":       target(opsItem(&a)),
		"silence":       target(silence(&a.silence)),
		"impact":        impact(&a.impact),
		"group_by": yamlfile.List("group_by", func(n *yaml.Node) error {
			a.groupBy = append(a.groupBy, "")
			return yamlfile.Text("a label", &a.groupBy[len(a.groupBy)-1])(n)
		}),
	}
	if match != nil {
		known["match"] = match
	}
	if err := yamlfile.Mapping(n, what, known); err != nil {
		return a, err
	}
	if targets != 1 {
		return a, yamlfile.Errorf(n, "%s needs one of response_plan, opsitem, silence", what)
	}
	if a.impact != 0 && a.plan == "" {
		return a, yamlfile.Errorf(n, "an impact belongs to a response_plan")
	}
	return a, nil
}

func (r *reader) plan(to *string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if err := yamlfile.Text("response_plan", to)(n); err != nil {
			return err
		}
		a, err := arn.Parse(*to)
		if err != nil || a.Service != "ssm-incidents" || a.Account != r.scopes.Account || !strings.HasPrefix(a.Resource, "response-plan/") {
			return yamlfile.Errorf(n, "response_plan must be an ARN such as arn:aws:ssm-incidents::%s:response-plan/NAME", r.scopes.Account)
		}
		return nil
	}
}

func silence(to *bool) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" || n.Decode(to) != nil || !*to {
			return yamlfile.Errorf(n, "silence can be true only")
		}
		return nil
	}
}

func impact(to *int32) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.ScalarNode || n.Tag != "!!int" || n.Decode(to) != nil || *to < 1 || *to > 5 {
			return yamlfile.Errorf(n, "impact must be a number from 1 to 5")
		}
		return nil
	}
}

func opsItem(a *action) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		err := yamlfile.Mapping(n, "opsitem", yamlfile.Fields{"severity": yamlfile.Text("severity", &a.severity), "category": yamlfile.Text("category", &a.category)})
		if err == nil && a.severity != "" && !slices.Contains(severity, a.severity) {
			err = yamlfile.Errorf(n, "the severity of an OpsItem is from 1 to 4")
		}
		return err
	}
}
