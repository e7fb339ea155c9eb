package shape_test

import (
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/wire/shape"
)

func decodeAs(t *testing.T, op, body string) (any, error) {
	t.Helper()
	o := ssm.Model.Operation(op)
	in := o.NewInput()
	err := shape.DecodeJSON(ssm.Model, o.Input, []byte(body), in)
	if err == nil {
		err = shape.Validate(ssm.Model, o.Input, in)
	}
	return in, err
}

// deep nests aggregators, the one shape of ssm that holds itself.
func deep(n int) string {
	return `{"Aggregators":` + strings.Repeat(`[{"Aggregators":`, n) + `[]` + strings.Repeat(`}]`, n) + `}`
}

func TestBadInput(t *testing.T) {
	tests := []struct{ name, op, in, want string }{
		{"wrong case", "GetParameter", `{"name":"x"}`, `SerializationException: unknown member "name" in GetParameterRequest (did you mean "Name"?)`},
		{"unknown member", "GetParameter", `{"Name":"x","Nope":1}`, `SerializationException: unknown member "Nope" in GetParameterRequest`},
		{"duplicate member", "GetParameter", `{"Name":"x","Name":"y"}`, `SerializationException: the member "Name" is given twice`},
		{"duplicate by escape", "GetParameter", `{"Name":"x","\u004eame":"y"}`, `SerializationException: the member "Name" is given twice`},
		{"duplicate null", "GetParameter", `{"Name":null,"Name":"y"}`, `SerializationException: the member "Name" is given twice`},
		{"duplicate map key", "SendCommand", `{"DocumentName":"d","Parameters":{"a":["1"],"a":["2"]}}`, `SerializationException: the key "a" is given twice at 'parameters'`},
		{"duplicate nested", "SendCommand", `{"Targets":[{"Key":"a","Key":"b"}]}`, `SerializationException: the member "Key" is given twice at 'targets.1.member'`},
		{"string for integer", "DescribeParameters", `{"MaxResults":"5"}`, `SerializationException: STRING_VALUE can not be converted to an Integer at 'maxResults'`},
		{"fraction for integer", "DescribeParameters", `{"MaxResults":5.5}`, `SerializationException: "5.5" can not be converted to an Integer at 'maxResults'`},
		{"integer overflow", "DescribeParameters", `{"MaxResults":2147483648}`, `SerializationException: "2147483648" can not be converted to an Integer at 'maxResults'`},
		{"number for string", "GetParameter", `{"Name":1}`, `SerializationException: NUMBER_VALUE can not be converted to a String at 'name'`},
		{"string for boolean", "GetParameter", `{"Name":"x","WithDecryption":"true"}`, `SerializationException: STRING_VALUE can not be converted to a Boolean at 'withDecryption'`},
		{"object for list", "GetParameters", `{"Names":{}}`, `SerializationException: START_OBJECT can not be converted to a List at 'names'`},
		{"null in list", "GetParameters", `{"Names":[null]}`, `SerializationException: null is not a value of a list or map at 'names.1.member'`},
		{"bad base64", "RegisterTaskWithMaintenanceWindow", `{"TaskInvocationParameters":{"Lambda":{"Payload":"a"}}}`, `SerializationException: the value is not valid base64 at 'taskInvocationParameters.lambda.payload'`},
		{"time as text", "CreateActivation", `{"IamRole":"r","ExpirationDate":"2026-01-01"}`, `SerializationException: STRING_VALUE can not be converted to a Timestamp at 'expirationDate'`},
		{"time too far", "CreateActivation", `{"IamRole":"r","ExpirationDate":1e300}`, `SerializationException: "1e300" is not a time in seconds since 1970 at 'expirationDate'`},
		{"trailing data", "GetParameter", `{"Name":"x"} {}`, `SerializationException: the request has data after its end, at byte 13`},
		{"trailing comma", "GetParameter", `{"Name":"x",}`, `SerializationException: the request is not valid JSON at byte 12`},
		{"cut off", "GetParameter", `{"Name":"x`, `SerializationException: the request ends in the middle of a value`},
		{"not an object", "GetParameter", `["Name"]`, `SerializationException: START_ARRAY can not be converted to a Structure`},
		{"null", "GetParameter", `null`, `SerializationException: VALUE_NULL can not be converted to a Structure`},
		{"comment", "GetParameter", `{/**/"Name":"x"}`, `SerializationException: the request is not valid JSON at byte 1`},
		{"leading zero", "DescribeParameters", `{"MaxResults":05}`, `SerializationException: the request is not valid JSON at byte 15`},
		{"raw control", "GetParameter", "{\"Name\":\"a\nb\"}", `SerializationException: the request is not valid JSON at byte 10`},
		{"NUL", "GetParameter", `{"Name":"a\u0000"}`, `SerializationException: the request has a NUL character in a string at 'name'`},
		{"not UTF-8", "GetParameter", "{\"Name\":\"\xff\"}", `SerializationException: the request is not valid UTF-8 at 'name'`},
		{"lone surrogate", "GetParameter", `{"Name":"\ud800x"}`, `SerializationException: the request is not valid UTF-8 at 'name'`},
		{"empty enum", "PutParameter", `{"Name":"a","Value":"b","Type":""}`, `ValidationException: 1 validation error detected: Value '' at 'type' failed to satisfy constraint: Member must satisfy enum value set: [String, StringList, SecureString]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := decodeAs(t, tt.op, tt.in); err == nil || err.Error() != tt.want {
				t.Errorf("error = %v\nwant    %s", err, tt.want)
			}
		})
	}
}

func TestDepthIsBounded(t *testing.T) {
	if _, err := decodeAs(t, "GetInventory", deep(20)); err != nil && strings.Contains(err.Error(), "deeper") {
		t.Errorf("20 levels: %v", err)
	}
	for _, n := range []int{40, 100_000} {
		if _, err := decodeAs(t, "GetInventory", deep(n)); err == nil || !strings.Contains(err.Error(), "nested deeper than 64 levels") {
			t.Errorf("%d levels: %.200v", n, err)
		}
	}
}

func TestGoodInput(t *testing.T) {
	in, err := decodeAs(t, "CreateActivation", " {\"IamRole\" : \"r\\/\\u00e9\\ud83d\\ude00\" ,\n\"ExpirationDate\":1.7956e9,\"Description\":null}\n")
	if err != nil {
		t.Fatal(err)
	}
	a := in.(*ssm.CreateActivationInput)
	if *a.IamRole != "r/é😀" || a.Description != nil || !a.ExpirationDate.Equal(time.Unix(1795600000, 0)) {
		t.Errorf("input = %+v", a)
	}
	for body, want := range map[string]time.Time{
		"0": time.Unix(0, 0), "-1.5": time.Unix(-2, 5e8), "1795600000.1234567": time.UnixMicro(1795600000123456), "1e-99": time.Unix(0, 0),
	} {
		in, err := decodeAs(t, "CreateActivation", `{"IamRole":"role-x","ExpirationDate":`+body+`}`)
		if err != nil || !in.(*ssm.CreateActivationInput).ExpirationDate.Equal(want) {
			t.Errorf("%s = %v, %v; want %v", body, in, err, want)
		}
	}
}

// A body that decodes must come back the same after encoding and decoding.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{}`, `{"Targets":[{"Key":"a","Values":["b"]}]}`, `{"Parameters":{"commands":["l\u00e9"]},"DocumentName":"d"}`, deep(3), `{"a":1e5}`, `[`, `"\ud83d\ude00"`} {
		f.Add([]byte(s))
	}
	op := ssm.Model.Operation("SendCommand")
	f.Fuzz(func(t *testing.T, body []byte) {
		in := op.NewInput()
		if shape.DecodeJSON(ssm.Model, op.Input, body, in) != nil {
			return
		}
		_ = shape.Validate(ssm.Model, op.Input, in)
		first, _ := shape.EncodeJSON(ssm.Model, op.Input, in)
		again := op.NewInput()
		if err := shape.DecodeJSON(ssm.Model, op.Input, first, again); err != nil {
			t.Fatalf("own output refused: %v\n%s", err, first)
		}
		if second, _ := shape.EncodeJSON(ssm.Model, op.Input, again); string(first) != string(second) {
			t.Errorf("%s\nbecame\n%s", first, second)
		}
	})
}

func BenchmarkGetParameter(b *testing.B) {
	op := ssm.Model.Operation("GetParameter")
	body := []byte(`{"Name":"/prod/db/password","WithDecryption":true}`)
	out := &ssm.GetParameterOutput{Parameter: &ssm.Parameter{
		Name: new("/prod/db/password"), Value: new("a value"), Version: new(int64(7)), Type: "String",
		LastModifiedDate: new(time.Unix(1795600000, 0)), ARN: new("arn:aws:ssm:us-east-1:123456789012:parameter/prod/db/password"),
	}}
	b.ReportAllocs()
	for b.Loop() {
		in := op.NewInput()
		if err := shape.DecodeJSON(ssm.Model, op.Input, body, in); err != nil {
			b.Fatal(err)
		}
		if err := shape.Validate(ssm.Model, op.Input, in); err != nil {
			b.Fatal(err)
		}
		if _, err := shape.EncodeJSON(ssm.Model, op.Output, out); err != nil {
			b.Fatal(err)
		}
	}
}
