package authz

import (
	"strings"

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
	case "typed":
		return []string{typedARN(id, second, s)}
	case "incident":
		return incidentARNs(id)
	}
	if strings.HasPrefix(id, "arn:") {
		return []string{id}
	}
	switch kind {
	case "document":
		return []string{documentARN(id, s)}
	case "definition":
		if second == "" {
			second = "$DEFAULT"
		}
		return []string{ssmARN(s, "automation-definition/"+id+":"+second)}
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

func ssmARN(s db.Scope, resource string) string {
	return "arn:aws:ssm:" + s.Region + ":" + s.Account + ":" + resource
}

// parameterARN drops the version or label that a name can carry after a colon,
// and the leading slash of a hierarchy.
func parameterARN(id string, s db.Scope) string {
	if rest, ok := strings.CutPrefix(id, "arn:"); ok {
		if head, name, ok := strings.Cut(rest, ":parameter/"); ok {
			name, _, _ = strings.Cut(name, ":")
			return "arn:" + head + ":parameter/" + name
		}
		return id
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(id, "/"), ":")
	return ssmARN(s, "parameter/"+name)
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
