package parameter_test

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
)

func TestPoliciesRefused(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		expire := `{"Type":"Expiration","Version":"1.0","Attributes":{"Timestamp":"2099-01-01T00:00:00.000Z"}}`
		tests := []struct{ text, want string }{
			{`{}`, "ValidationException"},
			{`[{"Type":"Expiration","Type":"Expiration"}]`, "ValidationException: Policies: \"Type\" is given twice"},
			{`["x"]`, "ValidationException"},
			{`[{"Type":"Expire","Version":"1.0","Attributes":{}}]`, "InvalidPolicyTypeException"},
			{`[{"Type":"Expiration","Version":"2.0","Attributes":{"Timestamp":"2099-01-01T00:00:00Z"}}]`, "InvalidPolicyAttributeException"},
			{`[{"Type":"Expiration","Version":"1.0","Attributes":{"Timestamp":"2020-01-01T00:00:00Z"}}]`, "InvalidPolicyAttributeException"},
			{`[{"Type":"Expiration","Version":"1.0","Attributes":{"Timestamp":"soon"}}]`, "InvalidPolicyAttributeException"},
			{`[{"Type":"Expiration","Version":"1.0","Attributes":{"timestamp":"2099-01-01T00:00:00Z"}}]`, "InvalidPolicyAttributeException"},
			{`[{"Type":"NoChangeNotification","Version":"1.0","Attributes":{"After":"20","Unit":"Weeks"}}]`, "InvalidPolicyAttributeException"},
			{`[{"Type":"NoChangeNotification","Version":"1.0","Attributes":{"After":20,"Unit":"Days"}}]`, "InvalidPolicyAttributeException"},
			{`[{"Type":"NoChangeNotification","Version":"1.0","Attributes":{"After":"0","Unit":"Days"}}]`, "InvalidPolicyAttributeException"},
			{`[{"Type":"NoChangeNotification","Version":"1.0","Attributes":{"After":"1","Unit":"Days"},"More":1}]`, "InvalidPolicyAttributeException"},
			{`[{"Type":"ExpirationNotification","Version":"1.0","Attributes":{"Before":"1","Unit":"Days"}}]`, "IncompatiblePolicyException"},
			{`[` + expire + `,` + expire + `]`, "IncompatiblePolicyException"},
			{`[{},{},{},{},{},{},{},{},{},{},{}]`, "PoliciesLimitExceededException"},
		}
		for _, tt := range tests {
			refused(f, "PutParameter", in{"Name": "p", "Value": "v", "Type": "String", "Tier": "Advanced", "Policies": tt.text}, tt.want)
		}
		refused(f, "GetParameter", in{"Name": "p"}, "ParameterNotFound")
		if got := f.put("p", "v", "Tier", "Intelligent-Tiering", "Policies", "["+expire+"]"); got.Tier != "Advanced" {
			t.Errorf("%+v", got)
		}
	})
}

// story runs a test in a bubble, where hours pass at once.
func story(t *testing.T, run func(t *testing.T, f *fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.SQLite(t, migrations...)
		run(t, direct(t, d))
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}

// pass lets time pass and runs what falls due.
func (f *fixture) pass(span time.Duration) {
	f.t.Helper()
	<-time.After(span)
	if err := f.tasks.RunDue(f.ctx); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) putPolicies(value string, policies *string) {
	f.t.Helper()
	_, err := f.service.PutParameter(f.ctx, &ssm.PutParameterInput{
		Name: new("p"), Value: new(value), Type: ssm.ParameterTypeString, Tier: ssm.ParameterTierAdvanced, Overwrite: new(true), Policies: policies,
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// statuses is the status of each policy, nil when the parameter is gone.
func (f *fixture) statuses() (out []string) {
	f.t.Helper()
	got, err := f.service.DescribeParameters(f.ctx, &ssm.DescribeParametersInput{})
	if err != nil {
		f.t.Fatal(err)
	}
	for _, p := range got.Parameters {
		for _, policy := range p.Policies {
			out = append(out, *policy.PolicyStatus)
		}
	}
	return out
}

func (f *fixture) want(kinds []string, statuses []string) {
	f.t.Helper()
	if diff := cmp.Diff(kinds, f.kinds()); diff != "" {
		f.t.Error(diff)
	}
	if diff := cmp.Diff(statuses, f.statuses()); diff != "" {
		f.t.Error(diff)
	}
}

func TestExpiry(t *testing.T) {
	story(t, func(t *testing.T, f *fixture) {
		at := time.Now().Add(72 * time.Hour).Format(time.RFC3339)
		f.putPolicies("1", new(`[{"Type":"Expiration","Version":"1.0","Attributes":{"Timestamp":"`+at+`"}},
			{"Type":"ExpirationNotification","Version":"1.0","Attributes":{"Before":"1","Unit":"Days"}},
			{"Type":"ExpirationNotification","Version":"1.0","Attributes":{"Before":"2","Unit":"Hours"}}]`))
		f.pass(47 * time.Hour)
		f.want([]string{"parameter.put"}, []string{"Pending", "Pending", "Pending"})
		f.pass(2 * time.Hour)
		f.want([]string{"parameter.put", "parameter.expiring"}, []string{"Pending", "Finished", "Pending"})
		f.putPolicies("2", nil) // does not move the expiry
		f.pass(22 * time.Hour)
		f.want([]string{"parameter.put", "parameter.expiring", "parameter.put", "parameter.expiring"}, []string{"Pending", "Finished", "Finished"})
		f.pass(time.Hour)
		f.want([]string{"parameter.put", "parameter.expiring", "parameter.put", "parameter.expiring", "parameter.expired"}, nil)
		f.putPolicies("again", nil)
		f.pass(100 * 24 * time.Hour)
		if n := len(f.kinds()); n != 6 {
			t.Errorf("a new parameter of the name inherited timers: %v", f.kinds())
		}
	})
}

func TestNoChange(t *testing.T) {
	story(t, func(t *testing.T, f *fixture) {
		f.putPolicies("1", new(`[{"Type":"NoChangeNotification","Version":"1.0","Attributes":{"After":"20","Unit":"Days"}}]`))
		f.pass(19 * 24 * time.Hour)
		f.putPolicies("2", nil)
		f.pass(19 * 24 * time.Hour)
		f.want([]string{"parameter.put", "parameter.put"}, []string{"Pending"})
		f.pass(24 * time.Hour)
		f.want([]string{"parameter.put", "parameter.put", "parameter.unchanged"}, []string{"Finished"})
		f.pass(100 * 24 * time.Hour)
		f.putPolicies("3", nil)
		f.pass(20 * 24 * time.Hour)
		f.want([]string{"parameter.put", "parameter.put", "parameter.unchanged", "parameter.put", "parameter.unchanged"}, []string{"Finished"})
		f.putPolicies("4", new(`[{}]`))
		f.pass(100 * 24 * time.Hour)
		if n := len(f.kinds()); n != 6 {
			t.Errorf("cleared policies acted: %v", f.kinds())
		}
		var body struct{ Version int64 }
		if err := json.Unmarshal(f.facts()[2].Body, &body); err != nil || body.Version != 2 {
			t.Errorf("%s %v", f.facts()[2].Body, err)
		}
	})
}

func TestDeletedParametersHaveNoTimers(t *testing.T) {
	story(t, func(t *testing.T, f *fixture) {
		f.putPolicies("1", new(`[{"Type":"NoChangeNotification","Version":"1.0","Attributes":{"After":"1","Unit":"Hours"}}]`))
		if _, err := f.service.DeleteParameter(f.ctx, &ssm.DeleteParameterInput{Name: new("p")}); err != nil {
			t.Fatal(err)
		}
		f.pass(2 * time.Hour)
		f.want([]string{"parameter.put", "parameter.deleted"}, nil)
	})
}
