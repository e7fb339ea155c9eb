package server

import (
	"context"
	"strings"

	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/tagging"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

// tagKinds names the tag table's kind of each kind of resource in an ARN.
var tagKinds = map[string]string{
	"parameter": "Parameter", "document": "Document", "managed-instance": "ManagedInstance", "opsitem": "OpsItem",
	"automation-execution": "Automation", "maintenancewindow": "MaintenanceWindow", "patchbaseline": "PatchBaseline", "association": "Association",
	"opsmetadata": "OpsMetadata",
}

// tagsOf finds the tags of a resource for conditions of policies.
func (h *hub) tagsOf(ctx context.Context, name string) (tags map[string]string, err error) {
	if t, ok := h.platform.identity.Tags(name); ok {
		return t, nil
	}
	a, err := arn.Parse(name)
	if err != nil {
		return nil, nil
	}
	kind, id := a.Type()
	scope := db.Scope{Account: a.Account, Region: a.Region}
	switch {
	case a.Service == "ec2" && kind == "instance":
		kind = "managed-instance"
	case a.Service != "ssm":
		kind, id, scope.Region = name, name, ""
	case kind == "parameter" && strings.Contains(id, "/"):
		id = "/" + id
	}
	if kind == "session" {
		err = h.db.View(db.WithScope(ctx, scope), func(tx *db.Tx) error { tags, err = h.all.session.Tags(tx, id); return err })
		return tags, err
	}
	if known, ok := tagKinds[kind]; ok {
		kind = known
	}
	err = h.db.View(db.WithScope(ctx, scope), func(tx *db.Tx) error {
		if tags, err = tagging.Get(tx, kind, id); err != nil || kind != "Parameter" || strings.HasPrefix(id, "/") {
			return err
		}
		return addRooted(tx, tags, id)
	})
	return tags, err
}

// addRooted adds the tags of the parameter "/x" to those of "x": the ARN is the
// same. Where they contradict each other nothing can be decided.
func addRooted(tx *db.Tx, tags map[string]string, id string) error {
	rooted, err := tagging.Get(tx, "Parameter", "/"+id)
	for k, v := range rooted {
		if old, ok := tags[k]; ok && old != v {
			return fault.AccessDenied("The parameters %s and /%s have one ARN and contradict each other in the tag %s.", id, id, k)
		}
		tags[k] = v
	}
	return err
}
