package identity

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/lang/iampolicy"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/secret"
)

// Credentials are temporary ones, as a session gets them.
type Credentials struct {
	AccessKeyID  string
	Secret       secret.String
	SessionToken secret.String
	Expiration   time.Time
}

// session is what a session token holds, sealed: the hub keeps no row of it, so
// that any replica knows it and none can lose it.
type session struct {
	ID         string            `json:"i"`
	Secret     string            `json:"s"`
	Kind       Kind              `json:"k"`
	ARN        string            `json:"a"` // of the caller
	Holder     string            `json:"h"` // ARN of the user or role behind
	Name       string            `json:"n,omitempty"`
	Human      string            `json:"u,omitempty"`
	Source     string            `json:"f,omitempty"` // who asked for the session
	Policies   []string          `json:"p,omitempty"` // session policies, as JSON
	Managed    []string          `json:"m,omitempty"` // session policies, by ARN
	Tags       map[string]string `json:"t,omitempty"`
	Transitive []string          `json:"c,omitempty"`
	Issued     int64             `json:"b"` // microseconds
	Expires    int64             `json:"e"`
	MFA        int64             `json:"2,omitempty"`
	Via        string            `json:"v,omitempty"`

	compiled []*iampolicy.Policy
}

const tokenVersion = "WB1"

// openSessionKey finds the key of session tokens that all replicas share, or
// makes it. It writes only when there is none, so that a frozen store will do.
func (s *Service) openSessionKey(ctx context.Context) error {
	place := "identity_hub/" + s.config.Account + "/session"
	var sealed []byte
	find := func(tx *db.Tx) error {
		return tx.QueryRow(`select value from identity_hub where account = $1 and region = '' and name = 'session'`, s.config.Account).Scan(&sealed)
	}
	err := s.config.DB.View(s.scoped(ctx), find)
	if errors.Is(err, sql.ErrNoRows) {
		err = s.makeSessionKey(ctx, place, find)
	}
	if err != nil {
		return err
	}
	key, err := s.config.Sealer.Open(ctx, sealed, place)
	if err != nil {
		return err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	s.aead, err = cipher.NewGCM(block)
	return err
}

func (s *Service) makeSessionKey(ctx context.Context, place string, find func(*db.Tx) error) error {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	fresh, err := s.config.Sealer.Seal(ctx, key, place)
	if err != nil {
		return err
	}
	return s.config.DB.Update(s.scoped(ctx), func(tx *db.Tx) error {
		_, err := tx.Exec(`insert into identity_hub(account, region, name, value) values ($1, '', 'session', $2) on conflict do nothing`, s.config.Account, fresh)
		if err != nil {
			return err
		}
		return find(tx)
	})
}

// mint gives a session its key pair and seals it into a token.
func (s *Service) mint(x session, ttl time.Duration) (Credentials, error) {
	now := time.Now()
	x.ID, x.Secret = newID("ASIA"), newSecret()
	x.Issued, x.Expires = db.Micros(now), db.Micros(now.Add(ttl).Truncate(time.Second))
	plain, err := json.Marshal(x)
	if err != nil {
		return Credentials{}, err
	}
	nonce := make([]byte, s.aead.NonceSize(), s.aead.NonceSize()+len(plain)+s.aead.Overhead())
	_, _ = rand.Read(nonce) // never fails
	sealed := s.aead.Seal(nonce, nonce, plain, []byte(tokenVersion+s.config.Account))
	return Credentials{
		AccessKeyID: x.ID, Secret: secret.New(x.Secret), Expiration: db.FromMicros(x.Expires),
		SessionToken: secret.New(tokenVersion + base64.RawURLEncoding.EncodeToString(sealed)),
	}, nil
}

// openToken reads a session token; false for one that is not ours.
func (s *Service) openToken(token string) (*session, bool) {
	if x, ok := s.sessions.get(token); ok {
		return x, true
	}
	body, ok := strings.CutPrefix(token, tokenVersion)
	sealed, err := base64.RawURLEncoding.DecodeString(body)
	n := s.aead.NonceSize()
	if !ok || err != nil || len(sealed) < n {
		return nil, false
	}
	plain, err := s.aead.Open(nil, sealed[:n], sealed[n:], []byte(tokenVersion+s.config.Account))
	if err != nil {
		return nil, false
	}
	x := &session{}
	if json.Unmarshal(plain, x) != nil {
		return nil, false
	}
	if !x.compile() {
		return nil, false
	}
	s.sessions.put(strings.Clone(token), x)
	return x, true
}

// compile reads the session policies; false when one cannot be read.
func (x *session) compile() bool {
	for _, text := range x.Policies {
		p, _, err := iampolicy.Parse([]byte(text))
		if err != nil {
			return false
		}
		x.compiled = append(x.compiled, p)
	}
	return true
}

// Session is what narrows and marks the caller's temporary credentials (session
// policies and tags, when and by whom they were asked for), without the
// credentials, for Resume; "" for a caller without them.
func (c Caller) Session() string {
	if c.session == nil {
		return ""
	}
	x := *c.session
	x.ID, x.Secret, x.Expires = "", "", 0
	text, err := json.Marshal(x)
	if err != nil { // it came from JSON
		return "{}"
	}
	return string(text)
}

// Resume is Principal for work that a session started: with the policies and tags
// of that session, text being its Caller.Session. False also when the session was
// revoked; that it is past its end does not matter.
func (s *Service) Resume(arn, text string) (Caller, bool) {
	if text == "" {
		return s.Principal(arn)
	}
	x := &session{}
	if json.Unmarshal([]byte(text), x) != nil || x.ARN != arn || !x.compile() {
		return Caller{}, false
	}
	return s.sessionCaller(x)
}

// caller is who a session is now; false when its holder is gone.
func (s *Service) sessionCaller(x *session) (Caller, bool) {
	c, ok := Caller{}, false
	switch x.Kind {
	case Node:
		c, ok = Caller{ARN: x.ARN, Account: s.config.Account, UserID: idOf("AROA", s.config.Account, nodeRole) + ":" + x.Name, Kind: Node}, true
	case Role, User:
		c, ok = s.Principal(x.ARN)
	}
	if !ok || s.isRevoked(x) {
		return Caller{}, false
	}
	c.SessionName, c.Human, c.transitive, c.Via, c.session = x.Name, x.Human, x.Transitive, x.Via, x
	c.IssuedAt, c.MFAAt = db.FromMicros(x.Issued), db.FromMicros(x.MFA)
	if len(x.Tags) > 0 {
		tags := maps.Clone(c.Tags)
		if tags == nil {
			tags = map[string]string{}
		}
		maps.Copy(tags, x.Tags)
		c.Tags = tags
	}
	return s.narrow(c, x)
}

// narrow adds the session policies as a set of their own: they only take away.
func (s *Service) narrow(c Caller, x *session) (Caller, bool) {
	if len(x.Policies)+len(x.Managed) == 0 {
		return c, true
	}
	set := slices.Clone(x.compiled)
	for _, arn := range x.Managed {
		p, ok := s.Policy(arn)
		if !ok {
			return Caller{}, false
		}
		set = append(set, p)
	}
	c.Policies = append(slices.Clone(c.Policies), set)
	return c, true
}

func (s *Service) isRevoked(x *session) bool {
	m := *s.revoked.Load()
	if len(m) == 0 {
		return false
	}
	issued := db.FromMicros(x.Issued)
	for _, principal := range []string{x.ARN, x.Holder, x.Source} {
		if before, ok := m[principal]; ok && principal != "" && !issued.After(before) {
			return true
		}
	}
	return false
}

// Revoke ends the sessions that a principal has now: those of the user, role,
// role session or node with this ARN, and those that it asked for. Here at once,
// on other replicas within seconds.
func (s *Service) Revoke(ctx context.Context, principal string) error {
	err := s.config.DB.Update(s.scoped(ctx), func(tx *db.Tx) error {
		_, err := tx.Exec(`insert into identity_revocation(account, region, principal, before) values ($1, '', $2, $3)
			on conflict (account, region, principal) do update set before = excluded.before`, s.config.Account, principal, db.Micros(tx.Now))
		if err != nil {
			return err
		}
		return s.record(tx, "identity.sessions.revoked", principal, nil)
	})
	if err != nil {
		return fmt.Errorf("identity: revoke %s: %w", principal, err)
	}
	return s.loadRevocations(ctx)
}

func (s *Service) loadRevocations(ctx context.Context) error {
	type revocation struct {
		principal string
		before    int64
	}
	m := map[string]time.Time{}
	err := s.config.DB.View(s.scoped(ctx), func(tx *db.Tx) error {
		rows, err := db.Rows(tx, `select principal, before from identity_revocation where account = $1 and region = ''`, []any{s.config.Account},
			func(r *sql.Rows) (v revocation, err error) { return v, r.Scan(&v.principal, &v.before) })
		for _, v := range rows {
			m[v.principal] = db.FromMicros(v.before)
		}
		return err
	})
	if err != nil {
		return err
	}
	s.revoked.Store(&m)
	return nil
}

// ErrUser says that only a user may ask for this.
var ErrUser = errors.New("identity: only a user with a long-lived key may ask for a session token")

// SessionToken makes temporary credentials for the user who calls.
func (s *Service) SessionToken(c Caller, ttl time.Duration) (Credentials, error) {
	if c.Kind != User || !c.IssuedAt.IsZero() || c.Via != "" {
		return Credentials{}, ErrUser
	}
	return s.mint(session{Kind: User, ARN: c.ARN, Holder: c.ARN, Human: c.Human, Source: c.ARN}, ttl)
}

// NodeARN is the ARN under which a node calls.
func (s *Service) NodeARN(nodeID string) string {
	return "arn:aws:sts::" + s.config.Account + ":assumed-role/" + nodeRole + "/" + nodeID
}

// MintNode makes credentials with which a node can act for itself. They live at
// most an hour.
func (s *Service) MintNode(_ context.Context, nodeID string, ttl time.Duration) (Credentials, error) {
	arn := s.NodeARN(nodeID)
	return s.mint(session{Kind: Node, ARN: arn, Holder: arn, Name: nodeID}, min(ttl, time.Hour))
}
