package iampolicy

import (
	"strings"
	"testing"
)

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	statement := func(s string) string { return `{"Version":"2012-10-17","Statement":[{` + s + `}]}` }
	allow := func(s string) string {
		return statement(`"Effect":"Allow","Action":"ssm:GetParameter","Resource":"*",` + s)
	}
	tests := []struct{ name, text, want string }{
		{"empty", ``, "line 1 column 1: unexpected end"},
		{"not an object", `[]`, "a policy is an object"},
		{"cut off", `{"Version":`, "unexpected end"},
		{"trailing text", `{"Statement":[]} {}`, "text after the policy"},
		{"not JSON", `{"Version" "x"}`, "not JSON"},
		{"not UTF-8", "{\"Id\":\"\xff\"}", "column 8: not valid UTF-8"},
		{"too long", `{"Id":"` + strings.Repeat("x", MaxBytes) + `"}`, "longer than"},
		{"too deep", `{"Id":` + strings.Repeat("[", 60) + strings.Repeat("]", 60) + `}`, "nested deeper"},
		{"duplicate key", statement("\"Effect\":\"Deny\",\n \"Effect\":\"Allow\""), `line 2 column 2: "Effect" is given twice`},
		{"case of a name", statement(`"Effect":"Deny","effect":"Allow"`), `"effect" is not an element of a statement`},
		{"unknown element", `{"version":"2012-10-17","Statement":[]}`, `column 2: "version" is not an element of a policy`},
		{"version", `{"Version":"2020-01-01","Statement":[]}`, "Version is"},
		{"no statement", `{}`, "Statement is missing"},
		{"empty statements", `{"Statement":[]}`, "not empty"},
		{"no effect", statement(`"Action":"*","Resource":"*"`), "Effect is missing"},
		{"case of effect", statement(`"Effect":"allow","Action":"*","Resource":"*"`), "Effect is Allow or Deny"},
		{"no action", statement(`"Effect":"Allow","Resource":"*"`), "either Action or NotAction"},
		{"two actions", statement(`"Effect":"Allow","Action":"*","NotAction":"*","Resource":"*"`), "either Action or NotAction"},
		{"action without service", statement(`"Effect":"Allow","Action":"GetParameter","Resource":"*"`), "is not an action"},
		{"action with wild service", statement(`"Effect":"Allow","Action":"s*:Get","Resource":"*"`), "is not an action"},
		{"empty actions", statement(`"Effect":"Allow","Action":[],"Resource":"*"`), "Action is empty"},
		{"action of the wrong type", statement(`"Effect":"Allow","Action":[1],"Resource":"*"`), "wrong type"},
		{"no resource", statement(`"Effect":"Allow","Action":"*"`), "Resource is missing"},
		{"two resources", statement(`"Effect":"Allow","Action":"*","Resource":"*","NotResource":"*"`), "either Resource or NotResource"},
		{"resource that is none", statement(`"Effect":"Allow","Action":"*","Resource":"parameter/x"`), "is not a resource"},
		{"open variable", statement(`"Effect":"Allow","Action":"*","Resource":"arn:aws:ssm:::${aws:username"`), "not closed"},
		{"bad variable", statement(`"Effect":"Allow","Action":"*","Resource":"arn:aws:ssm:::${username}"`), "not a policy variable"},
		{"unquoted default", statement(`"Effect":"Allow","Action":"*","Resource":"arn:aws:ssm:::${aws:username,x}"`), "single quotes"},
		{"same sid twice", `{"Statement":[{"Sid":"A","Effect":"Deny","Action":"*","Resource":"*"},{"Sid":"A","Effect":"Deny","Action":"*","Resource":"*"}]}`, "given twice"},
		{"sid", statement(`"Sid":"a/b"`), "Sid is"},
		{"operator", allow(`"Condition":{"stringEquals":{"aws:username":"x"}}`), `"stringEquals" is not a condition operator`},
		{"null with a set", allow(`"Condition":{"ForAnyValue:Null":{"aws:username":"true"}}`), "is not a condition operator"},
		{"null if exists", allow(`"Condition":{"NullIfExists":{"aws:username":"true"}}`), "is not a condition operator"},
		{"key", allow(`"Condition":{"StringEquals":{"username":"x"}}`), "is not a condition key"},
		{"no keys", allow(`"Condition":{"StringEquals":{}}`), "not an empty one"},
		{"no values", allow(`"Condition":{"StringEquals":{"aws:username":[]}}`), "is empty"},
		{"nested values", allow(`"Condition":{"StringEquals":{"aws:username":[["x"]]}}`), "wrong type"},
		{"null value", allow(`"Condition":{"StringEquals":{"aws:username":null}}`), "wrong type"},
		{"number", allow(`"Condition":{"NumericEquals":{"aws:EpochTime":"1x"}}`), "is not a number"},
		{"infinite", allow(`"Condition":{"NumericEquals":{"aws:EpochTime":"Inf"}}`), "is not a number"},
		{"date", allow(`"Condition":{"DateLessThan":{"aws:CurrentTime":"tomorrow"}}`), "is not a date"},
		{"bool", allow(`"Condition":{"Bool":{"aws:SecureTransport":"yes"}}`), "neither true nor false"},
		{"binary", allow(`"Condition":{"BinaryEquals":{"aws:username":"?"}}`), "is not base64"},
		{"address", allow(`"Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/33"}}`), "is not an address"},
		{"arn", allow(`"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:ssm"}}`), "is not an ARN"},
		{"principal with wildcard", statement(`"Effect":"Allow","Action":"*","Principal":{"AWS":"arn:aws:iam::123456789012:user/*"}`), "is not a principal"},
		{"principal kind", statement(`"Effect":"Allow","Action":"*","Principal":{"aws":"*"}`), "is not a kind of principal"},
		{"allow with not principal", statement(`"Effect":"Allow","Action":"*","NotPrincipal":"*"`), "goes with Deny only"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := Parse([]byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestParseWarns(t *testing.T) {
	t.Parallel()
	_, warnings, err := Parse([]byte(`{"Statement":{"Effect":"Allow","Action":"ssm:*","Resource":"arn:aws:ssm:::parameter/${aws:username}",
 "Condition":{"StringEquals":{"acme:Team":"x"}}}}`))
	if err != nil || len(warnings) != 2 {
		t.Fatalf("warnings %v, error %v", warnings, err)
	}
	if got := warnings[1].String(); !strings.Contains(got, `line 2 column 31: condition key "acme:Team"`) {
		t.Errorf("warning %q", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ssm:*","Resource":"arn:aws:ssm:*:*:parameter/${aws:username, 'x'}","Condition":{"ForAllValues:StringLike":{"aws:TagKeys":["a*"]}}}]}`))
	f.Add([]byte(`{"Statement":{"Effect":"Deny","NotPrincipal":{"AWS":"123456789012"},"NotAction":"*","NotResource":"*"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, _, err := Parse(data)
		if err != nil {
			return
		}
		again, _, err := Parse([]byte(p.JSON()))
		if err != nil || again.JSON() != p.JSON() {
			t.Fatalf("the compact text does not read as the same policy: %v", err)
		}
		req := Request{Action: "ssm:GetParameter", Resource: "arn:aws:ssm:us-east-1:1:parameter/x"}
		if a, b := Evaluate(req, []*Policy{p}), Evaluate(req, []*Policy{again}); a != b {
			t.Fatalf("%v and %v", a, b)
		}
	})
}
