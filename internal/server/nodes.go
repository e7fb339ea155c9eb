package server

import (
	"context"
	"encoding/json"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/capability/node"
	"github.com/watchbill/watchbill/internal/capability/opsitem"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
)

// watchNodes opens an OpsItem for each node of which two agents are seen.
func (h *hub) watchNodes() {
	h.platform.journal.Subscribe(journal.Subscription{Name: "node.contested", Kinds: []string{"node.channel.contested"}, Handle: h.contested})
}

// contested takes the fact that a node's replaced channel had an agent at its end. One
// item is open for one node; what repeats is recorded with it.
func (h *hub) contested(_ context.Context, tx *db.Tx, row journal.Row) error {
	var body struct {
		Name         string `json:"name"`
		ComputerName string `json:"computerName"`
		IPAddress    string `json:"ipAddress"`
	}
	if err := json.Unmarshal(row.Body, &body); err != nil {
		return err
	}
	data := map[string]ssm.OpsItemDataValue{}
	for k, v := range map[string]string{"node": row.Subject, "name": body.Name, "computerName": body.ComputerName, "ipAddress": body.IPAddress} {
		if v != "" {
			data[k] = ssm.OpsItemDataValue{Type: ssm.OpsItemDataTypeSearchableString, Value: new(v)}
		}
	}
	_, _, err := h.all.opsitem.Open(tx, opsitem.Open{
		Title: "Two agents run as the node " + row.Subject, Source: "watchbill-node", Severity: "2", Category: "Security", Dedup: "node.contested/" + row.Subject, Data: data,
		Description: "A second control channel was opened with the key of this node while the first one was alive; the newest was kept. " +
			"A machine was cloned with the state of its agent, or the key was taken. Register one of the two anew, and deregister the node if you do not know the other.",
	})
	return err
}

func (h *hub) nodeExists(tx *db.Tx, id string) (bool, error) {
	_, err := h.all.node.Get(tx, id)
	if node.IsUnknown(err) {
		return false, nil
	}
	return err == nil, err
}
