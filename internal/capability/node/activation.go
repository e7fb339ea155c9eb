package node

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/page"
)

// How long an activation lasts when nothing is said, and at most.
const (
	defaultExpiry = 24 * time.Hour
	maxExpiry     = 30 * 24 * time.Hour
)

const mostRows = 50 // of a page of a list, as the model says

// activation is a row of node_activation.
type activation struct {
	ID            string
	CodeHash      string
	IamRole       string
	DefaultName   string
	Expires       time.Time
	Limit         int32
	Registrations int32
	Created       time.Time
	Spec          activationSpec
}

// activationSpec is what is only kept and given back.
type activationSpec struct {
	Description string                         `json:"description,omitzero"`
	Tags        []ssm.Tag                      `json:"tags,omitzero"`
	Metadata    []ssm.RegistrationMetadataItem `json:"metadata,omitzero"`
}

// CreateActivation makes an activation and answers its code, once.
func (s *Service) CreateActivation(ctx context.Context, in *ssm.CreateActivationInput) (*ssm.CreateActivationOutput, error) {
	code := rand.Text() // 26 characters, 130 bits
	a := activation{
		ID: uuid.NewString(), CodeHash: hashCode(code), IamRole: ptr.Value(in.IamRole), DefaultName: ptr.Value(in.DefaultInstanceName), Limit: 1,
		Spec: activationSpec{Description: ptr.Value(in.Description), Tags: in.Tags, Metadata: in.RegistrationMetadata},
	}
	if in.RegistrationLimit != nil {
		a.Limit = *in.RegistrationLimit
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		a.Created, a.Expires = tx.Now, tx.Now.Add(defaultExpiry)
		if in.ExpirationDate != nil {
			a.Expires = in.ExpirationDate.UTC()
		}
		if !a.Expires.After(tx.Now) || a.Expires.After(tx.Now.Add(maxExpiry)) {
			return &ssm.InvalidParameters{Message: "The expiration date must lie in the future and within 30 days from now."}
		}
		if err := insertActivation(tx, a); err != nil {
			return err
		}
		return s.record(tx, "activation.created", a.ID, map[string]any{"iamRole": a.IamRole, "limit": a.Limit, "expires": a.Expires})
	})
	if err != nil {
		return nil, err
	}
	return &ssm.CreateActivationOutput{ActivationId: &a.ID, ActivationCode: &code}, nil
}

// DeleteActivation ends an activation. Nodes that used it stay.
func (s *Service) DeleteActivation(ctx context.Context, in *ssm.DeleteActivationInput) (*ssm.DeleteActivationOutput, error) {
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec("delete from node_activation where account = $1 and region = $2 and id = $3", tx.Scope.Account, tx.Scope.Region, *in.ActivationId)
		if err != nil {
			return err
		}
		if n == 0 {
			return &ssm.InvalidActivationId{Message: "The activation " + *in.ActivationId + " does not exist."}
		}
		return s.record(tx, "activation.deleted", *in.ActivationId, nil)
	})
	return &ssm.DeleteActivationOutput{}, err
}

// DescribeActivations lists activations by id. Filters are combined with AND,
// the values of one with OR.
func (s *Service) DescribeActivations(ctx context.Context, in *ssm.DescribeActivationsInput) (*ssm.DescribeActivationsOutput, error) {
	var after string
	if in.NextToken != nil {
		if err := page.Parse(*in.NextToken, &after); err != nil {
			return nil, &ssm.InvalidNextToken{Message: "The specified token is not valid."}
		}
	}
	out := &ssm.DescribeActivationsOutput{ActivationList: []ssm.Activation{}}
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		f := scoped(tx).And("id > ?", after)
		if err := activationFilters(f, in.Filters); err != nil {
			return err
		}
		size := page.Limit(in.MaxResults, mostRows)
		rows, err := listActivations(tx, f, size+1, "")
		if err != nil {
			return err
		}
		if len(rows) > size {
			rows = rows[:size]
			out.NextToken = new(page.Token(rows[size-1].ID))
		}
		for i := range rows {
			out.ActivationList = append(out.ActivationList, rows[i].project(tx.Now))
		}
		return nil
	})
	return out, err
}

func activationFilters(f *db.Filter, filters []ssm.DescribeActivationsFilter) error {
	columns := map[ssm.DescribeActivationsFilterKeys]string{
		ssm.DescribeActivationsFilterKeysActivationIds:       "id",
		ssm.DescribeActivationsFilterKeysDefaultInstanceName: "default_name",
		ssm.DescribeActivationsFilterKeysIamRole:             "iam_role",
	}
	for _, x := range filters {
		column, ok := columns[x.FilterKey]
		if !ok || len(x.FilterValues) == 0 {
			return &ssm.InvalidFilter{Message: "A filter needs a key and at least one value."}
		}
		f.In(column, x.FilterValues)
	}
	return nil
}

func (a *activation) project(now time.Time) ssm.Activation {
	return ssm.Activation{
		ActivationId: &a.ID, CreatedDate: &a.Created, DefaultInstanceName: ptr.OrNil(a.DefaultName), Description: ptr.OrNil(a.Spec.Description),
		ExpirationDate: &a.Expires, Expired: new(!a.Expires.After(now)), IamRole: ptr.OrNil(a.IamRole),
		RegistrationLimit: &a.Limit, RegistrationsCount: &a.Registrations, Tags: a.Spec.Tags,
	}
}

func hashCode(code string) string {
	sum := sha256.Sum256([]byte(code))
	return hex.EncodeToString(sum[:])
}

func insertActivation(tx *db.Tx, a activation) error {
	spec, err := json.Marshal(a.Spec)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`insert into node_activation(account, region, id, code_hash, iam_role, default_name, expires, registration_limit, registrations, created, spec)
		values($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, $10)`,
		tx.Scope.Account, tx.Scope.Region, a.ID, a.CodeHash, a.IamRole, a.DefaultName, db.Micros(a.Expires), a.Limit, db.Micros(a.Created), string(spec))
	return err
}

func listActivations(tx *db.Tx, f *db.Filter, n int, lock string) ([]activation, error) {
	query := fmt.Sprintf(`select id, code_hash, iam_role, default_name, expires, registration_limit, registrations, created, spec
		from node_activation%s order by id limit %d%s`, f.Where(), n, lock)
	return db.Rows(tx, query, f.Args, func(r *sql.Rows) (a activation, err error) {
		var expires, created int64
		var spec string
		if err := r.Scan(&a.ID, &a.CodeHash, &a.IamRole, &a.DefaultName, &expires, &a.Limit, &a.Registrations, &created, &spec); err != nil {
			return a, err
		}
		a.Expires, a.Created = db.FromMicros(expires), db.FromMicros(created)
		return a, json.Unmarshal([]byte(spec), &a.Spec)
	})
}

// checkActivation reads the activation of an id if the code is its code. An id
// that does not exist and a wrong code are the same error.
func checkActivation(tx *db.Tx, id, code string) (*activation, error) {
	rows, err := listActivations(tx, scoped(tx).And("id = ?", id), 1, " {lock}")
	if err != nil {
		return nil, err
	}
	var a activation
	if len(rows) > 0 {
		a = rows[0]
	}
	if subtle.ConstantTimeCompare([]byte(a.CodeHash), []byte(hashCode(code))) != 1 {
		return nil, errActivation
	}
	if !a.Expires.After(tx.Now) {
		return nil, errExpired
	}
	return &a, nil
}

// use takes one registration of the activation.
func (a *activation) use(tx *db.Tx) error {
	n, err := tx.Exec(`update node_activation set registrations = registrations + 1
		where account = $1 and region = $2 and id = $3 and registrations < registration_limit`, tx.Scope.Account, tx.Scope.Region, a.ID)
	if err == nil && n == 0 {
		return errLimit
	}
	return err
}

// activationScope finds where an activation lives: a registration is not
// signed, so the request does not say.
func activationScope(tx *db.Tx, id string) (scope db.Scope, err error) {
	err = tx.QueryRow("select account, region from node_activation where id = $1", id).Scan(&scope.Account, &scope.Region)
	if errors.Is(err, sql.ErrNoRows) {
		return scope, errActivation
	}
	return scope, err
}
