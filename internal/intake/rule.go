package intake

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"regexp"
	"strings"
)

// Config is what a file says. The zero value knows no sender.
type Config struct {
	integrations []*integration
}

// integration is one sender.
type integration struct {
	name     string
	kind     string
	hash     [sha256.Size]byte // of the key
	region   string
	rules    []rule
	fallback action
}

type rule struct {
	match []matcher
	action
}

// matcher wants a label to have a value or to match a pattern as a whole. A label
// that is missing is "".
type matcher struct {
	label   string
	value   string
	pattern *regexp.Regexp
}

// action is what an alarm leads to. The zero action opens an OpsItem.
type action struct {
	plan     string // ARN of the response plan
	impact   int32
	groupBy  []string // labels; one incident or OpsItem for each of their values
	silence  bool
	severity string // of the OpsItem
	category string
}

// find is the integration of a kind that a key opens, nil for none. It takes as
// long for a key that is nearly right as for any other.
func (c *Config) find(kind, key string) *integration {
	hash := sha256.Sum256([]byte(key))
	var found *integration
	for _, i := range c.integrations {
		if subtle.ConstantTimeCompare(hash[:], i.hash[:]) == 1 && i.kind == kind {
			found = i
		}
	}
	return found
}

// action is what the first rule that matches says.
func (i *integration) action(labels map[string]string) action {
	for _, r := range i.rules {
		if r.matches(labels) {
			return r.action
		}
	}
	return i.fallback
}

func (r *rule) matches(labels map[string]string) bool {
	for _, m := range r.match {
		if !m.matches(labels[m.label]) {
			return false
		}
	}
	return true
}

func (m *matcher) matches(v string) bool {
	if m.pattern != nil {
		return m.pattern.MatchString(v)
	}
	return v == m.value
}

// dedupe is the key under which alarms become one incident or OpsItem.
func (i *integration) dedupe(a action, key string, labels map[string]string) string {
	if len(a.groupBy) == 0 {
		return short("alarm/" + i.name + "/" + key)
	}
	parts := []string{"alarms", i.name}
	for _, l := range a.groupBy {
		parts = append(parts, l+"="+labels[l])
	}
	return short(strings.Join(parts, "/"))
}

// short is s, or its hash where it is longer than an index takes.
func short(s string) string {
	const longest = 500
	if len(s) <= longest {
		return s
	}
	hash := sha256.Sum256([]byte(s))
	return "sha256:" + hex.EncodeToString(hash[:])
}
