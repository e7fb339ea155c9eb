package agent

import (
	"context"
	"fmt"
	"slices"
)

// storedAtOnce is how many parameters one call may ask for.
const storedAtOnce = 10

// stored reads parameters at the hub with the node's credentials.
func (n *node) stored(ctx context.Context, names []string, secure bool) (map[string]string, error) {
	found := map[string]string{}
	for batch := range slices.Chunk(names, storedAtOnce) {
		in := map[string]any{"Names": batch, "WithDecryption": secure}
		var out struct {
			Parameters []struct{ Name, Selector, Type, Value string }
		}
		if err := n.role.call(ctx, "GetParameters", in, &out); err != nil {
			return nil, err
		}
		for _, p := range out.Parameters {
			if p.Type == "SecureString" && !secure {
				return nil, fmt.Errorf("parameter %s is a SecureString: refer to it as {{ssm-secure:%s}}", p.Name, p.Name)
			}
			found[p.Name+p.Selector] = p.Value
		}
	}
	return found, nil
}
