package node

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/page"
	"github.com/watchbill/watchbill/internal/platform/tagging"
	"github.com/watchbill/watchbill/internal/platform/task"
)

// Node is a managed node, a row of node_node.
type Node struct {
	Scope           db.Scope
	ID              string // mi- and 17 hex digits; never used twice
	ActivationID    string
	Name            string
	IamRole         string
	PublicKey       string // base64 of DER, PKIX
	KeySince        time.Time
	Fingerprint     string
	Registered      time.Time
	Deregistered    time.Time // zero while it is a node
	AgentName       string
	AgentVersion    string
	ComputerName    string
	IPAddress       string
	PlatformType    string // Linux, Windows or MacOS; "" before the first report
	PlatformName    string
	PlatformVersion string
	Online          bool
	Connection      string // id of the control channel that is open, "" without
	LastPing        time.Time
}

// DescribeInstanceInformation lists the nodes that have reported, by id.
func (s *Service) DescribeInstanceInformation(ctx context.Context, in *ssm.DescribeInstanceInformationInput) (*ssm.DescribeInstanceInformationOutput, error) {
	var after string
	if in.NextToken != nil {
		if err := page.Parse(*in.NextToken, &after); err != nil {
			return nil, &ssm.InvalidNextToken{Message: "The specified token is not valid."}
		}
	}
	filters, err := informationFilters(in)
	if err != nil {
		return nil, err
	}
	out := &ssm.DescribeInstanceInformationOutput{InstanceInformationList: []ssm.InstanceInformation{}}
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		f := live(tx).And("id > ?", after).And("last_ping > 0")
		for _, x := range filters {
			if err := x.apply(tx, f); err != nil {
				return err
			}
		}
		size := page.Limit(in.MaxResults, mostRows)
		nodes, err := list(tx, f, size+1)
		if err != nil {
			return err
		}
		if len(nodes) > size {
			nodes = nodes[:size]
			out.NextToken = new(page.Token(nodes[size-1].ID))
		}
		for i := range nodes {
			out.InstanceInformationList = append(out.InstanceInformationList, nodes[i].project())
		}
		return nil
	})
	return out, err
}

// GetConnectionStatus says whether the control channel of a node is open. An
// unknown node is notconnected.
func (s *Service) GetConnectionStatus(ctx context.Context, in *ssm.GetConnectionStatusInput) (*ssm.GetConnectionStatusOutput, error) {
	out := &ssm.GetConnectionStatusOutput{Target: in.Target, Status: ssm.ConnectionStatusNotconnected}
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		nodes, err := s.Find(tx, []string{*in.Target})
		if err == nil && len(nodes) == 1 && nodes[0].Online {
			out.Status = ssm.ConnectionStatusConnected
		}
		return err
	})
	return out, err
}

// UpdateManagedInstanceRole gives a node another role.
func (s *Service) UpdateManagedInstanceRole(ctx context.Context, in *ssm.UpdateManagedInstanceRoleInput) (*ssm.UpdateManagedInstanceRoleOutput, error) {
	out := &ssm.UpdateManagedInstanceRoleOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		n, err := tx.Exec("update node_node set iam_role = $4 where account = $1 and region = $2 and id = $3 and deregistered = 0",
			tx.Scope.Account, tx.Scope.Region, *in.InstanceId, *in.IamRole)
		if err != nil {
			return err
		}
		if n == 0 {
			return errInstance(*in.InstanceId)
		}
		return s.record(tx, "node.updated", *in.InstanceId, map[string]any{"iamRole": *in.IamRole})
	})
	return out, err
}

// DeregisterManagedInstance ends a node: its key, its credentials and what
// waits for it are worth nothing any more. Its id is not used again.
func (s *Service) DeregisterManagedInstance(ctx context.Context, in *ssm.DeregisterManagedInstanceInput) (*ssm.DeregisterManagedInstanceOutput, error) {
	id := *in.InstanceId
	out := &ssm.DeregisterManagedInstanceOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		n, err := tx.Exec(`update node_node set deregistered = $4, online = 0, connection = '', public_key = ''
			where account = $1 and region = $2 and id = $3 and deregistered = 0`, tx.Scope.Account, tx.Scope.Region, id, db.Micros(tx.Now))
		if err != nil {
			return err
		}
		if n == 0 {
			return errInstance(id)
		}
		if err := s.Mailbox.Drop(tx, id); err != nil {
			return err
		}
		if err := tagging.Drop(tx, TagKind, id); err != nil {
			return err
		}
		if err := s.Tasks.Enqueue(tx, task.Spec{Kind: revokeTask, Key: id}); err != nil {
			return err
		}
		if err := tx.Notify(Topic(tx.Scope, id)); err != nil {
			return err
		}
		return s.record(tx, "node.deregistered", id, nil)
	})
	return out, err
}

// Topic is what is notified when the connection that a node's row names has
// changed: whoever holds an older one closes it.
func Topic(scope db.Scope, id string) string {
	return "node/" + scope.Account + "/" + scope.Region + "/" + id
}

// Get is the node of an id in the scope of tx. Error: InvalidInstanceId.
func (s *Service) Get(tx *db.Tx, id string) (*Node, error) {
	nodes, err := list(tx, live(tx).And("id = ?", id), 1)
	if err != nil {
		return nil, err
	}
	if len(nodes) == 0 {
		return nil, errInstance(id)
	}
	return &nodes[0], nil
}

// Find is the nodes of the given ids, those that exist, by id.
func (s *Service) Find(tx *db.Tx, ids []string) ([]Node, error) {
	return list(tx, live(tx).In("id", ids), 0)
}

// Match is the nodes that all of the targets select, by id. Keys: InstanceIds
// (a value * is every node), tag:<key>, tag-key. Error: any other key.
func (s *Service) Match(tx *db.Tx, targets []ssm.Target) ([]Node, error) {
	f := live(tx)
	for _, target := range targets {
		key := ptr.Value(target.Key)
		switch {
		case key == "InstanceIds" && len(target.Values) == 1 && target.Values[0] == "*":
			continue
		case key == "resource-groups:Name":
			key = groupTag
		case key == "resource-groups:ResourceTypeFilters":
			if !slices.ContainsFunc(target.Values, isNodeType) {
				f.And("1 = 0")
			}
			continue
		case key != "InstanceIds" && key != "tag-key" && !strings.HasPrefix(key, "tag:"):
			return nil, &ssm.InvalidTarget{Message: "The target key " + key + " is not supported."}
		}
		if err := (stringFilter{key, target.Values}).apply(tx, f); err != nil {
			return nil, err
		}
	}
	return list(tx, f, 0)
}

// groupTag is the tag that puts nodes into a resource group: there are no stored
// groups, so a group is the nodes that name it.
const groupTag = "tag:ResourceGroup"

// isNodeType says that managed nodes are among the resources of a type.
func isNodeType(t string) bool { return t == "AWS::SSM::ManagedInstance" || t == "AWS::EC2::Instance" }

// Lookup finds a node by its id alone and the scope it lives in, for requests
// that carry no more. Error: InvalidInstanceId.
func (s *Service) Lookup(ctx context.Context, id string) (*Node, error) {
	var nodes []Node
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		f := &db.Filter{}
		var err error
		nodes, err = list(tx, f.And("id = ?", id).And("deregistered = 0"), 1)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(nodes) == 0 {
		return nil, errInstance(id)
	}
	return &nodes[0], nil
}

func (n *Node) project() ssm.InstanceInformation {
	status := ssm.PingStatusConnectionLost
	if n.Online {
		status = ssm.PingStatusOnline
	}
	return ssm.InstanceInformation{
		ActivationId: &n.ActivationID, AgentVersion: ptr.OrNil(n.AgentVersion), ComputerName: ptr.OrNil(n.ComputerName), IPAddress: ptr.OrNil(n.IPAddress),
		IamRole: ptr.OrNil(n.IamRole), InstanceId: &n.ID, Name: ptr.OrNil(n.Name), LastPingDateTime: &n.LastPing, PingStatus: status,
		PlatformName: ptr.OrNil(n.PlatformName), PlatformType: ssm.PlatformType(n.PlatformType), PlatformVersion: ptr.OrNil(n.PlatformVersion),
		RegistrationDate: &n.Registered, ResourceType: ssm.ResourceTypeManagedInstance, IsLatestVersion: new(true),
	}
}

func scoped(tx *db.Tx) *db.Filter {
	f := &db.Filter{}
	return f.And("account = ?", tx.Scope.Account).And("region = ?", tx.Scope.Region)
}

func live(tx *db.Tx) *db.Filter { return scoped(tx).And("deregistered = 0") }

// list reads nodes by id; n 0 is all of them.
func list(tx *db.Tx, f *db.Filter, n int) ([]Node, error) {
	query := `select account, region, id, activation_id, name, iam_role, public_key, fingerprint, registered, deregistered, agent_name, agent_version,
		computer_name, ip_address, platform_type, platform_name, platform_version, online, connection, last_ping, key_since from node_node` + f.Where() + " order by id"
	if n > 0 {
		query += fmt.Sprintf(" limit %d", n)
	}
	return db.Rows(tx, query, f.Args, scanNode)
}

func scanNode(r *sql.Rows) (n Node, err error) {
	var registered, deregistered, online, lastPing, keySince int64
	err = r.Scan(&n.Scope.Account, &n.Scope.Region, &n.ID, &n.ActivationID, &n.Name, &n.IamRole, &n.PublicKey, &n.Fingerprint, &registered, &deregistered,
		&n.AgentName, &n.AgentVersion, &n.ComputerName, &n.IPAddress, &n.PlatformType, &n.PlatformName, &n.PlatformVersion, &online, &n.Connection, &lastPing, &keySince)
	n.Registered, n.Deregistered, n.LastPing, n.Online = db.FromMicros(registered), db.FromMicros(deregistered), db.FromMicros(lastPing), online == 1
	n.KeySince = n.Registered
	if keySince > 0 {
		n.KeySince = db.FromMicros(keySince)
	}
	return n, err
}

func insertNode(tx *db.Tx, n *Node) error {
	_, err := tx.Exec(`insert into node_node(account, region, id, activation_id, name, iam_role, public_key, fingerprint, registered, deregistered, agent_name,
		agent_version, computer_name, ip_address, platform_type, platform_name, platform_version, online, connection, last_ping)
		values($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, '', '', '', '', '', '', '', 0, '', 0)`,
		tx.Scope.Account, tx.Scope.Region, n.ID, n.ActivationID, n.Name, n.IamRole, n.PublicKey, n.Fingerprint, db.Micros(n.Registered))
	return err
}

func errInstance(id string) error {
	return &ssm.InvalidInstanceId{Message: "The instance " + id + " is not a managed node of this account and region."}
}

// IsUnknown says that err means: no such node.
func IsUnknown(err error) bool {
	_, ok := errors.AsType[*ssm.InvalidInstanceId](err)
	return ok
}
