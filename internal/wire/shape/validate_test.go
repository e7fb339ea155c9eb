package shape_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/wire/shape"
)

func TestValidationTexts(t *testing.T) {
	const one = "ValidationException: 1 validation error detected: "
	tests := []struct{ name, op, in, want string }{
		{"required", "GetParameter", `{}`, one + "Value null at 'name' failed to satisfy constraint: Member must not be null"},
		{"two", "PutParameter", `{}`, "ValidationException: 2 validation errors detected: " +
			"Value null at 'name' failed to satisfy constraint: Member must not be null; " +
			"Value null at 'value' failed to satisfy constraint: Member must not be null"},
		{"nested", "DescribeParameters", `{"ParameterFilters":[{"Key":"Name"},{}]}`, one +
			"Value null at 'parameterFilters.2.member.key' failed to satisfy constraint: Member must not be null"},
		{"enum", "PutParameter", `{"Name":"a","Value":"b","Type":"Strong"}`, one +
			"Value 'Strong' at 'type' failed to satisfy constraint: Member must satisfy enum value set: [String, StringList, SecureString]"},
		{"range", "DescribeParameters", `{"MaxResults":51}`, one + "Value '51' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 50"},
		{"low", "DescribeParameters", `{"MaxResults":0}`, one + "Value '0' at 'maxResults' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"empty list", "GetParameters", `{"Names":[]}`, one + "Value '[]' at 'names' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"list of scalars", "GetParameters", `{"Names":["a",""]}`, one + "Value '[a, ]' at 'names' failed to satisfy constraint: " +
			"Member must satisfy constraint: [Member must have length less than or equal to 2048, Member must have length greater than or equal to 1]"},
		{"nested enum", "DescribeActivations", `{"NextToken":"x","MaxResults":3,"Filters":[{"FilterKey":"Nope"}]}`, one +
			"Value 'Nope' at 'filters.1.member.filterKey' failed to satisfy constraint: Member must satisfy enum value set: [ActivationIds, DefaultInstanceName, IamRole]"},
		{"pattern", "DeleteActivation", `{"ActivationId":"x"}`, one +
			"Value 'x' at 'activationId' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"},
		{"good", "DescribeParameters", `{"MaxResults":50,"ParameterFilters":[{"Key":"Name"}]}`, ""},
		{"length in characters", "CreateActivation", `{"IamRole":"r","Description":"` + strings.Repeat("é", 256) + `"}`, ""},
		{"too long", "CreateActivation", `{"IamRole":"r","Description":"` + strings.Repeat("é", 257) + `"}`, one + "Value '" + strings.Repeat("é", 257) +
			"' at 'description' failed to satisfy constraint: Member must have length less than or equal to 256"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := decodeAs(t, tt.op, tt.in)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("error (-want +got):\n%s", d)
			}
		})
	}
}

func TestSensitiveValuesAreNotRepeated(t *testing.T) {
	long := strings.Repeat("hunter2", 700)
	op := ssm.Model.Operation("RegisterTaskWithMaintenanceWindow")
	in := &ssm.RegisterTaskWithMaintenanceWindowInput{
		WindowId: new("mw-0123456789abcdef0"), TaskArn: new("a"), TaskType: "LAMBDA",
		TaskInvocationParameters: &ssm.MaintenanceWindowTaskInvocationParameters{Lambda: &ssm.MaintenanceWindowLambdaParameters{Payload: []byte(long)}},
	}
	err := shape.Validate(ssm.Model, op.Input, in)
	want := "ValidationException: 1 validation error detected: Value at 'taskInvocationParameters.lambda.payload' failed to satisfy constraint: Member must have length less than or equal to 4096"
	if err == nil || err.Error() != want {
		t.Errorf("error = %v\nwant %s", err, want)
	}
}

func TestUnionHasOneMember(t *testing.T) {
	op := incidents.Model.Operation("UpdateRelatedItems")
	arn := "arn:aws:ssm-incidents::123456789012:incident-record/p/1"
	for in, good := range map[string]bool{
		`{"removeAll":{}}`: false,
		`{"itemToAdd":{"identifier":{"type":"METRIC","value":{"url":"https://x"}},"title":"t"}}`:                                                              true,
		`{"itemToAdd":{"identifier":{"type":"METRIC","value":{"url":"https://x","arn":"arn:aws:a:b::c"}},"title":"t"}}`:                                       false,
		`{"itemToAdd":{"identifier":{"type":"METRIC","value":{}},"title":"t"}}`:                                                                               false,
		`{"itemToRemove":{"type":"METRIC","value":{"url":"https://x"}},"itemToAdd":{"identifier":{"type":"METRIC","value":{"url":"https://x"}},"title":"t"}}`: false,
	} {
		v := op.NewInput()
		err := shape.DecodeJSON(incidents.Model, op.Input, []byte(`{"incidentRecordArn":"`+arn+`","relatedItemsUpdate":`+in+`}`), v)
		if err == nil {
			err = shape.Validate(incidents.Model, op.Input, v)
		}
		if (err == nil) != good {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func TestManyErrorsAreCapped(t *testing.T) {
	_, err := decodeAs(t, "DescribeOpsItems", `{"OpsItemFilters":[`+strings.Repeat(`{},`, 999)+`{}]}`)
	if err == nil || !strings.HasPrefix(err.Error(), "ValidationException: 3000 validation errors detected: ") || len(err.Error()) > 4000 {
		t.Errorf("many: %.300v", err)
	}
}

func TestEveryPatternCompilesAndEnds(t *testing.T) {
	for _, m := range models {
		for i := range m.Shapes {
			if s := &m.Shapes[i]; s.Pattern != "" {
				s.Check(strings.Repeat("aA0-:/", 2000) + "!")
			}
		}
	}
}

func TestRedact(t *testing.T) {
	op := ssm.Model.Operation("SendCommand")
	in := &ssm.SendCommandInput{DocumentName: new("d"), Parameters: map[string][]string{"commands": {"hunter2"}}, InstanceIds: []string{"i-1"}}
	if got := shape.Redact(ssm.Model, op.Input, in).(shape.Redacted).String(); got != `{"DocumentName":"d","InstanceIds":["i-1"]}` {
		t.Errorf("Redact = %s", got)
	}
	out := ssm.GetParameterOutput{Parameter: &ssm.Parameter{Name: new("n"), Value: new("hunter2")}}
	if got := out.LogValue().String(); got != `{"Parameter":{"Name":"n"}}` {
		t.Errorf("LogValue = %s", got)
	}
}
