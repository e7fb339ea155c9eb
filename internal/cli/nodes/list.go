package nodes

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/wire/client"
)

// Node is a managed node as it is shown.
type Node struct {
	ID           string            `json:"id"`
	Name         string            `json:"name,omitzero"`
	ComputerName string            `json:"computerName,omitzero"`
	Platform     string            `json:"platform,omitzero"` // name and version
	PlatformType string            `json:"platformType,omitzero"`
	IPAddress    string            `json:"ipAddress,omitzero"`
	Agent        string            `json:"agent,omitzero"`
	AgentVersion string            `json:"agentVersion,omitzero"`
	PingStatus   string            `json:"pingStatus"`
	LastSeen     time.Time         `json:"lastSeen,omitzero"`
	Registered   time.Time         `json:"registered,omitzero"`
	Tags         map[string]string `json:"tags,omitzero"`
}

const (
	information = "AWS:InstanceInformation"
	tagType     = "AWS:Tag"
)

// List reads all nodes that fit the filters, by id. A filter is KEY=VALUE with a key of
// DescribeInstanceInformation, for example PingStatus or tag:Role; several values of one
// key select nodes with any of them. Tags and the name of the agent are left out when the
// caller may not call GetInventory.
func List(ctx context.Context, c *client.Client, filters []string) ([]Node, error) {
	in := &ssm.DescribeInstanceInformationInput{MaxResults: new(int32(50))}
	var err error
	if in.Filters, err = parseFilters(filters); err != nil {
		return nil, err
	}
	out := []Node{}
	for {
		var page ssm.DescribeInstanceInformationOutput
		if err := c.Call(ctx, "ssm", "DescribeInstanceInformation", in, &page); err != nil {
			return nil, err
		}
		for i := range page.InstanceInformationList {
			out = append(out, read(&page.InstanceInformationList[i]))
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			return out, enrich(ctx, c, out)
		}
	}
}

func parseFilters(list []string) ([]ssm.InstanceInformationStringFilter, error) {
	values := map[string][]string{}
	for _, f := range list {
		key, value, ok := strings.Cut(f, "=")
		if !ok || key == "" || value == "" {
			return nil, fmt.Errorf("the filter %q is not KEY=VALUE", f)
		}
		values[key] = append(values[key], value)
	}
	var out []ssm.InstanceInformationStringFilter
	for _, k := range slices.Sorted(maps.Keys(values)) {
		out = append(out, ssm.InstanceInformationStringFilter{Key: new(k), Values: values[k]})
	}
	return out, nil
}

func read(i *ssm.InstanceInformation) Node {
	return Node{
		ID: ptr.Value(i.InstanceId), Name: ptr.Value(i.Name), ComputerName: ptr.Value(i.ComputerName), IPAddress: ptr.Value(i.IPAddress),
		Platform:     strings.TrimSpace(ptr.Value(i.PlatformName) + " " + ptr.Value(i.PlatformVersion)),
		PlatformType: string(i.PlatformType), AgentVersion: ptr.Value(i.AgentVersion), PingStatus: string(i.PingStatus),
		LastSeen: ptr.Value(i.LastPingDateTime), Registered: ptr.Value(i.RegistrationDate),
	}
}

// enrich adds what the inventory knows: tags and the agent.
func enrich(ctx context.Context, c *client.Client, nodes []Node) error {
	byID := map[string]*Node{}
	for i := range nodes {
		byID[nodes[i].ID] = &nodes[i]
	}
	for _, name := range []string{information, tagType} { // one type can be asked for at a time
		if err := inventory(ctx, c, name, byID); err != nil {
			return err
		}
	}
	return nil
}

func inventory(ctx context.Context, c *client.Client, name string, byID map[string]*Node) error {
	in := &ssm.GetInventoryInput{MaxResults: new(int32(50)), ResultAttributes: []ssm.ResultAttribute{{TypeName: new(name)}}}
	for len(byID) > 0 {
		var page ssm.GetInventoryOutput
		switch err := c.Call(ctx, "ssm", "GetInventory", in, &page); {
		case client.Code(err) == "AccessDeniedException":
			return nil
		case err != nil:
			return err
		}
		for _, e := range page.Entities {
			if n := byID[ptr.Value(e.Id)]; n != nil {
				n.add(e.Data)
			}
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			break
		}
	}
	return nil
}

func (n *Node) add(data map[string]ssm.InventoryResultItem) {
	for _, entry := range data[information].Content {
		n.Agent = entry["AgentType"]
	}
	for _, entry := range data[tagType].Content {
		if n.Tags == nil {
			n.Tags = map[string]string{}
		}
		n.Tags[entry["Key"]] = entry["Value"]
	}
}
