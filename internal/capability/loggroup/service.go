package loggroup

import (
	"context"
	"embed"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/api/logs"
	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/seal"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

//go:embed migrate/*.sql
var migrateFS embed.FS

// Migrations is the schema of the package.
var Migrations = db.Migrations{Name: "loggroup", FS: migrateFS}

// Service keeps log groups.
type Service struct {
	DB      *db.DB
	Tasks   *task.Engine
	Journal *journal.Journal
	Sealer  *seal.Sealer // of messages
	// Session says whether a node may write the log of a session, Command whether it
	// may write outputs of a command; nil: of none.
	Session func(ctx context.Context, nodeID, sessionID string) (bool, error)
	Command func(ctx context.Context, nodeID, commandID string) (bool, error)
}

// New makes the service and registers its tasks.
func New(s Service) *Service {
	s.Tasks.Handle(pruneTask, s.prune)
	return &s
}

// Operations binds the operations.
func (s *Service) Operations() []wire.Binding {
	return []wire.Binding{
		logs.BindCreateLogGroup(s.CreateLogGroup),
		logs.BindDeleteLogGroup(s.DeleteLogGroup),
		logs.BindDescribeLogGroups(s.DescribeLogGroups),
		logs.BindPutRetentionPolicy(s.PutRetentionPolicy),
		logs.BindDeleteRetentionPolicy(s.DeleteRetentionPolicy),
		logs.BindCreateLogStream(s.CreateLogStream),
		logs.BindDeleteLogStream(s.DeleteLogStream),
		logs.BindDescribeLogStreams(s.DescribeLogStreams),
		logs.BindPutLogEvents(s.PutLogEvents),
		logs.BindGetLogEvents(s.GetLogEvents),
		logs.BindFilterLogEvents(s.FilterLogEvents),
	}
}

var (
	noGroup  = &logs.ResourceNotFoundException{Message: "The specified log group does not exist."}
	noStream = &logs.ResourceNotFoundException{Message: "The specified log stream does not exist."}
)

func invalid(text string) error { return &logs.InvalidParameterException{Message: text} }

// groupName is the name of the group that an operation asks for, by its name or by an
// identifier that may be an ARN of this account and region.
func groupName(scope db.Scope, name, identifier *string) (string, error) {
	switch {
	case (name == nil) == (identifier == nil):
		return "", invalid("Specify either the log group name or the log group identifier.")
	case name != nil:
		return *name, nil
	case !arn.Is(*identifier):
		return *identifier, nil
	}
	a, err := arn.Parse(*identifier)
	if err != nil || a.Service != "logs" || a.Account != scope.Account || a.Region != scope.Region || !strings.HasPrefix(a.Resource, "log-group:") {
		return "", noGroup
	}
	return strings.TrimSuffix(strings.TrimPrefix(a.Resource, "log-group:"), ":*"), nil
}

func groupARN(s db.Scope, name string) string {
	return arn.Make("logs", s.Region, s.Account, "log-group:"+name)
}

// millis is a time as the API has it.
func millis(t time.Time) int64 { return t.UnixMilli() }

// nodeMay decides over a stream that a node writes or makes.
func (s *Service) nodeMay(ctx context.Context, stream string) error {
	node := identity.From(ctx).NodeID()
	if node == "" {
		return nil
	}
	if id, ok := commandOf(stream, node); ok && s.Command != nil {
		if its, err := s.Command(ctx, node, id); err != nil || its {
			return err
		}
	}
	if s.Session != nil {
		if its, err := s.Session(ctx, node, stream); err != nil || its {
			return err
		}
	}
	return fault.AccessDenied("The node %s is not authorized to use this log stream: it is not one of its own.", node)
}

// commandOf is the command that a stream has the output of, on the node:
// COMMAND/NODE/….
func commandOf(stream, node string) (string, bool) {
	parts := strings.Split(stream, "/")
	if len(parts) < 3 || parts[1] != node {
		return "", false
	}
	id, err := uuid.Parse(parts[0])
	return parts[0], err == nil && id.String() == parts[0]
}
