package inventory

import (
	"context"
	"crypto/md5" //nolint:gosec // the protocol's content hash, not a protection
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/agent/durable"
	"github.com/watchbill/watchbill/internal/agent/runner"
)

// Limits of the stock agent and of the API.
const (
	maxEntries = 10_000
	maxItem    = 3072 << 10  // bytes of the content of a type
	maxAll     = 10240 << 10 // bytes of all
	maxItems   = 30
)

// Entry is one row of a type.
type Entry map[string]string

// Item is one type, as PutInventory takes it.
type Item struct {
	TypeName      string
	SchemaVersion string
	CaptureTime   string
	ContentHash   string
	Content       []Entry `json:",omitzero"`
}

// Collector is the plug-in of one machine.
type Collector struct {
	Root    string // of the file system; "/" but in tests
	State   string // private directory for the hashes
	Custom  string // directory of files with types of the operator
	Version string // of the node program
	// Put sends items to the hub. Resend says that the hub misses the content
	// of a hash.
	Put func(ctx context.Context, items []Item) (resend bool, err error)
}

// Plugin collects the types that the inputs enable and sends them.
func (k *Collector) Plugin(ctx context.Context, c *runner.Call) runner.Result {
	ctx, cancel := c.Limit(ctx)
	defer cancel()
	items, err := k.collect(ctx, c)
	if err != nil {
		return c.Ended(ctx, err)
	}
	if len(items) == 0 {
		c.Print("no type of inventory is enabled")
		return runner.Result{Status: runner.Success}
	}
	if err := k.send(ctx, items); err != nil {
		return c.Ended(ctx, fmt.Errorf("the inventory was not taken: %w", err))
	}
	for _, i := range items {
		c.Print("%s: %d", i.TypeName, len(i.Content))
	}
	return runner.Result{Status: runner.Success}
}

// collect makes the items of every type that is enabled.
func (k *Collector) collect(ctx context.Context, c *runner.Call) ([]Item, error) {
	enabled := func(name string) bool { return strings.EqualFold(c.Text(name), "Enabled") }
	var items []Item
	add := func(name, schema string, entries []Entry, err error) {
		if err != nil {
			c.Print("%s: %v", name, err)
			return
		}
		items = append(items, newItem(name, schema, entries))
	}
	if enabled("applications") {
		entries, err := k.applications(ctx)
		add("AWS:Application", "1.1", entries, err)
	}
	if enabled("awsComponents") {
		add("AWS:AWSComponent", "1.0", k.components(), nil)
	}
	if enabled("networkConfig") {
		entries, err := k.network()
		add("AWS:Network", "1.0", entries, err)
	}
	if enabled("instanceDetailedInformation") {
		add("AWS:InstanceDetailedInformation", "1.0", k.details(), nil)
	}
	if text := c.Text("files"); text != "" && !strings.EqualFold(text, "Disabled") {
		entries, err := k.files(ctx, text)
		if err != nil {
			return nil, err
		}
		add("AWS:File", "1.0", entries, nil)
	}
	if enabled("customInventory") {
		custom, err := k.custom()
		if err != nil {
			return nil, err
		}
		items = append(items, custom...)
	}
	return items, bounded(items)
}

func newItem(name, schema string, entries []Entry) Item {
	if entries == nil {
		entries = []Entry{}
	}
	return Item{
		TypeName: name, SchemaVersion: schema, CaptureTime: time.Now().UTC().Format("2006-01-02T15:04:05Z"),
		ContentHash: hash(entries), Content: entries,
	}
}

// hash is the base64 of the MD5 of the content's JSON.
func hash(entries []Entry) string {
	b, err := json.Marshal(entries)
	if err != nil {
		return ""
	}
	sum := md5.Sum(b)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func bounded(items []Item) error {
	if len(items) > maxItems {
		return fmt.Errorf("%d types of inventory, at most %d can be sent", len(items), maxItems)
	}
	all := 0
	for _, i := range items {
		b, err := json.Marshal(i.Content)
		if err != nil {
			return err
		}
		if all += len(b); len(i.Content) > maxEntries || len(b) > maxItem || all > maxAll {
			return fmt.Errorf("%s has %d entries in %d bytes: more than the inventory takes", i.TypeName, len(i.Content), len(b))
		}
	}
	return nil
}

// send sends the items, those that the hub should have by hash; all with their
// content when it has not.
func (k *Collector) send(ctx context.Context, items []Item) error {
	sent := k.sent()
	short := make([]Item, len(items))
	for i, item := range items {
		if short[i] = item; sent[item.TypeName] == item.ContentHash {
			short[i].Content = nil
		}
	}
	resend, err := k.Put(ctx, short)
	if resend {
		_, err = k.Put(ctx, items)
	}
	if err != nil {
		return err
	}
	for _, item := range items {
		sent[item.TypeName] = item.ContentHash
	}
	b, err := json.Marshal(sent)
	if err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(k.State, 0o700), durable.WriteFile(k.hashes(), b))
}

func (k *Collector) hashes() string { return filepath.Join(k.State, "sent.json") }

// sent are the hashes of the last time, by type.
func (k *Collector) sent() map[string]string {
	out := map[string]string{}
	if b, err := os.ReadFile(k.hashes()); err == nil && json.Unmarshal(b, &out) != nil {
		return map[string]string{}
	}
	return out
}

func (k *Collector) path(name string) string { return filepath.Join(k.Root, filepath.FromSlash(name)) }
