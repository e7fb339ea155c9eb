package authz

// Row is what the table knows of an operation.
type Row struct {
	Service   string // signing name
	Operation string
	Action    string // as policies name it
	Access    string // read, list, write, tagging or permissions
	Mutating  bool
	Token     string // the member that is the client token, "" without one
	Open      bool   // no permission is needed, or the operation decides itself
	Late      bool   // further resources come from state: the method calls Require
	Resources [][]Ref
	Extra     []Extra
	Keys      []Key
	// Node says what a node needs: "" never, "-" nothing, MEMBER that the member
	// is its own id, "!MEMBER" that the member is not set.
	Node      string
	SecretIn  bool // the input has sensitive members
	SecretOut bool
}

// Ref tells how to name a resource from the input. Alternatives of a Ref are
// enough singly; a list names a resource for each element.
type Ref struct {
	Kind    string // how a value becomes an ARN
	Member  string // path of the member, through lists
	Second  string // a second member, where the kind needs one
	Default string // when the member is not set
}

// Extra is a second action that an input needs, such as iam:PassRole.
type Extra struct {
	Action string
	Ref    Ref
}

// Key is a condition key that is filled from the input.
type Key struct {
	Name   string
	Member string // "" makes Form the value
	Form   string // "", bool or present
}

var byName = func() map[string]*Row {
	m := make(map[string]*Row, len(table))
	for i := range table {
		m[table[i].Service+":"+table[i].Operation] = &table[i]
	}
	return m
}()

// Lookup is the row of an operation, by the service's signing name.
func Lookup(service, operation string) (*Row, bool) {
	r, ok := byName[service+":"+operation]
	return r, ok
}
