package loggroup

import (
	"context"

	"github.com/watchbill/watchbill/internal/api/logs"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/platform/page"
)

// CreateLogStream makes a stream in a group.
func (s *Service) CreateLogStream(ctx context.Context, in *logs.CreateLogStreamInput) (*logs.CreateLogStreamOutput, error) {
	if err := s.nodeMay(ctx, *in.LogStreamName); err != nil {
		return nil, err
	}
	out := &logs.CreateLogStreamOutput{}
	return out, s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		if _, err := loadGroup(tx, *in.LogGroupName, "{lock}"); err != nil {
			return err
		}
		if _, err := loadStream(tx, *in.LogGroupName, *in.LogStreamName, ""); err != error(noStream) { //nolint:errorlint // our own value
			if err == nil {
				err = &logs.ResourceAlreadyExistsException{Message: "The specified log stream already exists"}
			}
			return err
		}
		return putStream(tx, *in.LogGroupName, &stream{name: *in.LogStreamName, created: tx.Now})
	})
}

// DeleteLogStream takes a stream and its events away.
func (s *Service) DeleteLogStream(ctx context.Context, in *logs.DeleteLogStreamInput) (*logs.DeleteLogStreamOutput, error) {
	out := &logs.DeleteLogStreamOutput{}
	return out, s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		if _, err := loadStream(tx, *in.LogGroupName, *in.LogStreamName, "{lock}"); err != nil {
			return err
		}
		return removeStream(tx, *in.LogGroupName, *in.LogStreamName)
	})
}

// streamPosition is where a list of streams goes on.
type streamPosition struct {
	Last int64
	Name string
}

// DescribeLogStreams lists the streams of a group by their name or by their last event.
// A node sees those that are its own.
func (s *Service) DescribeLogStreams(ctx context.Context, in *logs.DescribeLogStreamsInput) (*logs.DescribeLogStreamsOutput, error) {
	name, err := groupName(db.ScopeOf(ctx), in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	byTime := in.OrderBy == logs.OrderByLastEventTime
	if byTime && in.LogStreamNamePrefix != nil {
		return nil, invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
	}
	if identity.From(ctx).NodeID() != "" {
		if err := s.nodeMay(ctx, ptr.Value(in.LogStreamNamePrefix)); err != nil {
			return nil, err
		}
	}
	var after *streamPosition
	if page.Parse(ptr.Value(in.NextToken), &after) != nil {
		return nil, invalid("The specified nextToken is invalid.")
	}
	limit := page.Limit(in.Limit, mostListed)
	var found []stream
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		if _, err := loadGroup(tx, name, ""); err != nil {
			return err
		}
		f, order := streamFilter(tx, name, in, after, byTime)
		found, err = listStreams(tx, f, order, limit+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &logs.DescribeLogStreamsOutput{LogStreams: []logs.LogStream{}}
	for _, x := range found[:min(limit, len(found))] {
		out.LogStreams = append(out.LogStreams, x.project(db.ScopeOf(ctx), name))
	}
	if len(found) > limit {
		out.NextToken = new(page.Token(streamPosition{found[limit-1].last, found[limit-1].name}))
	}
	return out, nil
}

func streamFilter(tx *db.Tx, group string, in *logs.DescribeLogStreamsInput, after *streamPosition, byTime bool) (f *db.Filter, order string) {
	f = scoped(tx).And("group_name = ?", group)
	if p := ptr.Value(in.LogStreamNamePrefix); p != "" {
		f.And("name >= ?", p).And("name < ?", beyond(p))
	}
	compare, direction := ">", ""
	if ptr.Value(in.Descending) {
		compare, direction = "<", " desc"
	}
	switch {
	case after == nil:
	case byTime:
		f.And("(last_event "+compare+" ? or last_event = ? and name "+compare+" ?)", after.Last, after.Last, after.Name)
	default:
		f.And("name "+compare+" ?", after.Name)
	}
	if byTime {
		return f, "last_event" + direction + ", name" + direction
	}
	return f, "name" + direction
}

func (x *stream) project(scope db.Scope, group string) logs.LogStream {
	return logs.LogStream{
		LogStreamName: new(x.name), CreationTime: new(millis(x.created)), Arn: new(groupARN(scope, group) + ":log-stream:" + x.name), StoredBytes: new(int64(0)),
		FirstEventTimestamp: ptr.OrNil(x.first), LastEventTimestamp: ptr.OrNil(x.last), LastIngestionTime: ptr.OrNil(x.ingest), UploadSequenceToken: new(x.token()),
	}
}
