package authz

import (
	"cmp"
	"strings"

	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/db"
)

// arns are the resources that a Ref names in an input.
func (r Ref) arns(s db.Scope, in any) []string {
	if r.Member == "" {
		return arnOf(r.Kind, r.Default, "", s)
	}
	list := values(in, r.Member)
	if len(list) == 0 && r.Default != "" {
		list = []string{r.Default}
	}
	second := ""
	if r.Second != "" {
		second = strings.Join(values(in, r.Second), "")
	}
	var out []string
	for _, v := range list {
		out = append(out, arnOf(r.Kind, v, second, s)...)
	}
	return out
}

// foreign is the first parameter that an input names outside the scope: no policy
// opens those.
func (r Ref) foreign(s db.Scope, in any) (string, bool) {
	if r.Kind != "parameter" {
		return "", false
	}
	for _, id := range values(in, r.Member) {
		if foreign(id, s) {
			return id, true
		}
	}
	return "", false
}

// ARN is the ARN under which authorization knows a resource: kind is the first
// part of the resource in the ARN (document, parameter, …), "node" for a managed
// node or an instance by its id.
func ARN(s db.Scope, kind, id string) string { return arnOf(kind, id, "", s)[0] }

// Kinds whose ids are given as an ARN or as a bare id, by service.
var services = map[string]string{
	"contact": "ssm-contacts", "contact-channel": "ssm-contacts", "rotation": "ssm-contacts",
	"engagement": "ssm-contacts", "page": "ssm-contacts",
}

func arnOf(kind, id, second string, s db.Scope) []string {
	switch kind {
	case "parameter":
		return []string{parameterARN(id, s)}
	case "slashed":
		return []string{parameterARN(id, s) + "/"}
	case "typed":
		return []string{typedARN(id, second, s)}
	case "incident":
		return incidentARNs(id)
	case "bucket":
		return []string{"arn:aws:s3:::" + id}
	case "object":
		return []string{"arn:aws:s3:::" + second + "/" + id}
	case "log-group", "log-group-all", "log-stream":
		return []string{logARN(kind, id, second, s)}
	}
	switch kind {
	case "document":
		of, id, _ := document(id, s)
		if of.Account != "" && of.Account != s.Account {
			return []string{ssmARN(of, "document/"+id)}
		}
		return []string{documentARN(id, of)}
	case "definition":
		s, id, version := document(id, s)
		return []string{ssmARN(s, "automation-definition/"+id+":"+cmp.Or(second, version, "$DEFAULT"))}
	}
	if arn.Is(id) {
		return []string{id}
	}
	switch kind {
	case "node":
		return []string{nodeARN(id, s)}
	case "role":
		return []string{"arn:aws:iam::" + s.Account + ":role/" + strings.TrimPrefix(id, "/")}
	case "arn":
		return []string{id}
	case "servicesetting":
		return []string{ssmARN(s, "servicesetting/"+strings.TrimPrefix(id, "/"))}
	}
	service := services[kind]
	if service == "" {
		service = "ssm"
	}
	return []string{"arn:aws:" + service + ":" + s.Region + ":" + s.Account + ":" + kind + "/" + id}
}

// logARN is the ARN of a log group or stream, whose policies are written with ":*" at
// the end of the group or without.
func logARN(kind, id, second string, s db.Scope) string {
	group := strings.TrimSuffix(id, ":*")
	if !arn.Is(id) {
		group = "arn:aws:logs:" + s.Region + ":" + s.Account + ":log-group:" + id
	}
	switch kind {
	case "log-stream":
		return group + ":log-stream:" + second
	case "log-group-all":
		return group + ":*"
	}
	return group
}

func ssmARN(s db.Scope, resource string) string {
	return "arn:aws:ssm:" + s.Region + ":" + s.Account + ":" + resource
}

// parameterARN is the one ARN of a parameter or a path, however it was named: by
// its name or by an ARN, with a version or label after a colon, with the leading
// slash of a hierarchy or without, with the closing slash of a path or without.
func parameterARN(id string, s db.Scope) string {
	name := strings.TrimSpace(id)
	if a, err := arn.Parse(name); err == nil {
		name = strings.TrimPrefix(a.Resource, "parameter/")
		s = db.Scope{Account: a.Account, Region: a.Region}
	}
	name, _, _ = strings.Cut(strings.TrimPrefix(name, "/"), ":")
	return ssmARN(s, "parameter/"+strings.TrimSpace(strings.TrimSuffix(name, "/")))
}

// foreign says that a parameter was named by an ARN that is not one of the scope's.
func foreign(id string, s db.Scope) bool {
	if id = strings.TrimSpace(id); !arn.Is(id) {
		return false
	}
	a, err := arn.Parse(id)
	return err != nil || a.Service != "ssm" || a.Account != s.Account || a.Region != s.Region || !strings.HasPrefix(a.Resource, "parameter/")
}

// document takes apart what names a document: its name, its ARN, or the ARN of an
// automation definition, which is the same document and a version.
func document(id string, s db.Scope) (db.Scope, string, string) {
	a, err := arn.Parse(id)
	if err != nil || a.Service != "ssm" {
		return s, id, ""
	}
	of := db.Scope{Account: a.Account, Region: a.Region}
	if name, ok := strings.CutPrefix(a.Resource, "document/"); ok {
		return of, name, ""
	}
	if rest, ok := strings.CutPrefix(a.Resource, "automation-definition/"); ok {
		name, version, _ := strings.Cut(rest, ":")
		return of, name, version
	}
	return s, id, ""
}

// documentARN leaves the account out of the documents that come with the hub,
// as AWS does with its own.
func documentARN(id string, s db.Scope) string {
	if strings.HasPrefix(id, "AWS") || strings.HasPrefix(id, "Amazon") {
		s.Account = ""
	}
	return ssmARN(s, "document/"+id)
}

func nodeARN(id string, s db.Scope) string {
	if strings.HasPrefix(id, "i-") {
		return "arn:aws:ec2:" + s.Region + ":" + s.Account + ":instance/" + id
	}
	return ssmARN(s, "managed-instance/"+id)
}

// tagged are the kinds behind the values of ResourceType in the tagging operations.
var tagged = map[string]string{
	"Document": "document", "ManagedInstance": "node", "MaintenanceWindow": "maintenancewindow", "Parameter": "parameter",
	"PatchBaseline": "patchbaseline", "OpsItem": "opsitem", "OpsMetadata": "opsmetadata", "Automation": "automation-execution",
	"Association": "association",
}

func typedARN(kind, id string, s db.Scope) string {
	k, ok := tagged[kind]
	if !ok {
		return ssmARN(s, kind+"/"+id)
	}
	return arnOf(k, id, "", s)[0]
}

// incidentARNs are an incident record and the response plan that its ARN names.
func incidentARNs(id string) []string {
	head, rest, ok := strings.Cut(id, ":incident-record/")
	plan, _, full := strings.Cut(rest, "/")
	if !ok || !full {
		return []string{id}
	}
	return []string{id, head + ":response-plan/" + plan}
}
