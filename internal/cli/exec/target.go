package exec

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/watchbill/watchbill/internal/api/ssm"
)

// notPlain is what makes quotes necessary.
var notPlain = regexp.MustCompile(`[^A-Za-z0-9_@%+=:,./-]`)

// Quote is a command line for a POSIX shell that has exactly these arguments.
func Quote(argv []string) string {
	out := make([]string, len(argv))
	for i, a := range argv {
		if out[i] = a; a == "" || notPlain.MatchString(a) {
			out[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(out, " ")
}

var nodeID = regexp.MustCompile(`^m?i-[0-9a-f]{8,17}$`)

// maxIDs is how many ids SendCommand takes by themselves.
const maxIDs = 50

// Targets reads what people write for nodes: ids; tag:KEY=VALUE[,VALUE...],
// tag-key=KEY, or another target key in the same form; "all". Several keys select the
// nodes that fit all of them.
func Targets(words []string) (ids []string, targets []ssm.Target, err error) {
	for _, w := range words {
		key, values, ok := strings.Cut(w, "=")
		switch {
		case nodeID.MatchString(w):
			ids = append(ids, w)
		case w == "all":
			targets = append(targets, ssm.Target{Key: new("InstanceIds"), Values: []string{"*"}})
		case ok && key != "" && values != "":
			targets = append(targets, ssm.Target{Key: &key, Values: strings.Split(values, ",")})
		default:
			return nil, nil, fmt.Errorf("--target %q: write a node's id, tag:KEY=VALUE, tag-key=KEY or all", w)
		}
	}
	switch {
	case len(ids)+len(targets) == 0:
		return nil, nil, fmt.Errorf("name the nodes with --target")
	case len(ids) > 0 && (len(targets) > 0 || len(ids) > maxIDs):
		return nil, append(targets, ssm.Target{Key: new("InstanceIds"), Values: ids}), nil
	}
	return ids, targets, nil
}
