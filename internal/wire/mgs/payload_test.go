package mgs

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestGoldenPayloads(t *testing.T) {
	for name, c := range map[string]struct {
		payload any
		want    string
	}{
		"job": {
			AgentJob{Content: `{}`, JobID: JobID("c1", "mi-1"), Topic: TopicSendCommand, SchemaVersion: 1},
			`{"Content":"{}","JobId":"aws.ssm.c1.mi-1","Topic":"aws.ssm.sendCommand","SchemaVersion":1}`,
		},
		"command": {
			SendCommand{
				CommandID: "c1", DocumentName: "d", DocumentContent: json.RawMessage(`{"schemaVersion":"2.2"}`),
				Parameters: map[string]json.RawMessage{"commands": json.RawMessage(`["id"]`)}, CloudWatchOutputEnabled: "false",
			},
			`{"CommandId":"c1","DocumentName":"d","DocumentContent":{"schemaVersion":"2.2"},"Parameters":{"commands":["id"]},` +
				`"OutputS3BucketName":"","OutputS3KeyPrefix":"","CloudWatchLogGroupName":"","CloudWatchOutputEnabled":"false"}`,
		},
		"cancel": {CancelCommand{CancelMessageID: "aws.ssm.c1.mi-1"}, `{"CancelMessageId":"aws.ssm.c1.mi-1"}`},
		"ack": {
			AgentJobAck{JobID: "j", AcknowledgedMessageID: "m", CreatedDate: "d", StatusCode: AckOK, ErrorMessage: "Successful"},
			`{"jobId":"j","acknowledgedMessageId":"m","createdDate":"d","statusCode":"200","errorMessage":"Successful"}`,
		},
		"reply ack": {AgentJobReplyAck{JobID: "j", AcknowledgedMessageID: "m"}, `{"jobId":"j","acknowledgedMessageId":"m"}`},
		"output": {
			JobOutput{JobID: "j", Step: "s", Stream: "stdout", Offset: 3, Data: []byte("hi")},
			`{"jobId":"j","step":"s","stream":"stdout","offset":3,"data":"aGk="}`,
		},
	} {
		m, err := Encode(TypeAgentJob, c.payload)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(c.want, string(m.Payload)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// measuredReply is the content of a reply of the stock agent, shortened.
const measuredReply = `{"additionalInfo":{"agent":{"lang":"en-US","name":"amazon-ssm-agent","os":"linux","osver":"1","ver":"3.3.0.0"},` +
	`"dateTime":"2026-11-21T18:22:17.123Z","runId":"","runtimeStatusCounts":{"Failed":1},"ableToOpenMGSConnection":true},` +
	`"documentStatus":"Failed","documentTraceOutput":"","runtimeStatus":{"one":{"status":"Failed","code":3,"name":"aws:runShellScript",` +
	`"output":"x","startDateTime":"2026-11-21T18:22:16.000Z","endDateTime":"2026-11-21T18:22:17.000Z","outputS3BucketName":"",` +
	`"outputS3KeyPrefix":"","stepName":"","standardOutput":"x","standardError":"failed to run commands: exit status 3"}}}`

func TestDecodeMeasuredReply(t *testing.T) {
	var got ReplyContent
	if err := Decode([]byte(measuredReply), &got); err != nil {
		t.Fatal(err)
	}
	step := got.RuntimeStatus["one"]
	if got.DocumentStatus != StatusFailed || step.Code != 3 || step.StandardError != "failed to run commands: exit status 3" {
		t.Errorf("Decode = %+v", got)
	}
	at, ok := ParseTime(step.EndDateTime)
	if !ok || FormatTime(at) != step.EndDateTime {
		t.Errorf("ParseTime(%s) = %v, %v", step.EndDateTime, at, ok)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, payload := range map[string]string{
		"empty":          ``,
		"cut":            `{"jobId":`,
		"two values":     `{} {}`,
		"text behind":    `{}x`,
		"twice":          `{"jobId":"a","jobId":"b"}`,
		"twice by case":  `{"jobId":"a","JOBID":"b"}`,
		"twice by sign":  "{\"\u017fs\":1,\"ss\":2}",
		"twice inside":   `{"x":[{"a":1,"a":2}]}`,
		"deep":           strings.Repeat(`[`, 40) + strings.Repeat(`]`, 40),
		"other type":     `{"jobId":1}`,
		"not UTF-8":      "{\"jobId\":\"\xff\"}",
		"no JSON number": `{"x":01}`,
		"large":          `"` + strings.Repeat("a", MaxPayload) + `"`,
	} {
		var ack AgentJobAck
		if err := Decode([]byte(payload), &ack); err == nil {
			t.Errorf("%s: accepted as %+v", name, ack)
		}
	}
}

func TestJobID(t *testing.T) {
	id := JobID("11111111-2222-3333-4444-555555555555", "mi-0123456789abcdef0")
	command, node, err := ParseJobID(id)
	if err != nil || command != "11111111-2222-3333-4444-555555555555" || node != "mi-0123456789abcdef0" {
		t.Errorf("ParseJobID(%q) = %q, %q, %v", id, command, node, err)
	}
	for _, bad := range []string{"", "aws.ssm", "aws.ssm..n", "aws.ssm.c.", "aws.ssm.c.n.n", "x.ssm.c.n"} {
		if _, _, err := ParseJobID(bad); err == nil {
			t.Errorf("ParseJobID(%q) accepted", bad)
		}
	}
}

func TestChannelToken(t *testing.T) {
	b := MarshalToken("CreateControlChannel", "a<b&c")
	want := `<CreateControlChannelResponse><MessageSchemaVersion>1.0</MessageSchemaVersion><TokenValue>a&lt;b&amp;c</TokenValue></CreateControlChannelResponse>`
	if string(b) != want {
		t.Errorf("MarshalToken = %s", b)
	}
	if token, err := UnmarshalToken(b); err != nil || token != "a<b&c" {
		t.Errorf("UnmarshalToken = %q, %v", token, err)
	}
	for _, bad := range []string{"", "<x>", "<x></x>"} {
		if token, err := UnmarshalToken([]byte(bad)); err == nil {
			t.Errorf("UnmarshalToken(%q) = %q", bad, token)
		}
	}
}

func TestFormatTime(t *testing.T) {
	at := time.Date(2026, 11, 22, 3, 4, 5, 6_700_000, time.FixedZone("x", 3600))
	if got := FormatTime(at); got != "2026-11-22T02:04:05.006Z" {
		t.Errorf("FormatTime = %s", got)
	}
	if _, ok := ParseTime(""); ok {
		t.Error("ParseTime of nothing succeeded")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(measuredReply))
	f.Add([]byte(`{"a":1,"A":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var content ReplyContent
		if err := Decode(b, &content); err != nil {
			return
		}
		if _, err := json.Marshal(content); err != nil {
			t.Fatalf("accepted %q, cannot write it: %v", b, err)
		}
	})
}
