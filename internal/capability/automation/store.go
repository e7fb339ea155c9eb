package automation

import (
	"database/sql"
	"fmt"
	"sync"
	"time"

	"github.com/watchbill/watchbill/internal/capability/document"
	"github.com/watchbill/watchbill/internal/lang/ssmdoc"
	"github.com/watchbill/watchbill/internal/platform/db"
)

// execution is one run of a runbook: its row.
type execution struct {
	ID        string
	Document  string
	Version   string
	Hash      string // of the document's content, which the row pins
	Action    string // of the running step
	Parent    string
	StartedBy string // ARN of the principal that started it
	Human     string // id of the person behind it, "" when there is none
	Role      string // ARN, "" to run as StartedBy
	Token     string
	Request   string // hash of the start request, to tell a token used again
	Created   time.Time
	Ended     time.Time
	State     state
	Spec      spec
	vault     vault
}

// spec is what is only kept and given back.
type spec struct {
	Tags     map[string]string `json:",omitzero"`
	Incident string            `json:",omitzero"` // ARN
	Defaults []string          `json:",omitzero"` // parameters whose default names a Parameter Store parameter
}

// vault is the sealed part of an execution.
type vault struct {
	Session    string              `json:",omitzero"` // of the principal that started it
	Parameters map[string]any      `json:",omitzero"`
	Variables  map[string]any      `json:",omitzero"`
	Outputs    map[string][]string `json:",omitzero"`
}

// step is one step of an execution: its row. A step of a loop has one row for
// each iteration.
type step struct {
	Position  int64
	ID        string
	Name      string
	Action    string
	Parent    string // id of the row of the loop around it
	Iteration int64
	Status    string
	Attempt   int
	Intent    time.Time // a call was committed to and its answer is not here yet
	Far       string    // id of what the step started: a command or an execution
	Started   time.Time
	Ended     time.Time
	Spec      stepSpec
	sealed    []byte
	vault     *stepVault // opened when needed
}

// stepSpec is what is only kept and given back.
type stepSpec struct {
	Message       string `json:",omitzero"`
	FailureType   string `json:",omitzero"`
	Code          string `json:",omitzero"` // ResponseCode
	IteratorValue string `json:",omitzero"`
	Asked         int    `json:",omitzero"` // how often the far side was asked
	Retries       int    `json:",omitzero"` // resumed after an unknown outcome
}

// stepVault is the sealed part of a step.
type stepVault struct {
	Inputs   map[string]any `json:",omitzero"`
	Outputs  map[string]any `json:",omitzero"`
	Response string         `json:",omitzero"`
}

// approval is one person's answer to an aws:approve step.
type approval struct {
	ARN, Human, Decision, Comment string
	At                            time.Time
}

const executionColumns = `id, document, version, hash, action, parent, started_by, human, role, token, request, created, ended, state, spec, sealed`

func (s *Service) scanExecution(tx *db.Tx) func(*sql.Rows) (*execution, error) {
	return func(rows *sql.Rows) (*execution, error) {
		var e execution
		var token sql.NullString
		var created, ended int64
		var st, sp, sealed []byte
		err := rows.Scan(&e.ID, &e.Document, &e.Version, &e.Hash, &e.Action, &e.Parent, &e.StartedBy, &e.Human, &e.Role,
			&token, &e.Request, &created, &ended, &st, &sp, &sealed)
		if err != nil {
			return nil, err
		}
		e.Token, e.Created, e.Ended = token.String, db.FromMicros(created), db.FromMicros(ended)
		if err := unmarshal(st, &e.State); err != nil {
			return nil, fmt.Errorf("execution %s: state: %w", e.ID, err)
		}
		if err := unmarshal(sp, &e.Spec); err != nil {
			return nil, fmt.Errorf("execution %s: spec: %w", e.ID, err)
		}
		if err := s.open(tx, e.ID, sealed, &e.vault); err != nil {
			return nil, err
		}
		wholeMap(e.vault.Parameters)
		wholeMap(e.vault.Variables)
		return &e, nil
	}
}

func wholeMap(m map[string]any) {
	for k := range m {
		m[k] = whole(m[k])
	}
}

func (s *Service) seal(tx *db.Tx, id string, v any) ([]byte, error) {
	b, err := marshal(v)
	if err != nil {
		return nil, err
	}
	sealed, err := s.Sealer.Seal(tx.Context(), b, "automation "+id)
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", id, err)
	}
	return sealed, nil
}

func (s *Service) open(tx *db.Tx, id string, sealed []byte, v any) error {
	if len(sealed) == 0 {
		return nil
	}
	b, err := s.Sealer.Open(tx.Context(), sealed, "automation "+id)
	if err != nil {
		return fmt.Errorf("open %s: %w", id, err)
	}
	return unmarshal(b, v)
}

// findExecution reads an execution, nil when there is none. Lock keeps others
// from changing it until the transaction ends.
func (s *Service) findExecution(tx *db.Tx, id string, lock bool) (*execution, error) {
	query := "select " + executionColumns + " from automation_execution where account = $1 and region = $2 and id = $3"
	if lock {
		query += " {lock}"
	}
	return first(db.Rows(tx, query, []any{tx.Scope.Account, tx.Scope.Region, id}, s.scanExecution(tx)))
}

func (s *Service) findByToken(tx *db.Tx, token string) (*execution, error) {
	return first(db.Rows(tx, "select "+executionColumns+" from automation_execution where account = $1 and region = $2 and token = $3",
		[]any{tx.Scope.Account, tx.Scope.Region, token}, s.scanExecution(tx)))
}

func first[T any](rows []*T, err error) (*T, error) {
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0], nil
}

func (s *Service) insertExecution(tx *db.Tx, e *execution) error {
	st, sp, sealed, err := s.executionBlobs(tx, e)
	if err != nil {
		return err
	}
	token := sql.NullString{String: e.Token, Valid: e.Token != ""}
	_, err = tx.Exec(`insert into automation_execution(account, region, `+executionColumns+`, status)
		values($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)`,
		tx.Scope.Account, tx.Scope.Region, e.ID, e.Document, e.Version, e.Hash, e.Action, e.Parent, e.StartedBy, e.Human, e.Role,
		token, e.Request, db.Micros(e.Created), db.Micros(e.Ended), st, sp, sealed, e.State.Status)
	return err
}

func (s *Service) updateExecution(tx *db.Tx, e *execution) error {
	st, sp, sealed, err := s.executionBlobs(tx, e)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`update automation_execution set status = $4, action = $5, ended = $6, state = $7, spec = $8, sealed = $9
		where account = $1 and region = $2 and id = $3`,
		tx.Scope.Account, tx.Scope.Region, e.ID, e.State.Status, e.Action, db.Micros(e.Ended), st, sp, sealed)
	return err
}

func (s *Service) executionBlobs(tx *db.Tx, e *execution) (st, sp string, sealed []byte, err error) {
	b, err := marshal(e.State)
	if err != nil {
		return "", "", nil, err
	}
	c, err := marshal(e.Spec)
	if err != nil {
		return "", "", nil, err
	}
	sealed, err = s.seal(tx, e.ID, e.vault)
	return string(b), string(c), sealed, err
}

func keepContent(tx *db.Tx, r *document.Resolved) error {
	_, err := tx.Exec(`insert into automation_document(account, region, hash, format, content) values($1, $2, $3, $4, $5)
		on conflict(account, region, hash) do nothing`, tx.Scope.Account, tx.Scope.Region, r.Hash, string(r.Format), r.Content)
	return err
}

// content reads the document that an execution pinned; it may be gone from the
// documents meanwhile.
func (s *Service) content(tx *db.Tx, hash string) (*ssmdoc.Document, error) {
	if doc := s.parsed.get(hash); doc != nil {
		return doc, nil
	}
	var text, format string
	err := tx.QueryRow("select content, format from automation_document where account = $1 and region = $2 and hash = $3",
		tx.Scope.Account, tx.Scope.Region, hash).Scan(&text, &format)
	if err != nil {
		return nil, fmt.Errorf("document %s: %w", hash, err)
	}
	doc, err := ssmdoc.Parse([]byte(text), format)
	if err == nil {
		s.parsed.put(hash, doc)
	}
	return doc, err
}

// cache keeps parsed documents, which are only read, by the hash of their content.
type cache struct {
	mu   sync.Mutex
	docs map[string]*ssmdoc.Document
}

const maxParsed = 256

func (c *cache) get(hash string) *ssmdoc.Document {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.docs[hash]
}

func (c *cache) put(hash string, doc *ssmdoc.Document) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.docs) >= maxParsed || c.docs == nil {
		c.docs = map[string]*ssmdoc.Document{}
	}
	c.docs[hash] = doc
}
