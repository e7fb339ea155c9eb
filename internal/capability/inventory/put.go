package inventory

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
)

// Limits. Sources: the stock agent sends at most 3,072 KB of a type; the user guide
// gives 20 custom types for an account.
const (
	maxItem   = 3072 << 10 // bytes of the content as JSON
	maxCustom = 20
)

// item is what a node said of one type.
type item struct {
	NodeID        string
	Type          string
	SchemaVersion string
	CaptureTime   string
	Hash          string
	Content       []map[string]string
}

// PutInventory keeps the items of a node, all or none.
func (s *Service) PutInventory(ctx context.Context, in *ssm.PutInventoryInput) (*ssm.PutInventoryOutput, error) {
	if err := checkItems(in.Items); err != nil {
		return nil, err
	}
	out := &ssm.PutInventoryOutput{Message: new("Inventory was successfully updated.")}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		if _, err := s.Nodes.Get(tx, *in.InstanceId); err != nil {
			return err
		}
		var changed []string
		for i := range in.Items {
			c, err := s.put(tx, *in.InstanceId, &in.Items[i])
			if err != nil {
				return err
			}
			if c {
				changed = append(changed, *in.Items[i].TypeName)
			}
		}
		if len(changed) == 0 {
			return nil
		}
		return s.Journal.Record(tx, journal.Fact{Kind: "inventory.updated", Subject: *in.InstanceId, Body: map[string]any{"types": changed}})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func checkItems(items []ssm.InventoryItem) error {
	seen := map[string]bool{}
	for i := range items {
		x := &items[i]
		name := *x.TypeName
		if seen[name] {
			return &ssm.InvalidItemContentException{Message: "The type " + name + " comes twice.", TypeName: x.TypeName}
		}
		seen[name] = true
		if err := checkType(name); err != nil {
			return err
		}
		if virtual(name) {
			return &ssm.InvalidTypeNameException{Message: "The type " + name + " is made by the service."}
		}
		if x.Content == nil && ptr.Value(x.ContentHash) == "" {
			return &ssm.InvalidItemContentException{Message: "The item has neither content nor the hash of it.", TypeName: x.TypeName}
		}
		if err := checkContent(x); err != nil {
			return err
		}
	}
	return nil
}

func checkContent(x *ssm.InventoryItem) error {
	size := 0
	for _, entry := range x.Content {
		for k, v := range entry {
			size += len(k) + len(v) + 6
			if k == "" || strings.ContainsRune(k+v, 0) {
				return &ssm.InvalidItemContentException{Message: "An attribute has no name or holds a zero character.", TypeName: x.TypeName}
			}
		}
	}
	if size > maxItem {
		return &ssm.ItemSizeLimitExceededException{Message: "The item is larger than 3,072 KB.", TypeName: x.TypeName}
	}
	return nil
}

// checkType wants a type of AWS that exists, or a custom one with a capital.
func checkType(name string) error {
	if custom, ok := strings.CutPrefix(name, "Custom:"); ok {
		if custom == "" || custom[0] < 'A' || custom[0] > 'Z' || strings.ContainsAny(custom, " .:\t\n") {
			return &ssm.InvalidTypeNameException{Message: "The name of a custom type begins with a capital and holds no blank, dot or colon."}
		}
		return nil
	}
	if !slices.ContainsFunc(schemas, func(s schema) bool { return s.name == name }) {
		return &ssm.InvalidTypeNameException{Message: "The type " + name + " does not exist."}
	}
	return nil
}

// hashesOfNothing are the hashes of the contents [] and null: with one of them an item
// without content is whole.
var hashesOfNothing = []string{hashOf("[]"), hashOf("null")}

func hashOf(content string) string {
	sum := md5.Sum([]byte(content)) // the hash that the agent uses, not a proof of anything
	return base64.StdEncoding.EncodeToString(sum[:])
}

// put keeps one item and says whether its content is new. For an item without content
// the hash alone decides: the stock agent writes the schema version of the last item of
// the call into all of those.
// Seen: amazon-ssm-agent 3.3.0.0, docs/observations/2026-11-22-amazon-ssm-agent.md
func (s *Service) put(tx *db.Tx, nodeID string, x *ssm.InventoryItem) (changed bool, err error) {
	off, err := disabled(tx, *x.TypeName, *x.SchemaVersion)
	if err != nil || off {
		return false, err
	}
	old, err := find(tx, nodeID, *x.TypeName, false)
	if err != nil {
		return false, err
	}
	hash := ptr.Value(x.ContentHash)
	same := old != nil && hash != "" && old.Hash == hash && (x.Content == nil || old.SchemaVersion == *x.SchemaVersion)
	if x.Content == nil && slices.Contains(hashesOfNothing, hash) {
		x.Content, same = []map[string]string{}, false
	}
	if x.Content == nil && !same {
		return false, &ssm.ItemContentMismatchException{Message: "The hash is not that of the item that is kept: send its content.", TypeName: x.TypeName}
	}
	if same {
		return false, touch(tx, nodeID, *x.TypeName, *x.CaptureTime)
	}
	if old == nil {
		if err := s.checkCustom(tx, *x.TypeName); err != nil {
			return false, err
		}
	}
	return true, save(tx, &item{NodeID: nodeID, Type: *x.TypeName, SchemaVersion: *x.SchemaVersion, CaptureTime: *x.CaptureTime, Hash: hash, Content: x.Content})
}

// checkCustom refuses one custom type too many.
func (s *Service) checkCustom(tx *db.Tx, name string) error {
	if !strings.HasPrefix(name, "Custom:") {
		return nil
	}
	known, err := types(tx)
	if err != nil {
		return err
	}
	n := 0
	for _, k := range known {
		if k == name {
			return nil
		}
		if strings.HasPrefix(k, "Custom:") {
			n++
		}
	}
	if n >= maxCustom {
		return &ssm.CustomSchemaCountLimitExceededException{Message: fmt.Sprintf("An account can have at most %d custom types.", maxCustom)}
	}
	return nil
}

// olderOrSame compares schema versions such as 1.0, which the model has checked.
func olderOrSame(a, b string) bool {
	numbers := func(s string) (out [2]int) {
		major, minor, _ := strings.Cut(s, ".")
		var err1, err2 error
		out[0], err1 = strconv.Atoi(major)
		out[1], err2 = strconv.Atoi(minor)
		if errors.Join(err1, err2) != nil {
			return [2]int{}
		}
		return out
	}
	x, y := numbers(a), numbers(b)
	return x[0] < y[0] || x[0] == y[0] && x[1] <= y[1]
}

func encode(content []map[string]string) ([]byte, error) {
	if content == nil {
		content = []map[string]string{}
	}
	return json.Marshal(content)
}
