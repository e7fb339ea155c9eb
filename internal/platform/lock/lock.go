package lock

import (
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/db"
)

// Kind is what a lock is on; LockTargetType on the wire.
type Kind string

// The kinds.
const (
	User            Kind = "User"
	Role            Kind = "Role"
	AccessKey       Kind = "AccessKey"
	ManagedInstance Kind = "ManagedInstance"
	Document        Kind = "Document"
)

// Facts of this package, for those who subscribe. The body of Created is a Lock.
const (
	Created = "lock.created"
	Deleted = "lock.deleted"
	Expired = "lock.expired"
)

// Lock is a row of lock_lock.
type Lock struct {
	Account   string    `json:"account"`
	Region    string    `json:"region"` // "" for principals
	ID        string    `json:"id"`
	Kind      Kind      `json:"kind"`
	Target    string    `json:"target"` // name of a user, role or document; id of a key or node
	Reason    string    `json:"reason"`
	CreatedBy string    `json:"createdBy"` // ARN
	Created   time.Time `json:"created"`
	Expires   time.Time `json:"expires,omitzero"`
}

// Principal is who does something, as locks name one.
type Principal struct {
	Account   string
	ARN       string // of a user or of a session of a role
	Source    string // ARN of the principal that took on the role; "" without one
	AccessKey string
}

// Names says that the lock is on the principal: on its user or role, on that of the
// one who took on the role, or on the access key.
func (l *Lock) Names(p Principal) bool {
	if l.Account != p.Account {
		return false
	}
	if l.Kind == AccessKey {
		return p.AccessKey != "" && l.Target == p.AccessKey
	}
	for _, name := range []string{p.ARN, p.Source} {
		if kind, of := holder(name); kind == l.Kind && of == l.Target && of != "" {
			return true
		}
	}
	return false
}

// Covers says that the lock is on a resource: a node by its id, a document by its
// name.
func (l *Lock) Covers(scope db.Scope, kind Kind, id string) bool {
	return l.Account == scope.Account && l.Region == scope.Region && l.Kind == kind && l.Target == id
}

// holder is the user or role behind the ARN of a caller, by its name.
func holder(name string) (Kind, string) {
	a, err := arn.Parse(name)
	if err != nil {
		return "", ""
	}
	kind, rest := a.Type()
	switch kind {
	case "user":
		return User, rest[strings.LastIndex(rest, "/")+1:]
	case "role":
		return Role, rest[strings.LastIndex(rest, "/")+1:]
	case "assumed-role":
		role, _, _ := strings.Cut(rest, "/")
		return Role, role
	}
	return "", ""
}

// target reads what a lock is to be on, a name, an id or an ARN.
func target(kind Kind, text string) string {
	if !arn.Is(text) {
		return text
	}
	if k, name := holder(text); k == kind {
		return name
	}
	a, err := arn.Parse(text)
	if err != nil {
		return text
	}
	_, id := a.Type()
	return id
}
