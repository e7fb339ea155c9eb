package tagging

import (
	"strings"

	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/db"
)

// kinds is the AWS ResourceType behind the first word of an ssm resource.
var kinds = map[string]string{
	"parameter": "Parameter", "document": "Document", "managed-instance": "ManagedInstance", "maintenancewindow": "MaintenanceWindow",
	"patchbaseline": "PatchBaseline", "opsitem": "OpsItem", "opsmetadata": "OpsMetadata", "automation-execution": "Automation",
	"association": "Association",
}

// ByARN is the tags of the resource that an ARN names in the transaction's scope,
// for conditions on them; empty for a resource without tags, of another scope or
// of no kind with tags. Resources of other services than ssm keep theirs under
// the kind "arn:SERVICE" with the ARN for id.
func ByARN(tx *db.Tx, text string) (map[string]string, error) {
	a, err := arn.Parse(text)
	if err != nil {
		return map[string]string{}, nil
	}
	if a.Service != "ssm" {
		return Get(tx, "arn:"+a.Service, text)
	}
	word, id, _ := strings.Cut(a.Resource, "/")
	kind := kinds[word]
	own := a.Account == tx.Scope.Account || (kind == "Document" && a.Account == "")
	if kind == "" || id == "" || a.Region != tx.Scope.Region || !own {
		return map[string]string{}, nil
	}
	if kind != "Parameter" {
		return Get(tx, kind, id)
	}
	if !strings.Contains(id, "/") {
		if tags, err := Get(tx, kind, id); err != nil || len(tags) > 0 {
			return tags, err
		}
	}
	return Get(tx, kind, "/"+id)
}
