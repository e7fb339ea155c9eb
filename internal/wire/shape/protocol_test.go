package shape_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/api/sts"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/shape"
)

// Errors as each service words them.
func TestEncodeError(t *testing.T) {
	const xmlHead = `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>`
	tests := []struct {
		name   string
		model  *shape.Model
		err    error
		status int
		body   string
	}{
		{"generated", ssm.Model, &ssm.ParameterNotFound{Message: "gone"}, 400, `{"__type":"ParameterNotFound","message":"gone"}`},
		{"members", ssm.Model, &ssm.OpsItemAlreadyExistsException{Message: "there", OpsItemId: new("oi-1")}, 400, `{"__type":"OpsItemAlreadyExistsException","Message":"there","OpsItemId":"oi-1"}`},
		{"rest members", incidents.Model, &incidents.ResourceNotFoundException{Message: "none", ResourceIdentifier: new("a"), ResourceType: "INCIDENT_RECORD"}, 404, `{"__type":"ResourceNotFoundException","message":"none","resourceIdentifier":"a","resourceType":"INCIDENT_RECORD"}`},
		{"numbers", contacts.Model, &contacts.ThrottlingException{Message: "slow", RetryAfterSeconds: new(int32(3))}, 400, `{"__type":"ThrottlingException","Message":"slow","RetryAfterSeconds":3}`},
		{"fault", ssm.Model, fault.AccessDenied("no"), 400, `{"__type":"AccessDeniedException","Message":"no"}`},
		{"rest fault", incidents.Model, fault.AccessDenied("no"), 403, `{"__type":"AccessDeniedException","message":"no"}`},
		{"rest throttling", incidents.Model, fault.Throttling("slow"), 429, `{"__type":"ThrottlingException","message":"slow"}`},
		{"hidden", ssm.Model, errors.New("hunter2"), 500, `{"__type":"InternalServerError","Message":"An internal error occurred."}`},
		{"hidden rest", incidents.Model, errors.New("hunter2"), 500, `{"__type":"InternalServerException","message":"An internal error occurred."}`},
		{"hidden contacts", contacts.Model, errors.New("hunter2"), 500, `{"__type":"InternalServerException","Message":"An internal error occurred."}`},
		{"query", sts.Model, fault.AccessDenied("a < b"), 403, xmlHead + `Sender</Type><Code>AccessDenied</Code><Message>a &lt; b</Message></Error><RequestId>id-1</RequestId></ErrorResponse>`},
		{"hidden query", sts.Model, errors.New("hunter2"), 500, xmlHead + `Receiver</Type><Code>InternalFailure</Code><Message>An internal error occurred.</Message></Error><RequestId>id-1</RequestId></ErrorResponse>`},
		{"query code", sts.Model, &sts.MalformedPolicyDocumentException{Message: "m"}, 400, xmlHead + `Sender</Type><Code>MalformedPolicyDocument</Code><Message>m</Message></Error><RequestId>id-1</RequestId></ErrorResponse>`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := shape.EncodeError(tt.model, "id-1", tt.err)
			if d := cmp.Diff(tt.body, string(r.Body)); d != "" || r.Status != tt.status {
				t.Errorf("status %d, want %d; body (-want +got):\n%s", r.Status, tt.status, d)
			}
			got := shape.DecodeError(tt.model, r)
			if !strings.Contains(tt.body, got.Code) || got.Message == "" || got.Status != tt.status {
				t.Errorf("DecodeError = %v", got)
			}
		})
	}
}

func TestMatchReadsEscapedPaths(t *testing.T) {
	m := &shape.Model{Protocol: shape.ProtocolREST, Operations: []shape.Operation{
		{Name: "Tag", Method: "POST", URI: "/tags/{arn}"},
		{Name: "Greedy", Method: "GET", URI: "/keys/{key+}"},
		{Name: "Two", Method: "GET", URI: "/a/{x}/b/{y}"},
		{Name: "Plain", Method: "POST", URI: "/startIncident"},
	}}
	tests := []struct {
		method, path, op string
		labels           map[string]string
	}{
		{"POST", "/tags/arn%3Aaws%3Ax%3A%3A1%3Aplan%2Fa%20b", "Tag", map[string]string{"arn": "arn:aws:x::1:plan/a b"}},
		{"POST", "/tags/a/b", "", nil},
		{"POST", "/tags/", "", nil},
		{"POST", "/tags/%zz", "", nil},
		{"GET", "/tags/a", "", nil},
		{"GET", "/keys/a/b%2Fc", "Greedy", map[string]string{"key": "a/b/c"}},
		{"GET", "/a/1/b/2", "Two", map[string]string{"x": "1", "y": "2"}},
		{"GET", "/a/1/c/2", "", nil},
		{"POST", "/startIncident", "Plain", nil},
		{"POST", "/startIncident/", "", nil},
		{"POST", "/startincident", "", nil},
		{"POST", "", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.method+tt.path, func(t *testing.T) {
			op, labels := m.Match(tt.method, tt.path)
			name := ""
			if op != nil {
				name = op.Name
			}
			if d := cmp.Diff(tt.labels, labels); name != tt.op || op != nil && d != "" {
				t.Errorf("Match = %q, want %q; labels (-want +got):\n%s", name, tt.op, d)
			}
		})
	}
}

func TestBadFormsAndQueries(t *testing.T) {
	form := func(s string) *shape.Request {
		return &shape.Request{Method: "POST", Path: "/", Body: []byte("Action=AssumeRole&Version=2011-06-15&" + s)}
	}
	query := func(s string) *shape.Request {
		q, _ := url.ParseQuery(s)
		return &shape.Request{Method: "DELETE", Path: "/tags/x", Query: q}
	}
	tests := []struct {
		name  string
		model *shape.Model
		op    string
		req   *shape.Request
		want  string
	}{
		{"twice", sts.Model, "AssumeRole", form("RoleArn=a&RoleArn=b"), `the parameter "RoleArn" is given twice`},
		{"unknown", sts.Model, "AssumeRole", form("roleArn=a"), `unknown query parameter "roleArn"`},
		{"gap in a list", sts.Model, "AssumeRole", form("PolicyArns.member.2.arn=a"), `unknown query parameter "PolicyArns.member.2.arn"`},
		{"not a number", sts.Model, "AssumeRole", form("DurationSeconds=x"), `"x" can not be converted to an Integer at 'durationSeconds'`},
		{"structure for scalar", sts.Model, "AssumeRole", form("RoleArn.x=1"), `a structure can not be converted to a String at 'roleArn'`},
		{"scalar for structure", sts.Model, "AssumeRole", form("PolicyArns.member.1=1"), `unknown query parameter "PolicyArns.member.1"`},
		{"bad escape", sts.Model, "AssumeRole", form("RoleArn=%zz"), `the form of the request is not valid`},
		{"not UTF-8", sts.Model, "AssumeRole", form("RoleArn=%ff"), `the request is not valid UTF-8 at 'roleArn'`},
		{"NUL", sts.Model, "AssumeRole", form("RoleArn=%00"), `the request has a NUL character in a string at 'roleArn'`},
		{"unknown in query", incidents.Model, "UntagResource", query("tagKeys=a&x=1"), `unknown query parameter "x"`},
		{"presigned", incidents.Model, "UntagResource", query("tagKeys=a&tagKeys=b&X-Amz-Date=1"), ``},
		{"scalar twice", incidents.Model, "GetResponsePlan", query("arn=a&arn=b"), `the parameter "arn" is given twice at 'arn'`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := shape.DecodeInput(tt.model, tt.model.Operation(tt.op), tt.req, map[string]string{"resourceArn": "x"})
			got := ""
			if err != nil {
				got = strings.TrimPrefix(err.Error(), "SerializationException: ")
			}
			if got != tt.want {
				t.Errorf("error = %s\nwant    %s", got, tt.want)
			}
		})
	}
}

func TestBodyMayNotHoldMembersOfThePath(t *testing.T) {
	op := incidents.Model.Operation("TagResource")
	r := &shape.Request{Method: "POST", Path: "/tags/a", Header: http.Header{}, Body: []byte(`{"resourceArn":"b","tags":{"k":"v"}}`)}
	if _, err := shape.DecodeInput(incidents.Model, op, r, map[string]string{"resourceArn": "a"}); err == nil {
		t.Error("two resources in one request")
	}
}

func FuzzForm(f *testing.F) {
	for _, s := range []string{"RoleArn=a&PolicyArns.member.1.arn=b", "Tags.member.1.Key=a&Tags.member.1.Value=b", "PolicyArns=", "&&=%20"} {
		f.Add([]byte(s))
	}
	op := sts.Model.Operation("AssumeRole")
	f.Fuzz(func(t *testing.T, body []byte) {
		in, err := shape.DecodeInput(sts.Model, op, &shape.Request{Method: "POST", Path: "/", Body: body}, nil)
		if err != nil {
			return
		}
		r, err := shape.EncodeInput(sts.Model, op, in)
		if err != nil {
			t.Fatal(err)
		}
		again, err := shape.DecodeInput(sts.Model, op, r, nil)
		if err != nil {
			t.Fatalf("own form refused: %v\n%s", err, r.Body)
		}
		if d := cmp.Diff(in, again); d != "" {
			t.Errorf("changed (-first +second):\n%s", d)
		}
	})
}
