package loggroup

import (
	"context"
	"strings"

	"github.com/watchbill/watchbill/internal/api/logs"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/page"
)

// pattern is a filter pattern of plain words. Source: the CloudWatch Logs user guide,
// "Filter pattern syntax", unstructured log events.
type pattern struct {
	all  []string // each is in the message
	any  []string // one of them is, unless there are none
	none []string // none of them is
}

// parsePattern reads words, "quoted words", ?either ?or, and -not. Patterns over the
// fields of JSON or of columns, and regular expressions, are refused.
func parsePattern(text string) (p pattern, err error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return p, nil
	}
	if strings.ContainsRune("{[%", rune(text[0])) {
		return p, invalid("Only filter patterns of plain words are supported.")
	}
	for rest := text; rest != ""; rest = strings.TrimLeft(rest, " \t") {
		to := &p.all
		switch rest[0] {
		case '?':
			to, rest = &p.any, rest[1:]
		case '-':
			to, rest = &p.none, rest[1:]
		}
		var word string
		if quoted, ok := strings.CutPrefix(rest, `"`); ok {
			if word, rest, ok = strings.Cut(quoted, `"`); !ok {
				return p, invalid("Invalid filter pattern: a quotation has no end.")
			}
		} else if i := strings.IndexAny(rest, " \t"); i >= 0 {
			word, rest = rest[:i], rest[i:]
		} else {
			word, rest = rest, ""
		}
		if word == "" {
			return p, invalid("Invalid filter pattern: a word is missing.")
		}
		*to = append(*to, word)
	}
	return p, nil
}

func (p pattern) matches(message string) bool {
	for _, w := range p.all {
		if !strings.Contains(message, w) {
			return false
		}
	}
	for _, w := range p.none {
		if strings.Contains(message, w) {
			return false
		}
	}
	for _, w := range p.any {
		if strings.Contains(message, w) {
			return true
		}
	}
	return len(p.any) == 0
}

// scanned is how many events one call of FilterLogEvents looks at.
const scanned = 20_000

// filterPosition is the event that a search ended with.
type filterPosition struct {
	At     int64
	Stream string
	Seq    int64
}

// FilterLogEvents searches the streams of a group, in the order of time. A search that
// finds little ends early with a token, as on AWS.
func (s *Service) FilterLogEvents(ctx context.Context, in *logs.FilterLogEventsInput) (*logs.FilterLogEventsOutput, error) {
	name, err := groupName(db.ScopeOf(ctx), in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	p, err := parsePattern(ptr.Value(in.FilterPattern))
	if err != nil {
		return nil, err
	}
	if len(in.LogStreamNames) > 0 && in.LogStreamNamePrefix != nil {
		return nil, invalid("logStreamNames and logStreamNamePrefix are mutually exclusive parameters.")
	}
	var after *filterPosition
	if page.Parse(ptr.Value(in.NextToken), &after) != nil {
		return nil, invalid("The specified nextToken is invalid.")
	}
	var seen []event
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		if _, err := loadGroup(tx, name, ""); err != nil {
			return err
		}
		seen, err = listEvents(tx, searchFilter(tx, name, in, after), "at, stream, seq", scanned)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := s.openMessages(ctx, name, seen); err != nil {
		return nil, err
	}
	return search(name, seen, p, page.Limit(in.Limit, mostEvents)), nil
}

func searchFilter(tx *db.Tx, group string, in *logs.FilterLogEventsInput, after *filterPosition) *db.Filter {
	f := scoped(tx).And("group_name = ?", group)
	if in.StartTime != nil {
		f.And("at >= ?", *in.StartTime)
	}
	if in.EndTime != nil {
		f.And("at <= ?", *in.EndTime)
	}
	if after != nil {
		f.And("(at > ? or at = ? and (stream > ? or stream = ? and seq > ?))", after.At, after.At, after.Stream, after.Stream, after.Seq)
	}
	if len(in.LogStreamNames) > 0 {
		f.In("stream", in.LogStreamNames)
	}
	if prefix := ptr.Value(in.LogStreamNamePrefix); prefix != "" {
		f.And("stream >= ?", prefix).And("stream < ?", beyond(prefix))
	}
	return f
}

func search(group string, seen []event, p pattern, limit int) *logs.FilterLogEventsOutput {
	out := &logs.FilterLogEventsOutput{Events: []logs.FilteredLogEvent{}, SearchedLogStreams: []logs.SearchedLogStream{}}
	size := 0
	for i, e := range seen {
		if p.matches(e.message) {
			size += len(e.message) + overhead
			out.Events = append(out.Events, logs.FilteredLogEvent{
				EventId: new(eventID(group, e)), LogStreamName: new(e.stream), Timestamp: new(e.at), IngestionTime: new(e.ingested), Message: new(e.message),
			})
		}
		full := len(out.Events) == limit || size >= mostBytes
		if last := i == len(seen)-1; full && !last || last && len(seen) == scanned {
			out.NextToken = new(page.Token(filterPosition{e.at, e.stream, e.seq}))
			return out
		}
	}
	return out
}
