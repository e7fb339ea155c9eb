package shape

// Kind says what a shape is.
type Kind uint8

// The kinds that the API models use.
const (
	Structure Kind = iota + 1
	List
	Map
	String
	Integer
	Long
	Boolean
	Timestamp
	Blob
	Float
	Double
)

// None stands for no shape where a reference is expected.
const None = -1

// Shape is one shape of a model. Elem and Key index Model.Shapes.
type Shape struct {
	Name      string
	Kind      Kind
	Members   []Member
	Elem      int // element of a list, value of a map
	Key       int // key of a map
	HasMin    bool
	HasMax    bool
	Min       int64
	Max       int64
	Pattern   string
	Enum      []string
	Sensitive bool
	Union     bool
	Error     *Error
}

// Error is what the model states of an exception.
type Error struct {
	Code   string
	Status int
}

// Member is one member of a structure; the Go field has the same index.
type Member struct {
	Name             string
	Shape            int
	Required         bool
	IdempotencyToken bool
	Sensitive        bool
	Location         string // "", uri, querystring, header
	LocationName     string
}

// Operation is one operation of a service.
type Operation struct {
	Name          string
	Method        string
	URI           string
	Status        int
	Input         int
	Output        int
	Errors        []int
	ResultWrapper string
	Pagination    *Pagination
	NewInput      func() any
	NewOutput     func() any
}

// Pagination is the model's statement of how a list goes on.
type Pagination struct {
	InputToken  string
	OutputToken string
	LimitKey    string
	ResultKey   string
}

// Model is everything the wire needs to know of a service.
type Model struct {
	Service      string // ssm, ssm-incidents, ssm-contacts, sts
	SigningName  string
	Protocol     string // json, rest-json, query
	JSONVersion  string
	TargetPrefix string
	Version      string
	Namespace    string
	Shapes       []Shape
	Operations   []Operation
}

// Operation finds an operation by its exact name, nil when there is none.
func (m *Model) Operation(name string) *Operation {
	for i := range m.Operations {
		if m.Operations[i].Name == name {
			return &m.Operations[i]
		}
	}
	return nil
}
