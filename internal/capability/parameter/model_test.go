package parameter_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

// model is what the Parameter Store should remember of one parameter.
type model struct {
	values map[int64]string
	labels map[string]int64
	newest int64
}

func codeOf(err error) string {
	if err == nil {
		return ""
	}
	return fault.Of(err).ErrorCode()
}

// Random calls leave what a map of versions and labels would.
func TestAgreesWithModel(t *testing.T) {
	f := direct(t, dbtest.SQLite(t, migrations...))
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		names := []string{fmt.Sprintf("/m%d/a", run), fmt.Sprintf("/m%d/b", run), fmt.Sprintf("m%d", run)}
		known := map[string]*model{}
		name := rapid.SampledFrom(names)
		label := rapid.SampledFrom([]string{"x", "y", "z"})
		want := func(operation, want string, err error) {
			t.Helper()
			if got := codeOf(err); got != want {
				t.Fatalf("%s: %v, want %q", operation, err, want)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				n, overwrite, value := name.Draw(t, "name"), rapid.Bool().Draw(t, "overwrite"), rapid.StringMatching(`[a-z]{1,4}`).Draw(t, "value")
				out, err := f.service.PutParameter(f.ctx, &ssm.PutParameterInput{
					Name: &n, Value: &value, Overwrite: &overwrite, Type: ssm.ParameterTypeSecureString,
				})
				m := known[n]
				if m != nil && !overwrite {
					want("put", "ParameterAlreadyExists", err)
					return
				}
				want("put", "", err)
				if m == nil {
					m = &model{values: map[int64]string{}, labels: map[string]int64{}}
					known[n] = m
				}
				m.newest++
				m.values[m.newest] = value
				if *out.Version != m.newest {
					t.Fatalf("version %d, want %d", *out.Version, m.newest)
				}
			},
			"delete": func(t *rapid.T) {
				n := name.Draw(t, "name")
				_, err := f.service.DeleteParameter(f.ctx, &ssm.DeleteParameterInput{Name: &n})
				want("delete", map[bool]string{false: "ParameterNotFound"}[known[n] != nil], err)
				delete(known, n)
			},
			"label": func(t *rapid.T) {
				n, l, v := name.Draw(t, "name"), label.Draw(t, "label"), rapid.Int64Range(1, 5).Draw(t, "version")
				_, err := f.service.LabelParameterVersion(f.ctx, &ssm.LabelParameterVersionInput{Name: &n, Labels: []string{l}, ParameterVersion: &v})
				switch m := known[n]; {
				case m == nil:
					want("label", "ParameterNotFound", err)
				case v > m.newest:
					want("label", "ParameterVersionNotFound", err)
				default:
					want("label", "", err)
					m.labels[l] = v
				}
			},
			"unlabel": func(t *rapid.T) {
				n, l, v := name.Draw(t, "name"), label.Draw(t, "label"), rapid.Int64Range(1, 5).Draw(t, "version")
				out, err := f.service.UnlabelParameterVersion(f.ctx, &ssm.UnlabelParameterVersionInput{Name: &n, Labels: []string{l}, ParameterVersion: &v})
				switch m := known[n]; {
				case m == nil:
					want("unlabel", "ParameterNotFound", err)
				case v > m.newest:
					want("unlabel", "ParameterVersionNotFound", err)
				case (m.labels[l] == v) != (len(out.RemovedLabels) == 1):
					t.Fatalf("unlabel %s:%d: %v", l, v, out.RemovedLabels)
				case m.labels[l] == v:
					delete(m.labels, l)
				}
			},
			"": func(t *rapid.T) {
				for _, n := range names {
					checkModel(t, f, n, known[n])
				}
			},
		})
	})
}

func checkModel(t *rapid.T, f *fixture, name string, m *model) {
	out, err := f.service.GetParameterHistory(f.ctx, &ssm.GetParameterHistoryInput{Name: &name, WithDecryption: new(true)})
	if m == nil {
		if codeOf(err) != "ParameterNotFound" {
			t.Fatalf("%s: %v", name, err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	values, labels := map[int64]string{}, map[string]int64{}
	for _, v := range out.Parameters {
		values[*v.Version] = *v.Value
		for _, l := range v.Labels {
			labels[l] = *v.Version
		}
	}
	if diff := cmp.Diff(m.values, values) + cmp.Diff(m.labels, labels); diff != "" {
		t.Fatalf("%s: %s", name, diff)
	}
	for _, l := range slices.Sorted(maps.Keys(m.labels)) {
		got, err := f.service.GetParameter(f.ctx, &ssm.GetParameterInput{Name: new(name + ":" + l), WithDecryption: new(true)})
		if err != nil || *got.Parameter.Version != m.labels[l] {
			t.Fatalf("%s:%s: %v", name, l, err)
		}
	}
}
