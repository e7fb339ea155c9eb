package agent

import (
	"context"
	"crypto/x509"

	"github.com/watchbill/watchbill/internal/agent/cgroup"
	"github.com/watchbill/watchbill/internal/agent/content"
	"github.com/watchbill/watchbill/internal/agent/runner"
)

// equip gives the node its plug-ins, as far as its operator allows and its
// machine can.
func (n *node) equip(o Settings) {
	n.runner.MayReboot = o.AllowReboot
	groups, err := cgroup.Delegated()
	if err != nil {
		n.log.Info("scripts run in process groups only", "reason", err.Error())
	}
	n.runner.Groups = groups
	fetcher := &content.Fetcher{Hub: n, Loopback: o.AllowLoopback, Roots: n.roots()}
	n.runner.Plugins = map[string]runner.Plugin{
		"aws:downloadContent":    fetcher.Plugin,
		"aws:refreshAssociation": n.refreshAssociation,
		"aws:updateSsmAgent":     n.updateAgent,
		"aws:updateAgent":        n.updateAgent,
	}
}

// roots are the authorities of the system and that of the hub.
func (n *node) roots() *x509.CertPool {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	roots.AppendCertsFromPEM([]byte(n.role.state.CA))
	return roots
}

// refreshAssociation asks the hub for the node's associations. This node
// program runs none: a hub that has any for it is told so.
func (n *node) refreshAssociation(ctx context.Context, c *runner.Call) runner.Result {
	var out struct {
		Associations []struct{ AssociationID, Name string }
	}
	in := map[string]any{"InstanceId": n.id, "MaxResults": 20}
	if err := n.role.call(ctx, "ListInstanceAssociations", in, &out); err != nil {
		return c.Ended(ctx, err)
	}
	for _, a := range out.Associations {
		c.Print("association %s with document %s is not run by this node program", a.AssociationID, a.Name)
	}
	c.Print("%d associations", len(out.Associations))
	return runner.Result{Status: runner.Success}
}
