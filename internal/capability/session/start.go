package session

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/capability/node"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/platform/mailbox"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// How long a node has to open its data channel: asked twice.
const (
	shellAgain = 10 * time.Second
	startWait  = 2*shellAgain + 2*time.Second
	maxShells  = 2
)

// StartSession opens a session with a node that is connected now. Errors:
// TargetNotConnected, InvalidDocument, a validation fault for parameters.
func (s *Service) StartSession(ctx context.Context, in *ssm.StartSessionInput) (*ssm.StartSessionOutput, error) {
	return s.begin(ctx, in, 0, func(tx *db.Tx, out *ssm.StartSessionOutput) { audit.Answer(tx, out) })
}

// begin opens a session over a data plane: 0 is the stock one. Answer keeps the
// answer for a repetition of the call.
func (s *Service) begin(ctx context.Context, in *ssm.StartSessionInput, plane int, answer func(*db.Tx, *ssm.StartSessionOutput)) (*ssm.StartSessionOutput, error) {
	p, err := s.plan(ctx, in)
	if err != nil {
		return nil, err
	}
	if p.twoPerson && p.kind == Port {
		return nil, fault.Validation("A session of the type Port cannot ask for a second person, who would see nothing.")
	}
	caller := identity.From(ctx)
	r := newRow(db.ScopeOf(ctx), in, p, caller)
	r.Plane = plane
	if err := s.sealContent(ctx, r, &p.content); err != nil {
		return nil, err
	}
	token := newToken()
	out := &ssm.StartSessionOutput{SessionId: &r.ID, TokenValue: &token, StreamUrl: new(s.streamURL(r))}
	err = s.DB.Update(ctx, func(tx *db.Tx) error {
		answer(tx, out)
		return s.start(tx, r, token)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func newRow(scope db.Scope, in *ssm.StartSessionInput, p *plan, c identity.Caller) *row {
	r := &row{AccessKey: c.AccessKeyID, Source: c.Source(), Status: ssm.SessionStatusConnecting}
	r.Session = Session{
		Scope: scope, ID: newID(c), Node: *in.Target, Owner: c.ARN, OwnerID: c.UserID, Human: c.Human, DocumentName: p.name, DocumentVersion: p.version,
		Reason: ptr.Value(in.Reason), Kind: p.kind, Host: p.host, Port: p.port, Idle: p.idle, Max: p.max, TwoPerson: p.twoPerson, Strict: p.strict,
	}
	return r
}

// newID is <user>-<17 hex>. It becomes a file name on the node.
func newID(c identity.Caller) string {
	name := c.Name()
	if c.Kind == identity.Role {
		name = c.SessionName
	}
	keep := func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_.@-", r) {
			return r
		}
		return '_'
	}
	name = strings.TrimLeft(strings.Map(keep, name), ".-")
	if name == "" {
		name = "session"
	}
	b := make([]byte, 9)
	_, _ = rand.Read(b) // never fails
	return name[:min(len(name), 78)] + "-" + hex.EncodeToString(b)[:17]
}

// start makes the session in the caller's transaction.
func (s *Service) start(tx *db.Tx, r *row, token string) error {
	if err := s.online(tx, r.Node); err != nil {
		return err
	}
	r.Started, r.Active = tx.Now, tx.Now
	if err := insertRow(tx, r); err != nil {
		return err
	}
	if err := putToken(tx, r.ID, clientSide, "", token); err != nil {
		return err
	}
	mail := mailbox.Message{Node: r.Node, ID: r.ID, Kind: mgs.TypeInteractiveShell, Payload: []byte{}, Deadline: tx.Now.Add(startWait)}
	if err := s.Mailbox.Put(tx, mail); err != nil {
		return err
	}
	if err := s.watch(tx, r); err != nil {
		return err
	}
	body := map[string]any{"reason": r.Reason, "kind": r.Kind, "documentVersion": r.DocumentVersion, "twoPerson": r.TwoPerson, "strict": r.Strict, "plane": r.Plane}
	if r.Kind == Port {
		body["host"], body["port"] = r.Host, r.Port
	}
	return s.record(tx, "session.started", r, body)
}

// watch sets the timers of a session that begins.
func (s *Service) watch(tx *db.Tx, r *row) error {
	due := map[string]time.Time{silenceTask: tx.Now.Add(startWait), absenceTask: tx.Now.Add(clientWait), idleTask: tx.Now.Add(r.Idle + slack)}
	if r.Max > 0 {
		due[longestTask] = tx.Now.Add(r.Max)
	}
	for kind, at := range due {
		if err := s.Tasks.Enqueue(tx, task.Spec{Kind: kind, Key: r.ID, Due: at}); err != nil {
			return err
		}
	}
	return nil
}

// online wants the node to be connected. Error: TargetNotConnected.
func (s *Service) online(tx *db.Tx, id string) error {
	n, err := s.Nodes.Get(tx, id)
	if err != nil && !node.IsUnknown(err) {
		return err
	}
	if err != nil || !n.Online {
		return &ssm.TargetNotConnected{Message: id + " is not connected."}
	}
	return nil
}

// shellContent is the content of interactive_shell.
type shellContent struct {
	mgs.StartSession
	Plane int `json:"Plane,omitempty"` // our own agent only
}

// Shell is the payload with which the node is asked to open a session, nil when
// it is not to be asked any more. It counts: the node is asked twice.
func (s *Service) Shell(ctx context.Context, nodeID, id string) ([]byte, error) {
	var r *row
	err := s.change(ctx, id, func(tx *db.Tx, found *row) error {
		r = found
		if r.Node != nodeID {
			return ErrForeign
		}
		if r.Status != ssm.SessionStatusConnecting || !r.NodeAt.IsZero() || r.Shells >= maxShells {
			r = nil
			return s.Mailbox.Remove(tx, nodeID, id)
		}
		r.Shells++
		return s.Mailbox.Postpone(tx, nodeID, id, tx.Now.Add(shellAgain))
	})
	if err != nil || r == nil {
		if errors.Is(err, ErrEnded) {
			err = nil
		}
		return nil, err
	}
	return s.shell(ctx, r)
}

func (s *Service) shell(ctx context.Context, r *row) ([]byte, error) {
	c, err := s.openContent(ctx, r)
	if err != nil {
		return nil, err
	}
	out := mgs.StartSession{
		DocumentName: r.DocumentName, DocumentContent: c.Document, SessionID: r.ID, Parameters: map[string]json.RawMessage{}, RunAsUser: c.RunAsUser, SessionOwner: r.Owner,
	}
	for name, v := range c.Parameters {
		if out.Parameters[name], err = json.Marshal(v); err != nil {
			return nil, err
		}
	}
	b, err := json.Marshal(shellContent{out, r.Plane})
	if err != nil {
		return nil, err
	}
	return json.Marshal(mgs.InteractiveShell{Content: string(b), TaskID: r.ID, Topic: mgs.TopicStartSession, SchemaVersion: 1})
}
