package server

import (
	"strings"
	"testing"
)

// Paths before the front door hide nothing of the API.
func TestPagesAreNotOfTheAPI(t *testing.T) {
	for _, m := range models {
		for _, op := range m.Operations {
			for _, prefix := range (&hub{}).pages() {
				if op.URI != "" && strings.HasPrefix(op.URI, prefix) || strings.HasPrefix(op.URI, "/{") {
					t.Errorf("%s:%s is served at %s, which %s hides", m.Service, op.Name, op.URI, prefix)
				}
			}
		}
	}
}
