package iampolicy

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// globPattern is the same question asked of the regexp package.
func globPattern(p string) *regexp.Regexp {
	q := regexp.QuoteMeta(p)
	q = strings.ReplaceAll(strings.ReplaceAll(q, `\*`, `(?s:.*)`), `\?`, `(?s:.)`)
	return regexp.MustCompile(`^` + q + `$`)
}

func TestGlobAgreesWithRegexp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[ab*?é]{0,10}`).Draw(t, "pattern")
		s := rapid.StringMatching(`[abé\n]{0,12}`).Draw(t, "s")
		p, err := compilePattern(text, dialect{wildcards: true})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := glob(p.tokens, s), globPattern(text).MatchString(s); got != want {
			t.Fatalf("glob(%q, %q) = %v", text, s, got)
		}
	})
}

func drawPolicy(t *rapid.T, label string) *Policy {
	effect := rapid.SampledFrom([]string{"Allow", "Allow", "Deny"})
	action := rapid.SampledFrom([]string{"*", "ssm:*", "ssm:Get*", "ssm:GetParameter", "ssm:?utParameter"})
	resource := rapid.SampledFrom([]string{"*", "arn:aws:ssm:*:*:parameter/*", "arn:aws:ssm:*:*:parameter/a", "arn:aws:ssm:*:*:parameter/${aws:username}"})
	condition := rapid.SampledFrom([]string{
		"", "", `,"Condition":{"StringEquals":{"aws:ResourceTag/Env":"prod"}}`, `,"Condition":{"StringNotEquals":{"aws:username":"ada"}}`,
		`,"Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}`, `,"Condition":{"StringEquals":{"acme:x":"y"}}`,
		`,"Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":["Env"]}}`,
	})
	not := rapid.SampledFrom([]string{"", "", "Not"})
	var statements []string
	for i := range rapid.IntRange(1, 4).Draw(t, label) {
		statements = append(statements, fmt.Sprintf(`{"Sid":"S%d","Effect":%q,"%sAction":%q,"%sResource":%q%s}`, i, effect.Draw(t, "effect"),
			not.Draw(t, "not"), action.Draw(t, "action"), not.Draw(t, "not"), resource.Draw(t, "resource"), condition.Draw(t, "condition")))
	}
	p, _, err := Parse([]byte(`{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func drawRequest(t *rapid.T) Request {
	req := Request{
		Action:   rapid.SampledFrom([]string{"ssm:GetParameter", "ssm:PutParameter", "sts:AssumeRole"}).Draw(t, "action"),
		Resource: rapid.SampledFrom([]string{paramARN + "a", paramARN + "ada", "*"}).Draw(t, "resource"),
		Context:  map[string][]string{},
	}
	for key, values := range map[string][]string{"aws:username": {"ada", "bob"}, "aws:ResourceTag/Env": {"prod", "dev"}, "aws:TagKeys": {"Env", "Team"}} {
		if rapid.Bool().Draw(t, key) {
			req.Context[key] = []string{rapid.SampledFrom(values).Draw(t, "value")}
		}
	}
	return req
}

// More sets, and more denies, never allow more; order does not matter.
func TestNarrowing(t *testing.T) {
	t.Parallel()
	never := mustParse(t, `{"Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b, req := drawPolicy(t, "a"), drawPolicy(t, "b"), drawRequest(t)
		one := Evaluate(req, []*Policy{a})
		both := Evaluate(req, []*Policy{a}, []*Policy{b})
		if both.Allowed() && (!one.Allowed() || !Evaluate(req, []*Policy{b}).Allowed()) {
			t.Fatalf("the intersection allows what a set alone does not")
		}
		if swapped := Evaluate(req, []*Policy{b}, []*Policy{a}); swapped.Effect != both.Effect {
			t.Fatalf("order of sets: %s and %s", both.Effect, swapped.Effect)
		}
		union, swapped := Evaluate(req, []*Policy{a, b}), Evaluate(req, []*Policy{b, a})
		if union.Effect != swapped.Effect {
			t.Fatalf("order of policies: %s and %s", union.Effect, swapped.Effect)
		}
		if one.Effect == Deny && (union.Effect != Deny || both.Effect != Deny) {
			t.Fatalf("a deny was lost")
		}
		if d := Evaluate(req, []*Policy{a, never}); d.Effect != Deny {
			t.Fatalf("a deny of everything gives %s", d.Effect)
		}
	})
}

// The case of an action never matters.
func TestActionCase(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, req := drawPolicy(t, "p"), drawRequest(t)
		lower := req
		lower.Action = strings.ToLower(req.Action)
		if a, b := Evaluate(req, []*Policy{p}), Evaluate(lower, []*Policy{p}); a != b {
			t.Fatalf("%+v and %+v", a, b)
		}
	})
}
