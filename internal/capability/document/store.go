package document

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/db"
)

// head is what all versions of a document have in common.
type head struct {
	Account string // "" for the documents of AWS
	Region  string
	Name    string
	Type    ssm.DocumentType
	Default int64
	Latest  int64
	Last    int64 // highest number ever given
	Created time.Time
	Owner   string // account id, or Amazon
	Shared  string // what another account may see: $DEFAULT, $LATEST, $ALL; "" for the owner
}

// version is one version; Content is "" in lists.
type version struct {
	Number      int64
	Name        string
	DisplayName string
	Format      ssm.DocumentFormat
	Content     string
	Hash        string
	Schema      string
	TargetType  string
	Author      string
	Platforms   []ssm.PlatformType
	Requires    []ssm.DocumentRequires
	Attachments []ssm.AttachmentsSource
	Review      ssm.ReviewStatus
	Created     time.Time

	Status            ssm.DocumentStatus // "" as Active
	StatusInformation string
	inherited         []file // taken over from the version before
	Fetch             string // id of the task that gets the attachments
}

const headColumns = `account, region, name, type, default_version, latest_version, last_version, created`

func scanHead(row interface{ Scan(...any) error }) (*head, error) {
	var h head
	var created int64
	err := row.Scan(&h.Account, &h.Region, &h.Name, &h.Type, &h.Default, &h.Latest, &h.Last, &created)
	h.Created, h.Owner = db.FromMicros(created), h.Account
	return &h, err
}

const (
	selectHead = `select ` + headColumns + ` from document_document where account = $1 and region = $2 and name = $3`
	lockHead   = selectHead + ` {lock}`
)

// findHead is a document of an account in the transaction's region, nil when
// there is none. Query is selectHead, or lockHead when it is to change.
func findHead(tx *db.Tx, query, account, name string) (*head, error) {
	h, err := scanHead(tx.QueryRow(query, account, tx.Scope.Region, name))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("document %s: read: %w", name, err)
	}
	return h, nil
}

// ownHead is a document of the caller's account.
func ownHead(tx *db.Tx, query, name string) (*head, error) {
	h, err := findHead(tx, query, tx.Scope.Account, name)
	if err == nil && h == nil {
		return nil, noDocument(name)
	}
	return h, err
}

func noDocument(name string) error {
	return &ssm.InvalidDocument{Message: fmt.Sprintf("Document with name %s does not exist.", name)}
}

const insertHead = `insert into document_document(` + headColumns + `) values($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing`

func createHead(tx *db.Tx, h *head) error {
	n, err := tx.Exec(insertHead, h.Account, h.Region, h.Name, string(h.Type), h.Default, h.Latest, h.Last, db.Micros(h.Created))
	if err != nil {
		return fmt.Errorf("document %s: create: %w", h.Name, err)
	}
	if n == 0 {
		return &ssm.DocumentAlreadyExists{Message: fmt.Sprintf("Document with name %s already exists.", h.Name)}
	}
	return nil
}

const updateHead = `update document_document set default_version = $1, latest_version = $2, last_version = $3
	where account = $4 and region = $5 and name = $6`

func saveHead(tx *db.Tx, h *head) error {
	if _, err := tx.Exec(updateHead, h.Default, h.Latest, h.Last, h.Account, h.Region, h.Name); err != nil {
		return fmt.Errorf("document %s: update: %w", h.Name, err)
	}
	return nil
}

const (
	listColumns    = `version, version_name, display_name, format, hash, schema_version, target_type, author, platforms, requires, attachments, review, created, status, status_information, fetch_id`
	versionColumns = listColumns + `, content`
	insertVersion  = `insert into document_version(account, region, name, ` + versionColumns + `)
	values($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)`
)

func createVersion(tx *db.Tx, h *head, v *version) error {
	platforms, requires, attachments := encode(v.Platforms), encode(v.Requires), encode(v.Attachments)
	_, err := tx.Exec(insertVersion, h.Account, h.Region, h.Name, v.Number, v.Name, v.DisplayName, string(v.Format), v.Hash, v.Schema,
		v.TargetType, v.Author, platforms, requires, attachments, string(v.Review), db.Micros(v.Created),
		string(cmp.Or(v.Status, ssm.DocumentStatusActive)), v.StatusInformation, v.Fetch, v.Content)
	if err != nil {
		return fmt.Errorf("document %s: add version %d: %w", h.Name, v.Number, err)
	}
	return nil
}

// encode is the JSON of a list of our own small types, which cannot fail.
func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("document: " + err.Error())
	}
	return string(b)
}

func scanVersion(row interface{ Scan(...any) error }, more ...any) (*version, error) {
	var v version
	var platforms, requires, attachments string
	var created int64
	to := []any{
		&v.Number, &v.Name, &v.DisplayName, &v.Format, &v.Hash, &v.Schema, &v.TargetType, &v.Author,
		&platforms, &requires, &attachments, &v.Review, &created,
		&v.Status, &v.StatusInformation, &v.Fetch,
	}
	if err := row.Scan(append(to, more...)...); err != nil {
		return nil, err
	}
	v.Created = db.FromMicros(created)
	for text, list := range map[*string]any{&platforms: &v.Platforms, &requires: &v.Requires, &attachments: &v.Attachments} {
		if err := json.Unmarshal([]byte(*text), list); err != nil {
			return nil, err
		}
	}
	return &v, nil
}

const selectVersion = `select ` + versionColumns + ` from document_version where account = $1 and region = $2 and name = $3 and version = $4`

// findVersion is one version with its content, nil when there is none.
func findVersion(tx *db.Tx, h *head, number int64) (*version, error) {
	if h.Owner == amazon {
		return ownedVersion(h.Name, number), nil
	}
	var content string
	v, err := scanVersion(tx.QueryRow(selectVersion, h.Account, h.Region, h.Name, number), &content)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("document %s: read version %d: %w", h.Name, number, err)
	}
	v.Content = content
	return v, nil
}

const selectNumber = `select version from document_version where account = $1 and region = $2 and name = $3 and version_name = $4`

// numberOf is the version that bears a name, 0 when none does.
func numberOf(tx *db.Tx, h *head, versionName string) (int64, error) {
	if h.Owner == amazon || versionName == "" {
		return 0, nil
	}
	var n int64
	err := tx.QueryRow(selectNumber, h.Account, h.Region, h.Name, versionName).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("document %s: find version %s: %w", h.Name, versionName, err)
	}
	return n, nil
}

const countVersions = `select count(*), coalesce(max(version), 0) from document_version where account = $1 and region = $2 and name = $3`

// versions is how many versions a document has and the highest number.
func versions(tx *db.Tx, h *head) (count, highest int64, err error) {
	err = tx.QueryRow(countVersions, h.Account, h.Region, h.Name).Scan(&count, &highest)
	if err != nil {
		err = fmt.Errorf("document %s: count versions: %w", h.Name, err)
	}
	return count, highest, err
}

const selectVersions = `select ` + listColumns + ` from document_version
	where account = $1 and region = $2 and name = $3 and version < $4 order by version desc limit $5`

// listVersions are the versions below a number, newest first, without content.
func listVersions(tx *db.Tx, h *head, below int64, limit int) ([]*version, error) {
	return db.Rows(tx, selectVersions, []any{h.Account, h.Region, h.Name, below, limit}, func(r *sql.Rows) (*version, error) {
		return scanVersion(r)
	})
}

var deleteRows = []string{
	`delete from document_file where account = $1 and region = $2 and name = $3`,
	`delete from document_review where account = $1 and region = $2 and name = $3`,
	`delete from document_share where account = $1 and region = $2 and name = $3`,
	`delete from document_version where account = $1 and region = $2 and name = $3`,
	`delete from document_document where account = $1 and region = $2 and name = $3`,
}

func deleteAll(tx *db.Tx, h *head) error {
	for _, statement := range deleteRows {
		if _, err := tx.Exec(statement, h.Account, h.Region, h.Name); err != nil {
			return fmt.Errorf("document %s: delete: %w", h.Name, err)
		}
	}
	return nil
}

const (
	deleteVersion = `delete from document_version where account = $1 and region = $2 and name = $3 and version = $4`
	deleteReviews = `delete from document_review where account = $1 and region = $2 and name = $3 and version = $4`
)

func dropVersion(tx *db.Tx, h *head, number int64) error {
	for _, statement := range []string{deleteReviews, deleteVersion} {
		if _, err := tx.Exec(statement, h.Account, h.Region, h.Name, number); err != nil {
			return fmt.Errorf("document %s: delete version %d: %w", h.Name, number, err)
		}
	}
	return nil
}
