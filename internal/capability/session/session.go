package session

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
)

// Kinds of sessions: sessionType of the document.
const (
	StandardStream         = "Standard_Stream"
	InteractiveCommands    = "InteractiveCommands"
	NonInteractiveCommands = "NonInteractiveCommands"
	Port                   = "Port"
)

// Session is one session, for those who carry its bytes.
type Session struct {
	Scope           db.Scope
	ID              string
	Node            string
	Owner           string // ARN of the caller of StartSession
	OwnerID         string // aws:userid
	Human           string // the person behind the owner, "" for a machine
	DocumentName    string
	DocumentVersion string
	Reason          string
	Kind            string
	Host            string // of a Port session; "" for the node itself
	Port            int    // of a Port session
	AllowedHosts    []string
	Document        json.RawMessage // the content sent to the node
	Parameters      map[string]any  // by document type; may hold secrets
	State           ssm.SessionStatus
	Started         time.Time
	Ended           time.Time // zero while it is open
	Idle            time.Duration
	Max             time.Duration // 0: no limit
	TwoPerson       bool          // input flows only while a second person is there
	Strict          bool          // ends when its recording cannot be stored
	In, Out         int64         // bytes so far; a holder that takes the session over counts on from here
	Plane           int           // 0: the stock data channel; else the version of our own
}

// content is the sealed part of a row: what the node is told.
type content struct {
	Document     json.RawMessage `json:"document"`
	Parameters   map[string]any  `json:"parameters"`
	RunAsUser    string          `json:"runAsUser"`
	AllowedHosts []string        `json:"allowedHosts,omitzero"`
}

func (r *row) sealPlace() string {
	return "session_session/" + r.Scope.Account + "/" + r.Scope.Region + "/" + r.ID
}

func (s *Service) sealContent(ctx context.Context, r *row, c *content) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	r.Content, err = s.Sealer.Seal(ctx, b, r.sealPlace())
	return err
}

func (s *Service) openContent(ctx context.Context, r *row) (c content, err error) {
	b, err := s.Sealer.Open(ctx, r.Content, r.sealPlace())
	if err != nil {
		return c, fmt.Errorf("session: content of %s: %w", r.ID, err)
	}
	return c, json.Unmarshal(b, &c)
}

// public is the session for those outside this package.
func (s *Service) public(ctx context.Context, r *row) (*Session, error) {
	c, err := s.openContent(ctx, r)
	if err != nil {
		return nil, err
	}
	out := r.Session
	out.State, out.Document, out.Parameters, out.AllowedHosts = r.Status, c.Document, c.Parameters, c.AllowedHosts
	return &out, nil
}

// Find is a session by its id. Error: ErrEnded when there is none.
func (s *Service) Find(ctx context.Context, id string) (*Session, error) {
	r, err := s.find(ctx, id)
	if err != nil {
		return nil, err
	}
	return s.public(ctx, r)
}

func (s *Service) find(ctx context.Context, id string) (r *row, err error) {
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		r, err = findRow(tx, id, false)
		return err
	})
	if err == nil && r == nil {
		err = ErrEnded
	}
	return r, err
}

// change runs f on a session's row, locked, in the session's scope. What f made of
// the row is kept. Error: ErrEnded when there is no such session.
func (s *Service) change(ctx context.Context, id string, f func(tx *db.Tx, r *row) error) error {
	return s.DB.Update(ctx, func(tx *db.Tx) error { return inScope(tx, id, f) })
}

func inScope(tx *db.Tx, id string, f func(tx *db.Tx, r *row) error) error {
	r, err := findRow(tx, id, true)
	if err != nil {
		return err
	}
	if r == nil {
		return ErrEnded
	}
	scope := tx.Scope
	defer func() { tx.Scope = scope }()
	tx.Scope = r.Scope
	if err := f(tx, r); err != nil {
		return err
	}
	return saveRow(tx, r)
}

// record keeps a fact about a session.
func (s *Service) record(tx *db.Tx, kind string, r *row, body map[string]any) error {
	full := map[string]any{"sessionId": r.ID, "target": r.Node, "owner": r.Owner, "documentName": r.DocumentName}
	for k, v := range body {
		full[k] = v
	}
	return s.Journal.Record(tx, journal.Fact{Kind: kind, Subject: r.ID, Related: []string{r.Node}, Body: full})
}
