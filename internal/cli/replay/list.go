package replay

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/wire/client"
)

// List writes the recordings that there are, newest first, with times in zone.
func List(ctx context.Context, c *client.Client, w io.Writer, zone *time.Location) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "SESSION\tNODE\tSTARTED\tSESSION IS\tRECORDING\tBYTES\tROOT HASH")
	in := &watchbill.ListSessionRecordingsInput{}
	for {
		var out watchbill.ListSessionRecordingsOutput
		if err := c.Call(ctx, "watchbill", "ListSessionRecordings", in, &out); err != nil {
			return err
		}
		for _, r := range out.Recordings {
			whole := "whole"
			if ptr.Value(r.Interrupted) {
				whole = "interrupted"
			}
			_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", ptr.Value(r.SessionId), ptr.Value(r.Target), ptr.Value(r.StartedAt).In(zone).Format("2006-01-02 15:04:05"),
				ptr.Value(r.Status), whole, ptr.Value(r.TotalBytes), ptr.Value(r.RootHash))
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return t.Flush()
		}
	}
}
