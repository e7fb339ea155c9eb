package session

import (
	"context"
	"strconv"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/page"
)

const (
	mostRows = 200                 // of a page, as the model says
	history  = 30 * 24 * time.Hour // how long DescribeSessions shows ended sessions. Source: the user guide
)

// cursor is where a page ends: newest first.
type cursor struct {
	Started int64  `json:"s"`
	ID      string `json:"i"`
}

// DescribeSessions lists sessions, newest first. Errors: InvalidFilterKey,
// InvalidNextToken.
func (s *Service) DescribeSessions(ctx context.Context, in *ssm.DescribeSessionsInput) (*ssm.DescribeSessionsOutput, error) {
	var from cursor
	if page.Parse(ptr.Value(in.NextToken), &from) != nil {
		return nil, &ssm.InvalidNextToken{Message: "The specified token is not valid."}
	}
	out := &ssm.DescribeSessionsOutput{Sessions: []ssm.Session{}}
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		f := scoped(tx)
		if in.State == ssm.SessionStateActive {
			f.And("ended = 0")
		} else {
			f.And("ended >= ?", db.Micros(tx.Now.Add(-history)))
		}
		if err := filters(f, in.Filters); err != nil {
			return err
		}
		list, next, err := pageOf(tx, f, from, in.MaxResults)
		if err != nil {
			return err
		}
		out.NextToken = next
		for i := range list {
			out.Sessions = append(out.Sessions, list[i].project())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// pageOf reads the rows behind a cursor, newest first, and the token of the next page.
func pageOf(tx *db.Tx, f *db.Filter, from cursor, most *int32) ([]row, *string, error) {
	if from.ID != "" {
		f.And("(started < ? or started = ? and id < ?)", from.Started, from.Started, from.ID)
	}
	size := page.Limit(most, mostRows)
	list, err := listRows(tx, f, size+1)
	if err != nil || len(list) <= size {
		return list, nil, err
	}
	last := list[size-1]
	return list[:size], new(page.Token(cursor{db.Micros(last.Started), last.ID})), nil
}

// filters adds conditions; all must hold.
func filters(f *db.Filter, list []ssm.SessionFilter) error {
	columns := map[ssm.SessionFilterKey]string{
		ssm.SessionFilterKeyTarget: "node_id", ssm.SessionFilterKeyOwner: "owner", ssm.SessionFilterKeyStatus: "status", ssm.SessionFilterKeySessionId: "id",
	}
	for _, x := range list {
		v := ptr.Value(x.Value)
		switch x.Key {
		case ssm.SessionFilterKeyInvokedAfter, ssm.SessionFilterKeyInvokedBefore:
			at, err := time.Parse(time.RFC3339, v)
			if err != nil {
				return &ssm.InvalidFilterKey{Message: "The value of " + string(x.Key) + " must be a time such as 2026-08-29T00:00:00Z."}
			}
			sign := map[bool]string{true: ">", false: "<"}[x.Key == ssm.SessionFilterKeyInvokedAfter]
			f.And("started "+sign+" ?", db.Micros(at))
		case ssm.SessionFilterKeyAccessType:
			if v != string(ssm.AccessTypeStandard) {
				f.And("1 = 0")
			}
		default:
			column := columns[x.Key]
			if column == "" {
				return &ssm.InvalidFilterKey{Message: "The filter key " + string(x.Key) + " is not valid."}
			}
			f.And(column+" = ?", v)
		}
	}
	return nil
}

func (r *row) project() ssm.Session {
	out := ssm.Session{
		SessionId: &r.ID, Target: &r.Node, Status: r.Status, StartDate: &r.Started, DocumentName: &r.DocumentName, Owner: &r.Owner,
		Reason: ptr.OrNil(r.Reason), Details: ptr.OrNil(r.Output), AccessType: ssm.AccessTypeStandard,
		OutputUrl: &ssm.SessionManagerOutputUrl{S3OutputUrl: ptr.OrNil(r.S3URL), CloudWatchOutputUrl: ptr.OrNil(r.LogURL)},
	}
	if !r.Ended.IsZero() {
		out.EndDate = &r.Ended
	}
	if r.Max > 0 {
		out.MaxSessionDuration = new(strconv.Itoa(int(r.Max / time.Minute)))
	}
	return out
}

// Tags are the tags that conditions of policies know sessions by: who started one
// (aws:userid) and on which node. Source: the user guide on additional sample
// policies for Session Manager.
func (s *Service) Tags(tx *db.Tx, id string) (map[string]string, error) {
	r, err := findRow(tx, id, false)
	if err != nil || r == nil || r.Scope != tx.Scope {
		return nil, err
	}
	return map[string]string{"aws:ssmmessages:session-id": r.OwnerID, "aws:ssmmessages:target-id": r.Node}, nil
}
