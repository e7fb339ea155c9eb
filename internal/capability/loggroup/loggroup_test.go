package loggroup_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchbill/watchbill/internal/api/logs"
	"github.com/watchbill/watchbill/internal/capability/loggroup"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/journal/journaltest"
	"github.com/watchbill/watchbill/internal/platform/seal"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/wiretest"
)

type in map[string]any

var migrations = []db.Migrations{task.Migrations, journal.Migrations, loggroup.Migrations}

type fixture struct {
	t      *testing.T
	tasks  *task.Engine
	client *wiretest.Client
	caller identity.Caller
}

func sealer(t *testing.T) *seal.Sealer {
	t.Helper()
	s, err := seal.OpenFile(filepath.Join(t.TempDir(), "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newFixture(t *testing.T, d *db.DB) *fixture {
	f := &fixture{t: t, tasks: task.New(d, slog.New(slog.DiscardHandler)), caller: identity.Caller{ARN: "arn:aws:iam::123456789012:user/ada", Kind: identity.User}}
	s := loggroup.New(loggroup.Service{DB: d, Tasks: f.tasks, Journal: journaltest.New(t, d), Sealer: sealer(t), Session: func(_ context.Context, node, session string) (bool, error) {
		return node == "mi-1" && session == "ada-1", nil
	}, Command: func(_ context.Context, node, command string) (bool, error) {
		return node == "mi-1" && command == "0b9be6a5-7f2f-4b8e-9a51-0d3a5ad0c001", nil
	}})
	f.client = wiretest.New(t, s.Operations()...)
	f.client.Context = func(ctx context.Context) context.Context {
		return identity.With(db.WithScope(ctx, db.Scope{Account: "123456789012", Region: "us-east-1"}), f.caller)
	}
	return f
}

type out struct {
	Events                                         []struct{ Message, EventID string }
	NextForwardToken, NextBackwardToken, NextToken string
	LogGroups                                      []struct{ LogGroupName string }
	LogStreams                                     []struct{ LogStreamName string }
	RejectedLogEventsInfo                          map[string]int
}

func (o out) messages() string {
	var list []string
	for _, e := range o.Events {
		list = append(list, e.Message)
	}
	return strings.Join(list, " ")
}

func (f *fixture) call(op string, input in) (o out, code string) {
	f.t.Helper()
	text, _ := json.Marshal(input)
	b, err := f.client.Call(f.t.Context(), "logs", op, text)
	if c, ok := errors.AsType[fault.Coded](err); ok {
		return o, c.ErrorCode()
	}
	if err := errors.Join(err, json.Unmarshal(b, &o)); err != nil {
		f.t.Fatal(err)
	}
	return o, ""
}

func (f *fixture) ok(op string, input in) out {
	f.t.Helper()
	o, code := f.call(op, input)
	if code != "" {
		f.t.Fatalf("%s %v: %s", op, input, code)
	}
	return o
}

// put adds events with these messages, a second apart, the last one now.
func (f *fixture) put(group, stream string, messages ...string) {
	f.t.Helper()
	first := time.Now().Add(-time.Duration(len(messages)-1) * time.Second)
	var events []in
	for i, m := range messages {
		events = append(events, in{"timestamp": first.Add(time.Duration(i) * time.Second).UnixMilli(), "message": m})
	}
	f.ok("PutLogEvents", in{"logGroupName": group, "logStreamName": stream, "logEvents": events})
}

func (f *fixture) make(group string, streams ...string) {
	f.t.Helper()
	f.ok("CreateLogGroup", in{"logGroupName": group})
	for _, s := range streams {
		f.ok("CreateLogStream", in{"logGroupName": group, "logStreamName": s})
	}
}

func TestReadInBothDirections(t *testing.T) {
	dbtest.Each(t, migrations, func(t *testing.T, d *db.DB) {
		f := newFixture(t, d)
		f.make("g", "s")
		f.put("g", "s", "1", "2", "3", "4", "5", "6", "7")
		read := func(more in) out {
			q := in{"logGroupName": "g", "logStreamName": "s", "limit": 3}
			for k, v := range more {
				q[k] = v
			}
			return f.ok("GetLogEvents", q)
		}
		o := read(in{"startFromHead": true})
		got := o.messages()
		for range 3 {
			o = read(in{"nextToken": o.NextForwardToken})
			got += " | " + o.messages()
		}
		if got != "1 2 3 | 4 5 6 | 7 | " {
			t.Errorf("forward: %s", got)
		}
		if again := read(in{"nextToken": o.NextForwardToken}); again.NextForwardToken != o.NextForwardToken {
			t.Error("the token at the end changes")
		}
		o = read(nil)
		got = o.messages()
		for range 3 {
			o = read(in{"nextToken": o.NextBackwardToken})
			got += " | " + o.messages()
		}
		if got != "5 6 7 | 2 3 4 | 1 | " {
			t.Errorf("backward: %s", got)
		}
		for _, bad := range []string{"x", "f/", "f/zzz", "g/w1MQ", "f/w1MQ"} {
			if _, code := f.call("GetLogEvents", in{"logGroupName": "g", "logStreamName": "s", "nextToken": bad}); code != "InvalidParameterException" {
				t.Errorf("token %q: %q", bad, code)
			}
		}
	})
}

func TestFilter(t *testing.T) {
	dbtest.Each(t, migrations, func(t *testing.T, d *db.DB) {
		f := newFixture(t, d)
		f.make("g", "a/1", "a/2", "b")
		f.put("g", "a/1", "ERROR one", "INFO two words")
		f.put("g", "b", "ERROR two words", "WARN one")
		for _, tt := range []struct {
			more in
			want string
		}{
			{in{"filterPattern": "ERROR", "logStreamNamePrefix": "a/"}, "ERROR one"},
			{in{"filterPattern": `"two words" -INFO`}, "ERROR two words"},
			{in{"filterPattern": "?WARN ?INFO", "logStreamNames": []string{"a/1"}}, "INFO two words"},
			{in{"filterPattern": "none"}, ""},
			{in{"logStreamNames": []string{"a/2"}}, ""},
		} {
			tt.more["logGroupName"] = "g"
			if got := f.ok("FilterLogEvents", tt.more).messages(); got != tt.want {
				t.Errorf("%v = %q", tt.more, got)
			}
		}
		ids, n := map[string]bool{}, 0
		for token := ""; n < 9; n++ {
			q := in{"logGroupName": "g", "limit": 1}
			if token != "" {
				q["nextToken"] = token
			}
			o := f.ok("FilterLogEvents", q)
			for _, e := range o.Events {
				ids[e.EventID] = true
			}
			if token = o.NextToken; token == "" {
				break
			}
		}
		if len(ids) != 4 {
			t.Errorf("%d events in pages", len(ids))
		}
		for _, bad := range []string{"{ $.a = 1 }", "[a, b]", `"open`, "%re%", "?"} {
			if _, code := f.call("FilterLogEvents", in{"logGroupName": "g", "filterPattern": bad}); code != "InvalidParameterException" {
				t.Errorf("%q: %q", bad, code)
			}
		}
	})
}

func TestBatches(t *testing.T) {
	dbtest.Each(t, migrations, func(t *testing.T, d *db.DB) {
		f := newFixture(t, d)
		f.make("g", "s")
		f.ok("PutRetentionPolicy", in{"logGroupName": "g", "retentionInDays": 1})
		now := time.Now()
		at := func(d time.Duration) in { return in{"timestamp": now.Add(d).UnixMilli(), "message": "m" + d.String()} }
		put := func(events ...in) (out, string) {
			return f.call("PutLogEvents", in{"logGroupName": "g", "logStreamName": "s", "logEvents": events})
		}
		if o, code := put(at(0), at(3*time.Hour)); code != "" || o.RejectedLogEventsInfo["tooNewLogEventStartIndex"] != 1 {
			t.Errorf("too new: %v %s", o, code)
		}
		if o, _ := put(at(-15*24*time.Hour), at(-15*24*time.Hour+time.Second)); o.RejectedLogEventsInfo["tooOldLogEventEndIndex"] != 2 {
			t.Errorf("too old: %v", o)
		}
		if o, _ := put(at(-25*time.Hour), at(-2*time.Hour)); o.RejectedLogEventsInfo["expiredLogEventEndIndex"] != 1 {
			t.Errorf("expired: %v", o)
		}
		big := in{"timestamp": now.UnixMilli(), "message": strings.Repeat("x", 200_000)}
		for name, events := range map[string][]in{
			"order": {at(0), at(-time.Second)}, "span": {at(-25 * time.Hour), at(0)}, "size": {big, big, big, big, big, big},
			"message": {{"timestamp": now.UnixMilli(), "message": strings.Repeat("x", 300_000)}},
		} {
			if _, code := put(events...); code != "InvalidParameterException" {
				t.Errorf("%s: %q", name, code)
			}
		}
		if got := f.ok("GetLogEvents", in{"logGroupName": "g", "logStreamName": "s"}).messages(); got != "m-2h0m0s m0s" {
			t.Errorf("kept %s", got)
		}
	})
}

func TestNodesAndTheirStreams(t *testing.T) {
	dbtest.Each(t, migrations, func(t *testing.T, d *db.DB) {
		f := newFixture(t, d)
		f.make("g")
		f.make("gg", "secret")
		f.caller = identity.Caller{ARN: "arn:aws:sts::123456789012:assumed-role/node/mi-1", Kind: identity.Node, SessionName: "mi-1"}
		const command = "0b9be6a5-7f2f-4b8e-9a51-0d3a5ad0c001"
		for stream, want := range map[string]string{
			command + "/mi-1/step/stdout": "", "ada-1": "", command + "/mi-2/step/stdout": "AccessDeniedException", "ada-2": "AccessDeniedException",
			"0b9be6a5-7f2f-4b8e-9a51-0d3a5ad0c002/mi-1/step/stdout": "AccessDeniedException", "x/mi-1/step": "AccessDeniedException", command + "/mi-1": "AccessDeniedException", "secret": "AccessDeniedException",
		} {
			if _, code := f.call("CreateLogStream", in{"logGroupName": "g", "logStreamName": stream}); code != want {
				t.Errorf("create %s: %q", stream, code)
			}
			_, code := f.call("PutLogEvents", in{"logGroupName": "g", "logStreamName": stream, "logEvents": []in{{"timestamp": time.Now().UnixMilli(), "message": "m"}}})
			if code != want {
				t.Errorf("put %s: %q", stream, code)
			}
			if _, code := f.call("DescribeLogStreams", in{"logGroupName": "g", "logStreamNamePrefix": stream}); code != want {
				t.Errorf("describe %s: %q", stream, code)
			}
		}
		if _, code := f.call("DescribeLogStreams", in{"logGroupName": "gg"}); code != "AccessDeniedException" {
			t.Errorf("describe all: %q", code)
		}
		if o := f.ok("DescribeLogGroups", in{"logGroupNamePrefix": "g"}); len(o.LogGroups) != 1 {
			t.Errorf("groups %v", o.LogGroups)
		}
		if o := f.ok("DescribeLogGroups", in{}); len(o.LogGroups) != 0 {
			t.Errorf("groups %v", o.LogGroups)
		}
	})
}

// Events go when their retention is over, and not before.
func TestPruning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.SQLite(t, migrations...)
		tasks := task.New(d, slog.New(slog.DiscardHandler))
		s := loggroup.New(loggroup.Service{DB: d, Tasks: tasks, Journal: journaltest.New(t, d), Sealer: sealer(t)})
		ctx, stop := context.WithCancel(db.WithScope(t.Context(), db.Scope{Account: "123456789012", Region: "us-east-1"}))
		ended := make(chan error, 1)
		go func() { ended <- tasks.Start(ctx) }()
		must(t)(s.CreateLogGroup(ctx, &logs.CreateLogGroupInput{LogGroupName: new("g")}))
		must(t)(s.CreateLogStream(ctx, &logs.CreateLogStreamInput{LogGroupName: new("g"), LogStreamName: new("s")}))
		must(t)(s.PutRetentionPolicy(ctx, &logs.PutRetentionPolicyInput{LogGroupName: new("g"), RetentionInDays: new(int32(1))}))
		for i := range 3 {
			e := logs.InputLogEvent{Timestamp: new(time.Now().UnixMilli()), Message: new(strconv.Itoa(i))}
			must(t)(s.PutLogEvents(ctx, &logs.PutLogEventsInput{LogGroupName: new("g"), LogStreamName: new("s"), LogEvents: []logs.InputLogEvent{e}}))
			time.Sleep(10 * time.Hour)
		}
		o, err := s.GetLogEvents(ctx, &logs.GetLogEventsInput{LogGroupName: new("g"), LogStreamName: new("s")})
		if err != nil || len(o.Events) != 2 || *o.Events[0].Message != "1" {
			t.Errorf("after 30 hours: %+v, %v", o, err)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func must(t *testing.T) func(_ any, err error) {
	return func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestLists(t *testing.T) {
	dbtest.Each(t, migrations, func(t *testing.T, d *db.DB) {
		f := newFixture(t, d)
		f.make("/aws/ssm/One", "c", "a", "b")
		f.make("/other_x")
		f.make("/otherXx")
		f.put("/aws/ssm/One", "b", "m")
		for _, tt := range []struct {
			more in
			want int
		}{
			{in{}, 3},
			{in{"logGroupNamePrefix": "/other"}, 2},
			{in{"logGroupNamePattern": "other_x"}, 1},
			{in{"logGroupNamePattern": "ONE"}, 1},
			{in{"logGroupIdentifiers": []string{"arn:aws:logs:us-east-1:123456789012:log-group:/other_x"}}, 1},
			{in{"logGroupIdentifiers": []string{"arn:aws:logs:us-east-1:210987654321:log-group:/other_x"}}, 0},
		} {
			if o := f.ok("DescribeLogGroups", tt.more); len(o.LogGroups) != tt.want {
				t.Errorf("%v = %v", tt.more, o.LogGroups)
			}
		}
		for _, order := range []in{{}, {"descending": true}, {"orderBy": "LastEventTime", "descending": true}} {
			want := map[int]string{1: "a b c", 2: "c b a", 3: "b c a"}[len(order)+1]
			if order["orderBy"] != nil {
				want = "b c a"
			}
			got, token := []string{}, ""
			for range 5 {
				q := in{"logGroupName": "/aws/ssm/One", "limit": 2}
				for k, v := range order {
					q[k] = v
				}
				if token != "" {
					q["nextToken"] = token
				}
				o := f.ok("DescribeLogStreams", q)
				for _, s := range o.LogStreams {
					got = append(got, s.LogStreamName)
				}
				if token = o.NextToken; token == "" {
					break
				}
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%v = %v, want %s", order, got, want)
			}
		}
	})
}
