package mgs

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// The texts are those of the stock ends, as measured.
func TestGoldenSessionPayloads(t *testing.T) {
	for name, c := range map[string]struct {
		payload any
		want    string
	}{
		"interactive_shell": {
			InteractiveShell{Content: "{}", TaskID: "s-1", Topic: TopicStartSession, SchemaVersion: 1},
			`{"Content":"{}","TaskId":"s-1","Topic":"aws.ssm.startSession","SchemaVersion":1}`,
		},
		"state": {
			AgentSessionState{SchemaVersion: 1, SessionState: SessionConnected, SessionID: "s-1"},
			`{"SchemaVersion":1,"SessionState":"Connected","SessionId":"s-1"}`,
		},
		"task complete": {
			AgentTaskComplete{SchemaVersion: 1, TaskID: "s-1", Topic: TypeAgentTaskComplete, FinalTaskStatus: TaskSuccess, InstanceID: "mi-1", RetryNumber: 1},
			`{"SchemaVersion":1,"TaskId":"s-1","Topic":"agent_task_complete","FinalTaskStatus":"Success","IsRoutingFailure":false,` +
				`"AwsAccountId":"","InstanceId":"mi-1","Output":"","S3Bucket":"","S3UrlSuffix":"","CwlGroup":"","CwlStream":"","RetryNumber":1}`,
		},
		"open, node": {
			OpenDataChannel{MessageSchemaVersion: "1.0", RequestID: "r", TokenValue: "t", ClientInstanceID: "mi-1"},
			`{"MessageSchemaVersion":"1.0","RequestId":"r","TokenValue":"t","ClientInstanceId":"mi-1","ClientId":""}`,
		},
		"size": {Size{Cols: 97, Rows: 31}, `{"cols":97,"rows":31}`},
		"response": {
			HandshakeResponse{ClientVersion: "1.2.0.0", ProcessedClientActions: []ProcessedAction{{ActionType: ActionSessionType, ActionStatus: ActionSuccess}}},
			`{"ClientVersion":"1.2.0.0","ProcessedClientActions":[{"ActionType":"SessionType","ActionStatus":1,"ActionResult":null,"Error":""}],"Errors":null}`,
		},
		"data key": {KMSEncryptionResponse{KMSCipherTextKey: []byte("key")}, `{"KMSCipherTextKey":"a2V5","KMSCipherTextHash":null}`},
		"complete": {HandshakeComplete{HandshakeTimeToComplete: 5, CustomerMessage: "hi"}, `{"HandshakeTimeToComplete":5,"CustomerMessage":"hi"}`},
	} {
		b, err := json.Marshal(c.payload)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.want, string(b)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAcknowledge(t *testing.T) {
	data := NewStreamData(TypeOutputStreamData, 0, PayloadOutput, []byte("$ "))
	data.ID = uuid.MustParse("8321ae24-07e4-4e01-96fb-a0decff45f9a")
	ack, err := NewAcknowledge(data)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"AcknowledgedMessageType":"output_stream_data","AcknowledgedMessageId":"8321ae24-07e4-4e01-96fb-a0decff45f9a",` +
		`"AcknowledgedMessageSequenceNumber":0,"IsSequentialMessage":true}`
	if string(ack.Payload) != want || ack.Flags != FlagACK || ack.Sequence != 0 || ack.PayloadType != 0 || ack.Type != TypeAcknowledge {
		t.Errorf("NewAcknowledge = %+v, payload %s", ack, ack.Payload)
	}
	if data.Flags != FlagSYN || NewStreamData(TypeInputStreamData, 1, PayloadOutput, nil).Flags != FlagNone {
		t.Error("only the first stream message has the flag SYN")
	}
}

func TestDataChannelPath(t *testing.T) {
	if got := DataChannelPath("ann@x-0a/b"); got != "/v1/data-channel/ann@x-0a%2Fb" {
		t.Errorf("DataChannelPath = %s", got)
	}
}
