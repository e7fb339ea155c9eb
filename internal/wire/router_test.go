package wire_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/api/sts"
	"github.com/watchbill/watchbill/internal/wire"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/shape"
	"github.com/watchbill/watchbill/internal/wire/wiretest"
)

var models = []*shape.Model{ssm.Model, contacts.Model, incidents.Model, sts.Model}

func getParameter(_ context.Context, in *ssm.GetParameterInput) (*ssm.GetParameterOutput, error) {
	switch *in.Name {
	case "none":
		return nil, &ssm.ParameterNotFound{Message: "no such parameter"}
	case "secret":
		return nil, errors.New("dsn postgres://u:hunter2@h")
	case "panic":
		panic("boom")
	}
	return &ssm.GetParameterOutput{Parameter: &ssm.Parameter{Name: in.Name, Value: new("v"), Version: new(int64(3))}}, nil
}

func listTags(_ context.Context, in *incidents.ListTagsForResourceInput) (*incidents.ListTagsForResourceOutput, error) {
	if strings.HasSuffix(*in.ResourceArn, "none") {
		return nil, &incidents.ResourceNotFoundException{Message: "none", ResourceIdentifier: in.ResourceArn}
	}
	return &incidents.ListTagsForResourceOutput{Tags: map[string]string{"arn": *in.ResourceArn}}, nil
}

func whoAmI(context.Context, *sts.GetCallerIdentityInput) (*sts.GetCallerIdentityOutput, error) {
	return &sts.GetCallerIdentityOutput{Account: new("123456789012"), Arn: new("arn:aws:iam::123456789012:user/a"), UserId: new("A")}, nil
}

var bindings = []wire.Binding{
	ssm.BindGetParameter(getParameter),
	incidents.BindListTagsForResource(listTags),
	sts.BindGetCallerIdentity(whoAmI),
}

func silent() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func config() wire.Config {
	return wire.Config{Models: models, Bindings: bindings, Logger: silent()}
}

func TestRouterAnswersOverHTTP(t *testing.T) {
	c := wiretest.NewConfig(t, config())
	tests := []struct {
		name, service, op, in string
		out                   string
		err                   string
		status                int
	}{
		{"json", "ssm", "GetParameter", `{"Name":"x"}`, `{"Parameter":{"Name":"x","Value":"v","Version":3}}`, "", 0},
		{"rest label", "ssm-incidents", "ListTagsForResource", `{"resourceArn":"arn:aws:ssm-incidents::1:response-plan/a b"}`, `{"tags":{"arn":"arn:aws:ssm-incidents::1:response-plan/a b"}}`, "", 0},
		{"query", "sts", "GetCallerIdentity", `{}`, `{"Account":"123456789012","Arn":"arn:aws:iam::123456789012:user/a","UserId":"A"}`, "", 0},
		{"model error", "ssm", "GetParameter", `{"Name":"none"}`, "", "ParameterNotFound: no such parameter", 400},
		{"rest model error", "ssm-incidents", "ListTagsForResource", `{"resourceArn":"none"}`, "", "ResourceNotFoundException: none", 404},
		{"hidden error", "ssm", "GetParameter", `{"Name":"secret"}`, "", "InternalServerError: An internal error occurred.", 500},
		{"panic", "ssm", "GetParameter", `{"Name":"panic"}`, "", "InternalServerError: An internal error occurred.", 500},
		{"not implemented", "ssm-contacts", "ListContacts", `{}`, "", "NotImplemented: ssm-contacts:ListContacts is not implemented by this server yet", 400},
		{"invalid", "ssm", "GetParameter", `{}`, "", "ValidationException: 1 validation error detected: Value null at 'name' failed to satisfy constraint: Member must not be null", 400},
		{"query invalid", "sts", "AssumeRole", `{"RoleArn":"arn:aws:iam::123456789012:role/x","RoleSessionName":"x"}`, "", "ValidationError: 1 validation error detected: Value 'x' at 'roleSessionName' failed to satisfy constraint: Member must have length greater than or equal to 2", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := c.Call(t.Context(), tt.service, tt.op, []byte(tt.in))
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || err.Error() != tt.err) {
				t.Fatalf("error = %v, want %q", err, tt.err)
			}
			if tt.err != "" {
				if got := err.(*fault.Fault).Status; got != tt.status {
					t.Errorf("status = %d, want %d", got, tt.status)
				}
				return
			}
			if d := cmp.Diff(tt.out, string(out)); d != "" {
				t.Errorf("output (-want +got):\n%s", d)
			}
		})
	}
}

func post(headers ...string) *shape.Request {
	r := &shape.Request{Method: "POST", Path: "/", Header: http.Header{}, Body: []byte("{}")}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func TestRouterRefusesBrokenRequests(t *testing.T) {
	c := wiretest.NewConfig(t, config())
	big := post("X-Amz-Target", "AmazonSSM.GetParameter")
	big.Body = []byte(`{"Name":"` + strings.Repeat("a", wire.DefaultMaxBody) + `"}`)
	get := &shape.Request{Method: "GET", Path: "/", Header: http.Header{"X-Amz-Target": {"AmazonSSM.GetParameter"}}}
	action := &shape.Request{Method: "GET", Path: "/", Query: url.Values{"Action": {"Nope"}, "Version": {"2011-06-15"}}}
	extra := &shape.Request{Method: "GET", Path: "/", Query: url.Values{"Action": {"GetCallerIdentity"}, "Version": {"2011-06-15"}, "x": {"y"}}}
	tests := []struct {
		name    string
		service string
		req     *shape.Request
		status  int
		code    string
	}{
		{"unsigned", "", post("X-Amz-Target", "AmazonSSM.GetParameter"), 400, "MissingAuthenticationTokenException"},
		{"unsigned unknown operation", "", post("X-Amz-Target", "AmazonSSM.Nope"), 400, "MissingAuthenticationTokenException"},
		{"wrong service", "ssm-contacts", post("X-Amz-Target", "AmazonSSM.GetParameter"), 400, "InvalidSignatureException"},
		{"unknown operation", "ssm", post("X-Amz-Target", "AmazonSSM.Nope"), 400, "UnknownOperationException"},
		{"wrong case operation", "ssm", post("X-Amz-Target", "AmazonSSM.getParameter"), 400, "UnknownOperationException"},
		{"unknown prefix", "ssm", post("X-Amz-Target", "DynamoDB_20120810.GetItem"), 400, "UnknownOperationException"},
		{"no target", "ssm", post(), 404, "UnknownOperationException"},
		{"get of json", "ssm", get, 405, "MethodNotAllowed"},
		{"oversized", "ssm", big, 413, "RequestEntityTooLargeException"},
		{"gzip", "ssm", post("X-Amz-Target", "AmazonSSM.GetParameter", "Content-Encoding", "gzip"), 415, "UnsupportedMediaTypeException"},
		{"unknown action", "sts", action, 400, "InvalidAction"},
		{"unknown form parameter", "sts", extra, 400, "MalformedInput"},
		{"rest unsigned", "", &shape.Request{Method: "POST", Path: "/startIncident"}, 403, "MissingAuthenticationTokenException"},
		{"rest wrong method", "ssm-incidents", &shape.Request{Method: "PUT", Path: "/startIncident"}, 404, "UnknownOperationException"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp, err := c.Send(t.Context(), tt.service, tt.req)
			if err != nil {
				t.Fatal(err)
			}
			m := ssm.Model
			if strings.Contains(resp.Header.Get("Content-Type"), "xml") {
				m = sts.Model
			}
			got := shape.DecodeError(m, resp)
			if resp.Status != tt.status || got.Code != tt.code {
				t.Errorf("answer = %d %s, want %d %s\n%s", resp.Status, got.Code, tt.status, tt.code, resp.Body)
			}
			if len(resp.Header.Get("X-Amzn-Requestid")) != 36 {
				t.Error("no request id")
			}
		})
	}
}
