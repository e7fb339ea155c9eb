package ssmdoc

// Document formats, as in DocumentFormat.
const (
	JSON = "JSON"
	YAML = "YAML"
	TEXT = "TEXT"
)

// Document is a parsed document. A TEXT document has only Text.
type Document struct {
	SchemaVersion string
	Description   string
	AssumeRole    string      // Automation; may hold references
	Parameters    []Parameter // in document order
	Variables     []Variable  // Automation, in document order
	MainSteps     []Step      // schema 1.2 documents get one per runtimeConfig property
	Outputs       []string    // Automation: "step.Output" names
	SessionType   string      // Session
	Root          *Node       // nil for TEXT
	Text          string      // TEXT only
}

// Parameter is the declaration of one document parameter.
type Parameter struct {
	Name           string
	Type           string // String, StringList, Integer, Boolean, MapList, StringMap or AWS::..., List<AWS::...>
	Description    string
	Default        *Node // nil when the parameter is required
	AllowedValues  []any // string, int64, bool, ... as written
	AllowedPattern string
	DisplayType    string
	MinChars       *int
	MaxChars       *int
	MinItems       *int
	MaxItems       *int
	Line           int
}

// Variable is the declaration of one Automation variable.
type Variable struct {
	Name    string
	Type    string
	Default *Node
	Line    int
}

// Step is one entry of mainSteps (or of the Steps of an aws:loop).
type Step struct {
	Name         string
	Action       string
	Line         int
	Description  string
	Inputs       *Node // a Map or nil
	Precondition *Node // Command 2.2

	// Automation.
	OnFailure      string // "Abort", "Continue" or "step:name"; "" as absent
	OnCancel       string // "Abort" or "step:name"; "" as absent
	NextStep       string
	IsEnd          bool
	IsCritical     *bool // nil when not written
	TimeoutSeconds *Node // Number, or a String with a reference
	MaxAttempts    *Node // Number, or a String with a reference
	Outputs        []Output
	Branch         *Branch // of aws:branch
	Steps          []Step  // of aws:loop
	LoopCondition  *Rule   // of aws:loop, nil when it has Iterators

	// Command, from inputs.
	FinallyStep bool
	CommandFail string // inputs.onFailure: "exit" or "successAndExit"
	CommandOK   string // inputs.onSuccess: "exit"

	Node *Node // the whole step
}

// Output is a declared output of an Automation step.
type Output struct {
	Name     string
	Selector string // JSONPath on the response
	Type     string // "" as absent: String
	Line     int
}

// Branch is the decision of an aws:branch step.
type Branch struct {
	Choices []Choice
	Default string // step name, "" when absent
}

// Choice is one line of a Branch.
type Choice struct {
	NextStep string
	Rule     Rule
	Line     int
}

// Rule is a condition: either And, Or, Not or a comparison of Variable with
// Operand by Operator.
type Rule struct {
	And, Or  []Rule
	Not      *Rule
	Variable *Node // a String with a reference, or a constant
	Operator string
	Operand  *Node
	Line     int
}

// Parameter is the declaration of a name, nil when there is none.
func (d *Document) Parameter(name string) *Parameter {
	for i := range d.Parameters {
		if d.Parameters[i].Name == name {
			return &d.Parameters[i]
		}
	}
	return nil
}

// Step is the main step of a name, nil when there is none.
func (d *Document) Step(name string) *Step {
	for i := range d.MainSteps {
		if d.MainSteps[i].Name == name {
			return &d.MainSteps[i]
		}
	}
	return nil
}
