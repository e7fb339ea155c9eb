package node

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/lang/text"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/task"
)

const presenceTask = "node.presence"

// PingEvery is how often whoever holds channels says so with Seen; a node is
// lost when nobody did for lostAfter.
const (
	PingEvery = 20 * time.Second
	lostAfter = 3 * PingEvery
)

const longest = 256 // characters of a text that a node says about itself

// Report is what a node says about itself.
type Report struct {
	AgentName       string
	AgentVersion    string
	ComputerName    string
	IPAddress       string
	PlatformType    string // Linux, Windows or MacOS
	PlatformName    string
	PlatformVersion string
}

// Start begins the watch over connections that nobody holds any more; it goes
// on by itself, also over restarts. The connections of an earlier process on
// the same SQLite file are gone, and their nodes on the way back.
func (s *Service) Start(ctx context.Context) error {
	return s.DB.Update(db.WithScope(ctx, db.Scope{}), func(tx *db.Tx) error {
		if !s.DB.Postgres() {
			if _, err := tx.Exec("update node_node set connection = '', last_ping = $1 where online = 1 and last_ping < $2", db.Micros(tx.Now), db.Micros(s.made)); err != nil {
				return err
			}
		}
		return s.Tasks.Enqueue(tx, task.Spec{Kind: presenceTask, Key: "all", Due: tx.Now.Add(lostAfter)})
	})
}

// Report keeps what a node says about itself. Fields that are empty leave what
// was known: the stock agent's first ping is empty. The report counts as a
// ping but does not make a node Online.
func (s *Service) Report(ctx context.Context, id string, r Report) error {
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(`update node_node set last_ping = $4, agent_name = coalesce(nullif($5, ''), agent_name),
			agent_version = coalesce(nullif($6, ''), agent_version), computer_name = coalesce(nullif($7, ''), computer_name),
			ip_address = coalesce(nullif($8, ''), ip_address), platform_type = coalesce(nullif($9, ''), platform_type),
			platform_name = coalesce(nullif($10, ''), platform_name), platform_version = coalesce(nullif($11, ''), platform_version)
			where account = $1 and region = $2 and id = $3 and deregistered = 0`,
			tx.Scope.Account, tx.Scope.Region, id, db.Micros(tx.Now), text.Clip(r.AgentName, longest), text.Clip(r.AgentVersion, longest), text.Clip(r.ComputerName, longest),
			text.Clip(r.IPAddress, longest), platform(r.PlatformType), text.Clip(r.PlatformName, longest), text.Clip(r.PlatformVersion, longest))
		if err == nil && n == 0 {
			return errInstance(id)
		}
		return err
	})
}

// platform is the type as the API writes it, "" for any other.
func platform(s string) string {
	for _, known := range []string{"Linux", "Windows", "MacOS"} {
		if strings.EqualFold(s, known) {
			return known
		}
	}
	return ""
}

// Connected says that the node's control channel is open as connection; the
// newest wins. What was sent in an older one without an answer is due again.
func (s *Service) Connected(ctx context.Context, id, connection string) error {
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		n, err := s.Get(tx, id)
		if err != nil {
			return err
		}
		if err := s.moved(tx, id); err != nil {
			return err
		}
		_, err = tx.Exec(`update node_node set online = 1, connection = $4, last_ping = $5, hub = $6 where account = $1 and region = $2 and id = $3`,
			tx.Scope.Account, tx.Scope.Region, id, connection, db.Micros(tx.Now), s.Hub())
		if err != nil {
			return err
		}
		if err := s.Mailbox.Reopen(tx, id); err != nil {
			return err
		}
		switch {
		case !n.Online:
			return s.record(tx, "node.online", id, nil)
		case n.Connection == "": // its hub went away and it came back in time
			return nil
		}
		if err := tx.Notify(Topic(tx.Scope, id)); err != nil {
			return err
		}
		return s.record(tx, "node.channel.replaced", id, nil)
	})
}

// moved tells the hub that had the node before.
func (s *Service) moved(tx *db.Tx, id string) error {
	before, err := s.HubOf(tx, id)
	if err != nil || before == s.Hub() {
		return err
	}
	return tx.Notify(Topic(tx.Scope, id))
}

// Released says that the hub gives the connection up because it stops: the
// node is expected back at once and stays Online meanwhile.
func (s *Service) Released(ctx context.Context, id, connection string) error {
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`update node_node set connection = '', last_ping = $5
			where account = $1 and region = $2 and id = $3 and connection = $4`,
			tx.Scope.Account, tx.Scope.Region, id, connection, db.Micros(tx.Now))
		return err
	})
}

// Disconnected says that the connection is over. Nothing changes when it is
// not the node's newest.
func (s *Service) Disconnected(ctx context.Context, id, connection string) error {
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(`update node_node set online = 0, connection = '', last_ping = $5
			where account = $1 and region = $2 and id = $3 and connection = $4 and online = 1`,
			tx.Scope.Account, tx.Scope.Region, id, connection, db.Micros(tx.Now))
		if err != nil || n == 0 {
			return err
		}
		return s.record(tx, "node.offline", id, map[string]any{"reason": "the control channel was closed"})
	})
}

// Contested says that a channel which a newer one replaced had a living agent at its
// other end: two agents run with one key, as clones of one machine do.
func (s *Service) Contested(ctx context.Context, id string) error {
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		n, err := s.Get(tx, id)
		if IsUnknown(err) {
			return nil
		}
		if err != nil {
			return err
		}
		return s.record(tx, "node.channel.contested", id, map[string]any{"name": n.Name, "computerName": n.ComputerName, "ipAddress": n.IPAddress})
	})
}

// Holds says whether the connection is the node's newest.
func (s *Service) Holds(ctx context.Context, id, connection string) (bool, error) {
	var holds bool
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		n, err := s.Get(tx, id)
		if IsUnknown(err) {
			return nil
		}
		holds = err == nil && n.Connection == connection
		return err
	})
	return holds, err
}

// Seen says that the connections are open and answer. The caller does so every
// PingEvery.
func (s *Service) Seen(ctx context.Context, connections []string) error {
	const atOnce = 500
	for len(connections) > 0 {
		n := min(atOnce, len(connections))
		some := connections[:n]
		connections = connections[n:]
		err := s.DB.Update(ctx, func(tx *db.Tx) error {
			f := &db.Filter{Args: []any{db.Micros(tx.Now)}}
			f.And("online = 1").In("connection", some)
			_, err := tx.Exec("update node_node set last_ping = $1"+f.Where(), f.Args...)
			return err
		})
		if err != nil {
			return fmt.Errorf("node: seen: %w", err)
		}
	}
	return nil
}

// sweep finds nodes whose hub went away with their connection.
func (s *Service) sweep(ctx context.Context, r *task.Run) error {
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		f := (&db.Filter{}).And("online = 1").And("last_ping < ?", db.Micros(tx.Now.Add(-lostAfter)))
		lost, err := list(tx, f, 0)
		if err != nil {
			return err
		}
		for i := range lost {
			if err := s.lose(tx, &lost[i]); err != nil {
				return err
			}
		}
		return r.Again(tx, tx.Now.Add(PingEvery))
	})
}

func (s *Service) lose(tx *db.Tx, n *Node) error {
	scope := tx.Scope
	defer func() { tx.Scope = scope }()
	tx.Scope = n.Scope
	_, err := tx.Exec("update node_node set online = 0, connection = '' where account = $1 and region = $2 and id = $3 and connection = $4",
		tx.Scope.Account, tx.Scope.Region, n.ID, n.Connection)
	if err != nil {
		return err
	}
	return s.record(tx, "node.offline", n.ID, map[string]any{"reason": "no ping was heard"})
}
