package session

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/wire/client"
	"github.com/watchbill/watchbill/internal/wire/mgs"
	"github.com/watchbill/watchbill/internal/wire/shape"
)

func TestTable(t *testing.T) {
	t.Parallel()
	started := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	var b strings.Builder
	err := Table(&b, []ssm.Session{{
		SessionId: new("ada-1"), Target: new("mi-1"), Status: ssm.SessionStatusTerminated, Owner: new("arn:aws:iam::1:user/ada"), StartDate: &started,
		EndDate: new(started.Add(90 * time.Second)), DocumentName: new("Shell"), Reason: new("look"),
	}}, time.UTC)
	lines := strings.Split(b.String(), "\n")
	if err != nil || len(lines) != 3 || strings.Join(strings.Fields(lines[1]), " ") != "ada-1 mi-1 Terminated user/ada 2026-11-22 20:00:00 1m30s Shell look" {
		t.Errorf("%q %v", b.String(), err)
	}
}

// stream is a hub that lets one join and sends frames, each acknowledged.
func stream(t *testing.T, frames []*mgs.Message) *client.Client {
	t.Helper()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_, _ = w.Write([]byte(`{"SessionId":"ada-1","TokenValue":"secret","StreamUrl":"ws` + strings.TrimPrefix(server.URL, "http") + `/v1/data-channel/ada-1"}`))
	})
	mux.HandleFunc("GET /v1/data-channel/ada-1", func(w http.ResponseWriter, r *http.Request) {
		conn, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		var hello mgs.OpenDataChannel
		if err := conn.ReadJSON(&hello); err != nil || hello.TokenValue != "secret" || hello.ClientID == "" {
			t.Errorf("the first message is %+v, %v", hello, err)
		}
		for _, m := range frames {
			b, err := m.Marshal()
			if err != nil || conn.WriteMessage(websocket.BinaryMessage, b) != nil {
				return
			}
			if m.Type != mgs.TypeOutputStreamData {
				continue
			}
			if _, b, err = conn.ReadMessage(); err != nil {
				t.Error(err)
			} else if ack, err := mgs.Unmarshal(b); err != nil || ack.Type != mgs.TypeAcknowledge {
				t.Errorf("the answer is %+v, %v", ack, err)
			}
		}
		_, _, _ = conn.ReadMessage()
	})
	c, err := client.New(client.Config{Endpoint: server.URL, Region: "us-east-1", Models: []*shape.Model{watchbill.Model}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestJoin(t *testing.T) {
	t.Parallel()
	closed, err := mgs.Encode(mgs.TypeChannelClosed, mgs.ChannelClosed{Output: "the shell ended"})
	if err != nil {
		t.Fatal(err)
	}
	one := mgs.NewStreamData(mgs.TypeOutputStreamData, 7, mgs.PayloadOutput, []byte("one "))
	two := mgs.NewStreamData(mgs.TypeOutputStreamData, 8, mgs.PayloadStdErr, []byte("two"))
	size := mgs.NewStreamData(mgs.TypeOutputStreamData, 9, mgs.PayloadHandshakeRequest, []byte("{}"))
	c := stream(t, []*mgs.Message{one, one, two, size, closed})
	var b strings.Builder
	said, err := Join(context.Background(), c, "ada-1", JoinOptions{}, &b)
	if err != nil || said != "the shell ended" || b.String() != "one two" {
		t.Errorf("%q, then %q, %v", b.String(), said, err)
	}
}

func TestJoinIsLost(t *testing.T) {
	t.Parallel()
	bad := mgs.New("unknown", nil)
	ctx, stop := context.WithCancel(context.Background())
	c := stream(t, []*mgs.Message{bad})
	time.AfterFunc(50*time.Millisecond, stop)
	if said, err := Join(ctx, c, "ada-1", JoinOptions{}, &strings.Builder{}); said != "" || err != nil && ctx.Err() == nil {
		t.Errorf("%q %v", said, err)
	}
}
