package identity

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/watchbill/watchbill/internal/lang/iampolicy"
	"github.com/watchbill/watchbill/internal/platform/yamlfile"
)

// Limits and forms of names. Source: the IAM user guide, quotas.
var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9_+=,.@-]{1,64}$`)
	keyForm  = regexp.MustCompile(`^[A-Z0-9]{16,128}$`)
)

const (
	minSession     = 15 * time.Minute
	defaultSession = time.Hour
	maxSession     = 12 * time.Hour
)

// nodeRole is the role name under which nodes act; nobody else has it.
const nodeRole = "watchbill-node"

// reader reads one identity file.
type reader struct {
	dir     string
	account string
	managed func(string) (*iampolicy.Policy, bool)
	out     *state
	groups  map[string][]string // policy references
}

// read compiles an identity file. Errors name the line.
func (s *Service) read(data []byte) (*state, error) {
	r := &reader{
		dir: filepath.Dir(s.config.File), account: s.config.Account, managed: s.config.Managed,
		out: newState(), groups: map[string][]string{},
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(doc.Content) == 0 {
		return r.out, nil
	}
	var users, roles, groups *yaml.Node
	keep := func(to **yaml.Node) func(*yaml.Node) error {
		return func(n *yaml.Node) error { *to = n; return nil }
	}
	// Policies first, then groups: users and roles refer to both.
	err := yamlfile.Mapping(doc.Content[0], "the file", yamlfile.Fields{
		"policies": yamlfile.List("policies", r.policy), "groups": keep(&groups), "users": keep(&users), "roles": keep(&roles),
	})
	if err != nil {
		return nil, err
	}
	parts := []struct {
		name string
		node *yaml.Node
		read func(*yaml.Node) error
	}{{"groups", groups, r.group}, {"users", users, r.user}, {"roles", roles, r.role}}
	for _, part := range parts {
		if part.node == nil {
			continue
		}
		if err := yamlfile.List(part.name, part.read)(part.node); err != nil {
			return nil, err
		}
	}
	return r.out, nil
}

func (r *reader) policy(n *yaml.Node) error {
	var name string
	var doc *yaml.Node
	err := yamlfile.Mapping(n, "a policy", yamlfile.Fields{
		"name":     yamlfile.Text("name", &name),
		"document": func(n *yaml.Node) error { doc = n; return nil },
	})
	if err != nil {
		return err
	}
	if err := r.named(n, "policy", name); err != nil {
		return err
	}
	arn := "arn:aws:iam::" + r.account + ":policy/" + name
	if _, twice := r.out.policies[arn]; twice {
		return yamlfile.Errorf(n, "the policy %s is defined twice", name)
	}
	if doc == nil {
		return yamlfile.Errorf(n, "the policy %s has no document", name)
	}
	p, err := r.parse(doc, false)
	r.out.policies[arn] = p
	return err
}

// parse compiles a policy written as YAML or as JSON text.
func (r *reader) parse(n *yaml.Node, trust bool) (*iampolicy.Policy, error) {
	data, shift, err := yamlfile.JSON(n)
	if err != nil {
		return nil, err
	}
	p, warnings, err := iampolicy.Parse(data)
	if e, ok := errors.AsType[*iampolicy.Error](err); ok {
		return nil, &yamlfile.Error{Line: e.Line + shift, Text: e.Text}
	}
	if err != nil {
		return nil, yamlfile.Errorf(n, "%s", err)
	}
	if p.HasPrincipals() != trust {
		return nil, yamlfile.Errorf(n, "%s", map[bool]string{true: "a trust policy needs a Principal", false: "a policy of users and roles has no Principal"}[trust])
	}
	for _, w := range warnings {
		r.out.warnings = append(r.out.warnings, (&yamlfile.Error{Line: w.Line + shift, Text: w.Text}).Error())
	}
	return p, nil
}

func (r *reader) named(n *yaml.Node, what, name string) error {
	if !nameForm.MatchString(name) {
		return yamlfile.Errorf(n, "a %s needs a name of 1 to 64 letters, digits or _+=,.@-", what)
	}
	return nil
}

func (r *reader) group(n *yaml.Node) error {
	var name string
	var policies []string
	err := yamlfile.Mapping(n, "a group", yamlfile.Fields{
		"name": yamlfile.Text("name", &name), "policies": yamlfile.List("policies", r.ref(&policies)),
	})
	if err != nil {
		return err
	}
	if _, twice := r.groups[name]; twice {
		return yamlfile.Errorf(n, "the group %s is defined twice", name)
	}
	r.groups[name] = policies
	return r.named(n, "group", name)
}

// ref reads a reference to a policy: the name of one of the file or of one that
// comes with the hub, or an ARN.
func (r *reader) ref(to *[]string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		var name string
		if err := yamlfile.Text("a policy", &name)(n); err != nil {
			return err
		}
		for _, arn := range []string{name, "arn:aws:iam::" + r.account + ":policy/" + name, "arn:aws:iam::aws:policy/" + name} {
			if _, ok := r.find(arn); ok {
				*to = append(*to, arn)
				return nil
			}
		}
		return yamlfile.Errorf(n, "there is no policy %q", name)
	}
}

func (r *reader) find(arn string) (*iampolicy.Policy, bool) {
	if p, ok := r.out.policies[arn]; ok {
		return p, true
	}
	if r.managed == nil {
		return nil, false
	}
	return r.managed(arn)
}

// holder is what users and roles share.
type holder struct {
	name     string
	policies []string
	boundary []string
	tags     map[string]string
}

func (h *holder) fields(r *reader) yamlfile.Fields {
	return yamlfile.Fields{
		"name": yamlfile.Text("name", &h.name), "policies": yamlfile.List("policies", r.ref(&h.policies)),
		"boundary": r.ref(&h.boundary), "tags": yamlfile.Texts("tags", &h.tags),
	}
}

// sets are the compiled policies: those of the holder, and its boundary.
func (h *holder) sets(r *reader) [][]*iampolicy.Policy {
	sets := [][]*iampolicy.Policy{{}}
	for _, arn := range h.policies {
		p, _ := r.find(arn)
		sets[0] = append(sets[0], p)
	}
	for _, arn := range h.boundary {
		p, _ := r.find(arn)
		sets = append(sets, []*iampolicy.Policy{p})
	}
	return sets
}

func (r *reader) user(n *yaml.Node) error {
	var h holder
	var human string
	var machine bool
	var keys []fileKey
	fields := h.fields(r)
	fields["human"] = yamlfile.Text("human", &human)
	fields["machine"] = yamlfile.Flag("machine", &machine)
	fields["access_keys"] = yamlfile.List("access_keys", r.accessKey(&keys))
	fields["groups"] = yamlfile.List("groups", func(n *yaml.Node) error {
		policies, ok := r.groups[n.Value]
		if !ok {
			return yamlfile.Errorf(n, "there is no group %q", n.Value)
		}
		h.policies = append(h.policies, policies...)
		return nil
	})
	if err := yamlfile.Mapping(n, "a user", fields); err != nil {
		return err
	}
	if err := r.named(n, "user", h.name); err != nil {
		return err
	}
	if _, twice := r.out.users[h.name]; twice {
		return yamlfile.Errorf(n, "the user %s is defined twice", h.name)
	}
	if machine && human != "" {
		return yamlfile.Errorf(n, "the user %s is a machine and names a human", h.name)
	}
	if human == "" && !machine {
		human = h.name
	}
	r.out.users[h.name] = newUser(r.account, h.name, human, h.tags, h.sets(r))
	return r.keys(n, h.name, keys)
}

type fileKey struct {
	node             *yaml.Node
	id, file, secret string
}

func (r *reader) accessKey(to *[]fileKey) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		k := fileKey{node: n}
		err := yamlfile.Mapping(n, "an access key", yamlfile.Fields{
			"id": yamlfile.Text("id", &k.id), "secret_file": yamlfile.Text("secret_file", &k.file),
		})
		if err != nil {
			return err
		}
		if !keyForm.MatchString(k.id) {
			return yamlfile.Errorf(n, "the id of an access key has 16 to 128 capital letters and digits")
		}
		k.secret, err = r.secretFile(n, k.file)
		*to = append(*to, k)
		return err
	}
}

// secretFile reads a secret that only the hub's user may read.
func (r *reader) secretFile(n *yaml.Node, name string) (string, error) {
	if name == "" {
		return "", yamlfile.Errorf(n, "the access key has no secret_file")
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(r.dir, name)
	}
	info, err := os.Stat(name)
	if err != nil {
		return "", yamlfile.Errorf(n, "secret_file: %s", errors.Unwrap(err))
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", yamlfile.Errorf(n, "secret_file %s must have mode 0600", filepath.Base(name))
	}
	data, err := os.ReadFile(name)
	secret := strings.TrimSpace(string(data))
	if err == nil && len(secret) < 16 {
		return "", yamlfile.Errorf(n, "secret_file %s holds less than 16 characters", filepath.Base(name))
	}
	if err != nil {
		return "", yamlfile.Errorf(n, "secret_file: %s", errors.Unwrap(err))
	}
	return secret, nil
}

func (r *reader) keys(n *yaml.Node, user string, keys []fileKey) error {
	for _, k := range keys {
		if _, twice := r.out.keys[k.id]; twice {
			return yamlfile.Errorf(k.node, "the access key %s is defined twice", k.id)
		}
		r.out.keys[k.id] = accessKey{user: user, secret: k.secret}
	}
	return nil
}

func (r *reader) role(n *yaml.Node) error {
	var h holder
	var trust *yaml.Node
	length := defaultSession.String()
	fields := h.fields(r)
	fields["trust"] = func(n *yaml.Node) error { trust = n; return nil }
	fields["max_session"] = yamlfile.Text("max_session", &length)
	if err := yamlfile.Mapping(n, "a role", fields); err != nil {
		return err
	}
	if err := r.named(n, "role", h.name); err != nil {
		return err
	}
	if _, twice := r.out.roles[h.name]; twice || h.name == nodeRole {
		return yamlfile.Errorf(n, "the role %s is defined twice", h.name)
	}
	d, err := time.ParseDuration(length)
	if err != nil || d < minSession || d > maxSession {
		return yamlfile.Errorf(n, "max_session must be from 15m to 12h")
	}
	if trust == nil {
		return yamlfile.Errorf(n, "the role %s has no trust policy", h.name)
	}
	p, err := r.parse(trust, true)
	if err != nil {
		return fmt.Errorf("trust of role %s: %w", h.name, err)
	}
	r.out.roles[h.name] = newRole(r.account, h.name, h.tags, h.sets(r), p, d)
	return nil
}
