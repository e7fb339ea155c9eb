// Package lock makes, lists and takes away locks through the extension API.
package lock

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/wire/client"
)

// kinds are the words of people for what a lock is on.
var kinds = map[string]watchbill.LockTargetType{
	"user": watchbill.LockTargetTypeUser, "role": watchbill.LockTargetTypeRole, "key": watchbill.LockTargetTypeAccessKey,
	"node": watchbill.LockTargetTypeManagedInstance, "document": watchbill.LockTargetTypeDocument,
}

// Kind reads user, role, key, node or document, or AWS's own word. Error: none of
// them.
func Kind(word string) (watchbill.LockTargetType, error) {
	if k, ok := kinds[strings.ToLower(word)]; ok {
		return k, nil
	}
	for _, k := range kinds {
		if strings.EqualFold(string(k), word) {
			return k, nil
		}
	}
	return "", fmt.Errorf("a lock is on a user, role, key, node or document, not on a %q", word)
}

// Add makes a lock; lasts 0 is one without an end.
func Add(ctx context.Context, c *client.Client, kind watchbill.LockTargetType, target, reason string, lasts time.Duration) (*watchbill.Lock, error) {
	in := &watchbill.CreateLockInput{TargetType: kind, Target: &target, Reason: &reason}
	if lasts > 0 {
		in.ExpiresAt = new(time.Now().Add(lasts))
	}
	var out watchbill.CreateLockOutput
	if err := c.Call(ctx, "watchbill", "CreateLock", in, &out); err != nil {
		return nil, err
	}
	return out.Lock, nil
}

// Remove takes a lock away.
func Remove(ctx context.Context, c *client.Client, id, reason string) error {
	return c.Call(ctx, "watchbill", "DeleteLock", &watchbill.DeleteLockInput{LockId: &id, Reason: &reason}, nil)
}

// List is all locks that hold.
func List(ctx context.Context, c *client.Client) (all []watchbill.Lock, err error) {
	in := &watchbill.ListLocksInput{}
	for {
		var out watchbill.ListLocksOutput
		if err := c.Call(ctx, "watchbill", "ListLocks", in, &out); err != nil {
			return nil, err
		}
		all = append(all, out.Locks...)
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return all, nil
		}
	}
}

// Table writes locks for people, with times in zone.
func Table(w io.Writer, locks []watchbill.Lock, zone *time.Location) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "LOCK\tON\tTARGET\tSINCE\tUNTIL\tBY\tREASON")
	for _, l := range locks {
		until := "-"
		if l.ExpiresAt != nil {
			until = stamp(*l.ExpiresAt, zone)
		}
		by := ptr.Value(l.CreatedBy)
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", ptr.Value(l.LockId), l.TargetType, ptr.Value(l.Target), stamp(ptr.Value(l.CreatedAt), zone), until,
			by[strings.LastIndexByte(by, ':')+1:], ptr.Value(l.Reason))
	}
	return t.Flush()
}

func stamp(at time.Time, zone *time.Location) string {
	return at.In(zone).Format("2006-01-02 15:04:05")
}
