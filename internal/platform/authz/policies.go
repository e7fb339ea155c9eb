package authz

import (
	"embed"
	"path"
	"strings"

	"github.com/watchbill/watchbill/internal/lang/iampolicy"
)

//go:embed policies/*.json
var policyFiles embed.FS

// ManagedPrefix begins the ARN of a policy that comes with the hub.
const ManagedPrefix = "arn:aws:iam::aws:policy/"

var managed = func() map[string]*iampolicy.Policy {
	entries, err := policyFiles.ReadDir("policies")
	if err != nil {
		panic(err)
	}
	m := make(map[string]*iampolicy.Policy, len(entries))
	for _, e := range entries {
		text, err := policyFiles.ReadFile(path.Join("policies", e.Name()))
		if err != nil {
			panic(err)
		}
		p, _, err := iampolicy.Parse(text)
		if err != nil {
			panic("authz: " + e.Name() + ": " + err.Error())
		}
		m[ManagedPrefix+strings.TrimSuffix(e.Name(), ".json")] = p
	}
	return m
}()

// Managed is a policy that comes with the hub: AdministratorAccess and the five
// tiers WatchbillObserver, -Diagnoser, -Operator, -Maintainer and -BreakGlass.
func Managed(arn string) (*iampolicy.Policy, bool) {
	p, ok := managed[arn]
	return p, ok
}
