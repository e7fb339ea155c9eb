package agent

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/watchbill/watchbill/internal/agent/cgroup"
	"github.com/watchbill/watchbill/internal/agent/content"
	"github.com/watchbill/watchbill/internal/agent/inventory"
	"github.com/watchbill/watchbill/internal/agent/pack"
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
	collector := &inventory.Collector{
		Root: "/", State: filepath.Join(n.updates.Dir, "inventory"), Custom: filepath.Join(n.updates.Dir, "inventory", "custom"),
		Version: Version, Put: n.putInventory,
	}
	fetcher := &content.Fetcher{Hub: n, Loopback: o.AllowLoopback, Roots: n.roots()}
	packages := &pack.Manager{
		Dir: filepath.Join(n.updates.Dir, "packages"), Machine: machine(), Package: n.packageOf, Open: fetcher.Open, Exec: n.runner.Exec,
	}
	n.runner.Plugins = map[string]runner.Plugin{
		"aws:downloadContent":    fetcher.Plugin,
		"aws:configurePackage":   packages.Plugin,
		"aws:softwareInventory":  collector.Plugin,
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

// putInventory sends items to the hub; resend says that the hub misses the
// content of a hash.
func (n *node) putInventory(ctx context.Context, items []inventory.Item) (resend bool, err error) {
	var out struct{}
	err = n.role.call(ctx, "PutInventory", map[string]any{"InstanceId": n.id, "Items": items}, &out)
	var e *hubError
	if errors.As(err, &e) {
		resend = e.Code == "ItemContentMismatchException" || e.Code == "InvalidItemContentException"
	}
	return resend, err
}

// machine is what packages are chosen by. Names: those of AWS's Distributor.
func machine() pack.Machine {
	name, version := platform()
	architectures := map[string][]string{"amd64": {"x86_64", "amd64"}, "arm64": {"arm64", "aarch64"}, "386": {"i386", "386"}}
	platforms := []string{strings.ToLower(strings.Fields(name + " -")[0])}
	for word, known := range map[string]string{"red hat": "redhat", "microsoft": "windows", "sles": "suse", "macos": "macos"} {
		if strings.Contains(strings.ToLower(name), word) {
			platforms = append(platforms, known)
		}
	}
	return pack.Machine{Platforms: append(platforms, runtime.GOOS), Version: version, Architectures: architectures[runtime.GOARCH]}
}

// packageOf reads a document of type Package at the hub.
func (n *node) packageOf(ctx context.Context, name, version string) ([]byte, []pack.Attachment, error) {
	in := map[string]any{"Name": name}
	if version != "" && version != "latest" {
		in["VersionName"] = version
	}
	var out struct {
		Content            string
		AttachmentsContent []struct {
			Name string
			URL  string `json:"Url"`
		}
	}
	if err := n.role.call(ctx, "GetDocument", in, &out); err != nil {
		return nil, nil, fmt.Errorf("package %s: %w", name, err)
	}
	var files []pack.Attachment
	for _, a := range out.AttachmentsContent {
		files = append(files, pack.Attachment{Name: a.Name, URL: a.URL})
	}
	return []byte(out.Content), files, nil
}
