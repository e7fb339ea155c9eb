package session

import (
	"context"
	"database/sql"
	"time"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/authz"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

// person is a row of session_person: one who joined a session of another.
type person struct {
	ID        string
	Role      Role
	ARN       string
	Human     string
	AccessKey string
	Source    string
	Asked     time.Time
	Joined    time.Time // zero until the token is used
	Gone      time.Time // zero until the socket is over
}

// JoinSession gives a token with which another person sees a session, and as the
// second person lets input of its owner flow. Errors: DoesNotExistException,
// InvalidStateException.
func (s *Service) JoinSession(ctx context.Context, in *watchbill.JoinSessionInput) (*watchbill.JoinSessionOutput, error) {
	if err := authz.Require(ctx, "watchbill:JoinSession", arn.SSM(db.ScopeOf(ctx), "session/"+*in.SessionId)); err != nil {
		return nil, err
	}
	c := identity.From(ctx)
	p := &person{ID: uuid.NewString(), Role: ReadOnly, ARN: c.ARN, Human: c.Human, AccessKey: c.AccessKeyID, Source: c.Source()}
	if in.Mode == watchbill.JoinModeSecondPerson {
		p.Role = SecondPerson
	}
	token := newToken()
	out := &watchbill.JoinSessionOutput{SessionId: in.SessionId, TokenValue: &token}
	err := s.inScopeOf(ctx, *in.SessionId, out, func(tx *db.Tx, r *row) error {
		out.StreamUrl = new(s.streamURL(r))
		return s.invite(tx, r, p, token, ptr.Value(in.Reason))
	})
	if ssmErr, ok := err.(*ssm.DoesNotExistException); ok {
		return nil, &watchbill.DoesNotExistException{Message: ssmErr.Message}
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// invite keeps that somebody may join.
func (s *Service) invite(tx *db.Tx, r *row, p *person, token, reason string) error {
	switch {
	case closing(r.Status):
		return &watchbill.InvalidStateException{Message: "The session has ended."}
	case r.Kind == Port:
		return &watchbill.InvalidStateException{Message: "A session of the type Port shows nothing that a person could see."}
	case p.Role == SecondPerson && !r.TwoPerson:
		return &watchbill.InvalidStateException{Message: "The session's document does not ask for a second person."}
	case p.Role == SecondPerson && (p.Human == "" || p.Human == r.Human || p.ARN == r.Owner):
		return fault.AccessDenied("The second person of a session must be a person other than the one who started it.")
	}
	p.Asked = tx.Now
	if err := insertPerson(tx, r.ID, p); err != nil {
		return err
	}
	if err := putToken(tx, r.ID, clientSide, p.ID, token); err != nil {
		return err
	}
	return s.record(tx, "session.invited", r, map[string]any{"mode": p.Role, "person": p.ARN, "reason": reason})
}

// joined says that a person opened a socket with the token.
func (s *Service) joined(tx *db.Tx, r *row, id string) (Client, error) {
	p, err := findPerson(tx, r.ID, id)
	if err != nil || p == nil || !p.Gone.IsZero() {
		return Client{}, ErrToken
	}
	if s.Locks.Locked(p.principal(r.Scope)) {
		return Client{}, ErrToken
	}
	p.Joined = tx.Now
	if err := savePerson(tx, r.ID, p); err != nil {
		return Client{}, err
	}
	return Client{Role: p.Role, PersonID: p.ID, ARN: p.ARN}, s.record(tx, "session.joined", r, map[string]any{"mode": p.Role, "person": p.ARN})
}

// personLeft says that the socket of a person is over.
func (s *Service) personLeft(tx *db.Tx, r *row, id string) error {
	p, err := findPerson(tx, r.ID, id)
	if err != nil || p == nil || !p.Gone.IsZero() {
		return err
	}
	p.Gone = tx.Now
	if err := savePerson(tx, r.ID, p); err != nil {
		return err
	}
	return s.record(tx, "session.left", r, map[string]any{"mode": p.Role, "person": p.ARN})
}

// Stays says whether a client that joined may keep its socket: not when the
// session is over, and not when the person was locked.
func (s *Service) Stays(ctx context.Context, id string, c Client) (bool, error) {
	stays := false
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		r, err := findRow(tx, id, false)
		if err != nil || r == nil || closing(r.Status) {
			return err
		}
		if c.PersonID == "" {
			stays = true
			return nil
		}
		tx.Scope = r.Scope
		p, err := findPerson(tx, id, c.PersonID)
		stays = err == nil && p != nil && p.Gone.IsZero()
		return err
	})
	return stays, err
}

func insertPerson(tx *db.Tx, id string, p *person) error {
	_, err := tx.Exec(`insert into session_person(account, region, session_id, id, role, arn, human, access_key, source, asked, joined, gone)
		values($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0)`,
		tx.Scope.Account, tx.Scope.Region, id, p.ID, string(p.Role), p.ARN, p.Human, p.AccessKey, p.Source, db.Micros(p.Asked))
	return err
}

func savePerson(tx *db.Tx, id string, p *person) error {
	_, err := tx.Exec("update session_person set joined = $5, gone = $6 where account = $1 and region = $2 and session_id = $3 and id = $4",
		tx.Scope.Account, tx.Scope.Region, id, p.ID, db.Micros(p.Joined), db.Micros(p.Gone))
	return err
}

func findPerson(tx *db.Tx, id, personID string) (*person, error) {
	list, err := people(tx, scoped(tx).And("session_id = ?", id).And("id = ?", personID))
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

func people(tx *db.Tx, f *db.Filter) ([]person, error) {
	query := "select id, role, arn, human, access_key, source, asked, joined, gone from session_person" + f.Where() + " order by asked, id"
	return db.Rows(tx, query, f.Args, func(r *sql.Rows) (p person, err error) {
		var asked, joined, gone int64
		err = r.Scan(&p.ID, &p.Role, &p.ARN, &p.Human, &p.AccessKey, &p.Source, &asked, &joined, &gone)
		p.Asked, p.Joined, p.Gone = db.FromMicros(asked), db.FromMicros(joined), db.FromMicros(gone)
		return p, err
	})
}

// peopleLeft closes the rows of those who joined an ended session.
func peopleLeft(tx *db.Tx, id string) error {
	_, err := tx.Exec("update session_person set gone = $4 where account = $1 and region = $2 and session_id = $3 and gone = 0",
		tx.Scope.Account, tx.Scope.Region, id, db.Micros(tx.Now))
	return err
}
