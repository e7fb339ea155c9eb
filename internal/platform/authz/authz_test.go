package authz_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/api/sts"
	"github.com/watchbill/watchbill/internal/lang/iampolicy"
	"github.com/watchbill/watchbill/internal/platform/authz"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/shape"
)

var update = flag.Bool("update", false, "rewrite testdata")

const account = "123456789012"

var scope = db.Scope{Account: account, Region: "eu-west-1"}

func parse(t testing.TB, text string) *iampolicy.Policy {
	t.Helper()
	p, _, err := iampolicy.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// as is a context in which a user with the given policies calls.
func as(policies ...*iampolicy.Policy) context.Context {
	c := identity.Caller{
		ARN: "arn:aws:iam::" + account + ":user/alice", Account: account, UserID: "AIDAALICE", Kind: identity.User,
		SourceIP: "10.1.2.3", Tags: map[string]string{"Team": "web"}, Policies: [][]*iampolicy.Policy{policies},
	}
	return identity.With(db.WithScope(context.Background(), scope), c)
}

// ask is Authorize without the context.
func ask(ctx context.Context, a *authz.Authorizer, service, operation string, in any) error {
	_, err := a.Authorize(ctx, service, operation, in)
	return err
}

func code(err error) string {
	if err == nil {
		return "allow"
	}
	if f, ok := errors.AsType[*fault.Fault](err); ok && strings.HasPrefix(f.Code, "AccessDenied") {
		return "deny"
	}
	return err.Error()
}

// allowing is a policy that allows an action on resources.
func allowing(t testing.TB, action string, resources ...string) *iampolicy.Policy {
	t.Helper()
	return parse(t, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"`+action+`","Resource":["`+strings.Join(resources, `","`)+`"]}]}`)
}

func TestResources(t *testing.T) {
	t.Parallel()
	const r = "arn:aws:ssm:eu-west-1:123456789012:"
	roleIn := map[string][]string{"AutomationAssumeRole": {"arn:aws:iam::123456789012:role/run"}}
	cases := []struct {
		name, service, operation string
		input                    any
		allowed                  []string // all of them are needed
		action                   string
	}{
		{"parameter", "ssm", "GetParameter", &ssm.GetParameterInput{Name: new("/a/b:3")}, []string{r + "parameter/a/b"}, "ssm:GetParameter"},
		{"parameter ARN", "ssm", "GetParameter", &ssm.GetParameterInput{Name: new(r + "parameter/a/b:prod")}, []string{r + "parameter/a/b"}, "ssm:GetParameter"},
		{"every name", "ssm", "GetParameters", &ssm.GetParametersInput{Names: []string{"a", "b"}}, []string{r + "parameter/a", r + "parameter/b"}, "ssm:GetParameters"},
		{"path", "ssm", "GetParametersByPath", &ssm.GetParametersByPathInput{Path: new("/prod/")}, []string{r + "parameter/prod"}, "ssm:GetParametersByPath"},
		{"path as AWS's examples allow it", "ssm", "GetParametersByPath", &ssm.GetParametersByPathInput{Path: new("/prod")}, []string{r + "parameter/prod/*"}, "ssm:GetParametersByPath"},
		{"spaces", "ssm", "GetParameter", &ssm.GetParameterInput{Name: new(" /a/b ")}, []string{r + "parameter/a/b"}, "ssm:GetParameter"},
		{"document ARN", "ssm", "GetDocument", &ssm.GetDocumentInput{Name: new(r + "document/Fix")}, []string{r + "document/Fix"}, "ssm:GetDocument"},
		{"shared document", "ssm", "GetDocument", &ssm.GetDocumentInput{Name: new("arn:aws:ssm:eu-west-1:210987654321:document/AWS-Fix")}, []string{"arn:aws:ssm:eu-west-1:210987654321:document/AWS-Fix"}, "ssm:GetDocument"},
		{"document and nodes", "ssm", "SendCommand", &ssm.SendCommandInput{DocumentName: new("Fix"), InstanceIds: []string{"mi-1", "i-2"}}, []string{r + "document/Fix", r + "managed-instance/mi-1", "arn:aws:ec2:eu-west-1:123456789012:instance/i-2"}, "ssm:SendCommand"},
		{"own document", "ssm", "GetDocument", &ssm.GetDocumentInput{Name: new("AWS-RunShellScript")}, []string{"arn:aws:ssm:eu-west-1::document/AWS-RunShellScript"}, "ssm:GetDocument"},
		{"default session document", "ssm", "StartSession", &ssm.StartSessionInput{Target: new("mi-1")}, []string{r + "managed-instance/mi-1", r + "document/SSM-SessionManagerRunShell"}, "ssm:StartSession"},
		{"tagged", "ssm", "AddTagsToResource", &ssm.AddTagsToResourceInput{ResourceType: "ManagedInstance", ResourceId: new("mi-1")}, []string{r + "managed-instance/mi-1"}, "ssm:AddTagsToResource"},
		{"setting", "ssm", "GetServiceSetting", &ssm.GetServiceSettingInput{SettingId: new("/ssm/x")}, []string{r + "servicesetting/ssm/x"}, "ssm:GetServiceSetting"},
		{"none", "ssm", "CancelCommand", &ssm.CancelCommandInput{CommandId: new("c")}, []string{"*"}, "ssm:CancelCommand"},
		{"role too", "ssm", "StartAutomationExecution", &ssm.StartAutomationExecutionInput{DocumentName: new("D"), Parameters: roleIn}, []string{r + "document/D", "arn:aws:iam::123456789012:role/run"}, "*"},
		{"role by name", "ssm", "CreateActivation", &ssm.CreateActivationInput{IamRole: new("service-role/n")}, []string{"*"}, "*"},
		{"incident and plan", "ssm-incidents", "GetIncidentRecord", &incidents.GetIncidentRecordInput{Arn: new("arn:aws:ssm-incidents::123456789012:incident-record/web/1")}, []string{"arn:aws:ssm-incidents::123456789012:incident-record/web/1", "arn:aws:ssm-incidents::123456789012:response-plan/web"}, "ssm-incidents:GetIncidentRecord"},
		{"contact by alias", "ssm-contacts", "CreateContact", &contacts.CreateContactInput{Alias: new("ann")}, []string{"arn:aws:ssm-contacts:eu-west-1:123456789012:contact/ann"}, "ssm-contacts:CreateContact"},
	}
	a := authz.New(nil)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := code(ask(as(allowing(t, c.action, c.allowed...)), a, c.service, c.operation, c.input)); got != "allow" {
				t.Errorf("all resources: %s", got)
			}
			for i := range c.allowed {
				some := append(slices.Clone(c.allowed[:i]), c.allowed[i+1:]...)
				p := allowing(t, c.action, append(some, "arn:aws:x:::other")...)
				if got := code(ask(as(p), a, c.service, c.operation, c.input)); got != "deny" {
					t.Errorf("without %s: %s", c.allowed[i], got)
				}
			}
		})
	}
}

// An automation may be allowed as a document or as a definition; a Deny on
// either is a no.
func TestAlternatives(t *testing.T) {
	t.Parallel()
	a, in := authz.New(nil), &ssm.StartAutomationExecutionInput{DocumentName: new("D"), DocumentVersion: new("2")}
	allow := func(r string) *iampolicy.Policy { return allowing(t, "ssm:StartAutomationExecution", r) }
	deny := parse(t, `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"ssm:*","Resource":"arn:aws:ssm:*:*:document/D"}]}`)
	for want, ctx := range map[string]context.Context{
		"allow": as(allow("arn:aws:ssm:*:*:automation-definition/D:2")), "deny": as(allow("arn:aws:ssm:*:*:automation-definition/D:*"), deny),
	} {
		if got := code(ask(ctx, a, "ssm", "StartAutomationExecution", in)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := code(ask(as(allow("arn:aws:ssm:*:*:automation-definition/D:1")), a, "ssm", "StartAutomationExecution", in)); got != "deny" {
		t.Errorf("other version: %s", got)
	}
}

// However a resource is named, a Deny of it holds.
func TestDenyOfEveryName(t *testing.T) {
	t.Parallel()
	const r = "arn:aws:ssm:eu-west-1:123456789012:"
	all := allowing(t, "*", "*")
	path := func(p string) any { return &ssm.GetParametersByPathInput{Path: &p} }
	name := func(p string) any { return &ssm.GetParameterInput{Name: &p} }
	doc := func(p string) any { return &ssm.GetDocumentInput{Name: &p} }
	cases := []struct {
		denied, operation string
		inputs            []any
	}{
		{r + "parameter/prod", "GetParametersByPath", []any{path("/prod"), path("/prod/"), path(" /prod/ ")}},
		{r + "parameter/prod/*", "GetParametersByPath", []any{path("/prod"), path("/prod/")}},
		{r + "parameter/a/b", "GetParameter", []any{name("/a/b"), name("a/b"), name(" /a/b "), name(r + "parameter/a/b:3"), name(" " + r + "parameter/a/b"), name("/a/b:l")}},
		{r + "document/Fix", "GetDocument", []any{doc("Fix"), doc(r + "document/Fix"), doc(r + "automation-definition/Fix:1")}},
		{"arn:aws:ssm:*::document/AWS-Run", "GetDocument", []any{doc("AWS-Run"), doc(r + "document/AWS-Run"), doc("arn:aws:ssm:eu-west-1::document/AWS-Run")}},
	}
	for _, c := range cases {
		deny := parse(t, `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"ssm:*","Resource":"`+c.denied+`"}]}`)
		for i, in := range c.inputs {
			if got := code(ask(as(all, deny), authz.New(nil), "ssm", c.operation, in)); got != "deny" {
				t.Errorf("%s, input %d: %s", c.denied, i, got)
			}
			if got := code(ask(as(all), authz.New(nil), "ssm", c.operation, in)); got != "allow" {
				t.Errorf("%s, input %d, no Deny: %s", c.denied, i, got)
			}
		}
	}
}

// Parameters of other accounts, regions and partitions are nobody's.
func TestForeignParameter(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"arn:aws-cn:ssm:eu-west-1:123456789012:parameter/a", "arn:aws:ssm:eu-west-1:210987654321:parameter/a",
		"arn:aws:ssm:us-east-1:123456789012:parameter/a", "arn:aws:ec2:eu-west-1:123456789012:parameter/a", " arn:aws:ssm:a",
	} {
		if got := code(ask(as(allowing(t, "*", "*")), authz.New(nil), "ssm", "GetParameter", &ssm.GetParameterInput{Name: &name})); got != "deny" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	lookup := func(_ context.Context, arn string) (map[string]string, error) {
		if strings.HasSuffix(arn, "/mi-1") {
			return map[string]string{"Env": "dev"}, nil
		}
		return nil, nil
	}
	put := &ssm.PutParameterInput{Name: new("a"), Tags: []ssm.Tag{{Key: new("Team"), Value: new("web")}}, Overwrite: new(true)}
	cases := []struct {
		operation, condition string
		input                any
		want                 string
	}{
		{"DescribeInstancePatches", `"StringEquals":{"ssm:resourceTag/Env":"dev"}`, &ssm.DescribeInstancePatchesInput{InstanceId: new("mi-1")}, "allow"},
		{"DescribeInstancePatches", `"StringEquals":{"aws:ResourceTag/Env":"dev"}`, &ssm.DescribeInstancePatchesInput{InstanceId: new("mi-1")}, "allow"},
		{"DescribeInstancePatches", `"StringEquals":{"aws:ResourceTag/Env":"dev"}`, &ssm.DescribeInstancePatchesInput{InstanceId: new("mi-2")}, "deny"},
		{"PutParameter", `"StringEquals":{"aws:RequestTag/Team":"${aws:PrincipalTag/Team}"}`, put, "allow"},
		{"PutParameter", `"ForAllValues:StringEquals":{"aws:TagKeys":["Env"]}`, put, "deny"},
		{"PutParameter", `"StringEquals":{"ssm:Overwrite":"true","ssm:Policies":"false"}`, put, "allow"},
		{"PutParameter", `"Bool":{"ssm:Overwrite":"false"}`, put, "deny"},
		{"GetParametersByPath", `"Bool":{"ssm:Recursive":"false"}`, &ssm.GetParametersByPathInput{Path: new("/")}, "allow"},
		{"StartSession", `"BoolIfExists":{"ssm:SessionDocumentAccessCheck":"true"}`, &ssm.StartSessionInput{Target: new("mi-1")}, "allow"},
		{"ListCommands", `"IpAddress":{"aws:SourceIp":"10.1.0.0/16"}`, &ssm.ListCommandsInput{}, "allow"},
		{"ListCommands", `"StringEquals":{"aws:username":"alice","aws:RequestedRegion":"eu-west-1"}`, &ssm.ListCommandsInput{}, "allow"},
		{"ListCommands", `"NumericLessThan":{"aws:MultiFactorAuthAge":"300"}`, &ssm.ListCommandsInput{}, "deny"},
		{"ListCommands", `"DateGreaterThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"}`, &ssm.ListCommandsInput{}, "allow"},
	}
	a := authz.New(lookup)
	for _, c := range cases {
		p := parse(t, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ssm:*","Resource":"*","Condition":{`+c.condition+`}}]}`)
		if got := code(ask(as(p), a, "ssm", c.operation, c.input)); got != c.want {
			t.Errorf("%s with %s: %s, want %s", c.operation, c.condition, got, c.want)
		}
	}
}

// Whoever may tag what has one tag brings nothing in or out of it.
func TestRetagging(t *testing.T) {
	t.Parallel()
	a := authz.New(func(_ context.Context, arn string) (map[string]string, error) {
		return map[string]string{"Team": arn[strings.LastIndex(arn, "-")+1:], "Other": "x"}, nil
	})
	p := parse(t, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ssm:*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/Team":"blue"}}}]}`)
	add := func(id, key, value string) error {
		return ask(as(p), a, "ssm", "AddTagsToResource", &ssm.AddTagsToResourceInput{
			ResourceType: ssm.ResourceTypeForTaggingManagedInstance, ResourceId: &id, Tags: []ssm.Tag{{Key: &key, Value: &value}},
		})
	}
	remove := func(id, key string) error {
		return ask(as(p), a, "ssm", "RemoveTagsFromResource", &ssm.RemoveTagsFromResourceInput{
			ResourceType: ssm.ResourceTypeForTaggingManagedInstance, ResourceId: &id, TagKeys: []string{key},
		})
	}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"another tag":     {add("mi-blue", "Env", "dev"), "allow"},
		"the same tag":    {add("mi-blue", "Team", "blue"), "allow"},
		"away":            {add("mi-blue", "Team", "red"), "deny"},
		"here":            {add("mi-red", "Team", "blue"), "deny"},
		"remove another":  {remove("mi-blue", "Other"), "allow"},
		"remove the tag":  {remove("mi-blue", "Team"), "deny"},
		"remove of a red": {remove("mi-red", "Other"), "deny"},
	} {
		if got := code(c.err); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestDenials(t *testing.T) {
	t.Parallel()
	a := authz.New(nil)
	get := &ssm.GetParameterInput{Name: new("a")}
	err := ask(as(), a, "ssm", "GetParameter", get)
	want := "User: arn:aws:iam::123456789012:user/alice is not authorized to perform: ssm:GetParameter on resource: arn:aws:ssm:eu-west-1:123456789012:parameter/a because no identity-based policy allows the ssm:GetParameter action"
	if f, ok := errors.AsType[*fault.Fault](err); !ok || f.Message != want || f.Code != "AccessDeniedException" || f.Status != 400 {
		t.Errorf("got %v", err)
	}
	all := allowing(t, "*", "*")
	deny := parse(t, `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`)
	if err := ask(as(all, deny), a, "ssm-incidents", "ListResponsePlans", nil); err == nil || !strings.HasSuffix(err.Error(), "with an explicit deny in an identity-based policy") || err.(*fault.Fault).Status != 403 {
		t.Errorf("got %v", err)
	}
	for name, ctx := range map[string]context.Context{"nobody": db.WithScope(t.Context(), scope), "no set": identity.With(t.Context(), identity.Caller{ARN: "arn:aws:iam::1:user/x", Kind: identity.User})} {
		if got := code(ask(ctx, a, "ssm", "GetParameter", get)); got != "deny" {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := code(ask(as(all), a, "ssm", "NoSuchOperation", nil)); got != "deny" {
		t.Errorf("no row: %s", got)
	}
	broken := authz.New(func(context.Context, string) (map[string]string, error) { return nil, errors.New("store") })
	tagged := parse(t, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/a":"b"}}}]}`)
	if got := code(ask(as(tagged), broken, "ssm", "GetParameter", get)); got == "allow" || got == "deny" {
		t.Errorf("failed lookup: %s", got)
	}
}

func TestRequire(t *testing.T) {
	t.Parallel()
	a := authz.New(nil)
	ctx := as(allowing(t, "ssm:SendCommand", "arn:aws:ssm:*:*:managed-instance/mi-1"))
	if got := code(authz.Require(ctx, "ssm:SendCommand", authz.ARN(scope, "node", "mi-1"))); got != "deny" {
		t.Errorf("outside a call: %s", got)
	}
	ctx, _ = a.Authorize(ctx, "ssm", "SendCommand", &ssm.SendCommandInput{DocumentName: new("D")})
	for id, want := range map[string]string{"mi-1": "allow", "mi-2": "deny"} {
		if got := code(authz.Require(ctx, "ssm:SendCommand", authz.ARN(scope, "node", id))); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
}

func TestNodeActsForItselfOnly(t *testing.T) {
	t.Parallel()
	node := identity.Caller{ARN: "arn:aws:sts::123456789012:assumed-role/watchbill-node/mi-1", Kind: identity.Node, SessionName: "mi-1"}
	ctx := identity.With(db.WithScope(t.Context(), scope), node)
	cases := []struct {
		service, operation string
		input              any
		want               string
	}{
		{"ssm", "PutInventory", &ssm.PutInventoryInput{InstanceId: new("mi-1")}, "allow"},
		{"ssm", "PutInventory", &ssm.PutInventoryInput{InstanceId: new("mi-2")}, "deny"},
		{"ssm", "PutComplianceItems", &ssm.PutComplianceItemsInput{ResourceId: new("mi-2")}, "deny"},
		{"ssm", "UpdateInstanceInformation", map[string]any{"InstanceId": "mi-1"}, "allow"},
		{"ssm", "UpdateInstanceInformation", map[string]any{"InstanceId": "mi-2"}, "deny"},
		{"ssm", "UpdateInstanceInformation", map[string]any{}, "deny"},
		{"ssm", "GetParameters", &ssm.GetParametersInput{Names: []string{"a"}}, "allow"},
		{"ssm", "GetParameters", &ssm.GetParametersInput{Names: []string{"a"}, WithDecryption: new(true)}, "deny"},
		{"ssm", "GetParameter", &ssm.GetParameterInput{Name: new("a")}, "deny"},
		{"ssm", "SendCommand", &ssm.SendCommandInput{InstanceIds: []string{"mi-1"}}, "deny"},
		{"sts", "AssumeRole", &sts.AssumeRoleInput{}, "deny"},
		{"ssmmessages", "OpenDataChannel", nil, "allow"},
	}
	a := authz.New(nil)
	for _, c := range cases {
		if got := code(ask(ctx, a, c.service, c.operation, c.input)); got != c.want {
			t.Errorf("%s %+v: %s, want %s", c.operation, c.input, got, c.want)
		}
	}
}

// The whole matrix: every operation for nobody, for a caller without policies
// and for each tier, against a file that a change has to show up in.
func TestMatrix(t *testing.T) {
	t.Parallel()
	tiers := []string{"WatchbillObserver", "WatchbillDiagnoser", "WatchbillOperator", "WatchbillMaintainer", "WatchbillBreakGlass", "AdministratorAccess"}
	a := authz.New(nil)
	var b strings.Builder
	b.WriteString("operation\tnone\tobserver\tdiagnoser\toperator\tmaintainer\tbreak-glass\tadministrator\n")
	for _, m := range []*shape.Model{ssm.Model, incidents.Model, contacts.Model, sts.Model} {
		for _, op := range m.Operations {
			b.WriteString(m.SigningName + ":" + op.Name)
			in := op.NewInput()
			fill(in)
			column := func(p ...*iampolicy.Policy) {
				b.WriteString("\t" + code(ask(as(p...), a, m.SigningName, op.Name, in)))
			}
			column()
			for _, tier := range tiers {
				p, ok := authz.Managed(authz.ManagedPrefix + tier)
				if !ok {
					t.Fatal(tier)
				}
				column(p)
			}
			b.WriteString("\n")
			if got := code(ask(db.WithScope(t.Context(), scope), a, m.SigningName, op.Name, in)); got != "deny" {
				t.Errorf("%s: nobody: %s", op.Name, got)
			}
		}
	}
	if *update {
		if err := os.WriteFile("testdata/matrix.tsv", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/matrix.tsv")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("run with -update when this is meant:\n%s", d)
	}
}

// Roles of the class runbook pass, others do not.
func TestTierClasses(t *testing.T) {
	t.Parallel()
	class := map[string]string{"/Diag": "diagnostic", "/Ok": "approved", "/run": "runbook"}
	a := authz.New(func(_ context.Context, arn string) (map[string]string, error) {
		if c := class[arn[strings.LastIndex(arn, "/"):]]; c != "" {
			return map[string]string{"watchbill:class": c}, nil
		}
		return nil, nil
	})
	start := func(doc, role string) *ssm.StartAutomationExecutionInput {
		return &ssm.StartAutomationExecutionInput{DocumentName: &doc, Parameters: map[string][]string{"AutomationAssumeRole": {"arn:aws:iam::123456789012:role/" + role}}}
	}
	send := func(doc string) any { return &ssm.SendCommandInput{DocumentName: &doc, InstanceIds: []string{"mi-1"}} }
	cases := []struct {
		tier, operation string
		input           any
		want            string
	}{
		{"Observer", "SendCommand", send("Diag"), "deny"},
		{"Diagnoser", "SendCommand", send("Diag"), "allow"},
		{"Diagnoser", "SendCommand", send("Ok"), "deny"},
		{"Diagnoser", "SendCommand", send("AWS-RunShellScript"), "deny"},
		{"Operator", "SendCommand", send("Ok"), "allow"},
		{"Operator", "SendCommand", send("AWS-RunShellScript"), "deny"},
		{"Operator", "StartAutomationExecution", start("Ok", "run"), "allow"},
		{"Operator", "StartAutomationExecution", start("Ok", "admin"), "deny"},
		{"Operator", "StartAutomationExecution", start("Own", "run"), "deny"},
		{"Operator", "CreateDocument", &ssm.CreateDocumentInput{Name: new("Own")}, "deny"},
		{"Maintainer", "CreateDocument", &ssm.CreateDocumentInput{Name: new("Own")}, "allow"},
		{"Maintainer", "CreateDocument", &ssm.CreateDocumentInput{Name: new("Own"), Tags: []ssm.Tag{{Key: new("watchbill:class"), Value: new("approved")}}}, "deny"},
		{"Maintainer", "AddTagsToResource", &ssm.AddTagsToResourceInput{ResourceType: "Document", ResourceId: new("Own"), Tags: []ssm.Tag{{Key: new("watchbill:class"), Value: new("approved")}}}, "deny"},
		{"Maintainer", "UpdateDocument", &ssm.UpdateDocumentInput{Name: new("Ok")}, "deny"},
		{"Maintainer", "UpdateDocument", &ssm.UpdateDocumentInput{Name: new("Own")}, "allow"},
		{"Maintainer", "SendCommand", send("Own"), "deny"},
		{"Maintainer", "CreateAssociation", &ssm.CreateAssociationInput{Name: new("Own")}, "deny"},
		{"Maintainer", "CreateAssociation", &ssm.CreateAssociationInput{Name: new("Ok")}, "allow"},
		{"BreakGlass", "SendCommand", send("AWS-RunShellScript"), "allow"},
		{"BreakGlass", "SendAutomationSignal", &ssm.SendAutomationSignalInput{AutomationExecutionId: new("e"), SignalType: "Approve"}, "deny"},
		{"BreakGlass", "SendAutomationSignal", &ssm.SendAutomationSignalInput{AutomationExecutionId: new("e"), SignalType: "Reject"}, "allow"},
	}
	for _, c := range cases {
		p, _ := authz.Managed(authz.ManagedPrefix + "Watchbill" + c.tier)
		if got := code(ask(as(p), a, "ssm", c.operation, c.input)); got != c.want {
			t.Errorf("%s %s %+v: %s, want %s", c.tier, c.operation, c.input, got, c.want)
		}
	}
}

func BenchmarkAuthorize(b *testing.B) {
	a := authz.New(nil)
	in := &ssm.GetParameterInput{Name: new("/a/b")}
	for _, tier := range []string{"AdministratorAccess", "WatchbillMaintainer"} {
		p, _ := authz.Managed(authz.ManagedPrefix + tier)
		ctx := as(p)
		b.Run(tier, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := a.Authorize(ctx, "ssm", "GetParameter", in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestNodeReadsSecretsAsItsRoleMay(t *testing.T) {
	t.Parallel()
	ctx := identity.With(db.WithScope(t.Context(), scope), identity.Caller{
		ARN: "arn:aws:sts::123456789012:assumed-role/watchbill-node/mi-1", Kind: identity.Node, SessionName: "mi-1", Account: "123456789012",
	})
	role := identity.Caller{Policies: [][]*iampolicy.Policy{{parse(t, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ssm:*","Resource":"arn:aws:ssm:*:*:parameter/app/*"}]}`)}}}
	a := authz.New(nil)
	a.NodeRole = func(_ context.Context, id string) (identity.Caller, bool) { return role, id == "mi-1" }
	secret := func(names ...string) any {
		return &ssm.GetParametersInput{Names: names, WithDecryption: new(true)}
	}
	for _, c := range []struct {
		operation string
		input     any
		want      string
	}{
		{"GetParameters", secret("/app/key"), "allow"},
		{"GetParameters", secret("/app/key", "/other/key"), "deny"},
		{"PutInventory", &ssm.PutInventoryInput{InstanceId: new("mi-2")}, "deny"}, // its role has no say in it
		{"DeleteParameter", &ssm.DeleteParameterInput{Name: new("/app/key")}, "deny"},
	} {
		if got := code(ask(ctx, a, "ssm", c.operation, c.input)); got != c.want {
			t.Errorf("%s %+v: %s, want %s", c.operation, c.input, got, c.want)
		}
	}
}
