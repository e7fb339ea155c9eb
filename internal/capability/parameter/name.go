package parameter

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

// Limits on names.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html
const (
	maxLevels = 15
	maxARN    = 1011
)

var nameForm = regexp.MustCompile(`^[a-zA-Z0-9_.\-/]+$`)

const nameRules = "A parameter name consists of letters, digits and the symbols .-_ , with / between the levels of a hierarchy."

// newName checks the name of a parameter to be put. Spaces around a name are
// refused: authorization decided by the name as it was sent.
func newName(name string, s db.Scope) (string, error) {
	switch {
	case arn.Is(name):
		return "", errNoARN()
	case !nameForm.MatchString(name):
		return "", fault.Validation("Parameter name: %s", nameRules)
	case strings.Contains(name, "/") && name[0] != '/':
		return "", fault.Validation("Parameter name must be a fully qualified name: a hierarchy begins with a forward slash.")
	case strings.HasSuffix(name, "/") || strings.Contains(name, "//"):
		return "", fault.Validation("Parameter name: a level of the hierarchy is empty. %s", nameRules)
	case len(parameterARN(s, name)) > maxARN:
		return "", fault.Validation("Parameter name: longer than %d characters together with its ARN prefix.", maxARN)
	}
	if err := checkReserved(name); err != nil {
		return "", err
	}
	if strings.Count(strings.TrimPrefix(name, "/"), "/") >= maxLevels {
		return "", &ssm.HierarchyLevelLimitExceededException{Message: "A hierarchy can have a maximum of 15 levels."}
	}
	return name, nil
}

// checkReserved keeps names that begin with aws or ssm, in any case, for the
// service; the tree below /aws is refused as an access.
func checkReserved(name string) error {
	lower := strings.ToLower(strings.TrimPrefix(name, "/"))
	if !strings.HasPrefix(lower, "aws") && !strings.HasPrefix(lower, "ssm") {
		return nil
	}
	if strings.HasPrefix(lower, "aws/") {
		return fault.AccessDenied("No access to reserved parameter name: %s.", name)
	}
	return fault.Validation(`Parameter name: can't be prefixed with "aws" or "ssm" (case-insensitive).`)
}

// parentOf is the path that a name lies in; names without a hierarchy lie in "/".
func parentOf(name string) string {
	i := strings.LastIndexByte(name, '/')
	if i <= 0 {
		return "/"
	}
	return name[:i]
}

// parameterARN is the ARN of a parameter: its name without the leading slash.
func parameterARN(s db.Scope, name string) string {
	return arn.SSM(s, "parameter/"+strings.TrimPrefix(name, "/"))
}

// reference is what a caller names: a parameter, or one version of it.
type reference struct {
	names    []string // candidates; an ARN does not tell "x" from "/x"
	selector string   // ":3" or ":label" as it is answered, "" for the newest
	number   int64    // when the selector is a number
	label    string   // when it is a label
}

// at is the reference with a version for its selector.
func (r reference) at(number int64) reference {
	r.selector, r.number, r.label = ":"+strconv.FormatInt(number, 10), number, ""
	return r
}

// parseReference reads name, name:3, name:label or an ARN with any of them.
func parseReference(text string, s db.Scope) (r reference, err error) {
	name, isARN := text, arn.Is(text)
	if isARN {
		if name, err = nameInARN(name, s); err != nil {
			return r, err
		}
	}
	name, selector, selected := strings.Cut(name, ":")
	if selected {
		if selector == "" || strings.Contains(selector, ":") {
			return r, fault.Validation("Invalid parameter selector: %s", text)
		}
		if n, err := strconv.ParseInt(selector, 10, 64); err == nil {
			r = r.at(n)
		} else {
			r.selector, r.label = ":"+selector, selector
		}
	}
	switch {
	case !nameForm.MatchString(name):
		return r, fault.Validation("Parameter name: %s", nameRules)
	case !isARN:
		r.names = []string{name}
	case strings.Contains(name, "/"):
		r.names = []string{"/" + name}
	default:
		r.names = []string{name, "/" + name}
	}
	return r, nil
}

func nameInARN(text string, s db.Scope) (string, error) {
	a, err := arn.Parse(text)
	name, ok := strings.CutPrefix(a.Resource, "parameter/")
	if err != nil || a.Partition != "aws" || a.Service != "ssm" || !ok {
		return "", fault.Validation("Invalid parameter ARN: %s", text)
	}
	if a.Region != s.Region || a.Account != s.Account {
		return "", notFound(text)
	}
	return name, nil
}

// parseName is parseReference for operations that take no selector.
func parseName(text string, s db.Scope) (reference, error) {
	r, err := parseReference(text, s)
	if err == nil && r.selector != "" {
		return r, fault.Validation("Parameter name: a version or label cannot be given here: %s", text)
	}
	return r, err
}

// parseOwnName is parseName for operations that take no ARN.
func parseOwnName(text string, s db.Scope) (reference, error) {
	if arn.Is(text) {
		return reference{}, errNoARN()
	}
	return parseName(text, s)
}

func errNoARN() error {
	return fault.Validation("Parameter name: an ARN cannot be given here, only the parameter name itself.")
}

// twin is the name that has the same ARN: "x" and "/x"; "" when there is none.
func twin(name string) string {
	if strings.LastIndexByte(name, '/') > 0 {
		return ""
	}
	if name[0] == '/' {
		return name[1:]
	}
	return "/" + name
}

// checkPath checks the path of a hierarchy and takes a closing slash away.
func checkPath(path string) (string, error) {
	if !strings.HasPrefix(path, "/") || !nameForm.MatchString(path) || strings.Contains(path, "//") {
		return "", fault.Validation("The parameter path must begin with a forward slash. %s", nameRules)
	}
	if path != "/" {
		path = strings.TrimSuffix(path, "/")
	}
	if strings.Count(path, "/") > maxLevels {
		return "", fault.Validation("A hierarchy can have a maximum of %d levels.", maxLevels)
	}
	return path, nil
}

func notFound(name string) error {
	return &ssm.ParameterNotFound{Message: "Parameter " + name + " not found."}
}
