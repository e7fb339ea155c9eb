package identity

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/lang/iampolicy"
)

// state is everything of one reading of the identity file. It is immutable.
type state struct {
	users    map[string]Caller
	roles    map[string]*RoleInfo
	keys     map[string]accessKey
	policies map[string]*iampolicy.Policy // by ARN
	warnings []string
}

type accessKey struct {
	user   string
	secret string
}

// RoleInfo is a role as it is defined now.
type RoleInfo struct {
	Name       string
	ARN        string
	ID         string
	Tags       map[string]string
	Policies   [][]*iampolicy.Policy
	Trust      *iampolicy.Policy
	MaxSession time.Duration
}

func newState() *state {
	return &state{
		users: map[string]Caller{}, roles: map[string]*RoleInfo{}, keys: map[string]accessKey{},
		policies: map[string]*iampolicy.Policy{},
	}
}

func newUser(account, name, human string, tags map[string]string, sets [][]*iampolicy.Policy) Caller {
	return Caller{
		ARN: "arn:aws:iam::" + account + ":user/" + name, Account: account, UserID: idOf("AIDA", account, name),
		Kind: User, Human: human, Tags: tags, Policies: sets,
	}
}

func newRole(account, name string, tags map[string]string, sets [][]*iampolicy.Policy, trust *iampolicy.Policy, most time.Duration) *RoleInfo {
	return &RoleInfo{
		Name: name, ARN: "arn:aws:iam::" + account + ":role/" + name, ID: idOf("AROA", account, name),
		Tags: tags, Policies: sets, Trust: trust, MaxSession: most,
	}
}

// idOf is the unique id of a principal: the same for the same name, as the file
// has no place to keep another.
func idOf(prefix, account, name string) string {
	sum := sha256.Sum256([]byte(prefix + "/" + account + "/" + name))
	return prefix + base32.StdEncoding.EncodeToString(sum[:])[:16]
}

// user finds a user; the administrator exists without the file, so that a broken
// file locks nobody out for good.
func (s *Service) user(name string) (Caller, bool) {
	if u, ok := s.state.Load().users[name]; ok {
		return u, true
	}
	if name != AdminUser || s.config.Managed == nil {
		return Caller{}, false
	}
	p, ok := s.config.Managed("arn:aws:iam::aws:policy/AdministratorAccess")
	return newUser(s.config.Account, AdminUser, AdminUser, nil, [][]*iampolicy.Policy{{p}}), ok
}

// Role finds a role by its ARN.
func (s *Service) Role(arn string) (*RoleInfo, bool) {
	name, ok := strings.CutPrefix(arn, "arn:aws:iam::"+s.config.Account+":role/")
	if !ok {
		return nil, false
	}
	r, ok := s.state.Load().roles[name]
	return r, ok
}

// Policy finds a policy by its ARN, of the file or of those that come with the hub.
func (s *Service) Policy(arn string) (*iampolicy.Policy, bool) {
	if p, ok := s.state.Load().policies[arn]; ok {
		return p, true
	}
	if s.config.Managed == nil {
		return nil, false
	}
	return s.config.Managed(arn)
}

// Tags are the tags of a role or user by its ARN; false when it is neither.
func (s *Service) Tags(arn string) (map[string]string, bool) {
	if r, ok := s.Role(arn); ok {
		return r.Tags, true
	}
	name, ok := strings.CutPrefix(arn, "arn:aws:iam::"+s.config.Account+":user/")
	if !ok {
		return nil, strings.HasPrefix(arn, "arn:aws:iam::")
	}
	u, _ := s.user(name)
	return u.Tags, true
}
