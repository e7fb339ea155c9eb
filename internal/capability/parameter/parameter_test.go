package parameter_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
)

func TestPutAndGet(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		if got := f.put("/app/db/host", "one"); got != (putOut{1, "Standard"}) {
			t.Errorf("%+v", got)
		}
		if got := f.put("/app/db/host", "two", "Overwrite", true); got.Version != 2 {
			t.Errorf("%+v", got)
		}
		arn := "arn:aws:ssm:us-east-1:123456789012:parameter/app/db/host"
		want := param{Name: "/app/db/host", Value: "two", Type: "String", ARN: arn, DataType: "text", Version: 2}
		if diff := cmp.Diff(want, f.get("/app/db/host")); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(want, f.get(arn)); diff != "" {
			t.Error(diff)
		}
		want.Value, want.Version, want.Selector = "one", 1, ":1"
		if diff := cmp.Diff(want, f.get(arn+":1")); diff != "" {
			t.Error(diff)
		}
		refused(f, "GetParameter", in{"Name": "/app/db/host:3"}, "ParameterVersionNotFound")
		refused(f, "GetParameter", in{"Name": "/app/db/host:0"}, "ParameterVersionNotFound")
		refused(f, "GetParameter", in{"Name": "/app/db/host:prod"}, "ParameterVersionNotFound")
		refused(f, "GetParameter", in{"Name": "/app/db/host:a:b"}, "ValidationException")
		refused(f, "GetParameter", in{"Name": "/app/db/port"}, "ParameterNotFound")
		refused(f, "GetParameter", in{"Name": "/app/db/port:1"}, "ParameterNotFound")
		refused(f, "GetParameter", in{"Name": strings.Replace(arn, "us-east-1", "eu-west-1", 1)}, "ParameterNotFound")
		refused(f, "GetParameter", in{"Name": "arn:aws:s3:::x"}, "ValidationException")
		refused(f, "GetParameter", in{"Name": strings.Replace(arn, "aws", "aws-cn", 1)}, "ValidationException")
		refused(f, "GetParameter", in{"Name": "/app/db/host "}, "ValidationException")
		refused(f, "DeleteParameter", in{"Name": arn}, "ValidationException")
		f.put("plain", "p")
		f.put("/slash", "s")
		if got := f.get("arn:aws:ssm:us-east-1:123456789012:parameter/plain"); got.Name != "plain" {
			t.Errorf("%+v", got)
		}
		if got := f.get("arn:aws:ssm:us-east-1:123456789012:parameter/slash"); got.Name != "/slash" {
			t.Errorf("%+v", got)
		}
	})
}

func TestPutRefuses(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.put("there", "x", "Tier", "Advanced")
		tests := []struct {
			name string
			more in
			want string
		}{
			{"there", in{}, "ParameterAlreadyExists"},
			{"there", in{"Overwrite": true, "Type": "StringList"}, "HierarchyTypeMismatchException"},
			{"there", in{"Overwrite": true, "Tier": "Standard"}, "ValidationException: This parameter uses the advanced"},
			{"there", in{"Overwrite": true, "Tags": []in{{"Key": "a", "Value": "b"}}}, "ValidationException: Invalid request: tags and overwrite"},
			{"x", in{"Type": nil}, "ValidationException: A parameter type is required"},
			{"x", in{"Type": "Secret"}, "ValidationException"},
			{"x", in{"Value": ""}, "ValidationException"},
			{"x", in{"Value": "a {{ssm:b}} c"}, "ValidationException: Parameter value"},
			{"x", in{"Value": strings.Repeat("v", 4097)}, "ValidationException: Standard tier"},
			{"x", in{"Value": strings.Repeat("v", 8193), "Tier": "Advanced"}, "ValidationException: Advanced tier"},
			{"x", in{"KeyId": "alias/mine"}, "ValidationException: KeyId"},
			{"x", in{"DataType": "AWS:EC2:image"}, "ValidationException: The following data type"},
			{"x", in{"DataType": "aws:ec2:image"}, "ValidationException: Parameter value: not an image"},
			{"x", in{"AllowedPattern": "[0-9]+", "Value": "12a"}, "ParameterPatternMismatchException"},
			{"x", in{"AllowedPattern": "(?!12a)[0-9a]+", "Value": "12a"}, "ParameterPatternMismatchException"},
			{"x", in{"AllowedPattern": "("}, "InvalidAllowedPatternException"},
			{"x", in{"Tags": []in{{"Key": "aws:a", "Value": "b"}}}, "ValidationException: aws: prefixed"},
			{"x", in{"Tags": []in{{"Key": "a", "Value": "b"}, {"Key": "a", "Value": "c"}}}, "ValidationException: Duplicate tag"},
			{"x", in{"Tags": manyTags(51)}, "TooManyTagsError"},
			{"x", in{"Policies": "[]x"}, "ValidationException"},
			{"x", in{"Policies": `[{"Type":"Expiration","Version":"1.0","Attributes":{"Timestamp":"2099-01-01T00:00:00Z"}}]`}, "ValidationException: Parameter policies"},
			{"a b", in{}, "ValidationException"},
			{" there", in{"Overwrite": true}, "ValidationException"},
			{"a/b", in{}, "ValidationException: Parameter name must be a fully qualified name"},
			{"/a//b", in{}, "ValidationException"},
			{"/a/", in{}, "ValidationException"},
			{"arn:aws:ssm:us-east-1:123456789012:parameter/x", in{}, "ValidationException"},
			{"a:1", in{}, "ValidationException"},
			{"AWSthing", in{}, "ValidationException: Parameter name: can't be prefixed"},
			{"/ssm/x", in{}, "ValidationException: Parameter name: can't be prefixed"},
			{"/aws/service/x", in{}, "AccessDeniedException"},
			{strings.Repeat("/l", 16), in{}, "HierarchyLevelLimitExceededException"},
			{strings.Repeat("n", 1000), in{}, "ValidationException: Parameter name: longer"},
		}
		for _, tt := range tests {
			input := in{"Name": tt.name, "Value": "v", "Type": "String"}
			for k, v := range tt.more {
				input[k] = v
				if v == nil {
					delete(input, k)
				}
			}
			refused(f, "PutParameter", input, tt.want)
		}
		if got := f.get("there"); got.Version != 1 {
			t.Errorf("a refused put changed the parameter: %+v", got)
		}
		if got := ok[struct{ Parameters []param }](f, "DescribeParameters", in{}); len(got.Parameters) != 1 {
			t.Errorf("refused puts left %+v", got)
		}
		f.put(strings.Repeat("/l", 15), "v")
		refused(f, "PutParameter", in{"Name": "/there", "Value": "v", "Type": "String"}, "ParameterAlreadyExists")
	})
}

func manyTags(n int) (out []in) {
	for i := range n {
		out = append(out, in{"Key": fmt.Sprint("k", i), "Value": "v"})
	}
	return out
}

func TestTiers(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		big := strings.Repeat("v", 5000)
		for _, tt := range []struct {
			name, value, tier, want string
		}{
			{"small", "v", "Intelligent-Tiering", "Standard"},
			{"big", big, "Intelligent-Tiering", "Advanced"},
			{"asked", "v", "Advanced", "Advanced"},
		} {
			if got := f.put(tt.name, tt.value, "Tier", tt.tier); got.Tier != tt.want {
				t.Errorf("%s: %+v", tt.name, got)
			}
		}
		if got := f.put("small", big, "Overwrite", true, "Tier", "Advanced"); got.Tier != "Advanced" {
			t.Errorf("upgrade: %+v", got)
		}
		if got := f.put("small", "v", "Overwrite", true); got.Tier != "Advanced" {
			t.Errorf("kept: %+v", got)
		}
		if got := f.put("small", "v", "Overwrite", true, "Tier", "Intelligent-Tiering"); got.Tier != "Advanced" {
			t.Errorf("no way back: %+v", got)
		}
		f.service.DefaultTier = func(*db.Tx) (string, error) { return "Intelligent-Tiering", nil }
		if got := f.put("by default", "v", "Name", "default"); got.Tier != "Standard" {
			t.Errorf("default: %+v", got)
		}
		if got := f.put("default2", big); got.Tier != "Advanced" {
			t.Errorf("default, big: %+v", got)
		}
	})
}

func TestWhatAnUpdateKeeps(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.put("p", "aa", "Description", "first", "AllowedPattern", "a+")
		refused(f, "PutParameter", in{"Name": "p", "Value": "b", "Overwrite": true}, "ParameterPatternMismatchException")
		ok[putOut](f, "PutParameter", in{"Name": "p", "Value": "aaa", "Overwrite": true})
		ok[putOut](f, "PutParameter", in{"Name": "p", "Value": "b", "Overwrite": true, "AllowedPattern": "", "Description": "second"})
		type item struct {
			Description, AllowedPattern, Value, LastModifiedUser string
			Version                                              int64
		}
		got := ok[struct{ Parameters []item }](f, "GetParameterHistory", in{"Name": "p"}).Parameters
		want := []item{{"first", "a+", "aa", ada, 1}, {"first", "a+", "aaa", ada, 2}, {"second", "", "b", ada, 3}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestSecureString(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const secret = "canary-7b1f"
		f.put("/s/one", secret, "Type", "SecureString")
		f.put("/s/one", secret+"-2", "Type", "SecureString", "Overwrite", true)
		ok[putOut](f, "PutParameter", in{"Name": "/s/one", "Value": secret + "-3", "Overwrite": true, "KeyId": "alias/mine"})
		if got := f.get("/s/one"); got.Value != secret+"-3" || got.Type != "SecureString" {
			t.Errorf("%+v", got)
		}
		if got := f.get("/s/one:1"); got.Value != secret {
			t.Errorf("%+v", got)
		}
		got := ok[struct{ Parameter param }](f, "GetParameter", in{"Name": "/s/one"}).Parameter
		if got.Value == "" || strings.Contains(got.Value, secret) {
			t.Errorf("without decryption: %q", got.Value)
		}
		type item struct{ KeyId, Value string }
		history := ok[struct{ Parameters []item }](f, "GetParameterHistory", in{"Name": "/s/one", "WithDecryption": true}).Parameters
		want := []item{{"alias/aws/ssm", secret}, {"alias/aws/ssm", secret + "-2"}, {"alias/mine", secret + "-3"}}
		if diff := cmp.Diff(want, history); diff != "" {
			t.Error(diff)
		}
		f.noCanary(secret)
	})
}

func TestGetParameters(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.put("b", "1")
		f.put("a", "2")
		f.put("a", "3", "Overwrite", true)
		type out struct {
			InvalidParameters []string
			Parameters        []param
		}
		got := ok[out](f, "GetParameters", in{"Names": []string{"b", "none", "a:1", "a:9", "a b", "a"}})
		var values []string
		for _, p := range got.Parameters {
			values = append(values, p.Name+p.Selector+"="+p.Value)
		}
		if diff := cmp.Diff([]string{"b=1", "a:1=2", "a=3"}, values); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"none", "a:9", "a b"}, got.InvalidParameters); diff != "" {
			t.Error(diff)
		}
		refused(f, "GetParameters", in{"Names": []string{"a", "a"}}, "ValidationException")
		refused(f, "GetParameters", in{"Names": strings.Split("abcdefghijk", "")}, "ValidationException")
	})
}

func TestDelete(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.put("a", "1", "Tags", []in{{"Key": "k", "Value": "v"}})
		f.put("a", "2", "Overwrite", true)
		ok[any](f, "LabelParameterVersion", in{"Name": "a", "Labels": []string{"prod"}})
		f.put("b", "1")
		ok[any](f, "DeleteParameter", in{"Name": "a"})
		refused(f, "GetParameter", in{"Name": "a"}, "ParameterNotFound")
		refused(f, "GetParameterHistory", in{"Name": "a"}, "ParameterNotFound")
		refused(f, "DeleteParameter", in{"Name": "a"}, "ParameterNotFound")
		if got := f.put("a", "new"); got.Version != 1 {
			t.Errorf("%+v", got)
		}
		refused(f, "GetParameter", in{"Name": "a:prod"}, "ParameterVersionNotFound")
		refused(f, "GetParameter", in{"Name": "a:2"}, "ParameterVersionNotFound")
		if got := f.names("DescribeParameters", in{"ParameterFilters": []in{{"Key": "tag:k"}}}); len(got) != 0 {
			t.Errorf("tags outlived the parameter: %v", got)
		}
		type out struct{ DeletedParameters, InvalidParameters []string }
		got := ok[out](f, "DeleteParameters", in{"Names": []string{"b", "none", "a"}})
		if diff := cmp.Diff(out{[]string{"b", "a"}, []string{"none"}}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestResolve(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.put("a", "1")
		f.put("s", "hush", "Type", "SecureString")
		err := f.db.View(f.ctx, func(tx *db.Tx) error {
			value, typ, number, err := f.service.Resolve(f.ctx, tx, "a:1", false)
			if value != "1" || typ != ssm.ParameterTypeString || number != 1 || err != nil {
				t.Errorf("%q %s %d %v", value, typ, number, err)
			}
			if value, _, _, err := f.service.Resolve(f.ctx, tx, "s", true); value != "hush" || err != nil {
				t.Errorf("%q %v", value, err)
			}
			_, _, _, err = f.service.Resolve(f.ctx, tx, "none", true)
			if _, ok := errors.AsType[*ssm.ParameterNotFound](err); !ok {
				t.Errorf("%v", err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestPutsThatRace(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const n = 12
		versions := make([]int64, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				versions[i] = f.put("/race", fmt.Sprint("value ", i), "Type", "SecureString", "Overwrite", true).Version
			})
		}
		wg.Wait()
		for i, v := range versions {
			if got := f.get(fmt.Sprint("/race:", v)); got.Value != fmt.Sprint("value ", i) {
				t.Errorf("version %d: %+v", v, got)
			}
		}
		if got := f.get("/race"); got.Version != n {
			t.Errorf("%+v", got)
		}
	})
}

func BenchmarkGetParameter(b *testing.B) {
	f := direct(b, dbtest.SQLite(b, migrations...))
	_, err := f.service.PutParameter(f.ctx, &ssm.PutParameterInput{Name: new("/app/db/host"), Value: new("v"), Type: ssm.ParameterTypeString})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := f.service.GetParameter(f.ctx, &ssm.GetParameterInput{Name: new("/app/db/host")}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
