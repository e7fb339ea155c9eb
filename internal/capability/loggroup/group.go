package loggroup

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/api/logs"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/page"
	"github.com/watchbill/watchbill/internal/platform/task"
)

const mostListed = 50

// retentions are the numbers of days that a retention can have.
var retentions = []int32{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

func (s *Service) record(tx *db.Tx, kind, name string, body any) error {
	return s.Journal.Record(tx, journal.Fact{Kind: kind, Subject: groupARN(tx.Scope, name), Body: body})
}

// CreateLogGroup makes a group. Its own key, classes, tags and protection are refused.
func (s *Service) CreateLogGroup(ctx context.Context, in *logs.CreateLogGroupInput) (*logs.CreateLogGroupOutput, error) {
	switch {
	case in.KmsKeyId != nil:
		return nil, invalid("Log groups with a key of their own are not supported.")
	case in.LogGroupClass != "" && in.LogGroupClass != logs.LogGroupClassStandard:
		return nil, invalid("Only log groups of the class STANDARD are supported.")
	case len(in.Tags) > 0:
		return nil, invalid("Tags of log groups are not supported.")
	case ptr.Value(in.DeletionProtectionEnabled):
		return nil, invalid("Deletion protection is not supported.")
	case strings.HasPrefix(*in.LogGroupName, "aws/"):
		return nil, invalid("Log groups starting with AWS/ are reserved for AWS.")
	}
	out := &logs.CreateLogGroupOutput{}
	return out, s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		if _, err := loadGroup(tx, *in.LogGroupName, ""); err != error(noGroup) { //nolint:errorlint // our own value
			if err == nil {
				err = &logs.ResourceAlreadyExistsException{Message: "The specified log group already exists"}
			}
			return err
		}
		if err := putGroup(tx, &group{name: *in.LogGroupName, created: tx.Now}); err != nil {
			return err
		}
		return s.record(tx, "loggroup.created", *in.LogGroupName, nil)
	})
}

// DeleteLogGroup takes a group and all its events away.
func (s *Service) DeleteLogGroup(ctx context.Context, in *logs.DeleteLogGroupInput) (*logs.DeleteLogGroupOutput, error) {
	out := &logs.DeleteLogGroupOutput{}
	return out, s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		if _, err := loadGroup(tx, *in.LogGroupName, "{lock}"); err != nil {
			return err
		}
		if err := removeGroup(tx, *in.LogGroupName); err != nil {
			return err
		}
		if _, err := s.Tasks.Cancel(tx, pruneTask, *in.LogGroupName); err != nil {
			return err
		}
		return s.record(tx, "loggroup.deleted", *in.LogGroupName, nil)
	})
}

// DescribeLogGroups lists groups by a prefix or a part of their name. A node sees the
// one whose whole name it knows.
func (s *Service) DescribeLogGroups(ctx context.Context, in *logs.DescribeLogGroupsInput) (*logs.DescribeLogGroupsOutput, error) {
	if in.LogGroupNamePattern != nil && in.LogGroupNamePrefix != nil {
		return nil, invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
	}
	after := ""
	if page.Parse(ptr.Value(in.NextToken), &after) != nil {
		return nil, invalid("The specified nextToken is invalid.")
	}
	limit := page.Limit(in.Limit, mostListed)
	var found []group
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		found, err = listGroups(tx, groupFilter(ctx, tx, in, after), limit+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &logs.DescribeLogGroupsOutput{LogGroups: []logs.LogGroup{}}
	for _, g := range found[:min(limit, len(found))] {
		out.LogGroups = append(out.LogGroups, g.project(db.ScopeOf(ctx)))
	}
	if len(found) > limit {
		out.NextToken = new(page.Token(found[limit-1].name))
	}
	return out, nil
}

func groupFilter(ctx context.Context, tx *db.Tx, in *logs.DescribeLogGroupsInput, after string) *db.Filter {
	f := scoped(tx).And("name > ?", after)
	prefix := ptr.Value(in.LogGroupNamePrefix)
	if identity.From(ctx).NodeID() != "" {
		return f.And("name = ?", prefix)
	}
	if prefix != "" {
		f.And("name >= ?", prefix).And("name < ?", beyond(prefix))
	}
	if p := ptr.Value(in.LogGroupNamePattern); p != "" {
		escaped := strings.NewReplacer(`!`, `!!`, `%`, `!%`, `_`, `!_`).Replace(strings.ToLower(p))
		f.And("lower(name) like ? escape '!'", "%"+escaped+"%")
	}
	if len(in.LogGroupIdentifiers) > 0 {
		var names []string
		for _, id := range in.LogGroupIdentifiers {
			if name, err := groupName(tx.Scope, nil, &id); err == nil {
				names = append(names, name)
			}
		}
		f.In("name", names)
	}
	return f
}

func (g group) project(scope db.Scope) logs.LogGroup {
	out := logs.LogGroup{
		LogGroupName: new(g.name), CreationTime: new(millis(g.created)), Arn: new(groupARN(scope, g.name) + ":*"), LogGroupArn: new(groupARN(scope, g.name)),
		LogGroupClass: logs.LogGroupClassStandard, MetricFilterCount: new(int32(0)), StoredBytes: new(int64(0)),
	}
	if g.retention > 0 {
		out.RetentionInDays = new(int32(g.retention))
	}
	return out
}

// PutRetentionPolicy says for how many days the events of a group are kept.
func (s *Service) PutRetentionPolicy(ctx context.Context, in *logs.PutRetentionPolicyInput) (*logs.PutRetentionPolicyOutput, error) {
	if !slices.Contains(retentions, *in.RetentionInDays) {
		return nil, invalid("The retention is not one of the numbers of days that there are.")
	}
	out := &logs.PutRetentionPolicyOutput{}
	return out, s.retain(ctx, *in.LogGroupName, *in.RetentionInDays, out)
}

// DeleteRetentionPolicy keeps the events of a group for ever.
func (s *Service) DeleteRetentionPolicy(ctx context.Context, in *logs.DeleteRetentionPolicyInput) (*logs.DeleteRetentionPolicyOutput, error) {
	out := &logs.DeleteRetentionPolicyOutput{}
	return out, s.retain(ctx, *in.LogGroupName, 0, out)
}

func (s *Service) retain(ctx context.Context, name string, days int32, out any) error {
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		g, err := loadGroup(tx, name, "{lock}")
		if err != nil {
			return err
		}
		if g.retention = int64(days); days > 0 {
			err = s.Tasks.Enqueue(tx, task.Spec{Kind: pruneTask, Key: name})
		} else {
			_, err = s.Tasks.Cancel(tx, pruneTask, name)
		}
		if err != nil {
			return err
		}
		if err := putGroup(tx, g); err != nil {
			return err
		}
		return s.record(tx, "loggroup.retention", name, map[string]int32{"Days": days})
	})
}

// pruneTask takes the events away that are past the retention of a group, which is its
// key, in pieces.
const (
	pruneTask  = "loggroup.prune"
	pruneEvery = time.Hour
	prunePiece = 5000
)

func (s *Service) prune(ctx context.Context, run *task.Run) error {
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		g, err := loadGroup(tx, run.Key, "")
		if err == error(noGroup) || err == nil && g.retention == 0 { //nolint:errorlint // our own value
			return run.Done(tx)
		}
		if err != nil {
			return err
		}
		until := millis(tx.Now.Add(-time.Duration(g.retention) * 24 * time.Hour))
		old, err := listEvents(tx, scoped(tx).And("group_name = ?", g.name).And("at < ?", until), "at, stream, seq", prunePiece)
		if err != nil {
			return err
		}
		if len(old) == 0 {
			return run.Again(tx, tx.Now.Add(pruneEvery))
		}
		last := old[len(old)-1]
		f := scoped(tx).And("group_name = ?", g.name)
		f.And("(at < ? or at = ? and (stream < ? or stream = ? and seq <= ?))", last.at, last.at, last.stream, last.stream, last.seq)
		if _, err := tx.Exec("delete from loggroup_event"+f.Where(), f.Args...); err != nil {
			return err
		}
		return run.Again(tx, tx.Now)
	})
}
