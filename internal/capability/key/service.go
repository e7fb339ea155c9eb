package key

import (
	"context"
	"embed"
	"strings"

	"github.com/watchbill/watchbill/internal/api/kms"
	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/seal"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire"
)

//go:embed migrate/*.sql
var migrateFS embed.FS

// Migrations is the schema of the package.
var Migrations = db.Migrations{Name: "key", FS: migrateFS}

// DefaultAlias is the alias of the key that SecureString parameters and sessions use
// when they name none.
const DefaultAlias = "alias/aws/ssm"

// Service keeps keys.
type Service struct {
	DB      *db.DB
	Tasks   *task.Engine
	Journal *journal.Journal
	Sealer  *seal.Sealer
	// Allow decides on a key once it is known; authz.Require.
	Allow func(ctx context.Context, action string, resources ...string) error
	// Session says whether a session is one of a node's own and goes on; nil: none is.
	Session func(ctx context.Context, nodeID, sessionID string) (bool, error)
}

// New makes the service and registers its tasks.
func New(s Service) *Service {
	s.Tasks.Handle(deleteTask, s.delete)
	return &s
}

// Operations binds the operations.
func (s *Service) Operations() []wire.Binding {
	return []wire.Binding{
		kms.BindCreateKey(s.CreateKey),
		kms.BindDescribeKey(s.DescribeKey),
		kms.BindListKeys(s.ListKeys),
		kms.BindEnableKey(s.EnableKey),
		kms.BindDisableKey(s.DisableKey),
		kms.BindScheduleKeyDeletion(s.ScheduleKeyDeletion),
		kms.BindCancelKeyDeletion(s.CancelKeyDeletion),
		kms.BindCreateAlias(s.CreateAlias),
		kms.BindUpdateAlias(s.UpdateAlias),
		kms.BindDeleteAlias(s.DeleteAlias),
		kms.BindListAliases(s.ListAliases),
		kms.BindEncrypt(s.Encrypt),
		kms.BindDecrypt(s.Decrypt),
		kms.BindGenerateDataKey(s.GenerateDataKey),
		kms.BindGenerateDataKeyWithoutPlaintext(s.GenerateDataKeyWithoutPlaintext),
		kms.BindGenerateRandom(s.GenerateRandom),
	}
}

// name is what a KeyId member names: a key's id, or an alias with its "alias/". It is
// "" for an ARN of elsewhere.
func name(scope db.Scope, keyID string) string {
	if !arn.Is(keyID) {
		return keyID
	}
	a, err := arn.Parse(keyID)
	if err != nil || a.Service != "kms" || a.Account != scope.Account || a.Region != scope.Region {
		return ""
	}
	if strings.HasPrefix(a.Resource, "alias/") {
		return a.Resource
	}
	id, _ := strings.CutPrefix(a.Resource, "key/")
	return id
}

// find is the key that a KeyId member names, nil when there is none.
func find(tx *db.Tx, keyID, lock string) (*row, error) {
	id := name(tx.Scope, keyID)
	if strings.HasPrefix(id, "alias/") {
		a, err := loadAlias(tx, id)
		if err != nil || a == nil {
			return nil, err
		}
		id = a.keyID
	}
	return load(tx, id, lock)
}

// may finds a key and asks for the right to act on it. Whoever has no right to a key
// that is not there hears that, and not that there is none.
func (s *Service) may(ctx context.Context, action, keyID string) (*row, error) {
	k, err := s.find(ctx, keyID)
	if err != nil {
		return nil, err
	}
	scope, resource := db.ScopeOf(ctx), keyID
	switch {
	case k != nil:
		resource = k.arn()
	case strings.HasPrefix(keyID, "alias/"):
		resource = arn.Make("kms", scope.Region, scope.Account, keyID)
	case !arn.Is(keyID):
		resource = keyARN(scope, keyID)
	}
	if err := s.Allow(ctx, action, resource); err != nil {
		return nil, err
	}
	if k == nil {
		return nil, notFound(resource)
	}
	return k, nil
}

func (s *Service) find(ctx context.Context, keyID string) (k *row, err error) {
	read := func(tx *db.Tx) error {
		k, err = find(tx, keyID, "")
		return err
	}
	if err := s.DB.View(ctx, read); err != nil || k != nil || name(db.ScopeOf(ctx), keyID) != DefaultAlias {
		return k, err
	}
	if err := s.makeDefault(ctx); err != nil {
		return nil, err
	}
	return k, s.DB.View(ctx, read)
}

func notFound(resource string) error {
	if strings.Contains(resource, ":alias/") {
		return &kms.NotFoundException{Message: "Alias " + resource + " is not found."}
	}
	return &kms.NotFoundException{Message: "Key '" + resource + "' does not exist"}
}

func (s *Service) record(tx *db.Tx, kind string, k *row, body any) error {
	return s.Journal.Record(tx, journal.Fact{Kind: kind, Subject: k.arn(), Body: body})
}
