package parameter_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func (f *fixture) tree() {
	f.t.Helper()
	f.put("root", "r")
	f.put("/top", "t", "Tags", []in{{"Key": "Env", "Value": "prod"}})
	f.put("/app/a", "1", "Tags", []in{{"Key": "Env", "Value": "prod"}, {"Key": "Team", "Value": "red"}})
	f.put("/app/b", "2", "Type", "StringList", "Tags", []in{{"Key": "Env", "Value": "dev"}})
	f.put("/app/b/c", "3", "Type", "SecureString", "KeyId", "alias/mine")
	f.put("/app/b/c/d", "4", "Tier", "Advanced")
	f.put("/app%x", "5", "Name", "/app_x")
	f.put("/apple", "6", "DataType", "aws:ec2:image", "Value", "ami-12345678")
}

func TestDescribeFilters(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.tree()
		filter := func(key, option string, values ...string) in {
			f := in{"Key": key}
			if option != "" {
				f["Option"] = option
			}
			if len(values) > 0 {
				f["Values"] = values
			}
			return f
		}
		tests := []struct {
			filters []in
			want    []string
		}{
			{nil, []string{"/app/a", "/app/b", "/app/b/c", "/app/b/c/d", "/app_x", "/apple", "/top", "root"}},
			{[]in{filter("Name", "", "/top", "root", "none")}, []string{"/top", "root"}},
			{[]in{filter("Name", "BeginsWith", "/app_", "ro")}, []string{"/app_x", "root"}},
			{[]in{filter("Name", "Contains", "pp/b", "oo")}, []string{"/app/b", "/app/b/c", "/app/b/c/d", "root"}},
			{[]in{filter("Path", "", "/app")}, []string{"/app/a", "/app/b"}},
			{[]in{filter("Path", "OneLevel", "/")}, []string{"/app_x", "/apple", "/top", "root"}},
			{[]in{filter("Path", "Recursive", "/app/b", "/none")}, []string{"/app/b/c", "/app/b/c/d"}},
			{[]in{filter("Path", "Recursive", "/app/")}, []string{"/app/a", "/app/b", "/app/b/c", "/app/b/c/d"}},
			{[]in{filter("Type", "Equals", "SecureString", "StringList")}, []string{"/app/b", "/app/b/c"}},
			{[]in{filter("KeyId", "BeginsWith", "alias/")}, []string{"/app/b/c"}},
			{[]in{filter("Type", "BeginsWith", "StringL", "Sec")}, []string{"/app/b", "/app/b/c"}},
			{[]in{filter("tag:Env", "BeginsWith", "pr", "x")}, []string{"/app/a", "/top"}},
			{[]in{filter("KeyId", "", "alias/aws/ssm")}, nil},
			{[]in{filter("Tier", "", "Advanced")}, []string{"/app/b/c/d"}},
			{[]in{filter("DataType", "", "aws:ec2:image")}, []string{"/apple"}},
			{[]in{filter("tag:Env", "")}, []string{"/app/a", "/app/b", "/top"}},
			{[]in{filter("tag:Env", "Equals", "prod")}, []string{"/app/a", "/top"}},
			{[]in{filter("tag:Env", "", "prod"), filter("tag:Team", "", "red", "blue")}, []string{"/app/a"}},
			{[]in{filter("tag:Env", "", "prod", "dev"), filter("Path", "Recursive", "/app")}, []string{"/app/a", "/app/b"}},
		}
		for _, tt := range tests {
			for _, size := range []int{1, 3, 50} {
				got := f.names("DescribeParameters", in{"ParameterFilters": tt.filters, "MaxResults": size})
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("%v in pages of %d: %s", tt.filters, size, diff)
				}
			}
		}
		old := in{"Filters": []in{{"Key": "Name", "Values": []string{"/app/"}}, {"Key": "Type", "Values": []string{"String"}}}}
		if diff := cmp.Diff([]string{"/app/a", "/app/b/c/d"}, f.names("DescribeParameters", old)); diff != "" {
			t.Error(diff)
		}
		if got := f.names("DescribeParameters", in{"Shared": true}); got != nil {
			t.Errorf("shared: %v", got)
		}
	})
}

func TestDescribeRefuses(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		one := func(key, option string, values ...string) in {
			return in{"ParameterFilters": []in{{"Key": key, "Option": option, "Values": values}}}
		}
		tests := []struct {
			input in
			want  string
		}{
			{one("Label", "Equals", "x"), "InvalidFilterKey"},
			{one("name", "Equals", "x"), "ValidationException"},
			{one("Name", "Recursive", "x"), "InvalidFilterOption"},
			{one("Path", "Equals", "/x"), "InvalidFilterOption"},
			{one("tag:x", "Contains", "x"), "InvalidFilterOption"},
			{one("Path", "OneLevel", "x"), "ValidationException"},
			{one("Type", "Equals", "Text"), "InvalidFilterValue"},
			{one("Tier", "Equals", "standard"), "InvalidFilterValue"},
			{in{"ParameterFilters": []in{{"Key": "Name"}}}, "InvalidFilterValue"},
			{in{"ParameterFilters": []in{{"Key": "Name", "Values": []string{"a"}}, {"Key": "Name", "Values": []string{"b"}}}}, "InvalidFilterKey"},
			{in{"ParameterFilters": []in{{"Key": "Name", "Values": []string{"a"}}}, "Filters": []in{{"Key": "Name", "Values": []string{"b"}}}}, "ValidationException"},
			{in{"NextToken": "x"}, "InvalidNextToken"},
			{in{"MaxResults": 51}, "ValidationException"},
		}
		for _, tt := range tests {
			refused(f, "DescribeParameters", tt.input, tt.want)
		}
	})
}

func TestMetadata(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.put("/a", "v", "Description", "d", "AllowedPattern", ".")
		type meta struct {
			Name, Type, ARN, DataType, Description, AllowedPattern, Tier, LastModifiedUser, Value string
			Version                                                                               int64
		}
		got := ok[struct{ Parameters []meta }](f, "DescribeParameters", in{}).Parameters
		want := []meta{{"/a", "String", "arn:aws:ssm:us-east-1:123456789012:parameter/a", "text", "d", ".", "Standard", ada, "", 1}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestGetParametersByPath(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.tree()
		ok[any](f, "LabelParameterVersion", in{"Name": "/app/a", "Labels": []string{"live"}})
		f.put("/app/a", "new", "Overwrite", true)
		ok[any](f, "LabelParameterVersion", in{"Name": "/app/b/c", "Labels": []string{"live", "x"}})
		live := []in{{"Key": "Label", "Values": []string{"live", "x"}}}
		tests := []struct {
			input in
			want  []string
		}{
			{in{"Path": "/app"}, []string{"/app/a", "/app/b"}},
			{in{"Path": "/app/", "Recursive": true}, []string{"/app/a", "/app/b", "/app/b/c", "/app/b/c/d"}},
			{in{"Path": "/"}, []string{"/app_x", "/apple", "/top", "root"}},
			{in{"Path": "/none", "Recursive": true}, nil},
			{in{"Path": "/app", "Recursive": true, "ParameterFilters": []in{{"Key": "Type", "Values": []string{"SecureString"}}}}, []string{"/app/b/c"}},
			{in{"Path": "/app", "Recursive": true, "ParameterFilters": []in{{"Key": "KeyId", "Option": "BeginsWith", "Values": []string{"alias"}}}}, []string{"/app/b/c"}},
			{in{"Path": "/app", "ParameterFilters": live}, []string{"/app/a"}},
			{in{"Path": "/app", "Recursive": true, "ParameterFilters": live}, []string{"/app/a", "/app/b/c"}},
		}
		for _, tt := range tests {
			for _, size := range []int{1, 10} {
				tt.input["MaxResults"] = size
				delete(tt.input, "NextToken")
				if diff := cmp.Diff(tt.want, f.names("GetParametersByPath", tt.input)); diff != "" {
					t.Errorf("%v: %s", tt.input, diff)
				}
			}
		}
		got := ok[struct{ Parameters []param }](f, "GetParametersByPath", in{"Path": "/app", "WithDecryption": true, "ParameterFilters": live}).Parameters
		if len(got) != 1 || got[0].Value != "1" || got[0].Version != 1 {
			t.Errorf("%+v", got)
		}
		secure := ok[struct{ Parameters []param }](f, "GetParametersByPath", in{"Path": "/app/b", "WithDecryption": true}).Parameters
		if len(secure) != 1 || secure[0].Value != "3" {
			t.Errorf("%+v", secure)
		}
		for input, want := range map[string]string{
			`{"Path":"app"}`: "ValidationException", `{"Path":"/app","MaxResults":11}`: "ValidationException",
			`{"Path":"/app","NextToken":"x"}`: "InvalidNextToken",
		} {
			if _, err := f.caller.Call(f.ctx, "ssm", "GetParametersByPath", []byte(input)); err == nil || fmt.Sprint(err)[:len(want)] != want {
				t.Errorf("%s: %v", input, err)
			}
		}
		refused(f, "GetParametersByPath", in{"Path": "/app", "ParameterFilters": []in{{"Key": "Name", "Values": []string{"x"}}}}, "InvalidFilterKey")
		refused(f, "GetParametersByPath", in{"Path": "/app", "ParameterFilters": []in{{"Key": "Label", "Option": "BeginsWith", "Values": []string{"x"}}}}, "InvalidFilterOption")
	})
}
