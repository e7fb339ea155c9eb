package parameter

import (
	"embed"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/seal"
	"github.com/watchbill/watchbill/internal/platform/tagging"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire"
)

//go:embed migrate/*.sql
var migrateFS embed.FS

// Migrations is the schema of the package.
var Migrations = db.Migrations{Name: "parameter", FS: migrateFS}

// Kind is the resource type of parameters in tags.
const Kind = string(ssm.ResourceTypeForTaggingParameter)

// Service is the Parameter Store.
type Service struct {
	DB      *db.DB
	Tasks   *task.Engine
	Journal *journal.Journal
	Sealer  *seal.Sealer
	// DefaultTier is the tier of parameters that are put without one; nil means
	// Standard. It is the service setting /ssm/parameter-store/default-parameter-tier.
	DefaultTier func(tx *db.Tx) (string, error)
}

// New makes the service and registers its tasks and its resources.
func New(s Service) *Service {
	s.Tasks.Handle(policyTask, s.runPolicy)
	tagging.Register(Kind, s.exists)
	return &s
}

// Operations binds the operations.
func (s *Service) Operations() []wire.Binding {
	return []wire.Binding{
		ssm.BindPutParameter(s.PutParameter),
		ssm.BindGetParameter(s.GetParameter),
		ssm.BindGetParameters(s.GetParameters),
		ssm.BindGetParametersByPath(s.GetParametersByPath),
		ssm.BindGetParameterHistory(s.GetParameterHistory),
		ssm.BindDescribeParameters(s.DescribeParameters),
		ssm.BindDeleteParameter(s.DeleteParameter),
		ssm.BindDeleteParameters(s.DeleteParameters),
		ssm.BindLabelParameterVersion(s.LabelParameterVersion),
		ssm.BindUnlabelParameterVersion(s.UnlabelParameterVersion),
	}
}

// exists is the tag operations' check of a parameter's name.
func (s *Service) exists(tx *db.Tx, name string) error {
	row, err := read(tx, name)
	if err == nil && row == nil {
		return &ssm.InvalidResourceId{Message: "The resource ID is not valid: " + name}
	}
	return err
}

// fact is the body of the facts of this package.
type fact struct {
	Operation string            `json:"operation,omitzero"`
	Name      string            `json:"name"`
	Version   int64             `json:"version,omitzero"`
	Type      ssm.ParameterType `json:"type,omitzero"`
	Tier      ssm.ParameterTier `json:"tier,omitzero"`
	Labels    []string          `json:"labels,omitzero"`
	Policy    string            `json:"policy,omitzero"`
}

func (s *Service) record(tx *db.Tx, kind string, body fact) error {
	return s.Journal.Record(tx, journal.Fact{Kind: kind, Subject: parameterARN(tx.Scope, body.Name), Body: body})
}
