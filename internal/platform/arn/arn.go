// Package arn makes and reads Amazon Resource Names.
package arn

import (
	"errors"
	"strings"

	"github.com/watchbill/watchbill/internal/platform/db"
)

// ARN is arn:Partition:Service:Region:Account:Resource.
type ARN struct {
	Partition string
	Service   string
	Region    string
	Account   string
	Resource  string // may hold colons and slashes
}

// ErrForm says that a text is not an ARN.
var ErrForm = errors.New("arn: not in the form arn:partition:service:region:account:resource")

// Make is the ARN of a resource in the partition aws.
func Make(service, region, account, resource string) string {
	return "arn:aws:" + service + ":" + region + ":" + account + ":" + resource
}

// SSM is the ARN of a resource of Systems Manager in s, as "parameter/x".
func SSM(s db.Scope, resource string) string { return Make("ssm", s.Region, s.Account, resource) }

// Parse reads an ARN of the partition aws, the only one there is here: the same
// resource under two ARNs would let a policy miss one. Region and account may be
// empty, the other parts not.
func Parse(s string) (ARN, error) {
	p := strings.SplitN(s, ":", 6)
	if len(p) != 6 || p[0] != "arn" || p[1] != "aws" || p[2] == "" || p[5] == "" {
		return ARN{}, ErrForm
	}
	return ARN{Partition: p[1], Service: p[2], Region: p[3], Account: p[4], Resource: p[5]}, nil
}

// Is says that s looks like an ARN rather than a name.
func Is(s string) bool { return strings.HasPrefix(s, "arn:") }

// String is the ARN in one piece.
func (a ARN) String() string {
	return "arn:" + a.Partition + ":" + a.Service + ":" + a.Region + ":" + a.Account + ":" + a.Resource
}

// Type is the part of the resource before the first "/" or ":", and ID the rest.
func (a ARN) Type() (kind, id string) {
	i := strings.IndexAny(a.Resource, "/:")
	if i < 0 {
		return a.Resource, ""
	}
	return a.Resource[:i], a.Resource[i+1:]
}
