package runner

import (
	"fmt"
	"strings"
)

// precondition says whether a step runs: Success, Skipped or Failed, with the
// reason of the latter two. Only StringEquals with two arguments exists, and
// platformType is the only variable besides the document's parameters.
func precondition(p map[string][]string, v values) (string, Status) {
	if len(p) == 0 {
		return "", Success
	}
	args, ok := p["StringEquals"]
	if len(p) != 1 || !ok || len(args) != 2 || args[0] == args[1] {
		return "Unrecognized precondition: only StringEquals with two different arguments is known", Failed
	}
	if storedName(args[0]) || storedName(args[1]) {
		return "Unrecognized precondition: {{ssm:}} is not allowed in one", Failed
	}
	if !variable(args[0]) && !variable(args[1]) {
		return "Unrecognized precondition: neither argument is platformType or a parameter", Failed
	}
	if strings.EqualFold(argument(args[0], v), argument(args[1], v)) {
		return "", Success
	}
	return fmt.Sprintf("Step execution skipped due to unsatisfied preconditions: StringEquals: [%s, %s]", args[0], args[1]), Skipped
}

func variable(arg string) bool {
	return arg == "platformType" || reference.MatchString(arg)
}

func argument(arg string, v values) string {
	if arg == "platformType" {
		return PlatformType()
	}
	return asText(v.fillString(arg))
}
