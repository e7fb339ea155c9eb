package iampolicy

import (
	"fmt"
	"testing"
)

func mustParse(t testing.TB, text string) *Policy {
	t.Helper()
	p, _, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func policyOf(t testing.TB, statement string) *Policy {
	t.Helper()
	return mustParse(t, `{"Version":"2012-10-17","Statement":[{`+statement+`}]}`)
}

const paramARN = "arn:aws:ssm:us-east-1:123456789012:parameter/"

func TestActionAndResource(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, statement, action, resource string
		want                              Effect
	}{
		{"exact", `"Effect":"Allow","Action":"ssm:GetParameter","Resource":"*"`, "ssm:GetParameter", "*", Allow},
		{"case of an action", `"Effect":"Allow","Action":"ssm:getPARAMETER","Resource":"*"`, "ssm:GetParameter", "*", Allow},
		{"wildcard", `"Effect":"Allow","Action":"ssm:Get*","Resource":"*"`, "ssm:GetParameters", "*", Allow},
		{"one character", `"Effect":"Allow","Action":"ssm:GetParameter?","Resource":"*"`, "ssm:GetParameter", "*", ImplicitDeny},
		{"another service", `"Effect":"Allow","Action":"ssm:*","Resource":"*"`, "ssm-contacts:ListContacts", "*", ImplicitDeny},
		{"every action", `"Effect":"Allow","Action":"*","Resource":"*"`, "sts:AssumeRole", "*", Allow},
		{"not action", `"Effect":"Allow","NotAction":["ssm:Delete*","ssm:Put*"],"Resource":"*"`, "ssm:DeleteParameter", "*", ImplicitDeny},
		{"not action, other", `"Effect":"Allow","NotAction":["ssm:Delete*"],"Resource":"*"`, "ssm:GetParameter", "*", Allow},
		{"resource", `"Effect":"Allow","Action":"*","Resource":"arn:aws:ssm:*:*:parameter/app/*"`, "ssm:GetParameter", paramARN + "app/db/host", Allow},
		{"case of a resource", `"Effect":"Allow","Action":"*","Resource":"arn:aws:ssm:*:*:parameter/App"`, "ssm:GetParameter", paramARN + "app", ImplicitDeny},
		{"not resource", `"Effect":"Deny","Action":"*","NotResource":"arn:aws:ssm:*:*:parameter/app/*"`, "ssm:GetParameter", paramARN + "other", Deny},
		{"not resource, inside", `"Effect":"Deny","Action":"*","NotResource":"arn:aws:ssm:*:*:parameter/app/*"`, "ssm:GetParameter", paramARN + "app/x", ImplicitDeny},
		{"specific resource for *", `"Effect":"Allow","Action":"*","Resource":"arn:aws:ssm:*:*:parameter/app"`, "ssm:DescribeParameters", "*", ImplicitDeny},
		{"variable", `"Effect":"Allow","Action":"*","Resource":"arn:aws:ssm:*:*:parameter/home/${aws:username}/*"`, "ssm:GetParameter", paramARN + "home/ada/x", Allow},
		{"variable of another", `"Effect":"Allow","Action":"*","Resource":"arn:aws:ssm:*:*:parameter/home/${aws:username}/*"`, "ssm:GetParameter", paramARN + "home/bob/x", ImplicitDeny},
		{"star in a value is literal", `"Effect":"Allow","Action":"*","Resource":"arn:aws:ssm:*:*:parameter/${aws:PrincipalTag/star}"`, "ssm:GetParameter", paramARN + "x", ImplicitDeny},
		{"variable without value", `"Effect":"Allow","Action":"*","Resource":"arn:aws:ssm:*:*:parameter/${aws:PrincipalTag/none}"`, "ssm:GetParameter", paramARN + "x", ImplicitDeny},
		{"variable without value in NotResource", `"Effect":"Allow","Action":"*","NotResource":"arn:aws:ssm:*:*:parameter/${aws:PrincipalTag/none}"`, "ssm:GetParameter", paramARN + "x", ImplicitDeny},
		{"variable without value in a deny", `"Effect":"Deny","Action":"*","Resource":"arn:aws:ssm:*:*:parameter/${aws:PrincipalTag/none}"`, "ssm:GetParameter", paramARN + "x", Deny},
		{"variable without value elsewhere", `"Effect":"Deny","Action":"*","Resource":"arn:aws:ssm:*:*:document/${aws:PrincipalTag/none}"`, "ssm:GetParameter", paramARN + "x", ImplicitDeny},
		{"default", `"Effect":"Allow","Action":"*","Resource":"arn:aws:ssm:*:*:parameter/${aws:PrincipalTag/none, 'common'}"`, "ssm:GetParameter", paramARN + "common", Allow},
		{"escapes", `"Effect":"Allow","Action":"*","Resource":"arn:aws:ssm:*:*:parameter/a${*}b${?}c${$}"`, "ssm:GetParameter", paramARN + "a*b?c$", Allow},
		{"escapes are not wildcards", `"Effect":"Allow","Action":"*","Resource":"arn:aws:ssm:*:*:parameter/a${*}"`, "ssm:GetParameter", paramARN + "abc", ImplicitDeny},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			req := Request{
				Action: tt.action, Resource: tt.resource,
				Context: map[string][]string{"aws:username": {"ada"}, "aws:PrincipalTag/star": {"*"}},
			}
			if got := Evaluate(req, []*Policy{policyOf(t, tt.statement)}); got.Effect != tt.want {
				t.Errorf("%+v, want %s", got, tt.want)
			}
		})
	}
}

func TestOldVersionHasNoVariables(t *testing.T) {
	t.Parallel()
	p := mustParse(t, `{"Statement":[{"Effect":"Allow","Action":"*","Resource":"arn:aws:ssm:::parameter/${aws:username}"}]}`)
	req := Request{Action: "ssm:GetParameter", Resource: "arn:aws:ssm:::parameter/ada", Context: map[string][]string{"aws:username": {"ada"}}}
	if got := Evaluate(req, []*Policy{p}); got.Effect != ImplicitDeny {
		t.Errorf("%+v", got)
	}
	req.Resource = "arn:aws:ssm:::parameter/${aws:username}"
	if got := Evaluate(req, []*Policy{p}); got.Effect != Allow {
		t.Errorf("%+v", got)
	}
}

func TestSets(t *testing.T) {
	t.Parallel()
	all := mustParse(t, `{"Statement":[{"Sid":"All","Effect":"Allow","Action":"*","Resource":"*"}]}`)
	gets := mustParse(t, `{"Statement":[{"Sid":"Gets","Effect":"Allow","Action":"ssm:Get*","Resource":"*"}]}`)
	never := mustParse(t, `{"Statement":[{"Sid":"Never","Effect":"Deny","Action":"ssm:Delete*","Resource":"*"}]}`)
	tests := []struct {
		name, action string
		sets         [][]*Policy
		want         Decision
	}{
		{"no set", "ssm:GetParameter", nil, Decision{Effect: ImplicitDeny}},
		{"one", "ssm:GetParameter", [][]*Policy{{gets}}, Decision{Effect: Allow, Sid: "Gets"}},
		{"second policy", "ssm:GetParameter", [][]*Policy{{never, all}}, Decision{Effect: Allow, Sid: "All", Policy: 1}},
		{"both sets", "ssm:GetParameter", [][]*Policy{{all}, {gets}}, Decision{Effect: Allow, Sid: "All"}},
		{"one of two", "ssm:PutParameter", [][]*Policy{{all}, {gets}}, Decision{Effect: ImplicitDeny, Set: 1}},
		{"an empty set allows nothing", "ssm:GetParameter", [][]*Policy{{all}, {}}, Decision{Effect: ImplicitDeny, Set: 1}},
		{"deny beside allow", "ssm:DeleteParameter", [][]*Policy{{all, never}}, Decision{Effect: Deny, Sid: "Never", Policy: 1}},
		{"deny in a later set", "ssm:DeleteParameter", [][]*Policy{{gets}, {never}}, Decision{Effect: Deny, Sid: "Never", Set: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := Evaluate(Request{Action: tt.action, Resource: "*"}, tt.sets...); got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

var conditionTests = []struct {
	condition string
	want      truth
}{
	{`"StringEquals":{"aws:username":"ada"}`, yes},
	{`"StringEquals":{"AWS:UserName":["bob","ada"]}`, yes},
	{`"StringEquals":{"aws:username":"Ada"}`, no},
	{`"StringEquals":{"aws:username":"a*"}`, no},
	{`"StringEqualsIgnoreCase":{"aws:username":"ADA"}`, yes},
	{`"StringNotEqualsIgnoreCase":{"aws:username":"ADA"}`, no},
	{`"StringNotEquals":{"aws:username":["bob","ada"]}`, no},
	{`"StringNotEquals":{"aws:username":["bob","eve"]}`, yes},
	{`"StringLike":{"aws:username":"a?a"}`, yes},
	{`"StringNotLike":{"aws:username":"a*"}`, no},
	{`"StringEquals":{"aws:RequestTag/Owner":"${aws:username}"}`, yes},
	{`"StringEqualsIgnoreCase":{"aws:RequestTag/Owner":"${aws:username}"}`, yes},
	{`"StringEquals":{"aws:RequestTag/Owner":"${aws:PrincipalTag/none}"}`, unknown},
	{`"StringEquals":{"aws:ResourceTag/env":"prod"}`, yes},
	{`"StringEquals":{"aws:ResourceTag/None":"prod"}`, no},
	{`"StringNotEquals":{"aws:ResourceTag/None":"prod"}`, yes},
	{`"StringEqualsIfExists":{"aws:ResourceTag/None":"prod"}`, yes},
	{`"StringEqualsIfExists":{"aws:ResourceTag/Env":"dev"}`, no},
	{`"StringEquals":{"acme:Key":"x"}`, unknown},
	{`"StringNotEquals":{"acme:Key":"x"}`, unknown},
	{`"StringEqualsIfExists":{"acme:Key":"x"}`, unknown},
	{`"Null":{"acme:Key":"true"}`, unknown},
	{`"NumericLessThan":{"aws:MultiFactorAuthAge":3600}`, yes},
	{`"NumericLessThan":{"aws:MultiFactorAuthAge":"300"}`, no},
	{`"NumericLessThanEquals":{"aws:MultiFactorAuthAge":"300"}`, yes},
	{`"NumericGreaterThanEquals":{"aws:MultiFactorAuthAge":"300.0"}`, yes},
	{`"NumericGreaterThan":{"aws:MultiFactorAuthAge":"299.9"}`, yes},
	{`"NumericEquals":{"aws:MultiFactorAuthAge":3e2}`, yes},
	{`"NumericNotEquals":{"aws:MultiFactorAuthAge":"300"}`, no},
	{`"NumericEquals":{"aws:userid":"300"}`, unknown},
	{`"NumericNotEquals":{"aws:userid":"300"}`, unknown},
	{`"DateGreaterThan":{"aws:CurrentTime":"2026-11-22"}`, yes},
	{`"DateLessThan":{"aws:CurrentTime":"2026-11-22T17:00:00+02:00"}`, no},
	{`"DateEquals":{"aws:CurrentTime":"2026-11-22T16:00Z"}`, yes},
	{`"DateLessThanEquals":{"aws:EpochTime":"1795276800"}`, yes},
	{`"DateNotEquals":{"aws:EpochTime":"1795276800"}`, no},
	{`"DateGreaterThanEquals":{"aws:CurrentTime":"2027"}`, no},
	{`"Bool":{"aws:SecureTransport":true}`, yes},
	{`"Bool":{"aws:SecureTransport":"False"}`, no},
	{`"Bool":{"aws:MultiFactorAuthPresent":"false"}`, no},
	{`"BoolIfExists":{"aws:MultiFactorAuthPresent":"false"}`, yes},
	{`"BinaryEquals":{"sts:ExternalId":"AQI="}`, yes},
	{`"BinaryEquals":{"sts:ExternalId":"AQM="}`, no},
	{`"IpAddress":{"aws:SourceIp":["192.168.0.0/16","10.0.0.0/8"]}`, yes},
	{`"IpAddress":{"aws:SourceIp":"10.1.2.4"}`, no},
	{`"IpAddress":{"aws:SourceIp":"2001:db8::/32"}`, no},
	{`"NotIpAddress":{"aws:SourceIp":"10.1.2.3/32"}`, no},
	{`"ArnLike":{"aws:SourceArn":"arn:aws:ssm:*:123456789012:document/*"}`, yes},
	{`"ArnEquals":{"aws:SourceArn":"arn:aws:ssm:*:document/*"}`, no},
	{`"ArnLike":{"aws:SourceArn":"arn:aws:*"}`, yes},
	{`"ArnNotLike":{"aws:SourceArn":"arn:aws:ssm:*:*:document/Dep*"}`, no},
	{`"ArnLike":{"aws:SourceArn":"arn:aws:ssm:us-east-1:${aws:username, 'x'}:document/*"}`, no},
	{`"Null":{"aws:username":"false"}`, yes},
	{`"Null":{"aws:ResourceTag/None":true}`, yes},
	{`"Null":{"sts:TransitiveTagKeys":"true"}`, yes},
	{`"ForAllValues:StringEquals":{"aws:TagKeys":["Team","Env","Owner"]}`, yes},
	{`"ForAllValues:StringEquals":{"aws:TagKeys":["Team"]}`, no},
	{`"ForAllValues:StringEquals":{"sts:TransitiveTagKeys":"x"}`, yes},
	{`"ForAllValues:StringEquals":{"aws:ResourceTag/None":"x"}`, yes},
	{`"ForAllValues:StringNotEquals":{"aws:TagKeys":["Owner"]}`, yes},
	{`"ForAllValues:StringNotEquals":{"aws:TagKeys":["Team"]}`, no},
	{`"ForAnyValue:StringEquals":{"aws:TagKeys":["Team","Owner"]}`, yes},
	{`"ForAnyValue:StringEquals":{"aws:TagKeys":"Owner"}`, no},
	{`"ForAnyValue:StringEquals":{"aws:ResourceTag/None":"x"}`, no},
	{`"ForAnyValue:StringNotEquals":{"aws:ResourceTag/None":"x"}`, no},
	{`"ForAnyValue:StringNotEquals":{"aws:TagKeys":"Team"}`, yes},
	{`"ForAnyValue:StringEqualsIfExists":{"aws:ResourceTag/None":"x"}`, yes},
	{`"StringLike":{"aws:TagKeys":"*"}`, yes},
	{`"StringEquals":{"aws:TagKeys":"Team"}`, unknown},
	{`"StringEquals":{"aws:username":"ada","aws:ResourceTag/Env":"dev"}`, no},
	{`"StringEquals":{"aws:PrincipalAccount":"123456789012"}`, yes},
	{`"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::123456789012:role/Ops"}`, yes},
}

func TestConditions(t *testing.T) {
	t.Parallel()
	context := map[string][]string{
		"aws:username": {"ada"}, "aws:CurrentTime": {"2026-11-22T16:00:00Z"}, "aws:EpochTime": {"1795276800"},
		"aws:MultiFactorAuthAge": {"300"}, "aws:SecureTransport": {"true"}, "aws:SourceIp": {"10.1.2.3"},
		"aws:SourceArn": {"arn:aws:ssm:us-east-1:123456789012:document/Deploy"}, "aws:TagKeys": {"Team", "Env"},
		"aws:ResourceTag/Env": {"prod"}, "aws:RequestTag/Owner": {"ada"}, "aws:userid": {"not-a-number"},
		"sts:ExternalId": {"AQI="}, "sts:TransitiveTagKeys": {},
	}
	for _, tt := range conditionTests {
		t.Run(tt.condition, func(t *testing.T) {
			t.Parallel()
			req := Request{
				Principal: Principal{ARN: "arn:aws:sts::123456789012:assumed-role/Ops/ada", Account: "123456789012", Kind: Role},
				Action:    "ssm:X", Resource: "*", Context: context,
			}
			for effect, want := range map[Effect]Effect{Allow: when(tt.want == yes, Allow), Deny: when(tt.want != no, Deny)} {
				p := policyOf(t, fmt.Sprintf(`"Effect":%q,"Action":"*","Resource":"*","Condition":{%s}`, effect, tt.condition))
				if got := Evaluate(req, []*Policy{p}); got.Effect != want {
					t.Errorf("%s statement: %+v, want %s", effect, got, want)
				}
			}
		})
	}
}

func when(b bool, e Effect) Effect {
	if b {
		return e
	}
	return ImplicitDeny
}

func TestKeysThatDifferInCaseOnly(t *testing.T) {
	t.Parallel()
	p := policyOf(t, `"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/ENV":"prod"}}`)
	req := Request{Action: "ssm:X", Resource: "*", Context: map[string][]string{"aws:ResourceTag/Env": {"prod"}, "aws:ResourceTag/env": {"prod"}}}
	if got := Evaluate(req, []*Policy{p}); got.Effect != ImplicitDeny {
		t.Errorf("two candidates: %+v", got)
	}
	req.Context["aws:ResourceTag/ENV"] = []string{"prod"}
	if got := Evaluate(req, []*Policy{p}); got.Effect != Allow {
		t.Errorf("one as written: %+v", got)
	}
}

func TestMatchPrincipal(t *testing.T) {
	t.Parallel()
	ada := Principal{ARN: "arn:aws:iam::123456789012:user/ada", Account: "123456789012", Kind: User}
	session := Principal{ARN: "arn:aws:sts::123456789012:assumed-role/Ops/ada", Account: "123456789012", Kind: Role}
	pathed := session
	pathed.RoleARN = "arn:aws:iam::123456789012:role/team/Ops"
	service := Principal{ARN: "ssm.amazonaws.com", Kind: Service}
	idp := Principal{ARN: "arn:aws:iam::123456789012:oidc-provider/login.example", Kind: Federated}
	tests := []struct {
		name, principal string
		who             Principal
		want            PrincipalMatch
	}{
		{"user", `{"AWS":"arn:aws:iam::123456789012:user/ada"}`, ada, MatchExact},
		{"another user", `{"AWS":"arn:aws:iam::123456789012:user/bob"}`, ada, MatchNone},
		{"account", `{"AWS":"123456789012"}`, ada, MatchAccount},
		{"root", `{"AWS":["arn:aws:iam::123456789012:root"]}`, session, MatchAccount},
		{"another account", `{"AWS":"999999999999"}`, ada, MatchNone},
		{"anyone", `"*"`, ada, MatchAny},
		{"anyone in AWS", `{"AWS":"*"}`, Principal{Kind: Anonymous}, MatchAny},
		{"role", `{"AWS":"arn:aws:iam::123456789012:role/Ops"}`, session, MatchExact},
		{"session", `{"AWS":"arn:aws:sts::123456789012:assumed-role/Ops/ada"}`, session, MatchExact},
		{"another session", `{"AWS":"arn:aws:sts::123456789012:assumed-role/Ops/bob"}`, session, MatchNone},
		{"role with a path", `{"AWS":"arn:aws:iam::123456789012:role/team/Ops"}`, pathed, MatchExact},
		{"role of the same name without the path", `{"AWS":"arn:aws:iam::123456789012:role/Ops"}`, pathed, MatchNone},
		{"service", `{"Service":["ec2.amazonaws.com","ssm.amazonaws.com"]}`, service, MatchExact},
		{"another service", `{"Service":"ec2.amazonaws.com"}`, service, MatchNone},
		{"service name as a user", `{"Service":"ssm.amazonaws.com"}`, Principal{ARN: "ssm.amazonaws.com", Kind: User}, MatchNone},
		{"federated", `{"Federated":"arn:aws:iam::123456789012:oidc-provider/login.example"}`, idp, MatchExact},
		{"federated is not its account", `{"AWS":"123456789012"}`, idp, MatchNone},
		{"zero principal", `{"AWS":"123456789012"}`, Principal{}, MatchNone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := policyOf(t, `"Effect":"Allow","Action":"sts:AssumeRole","Principal":`+tt.principal)
			got := p.MatchPrincipal(Request{Principal: tt.who, Action: "sts:AssumeRole", Resource: "arn:aws:iam::123456789012:role/R"})
			if got.Match != tt.want || got.Allowed() != (tt.want != MatchNone) {
				t.Errorf("%+v, want %q", got, tt.want)
			}
		})
	}
}

func TestTrustDenyAndConditions(t *testing.T) {
	t.Parallel()
	p := mustParse(t, `{"Version":"2012-10-17","Statement":[
 {"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"123456789012"},"Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}},
 {"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"arn:aws:iam::123456789012:user/ada"}},
 {"Sid":"NotEve","Effect":"Deny","Action":"*","Principal":{"AWS":"arn:aws:iam::123456789012:user/eve"}},
 {"Sid":"OursOnly","Effect":"Deny","Action":"*","NotPrincipal":{"AWS":"123456789012"}}]}`)
	who := func(name, account string, mfa string) Request {
		return Request{
			Principal: Principal{ARN: "arn:aws:iam::" + account + ":user/" + name, Account: account, Kind: User},
			Action:    "sts:AssumeRole", Context: map[string][]string{"aws:MultiFactorAuthPresent": {mfa}},
		}
	}
	tests := []struct {
		name string
		req  Request
		want Decision
	}{
		{"by account", who("bob", "123456789012", "true"), Decision{Effect: Allow, Match: MatchAccount}},
		{"without MFA", who("bob", "123456789012", "false"), Decision{Effect: ImplicitDeny}},
		{"strongest match", who("ada", "123456789012", "true"), Decision{Effect: Allow, Statement: 1, Match: MatchExact}},
		{"denied", who("eve", "123456789012", "true"), Decision{Effect: Deny, Sid: "NotEve", Statement: 2}},
		{"not principal", who("bob", "999999999999", "true"), Decision{Effect: Deny, Sid: "OursOnly", Statement: 3}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := p.MatchPrincipal(tt.req); got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

func BenchmarkEvaluate(b *testing.B) {
	p := mustParse(b, `{"Version":"2012-10-17","Statement":[
 {"Effect":"Deny","Action":["ssm:Delete*","ssm:Put*"],"Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalTag/team":"ops"}}},
 {"Effect":"Allow","Action":["ssm:Describe*","ssm:Get*","ssm:List*"],"Resource":"arn:aws:ssm:*:*:parameter/app/*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}]}`)
	req := Request{
		Principal: Principal{ARN: "arn:aws:iam::123456789012:user/ada", Account: "123456789012", Kind: User},
		Action:    "ssm:GetParameter", Resource: paramARN + "app/db/host",
		Context: map[string][]string{"aws:SourceIp": {"10.1.2.3"}, "aws:username": {"ada"}},
	}
	b.ReportAllocs()
	for b.Loop() {
		if !Evaluate(req, []*Policy{p}).Allowed() {
			b.Fatal("denied")
		}
	}
}
