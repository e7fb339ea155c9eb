package gateway

import (
	"testing"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/capability/node"
	"github.com/watchbill/watchbill/internal/capability/session"
	"github.com/watchbill/watchbill/internal/platform/blob"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/mailbox"
	"github.com/watchbill/watchbill/internal/platform/seal"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

const shellDocument = `{"schemaVersion":"1.0","sessionType":"Standard_Stream","inputs":{}}`

func newSessions(t *testing.T, d *db.DB, e *task.Engine, j *journal.Journal, m *mailbox.Mailbox, nodes *node.Service, sealer *seal.Sealer) *session.Service {
	blobs, err := blob.Open(t.Context(), "mem://")
	if err != nil {
		t.Fatal(err)
	}
	return session.New(session.Service{
		DB: d, Tasks: e, Journal: j, Mailbox: m, Nodes: nodes, Sealer: sealer, Blobs: blobs,
		Documents: func(_ *db.Tx, name string) (*session.Document, error) {
			return &session.Document{Name: name, Version: "1", Type: "Session", Format: "JSON", Content: []byte(shellDocument)}, nil
		},
	})
}

// session starts a session on a machine.
func (h *hub) session(m *machine) string {
	h.t.Helper()
	ada := identity.With(h.ctx, identity.Caller{ARN: "arn:aws:iam::123456789012:user/ada", UserID: "AIDAADA", Kind: identity.User})
	out, err := h.sessions.StartSession(ada, &ssm.StartSessionInput{Target: &m.id})
	h.must(err)
	return *out.SessionId
}

func (h *hub) closed(id string) bool {
	h.t.Helper()
	_, ended, err := h.sessions.Closing(h.ctx, id)
	h.must(err)
	return ended
}

// complete says that a session is over and waits for the acknowledgement.
func (l link) complete(id, status string) {
	l.t.Helper()
	l.write(mgs.TypeAgentTaskComplete, mgs.AgentTaskComplete{SchemaVersion: 1, TaskID: id, Topic: mgs.TypeAgentTaskComplete, FinalTaskStatus: status, InstanceID: l.id})
	var ack mgs.AgentTaskAcknowledge
	l.read(mgs.TypeAgentTaskAcknowledge, &ack)
	if ack.TaskID != id {
		l.t.Errorf("the acknowledgement is about %q", ack.TaskID)
	}
}

// A session is asked for on the control channel, and its end is told there. The node
// repeats its word until it is acknowledged, so each one is.
func TestSessionOnTheControlChannel(t *testing.T) {
	h := newHub(t)
	m := h.newMachine()
	l := m.open(m.token())
	h.wait("node.online")
	id := h.session(m)
	var shell mgs.InteractiveShell
	l.read(mgs.TypeInteractiveShell, &shell)
	if shell.TaskID != id {
		t.Errorf("asked for %q", shell.TaskID)
	}
	l.complete(id, mgs.TaskFailed)
	l.complete(id, mgs.TaskFailed)
	l.complete("ada-none", mgs.TaskSuccess) // forgotten: it must not be repeated for ever
	if !h.closed(id) {
		t.Error("the session goes on")
	}
}

// A node that was away when its session was ended is told when it is back: the shell
// would live on otherwise.
func TestEndReachesANodeThatWasAway(t *testing.T) {
	h := newHub(t)
	m := h.newMachine()
	l := m.open(m.token())
	h.wait("node.online")
	id := h.session(m)
	var shell mgs.InteractiveShell
	l.read(mgs.TypeInteractiveShell, &shell)
	_ = l.conn.Close()
	h.wait("node.offline")
	h.must(h.sessions.End(h.ctx, id, session.Terminated, "enough"))
	l = m.open(m.token())
	var closed mgs.ChannelClosed
	l.read(mgs.TypeChannelClosed, &closed)
	if closed.SessionID != id || closed.Output != "enough" || closed.DestinationID != m.id {
		t.Errorf("told %+v", closed)
	}
	l.complete(id, mgs.TaskSuccess)
	h.until(func() bool {
		_, ok, err := mailState(h, m.id, "close."+id)
		h.must(err)
		return !ok
	})
}

func mailState(h *hub, nodeID, message string) (state mailbox.State, ok bool, err error) {
	err = h.sessions.DB.Update(h.ctx, func(tx *db.Tx) error {
		state, ok, err = h.sessions.Mailbox.StateOf(tx, nodeID, message)
		return err
	})
	return state, ok, err
}

// A node's word about the session of another one changes nothing.
func TestForeignSessionEnd(t *testing.T) {
	h := newHub(t)
	m, other := h.newMachine(), h.newMachine()
	l := m.open(m.token())
	h.wait("node.online")
	id := h.session(m)
	var shell mgs.InteractiveShell
	l.read(mgs.TypeInteractiveShell, &shell)
	foreign := other.open(other.token())
	h.wait("node.online")
	foreign.complete(id, mgs.TaskFailed)
	if h.closed(id) {
		t.Error("another node ended the session")
	}
}
