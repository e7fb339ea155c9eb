package session

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/wire/client"
)

// List is the sessions that are active, or those that ended, newest first, at most
// most of them. Filters are those of DescribeSessions.
func List(ctx context.Context, c *client.Client, history bool, filters []ssm.SessionFilter, most int) ([]ssm.Session, error) {
	in := &ssm.DescribeSessionsInput{State: ssm.SessionStateActive, Filters: filters}
	if history {
		in.State = ssm.SessionStateHistory
	}
	var all []ssm.Session
	for len(all) < most {
		var out ssm.DescribeSessionsOutput
		in.MaxResults = new(int32(min(most-len(all), 200)))
		if err := c.Call(ctx, "ssm", "DescribeSessions", in, &out); err != nil {
			return nil, err
		}
		all = append(all, out.Sessions...)
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	return all, nil
}

// Table writes sessions for people, with times in zone.
func Table(w io.Writer, sessions []ssm.Session, zone *time.Location) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "SESSION\tNODE\tSTATUS\tOWNER\tSTARTED\tLASTED\tDOCUMENT\tREASON")
	for _, s := range sessions {
		started, end := ptr.Value(s.StartDate), time.Now()
		if s.EndDate != nil {
			end = *s.EndDate
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", ptr.Value(s.SessionId), ptr.Value(s.Target), s.Status, owner(ptr.Value(s.Owner)),
			started.In(zone).Format("2006-01-02 15:04:05"), end.Sub(started).Round(time.Second), ptr.Value(s.DocumentName), ptr.Value(s.Reason))
	}
	return t.Flush()
}

// owner is the part of an ARN that people know a principal by.
func owner(arn string) string {
	for i := len(arn) - 1; i >= 0; i-- {
		if arn[i] == ':' {
			return arn[i+1:]
		}
	}
	return arn
}

// Kill ends a session.
func Kill(ctx context.Context, c *client.Client, id string) error {
	return c.Call(ctx, "ssm", "TerminateSession", &ssm.TerminateSessionInput{SessionId: &id}, nil)
}
