package intake

import (
	"context"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/capability/opsitem"
	"github.com/watchbill/watchbill/internal/platform/db"
)

// OpsCenter opens OpsItems in package opsitem.
type OpsCenter struct{ Items *opsitem.Service }

// OpenUnowned opens an OpsItem, or finds the open one of the same key.
func (o OpsCenter) OpenUnowned(_ context.Context, tx *db.Tx, in OpsItemSignal) (string, error) {
	data := make(map[string]ssm.OpsItemDataValue, len(in.Data))
	for k, v := range in.Data {
		data[k] = ssm.OpsItemDataValue{Type: ssm.OpsItemDataTypeSearchableString, Value: new(v)}
	}
	id, _, err := o.Items.Open(tx, opsitem.Open{
		Title: in.Title, Description: in.Description, Source: in.Source, Severity: in.Severity, Category: in.Category, Dedup: in.DedupeKey, Data: data,
	})
	return id, err
}
