package loggroup

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/api/logs"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/page"
)

// Limits of events. Source: CloudWatch Logs API reference, PutLogEvents, GetLogEvents.
const (
	maxBatch   = 1 << 20 // bytes of messages, with overhead for each
	overhead   = 26
	maxMessage = 256 << 10
	maxAhead   = 2 * time.Hour
	maxAge     = 14 * 24 * time.Hour
	maxSpan    = 24 * time.Hour
	mostEvents = 10_000 // of one answer
	mostBytes  = 1 << 20
)

// token is the sequence token of a stream; nobody has to give it back.
func (x *stream) token() string { return fmt.Sprintf("%056d", x.next) }

// PutLogEvents adds events to a stream. Those that are too old or too new are left out
// and told.
func (s *Service) PutLogEvents(ctx context.Context, in *logs.PutLogEventsInput) (*logs.PutLogEventsOutput, error) {
	if err := s.nodeMay(ctx, *in.LogStreamName); err != nil {
		return nil, err
	}
	if err := checkBatch(in.LogEvents); err != nil {
		return nil, err
	}
	out := &logs.PutLogEventsOutput{}
	return out, s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		g, err := loadGroup(tx, *in.LogGroupName, "")
		if err != nil {
			return err
		}
		x, err := loadStream(tx, g.name, *in.LogStreamName, "{lock}")
		if err != nil {
			return err
		}
		var accepted []logs.InputLogEvent
		accepted, out.RejectedLogEventsInfo = sift(in.LogEvents, tx.Now, g.retention)
		for _, e := range accepted {
			if err := s.add(tx, x, g.name, e); err != nil {
				return err
			}
		}
		out.NextSequenceToken = new(x.token())
		return putStream(tx, g.name, x)
	})
}

// add appends an event to a stream.
func (s *Service) add(tx *db.Tx, x *stream, group string, e logs.InputLogEvent) error {
	at := *e.Timestamp
	if x.first == 0 || at < x.first {
		x.first = at
	}
	x.last, x.ingest = max(x.last, at), millis(tx.Now)
	x.next++
	row := event{stream: x.name, at: at, seq: x.next, ingested: x.ingest, message: strings.ReplaceAll(*e.Message, "\x00", "\uFFFD")}
	if err := s.sealMessage(tx, group, &row); err != nil {
		return err
	}
	return insertEvent(tx, group, row)
}

// checkBatch refuses a batch as a whole.
func checkBatch(list []logs.InputLogEvent) error {
	size := 0
	for i, e := range list {
		size += len(*e.Message) + overhead
		if len(*e.Message) > maxMessage || !utf8.ValidString(*e.Message) {
			return invalid("Log event too large or not UTF-8.")
		}
		if i > 0 && *e.Timestamp < *list[i-1].Timestamp {
			return invalid("Log events in a single PutLogEvents request must be in chronological order.")
		}
	}
	if size > maxBatch {
		return invalid(fmt.Sprintf("Upload too large: %d bytes exceeds limit of %d", size, maxBatch))
	}
	if time.Duration(*list[len(list)-1].Timestamp-*list[0].Timestamp)*time.Millisecond > maxSpan {
		return invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
	}
	return nil
}

// sift takes the events out that are too old, past the retention (days) or too new.
func sift(list []logs.InputLogEvent, now time.Time, retention int64) ([]logs.InputLogEvent, *logs.RejectedLogEventsInfo) {
	before := func(t time.Time) int {
		i, _ := slices.BinarySearchFunc(list, millis(t), func(e logs.InputLogEvent, ms int64) int {
			if *e.Timestamp < ms {
				return -1
			}
			return 1
		})
		return i
	}
	var info logs.RejectedLogEventsInfo
	from, to := before(now.Add(-maxAge)), before(now.Add(maxAhead))
	if from > 0 {
		info.TooOldLogEventEndIndex = new(int32(from))
	}
	if retention > 0 {
		if expired := before(now.Add(-time.Duration(retention) * 24 * time.Hour)); expired > from {
			info.ExpiredLogEventEndIndex, from = new(int32(expired)), expired
		}
	}
	if to < len(list) {
		info.TooNewLogEventStartIndex = new(int32(to))
	}
	if info == (logs.RejectedLogEventsInfo{}) {
		return list, nil
	}
	return list[min(from, to):to], &info
}

// position is an event of a stream.
type position struct{ At, Seq int64 }

// window adds the times that an operation asks for: from start on, before end.
func window(f *db.Filter, start, end *int64) {
	if start != nil {
		f.And("at >= ?", *start)
	}
	if end != nil {
		f.And("at < ?", *end)
	}
}

// GetLogEvents reads a stream, forward from its head or a token, or backward from its
// end. A token that comes back as it was given says that there is no more.
func (s *Service) GetLogEvents(ctx context.Context, in *logs.GetLogEventsInput) (*logs.GetLogEventsOutput, error) {
	name, err := groupName(db.ScopeOf(ctx), in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	at, forward, err := readToken(ptr.Value(in.NextToken), ptr.Value(in.StartFromHead))
	if err != nil {
		return nil, err
	}
	limit := page.Limit(in.Limit, mostEvents)
	var found []event
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		if _, err := loadStream(tx, name, *in.LogStreamName, ""); err != nil {
			return err
		}
		f := scoped(tx).And("group_name = ?", name).And("stream = ?", *in.LogStreamName)
		window(f, in.StartTime, in.EndTime)
		order := "at desc, seq desc"
		switch {
		case forward:
			order = "at, seq"
			if at != nil {
				f.And("(at > ? or at = ? and seq > ?)", at.At, at.At, at.Seq)
			}
		case at != nil:
			f.And("(at < ? or at = ? and seq < ?)", at.At, at.At, at.Seq)
		}
		found, err = listEvents(tx, f, order, limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := s.openMessages(ctx, name, found); err != nil {
		return nil, err
	}
	found = fitting(found)
	if !forward {
		slices.Reverse(found)
	}
	return events(found, at), nil
}

// fitting is as many events as one answer holds.
func fitting(list []event) []event {
	size := 0
	for i, e := range list {
		if size += len(e.message) + overhead; size > mostBytes && i > 0 {
			return list[:i]
		}
	}
	return list
}

func events(list []event, at *position) *logs.GetLogEventsOutput {
	first, last := position{}, position{}
	if at != nil {
		first, last = *at, *at
	}
	if len(list) > 0 {
		a, b := list[0], list[len(list)-1]
		first, last = position{a.at, a.seq}, position{b.at, b.seq}
	}
	out := &logs.GetLogEventsOutput{
		Events: []logs.OutputLogEvent{}, NextForwardToken: new("f/" + page.Token(last)), NextBackwardToken: new("b/" + page.Token(first)),
	}
	for _, e := range list {
		out.Events = append(out.Events, logs.OutputLogEvent{Timestamp: new(e.at), IngestionTime: new(e.ingested), Message: new(e.message)})
	}
	return out
}

// readToken reads where to go on and in which direction.
func readToken(token string, fromHead bool) (*position, bool, error) {
	if token == "" {
		return nil, fromHead, nil
	}
	var at position
	direction, rest, ok := strings.Cut(token, "/")
	if !ok || direction != "f" && direction != "b" || rest == "" || page.Parse(rest, &at) != nil {
		return nil, false, invalid("The specified nextToken is invalid.")
	}
	return &at, direction == "f", nil
}

// eventID is the id of an event in its account.
func eventID(group string, e event) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(group + "\x00" + e.stream)) // never fails
	return fmt.Sprintf("%014d%020d%022d", e.at, h.Sum64(), e.seq)
}
