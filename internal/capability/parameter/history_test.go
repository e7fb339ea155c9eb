package parameter_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type labelOut struct {
	InvalidLabels    []string
	RemovedLabels    []string
	ParameterVersion int64
}

func TestHistoryIsCapped(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.put("p", "v1")
		for i := 2; i <= 100; i++ {
			f.put("p", fmt.Sprint("v", i), "Overwrite", true)
		}
		f.get("p:1")
		f.put("p", "v101", "Overwrite", true)
		refused(f, "GetParameter", in{"Name": "p:1"}, "ParameterVersionNotFound")
		ok[any](f, "LabelParameterVersion", in{"Name": "p", "ParameterVersion": 2, "Labels": []string{"keep"}})
		refused(f, "PutParameter", in{"Name": "p", "Value": "v102", "Overwrite": true}, "ParameterMaxVersionLimitExceeded")
		if got := f.get("p"); got.Version != 101 {
			t.Errorf("%+v", got)
		}
		ok[any](f, "LabelParameterVersion", in{"Name": "p", "Labels": []string{"keep"}})
		f.put("p", "v102", "Overwrite", true)
		if got := f.get("p:keep"); got.Version != 101 {
			t.Errorf("%+v", got)
		}
		type item struct{ Version int64 }
		var versions []int64
		input := in{"Name": "p", "MaxResults": 33}
		for {
			page := ok[struct {
				Parameters []item
				NextToken  string
			}](f, "GetParameterHistory", input)
			for _, v := range page.Parameters {
				versions = append(versions, v.Version)
			}
			if input["NextToken"] = page.NextToken; page.NextToken == "" {
				break
			}
		}
		if len(versions) != 100 || versions[0] != 3 || versions[99] != 102 {
			t.Errorf("%v", versions)
		}
	})
}

func TestHistoryTokens(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for _, name := range []string{"a", "b"} {
			f.put(name, "1")
			f.put(name, "2", "Overwrite", true)
		}
		out := ok[struct{ NextToken string }](f, "GetParameterHistory", in{"Name": "a", "MaxResults": 1})
		refused(f, "GetParameterHistory", in{"Name": "b", "NextToken": out.NextToken}, "InvalidNextToken")
		refused(f, "GetParameterHistory", in{"Name": "a", "NextToken": "x"}, "InvalidNextToken")
		refused(f, "GetParameterHistory", in{"Name": "a:1"}, "ValidationException")
		refused(f, "GetParameterHistory", in{"Name": "a", "MaxResults": 51}, "ValidationException")
	})
}

func TestLabels(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.put("p", "1")
		f.put("p", "2", "Overwrite", true)
		label := func(version any, labels ...string) labelOut {
			t.Helper()
			input := in{"Name": "p", "Labels": labels}
			if version != nil {
				input["ParameterVersion"] = version
			}
			return ok[labelOut](f, "LabelParameterVersion", input)
		}
		got := label(nil, "prod", "1st", "aws-x", "SSM", "a b", "_x.y-z")
		if diff := cmp.Diff(labelOut{InvalidLabels: []string{"1st", "aws-x", "SSM", "a b"}, ParameterVersion: 2}, got); diff != "" {
			t.Error(diff)
		}
		if got := f.get("p:prod"); got.Version != 2 || got.Selector != ":prod" {
			t.Errorf("%+v", got)
		}
		label(1, "prod")
		if got := f.get("p:prod"); got.Version != 1 {
			t.Errorf("the label did not move: %+v", got)
		}
		refused(f, "LabelParameterVersion", in{"Name": "p", "ParameterVersion": 9, "Labels": []string{"x"}}, "ParameterVersionNotFound")
		refused(f, "LabelParameterVersion", in{"Name": "none", "Labels": []string{"x"}}, "ParameterNotFound")
		refused(f, "LabelParameterVersion", in{"Name": "p", "Labels": []string{strings.Repeat("x", 101)}}, "ValidationException")
		label(1, "l2", "l3", "l4", "l5", "l6", "l7", "l8", "l9", "l10")
		label(1, "l2")
		refused(f, "LabelParameterVersion", in{"Name": "p", "ParameterVersion": 1, "Labels": []string{"_x.y-z"}}, "ParameterVersionLabelLimitExceeded")
		if got := f.get("p:_x.y-z"); got.Version != 2 {
			t.Errorf("a refused label moved: %+v", got)
		}
		un := ok[labelOut](f, "UnlabelParameterVersion", in{"Name": "p", "ParameterVersion": 1, "Labels": []string{"prod", "_x.y-z", "none"}})
		if diff := cmp.Diff(labelOut{RemovedLabels: []string{"prod"}, InvalidLabels: []string{"_x.y-z", "none"}}, un); diff != "" {
			t.Error(diff)
		}
		refused(f, "GetParameter", in{"Name": "p:prod"}, "ParameterVersionNotFound")
		type item struct{ Labels []string }
		history := ok[struct{ Parameters []item }](f, "GetParameterHistory", in{"Name": "p"}).Parameters
		if len(history[0].Labels) != 9 || len(history[1].Labels) != 1 {
			t.Errorf("%v", history)
		}
		want := []string{"parameter.put", "parameter.put", "parameter.labeled", "parameter.labeled", "parameter.labeled", "parameter.labeled", "parameter.unlabeled"}
		if diff := cmp.Diff(want, f.kinds()); diff != "" {
			t.Error(diff)
		}
	})
}
