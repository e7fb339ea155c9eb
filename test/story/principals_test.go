package story

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/wire/client"
	"github.com/watchbill/watchbill/internal/wire/sigv4"
	"github.com/watchbill/watchbill/test/hubtest"
)

// tiers are the policies that come with the hub, the weakest first.
var tiers = []string{"Observer", "Diagnoser", "Operator", "Maintainer", "BreakGlass"}

// userKey is the fixed key of a user of the identity file.
func userKey(name string) sigv4.Credentials {
	id := "AKIA" + strings.ToUpper(name) + strings.Repeat("0", 16)
	return sigv4.Credentials{AccessKeyID: id[:20], SecretAccessKey: name + "-secret-of-a-user-of-the-test-0123456789"}
}

// identityFiles are an identity.yaml with a user for each tier, one without
// policies and one who may do everything to what is tagged Team=blue.
func identityFiles() map[string]string {
	files := map[string]string{}
	var b strings.Builder
	b.WriteString(`policies:
  - name: blue
    document: |
      {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/Team":"blue"}}}]}
users:
`)
	add := func(name, policies string) {
		k := userKey(name)
		fmt.Fprintf(&b, "  - name: %s\n    policies: [%s]\n    access_keys:\n      - {id: %s, secret_file: keys/%s}\n", name, policies, k.AccessKeyID, name)
		files["keys/"+name] = k.SecretAccessKey + "\n"
	}
	for _, tier := range tiers {
		add(strings.ToLower(tier), "Watchbill"+tier)
	}
	add("nobody", "")
	add("blue", "blue")
	b.WriteString(`roles:
  - name: auditor
    policies: [WatchbillObserver]
    trust: {Version: 2012-10-17, Statement: [{Effect: Allow, Action: "sts:AssumeRole", Principal: {AWS: "arn:aws:iam::123456789012:user/admin"}}]}
`)
	files["identity.yaml"] = b.String()
	return files
}

// principal is one way to come with a request.
type principal struct {
	name string
	with func(q hubtest.Request) hubtest.Request
	// codes are the error codes of each protocol when nothing may be allowed.
	codes map[string]string
}

func codes(json, rest, query string) map[string]string {
	return map[string]string{"ssm": json, "watchbill": json, "kms": json, "logs": json, "ssm-contacts": json, "ssm-incidents": rest, "sts": query}
}

func signedBy(c sigv4.Credentials) func(hubtest.Request) hubtest.Request {
	return func(q hubtest.Request) hubtest.Request { q.Credentials = c; return q }
}

func as(name string) func(hubtest.Request) hubtest.Request { return signedBy(userKey(name)) }

var badSignature = codes("InvalidSignatureException", "InvalidSignatureException", "SignatureDoesNotMatch")

// strangers are those whose request is not taken at all.
func strangers() []principal {
	wrong := hubtest.Admin
	wrong.SecretAccessKey = strings.ToUpper(wrong.SecretAccessKey)
	unknown := hubtest.Admin
	unknown.AccessKeyID = "AKIAUNKNOWNUNKNOWN00"
	forged := hubtest.Admin
	forged.AccessKeyID, forged.SessionToken = "ASIAFORGEDFORGED0000", "WB1Zm9yZ2VkZm9yZ2VkZm9yZ2VkZm9yZ2VkZm9yZ2Vk"
	return []principal{
		{"unsigned", func(q hubtest.Request) hubtest.Request { return q }, codes("MissingAuthenticationTokenException", "MissingAuthenticationTokenException", "MissingAuthenticationToken")},
		{"bad signature", signedBy(wrong), badSignature},
		{"unknown key", signedBy(unknown), badSignature},
		{"forged session", signedBy(forged), badSignature},
		{"expired", func(q hubtest.Request) hubtest.Request {
			q.Credentials, q.Skew = hubtest.Admin, -20*time.Minute
			return q
		}, badSignature},
		{"early", func(q hubtest.Request) hubtest.Request {
			q.Credentials, q.Skew = hubtest.Admin, 20*time.Minute
			return q
		}, badSignature},
		{"wrong region", func(q hubtest.Request) hubtest.Request {
			q.Credentials, q.Region = hubtest.Admin, "us-west-2"
			return q
		}, badSignature},
		{"wrong service", func(q hubtest.Request) hubtest.Request {
			q.Credentials, q.Service = hubtest.Admin, map[string]string{"ssm": "sts", "watchbill": "ssm", "sts": "ssm", "kms": "ssm", "logs": "kms", "ssm-contacts": "ssm", "ssm-incidents": "ssm-contacts"}[q.Service]
			return q
		}, badSignature},
		{"unserved service", func(q hubtest.Request) hubtest.Request {
			q.Credentials, q.Service = hubtest.Admin, "dynamodb"
			return q
		}, badSignature},
	}
}

var denied = codes("AccessDeniedException", "AccessDeniedException", "AccessDenied")

// known are those whom the hub knows; the golden file says what they may.
func known(n *hubtest.Node) []principal {
	out := []principal{
		{"nobody", as("nobody"), denied},
		{"other tag", as("blue"), denied},
		{"node", signedBy(n.Credentials), denied},
	}
	for _, tier := range tiers {
		out = append(out, principal{tier, as(strings.ToLower(tier)), denied})
	}
	return append(out, principal{"admin", signedBy(hubtest.Admin), denied})
}

// A condition on a tag lets through what has the tag, and nothing else.
func TestTagCondition(t *testing.T) {
	hubtest.Each(t, identityFiles(), func(t *testing.T, h *hubtest.Hub) {
		for _, team := range []string{"red", "blue"} {
			in := &ssm.PutParameterInput{Name: new("/" + team), Type: ssm.ParameterTypeString, Value: new("v"), Tags: []ssm.Tag{{Key: new("Team"), Value: &team}}}
			h.Must(t, "ssm", "PutParameter", in, nil)
		}
		for name, want := range map[string]string{"/blue": "", "/red": "AccessDeniedException", "/none": "AccessDeniedException"} {
			err := h.Client(t, userKey("blue")).Call(t.Context(), "ssm", "GetParameter", &ssm.GetParameterInput{Name: &name}, nil)
			if client.Code(err) != want {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
	})
}
