//go:build unix

package session

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/gateway/relay"
	"github.com/watchbill/watchbill/internal/wire/mgs"
	"github.com/watchbill/watchbill/test/sessiontest"

	"github.com/gorilla/websocket"
)

// patience is how long a test waits for something that must happen.
const patience = 30 * time.Second

// testHub joins node and clients with the hub's own relay.
type testHub struct {
	t      *testing.T
	server *httptest.Server
	svc    *Service
	dir    string

	mu      sync.Mutex
	rooms   map[string]*relay.Room
	dead    map[string]bool
	reports []mgs.AgentTaskComplete
	changed *sync.Cond
	deaf    bool // the control channel is down
	keys    map[string][]byte
	dials   int
}

type listener struct{}

func (listener) Deliver(relay.Deliver) {}
func (listener) State(string)          {}
func (listener) Full() bool            { return false }

func newTestHub(t *testing.T) *testHub {
	t.Helper()
	h := &testHub{t: t, dir: t.TempDir(), rooms: map[string]*relay.Room{}, dead: map[string]bool{}, keys: map[string][]byte{}}
	h.changed = sync.NewCond(&h.mu)
	h.server = httptest.NewServer(http.HandlerFunc(h.serve))
	t.Cleanup(h.server.Close)
	h.svc = h.service()
	t.Cleanup(func() {
		h.svc.Shutdown()
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, r := range h.rooms {
			r.Cut()
		}
	})
	return h
}

func (h *testHub) service() *Service {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	svc, err := New(Config{
		NodeID: "mi-0123456789abcdef0", Dir: h.dir, Log: log, Dial: h.dial, Report: h.report,
		Decrypt: func(_ context.Context, _ string, blob []byte, about map[string]string) ([]byte, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			key, ok := h.keys[string(blob)]
			if !ok || about["aws:ssm:TargetId"] != "mi-0123456789abcdef0" || about["aws:ssm:SessionId"] == "" {
				return nil, errors.New("AccessDeniedException")
			}
			return key, nil
		},
		Stored: func(_ context.Context, names []string, _ bool) (map[string]string, error) {
			found := map[string]string{}
			for _, name := range names {
				if name == "/app/word" {
					found[name] = "stored {{ word }}"
				}
			}
			return found, nil
		},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return svc
}

var upgrader websocket.Upgrader

func (h *testHub) serve(w http.ResponseWriter, r *http.Request) {
	side, id, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	h.mu.Lock()
	dead := h.dead[id]
	room := h.rooms[id]
	if room == nil {
		log := slog.New(slog.NewTextHandler(io.Discard, nil))
		room = relay.NewRoom(relay.NewMachine(id, "mi-0123456789abcdef0", false, false), listener{}, log)
		h.rooms[id] = room
		h.changed.Broadcast()
	}
	h.mu.Unlock()
	if dead && side == "node" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	if _, _, err := conn.ReadMessage(); err != nil {
		return
	}
	if side == "node" {
		room.Take(relay.Node, conn).Serve()
		return
	}
	room.Take(relay.Client, conn).Serve()
}

func (h *testHub) open(ctx context.Context, side, id string) (*websocket.Conn, *http.Response, error) {
	return websocket.DefaultDialer.DialContext(ctx, "ws"+strings.TrimPrefix(h.server.URL, "http")+"/"+side+"/"+id, nil)
}

func (h *testHub) dial(ctx context.Context, id string) (*websocket.Conn, error) {
	h.mu.Lock()
	h.dials++
	h.changed.Broadcast()
	h.mu.Unlock()
	conn, res, err := h.open(ctx, "node", id)
	if err != nil {
		if res != nil && res.StatusCode == http.StatusBadRequest {
			return nil, ErrTerminated
		}
		return nil, err
	}
	return conn, conn.WriteMessage(websocket.TextMessage, []byte("{}"))
}

func (h *testHub) report(m *mgs.Message) error {
	var end mgs.AgentTaskComplete
	if err := mgs.Decode(m.Payload, &end); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.deaf {
		return errors.New("no control channel")
	}
	h.reports = append(h.reports, end)
	h.changed.Broadcast()
	room := h.rooms[end.TaskID]
	h.dead[end.TaskID] = true
	go func() {
		if room != nil {
			room.End(end.Output)
		}
		h.svc.Acknowledged(mgs.AgentTaskAcknowledge{TaskID: end.TaskID, MessageID: m.ID.String()})
	}()
	return nil
}

// ended waits for the report of a session's end.
func (h *testHub) ended(id string) mgs.AgentTaskComplete {
	h.t.Helper()
	var got mgs.AgentTaskComplete
	h.until("the end of "+id, func() bool {
		for _, r := range h.reports {
			if r.TaskID == id {
				got = r
				return true
			}
		}
		return false
	})
	return got
}

func (h *testHub) until(what string, done func() bool) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	defer context.AfterFunc(ctx, func() { h.mu.Lock(); defer h.mu.Unlock(); h.changed.Broadcast() })()
	h.mu.Lock()
	defer h.mu.Unlock()
	for !done() {
		if ctx.Err() != nil {
			h.t.Fatalf("%s did not come; reports %+v", what, h.reports)
		}
		h.changed.Wait()
	}
}

// document is a session document with its parameters.
type request struct {
	kind       string
	inputs     map[string]any
	properties any
	parameters map[string]any // declared, and given
	env        bool
	runAs      string
}

func (h *testHub) start(id string, r request) {
	h.t.Helper()
	h.svc.Start(shellFor(h.t, id, r))
}

func shellFor(t *testing.T, id string, r request) mgs.InteractiveShell {
	t.Helper()
	doc := map[string]any{"schemaVersion": "1.0", "sessionType": r.kind}
	if r.inputs != nil {
		doc["inputs"] = r.inputs
	}
	if r.properties != nil {
		doc["properties"] = r.properties
	}
	declared := map[string]any{}
	for name := range r.parameters {
		d := map[string]any{"type": "String"}
		if r.env {
			d["interpolationType"] = "ENV_VAR"
		}
		declared[name] = d
	}
	doc["parameters"] = declared
	content, err := json.Marshal(map[string]any{
		"DocumentName": "test", "DocumentContent": doc, "SessionId": id, "Parameters": r.parameters,
		"RunAsUser": r.runAs, "SessionOwner": "arn:aws:iam::000000000000:user/ann",
	})
	if err != nil {
		t.Fatal(err)
	}
	return mgs.InteractiveShell{Content: string(content), TaskID: id, Topic: mgs.TopicStartSession, SchemaVersion: 1}
}

// client opens the client's end.
func (h *testHub) client(id string, o sessiontest.Options) *sessiontest.Client {
	h.t.Helper()
	c := sessiontest.New(o)
	h.connect(c, id)
	h.t.Cleanup(c.Drop)
	return c
}

func (h *testHub) connect(c *sessiontest.Client, id string) {
	h.t.Helper()
	conn, _, err := h.open(h.t.Context(), "client", id)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := c.Use(conn, "token"); err != nil {
		h.t.Fatal(err)
	}
}

// wants waits for a text of the client.
func wants(t *testing.T, c *sessiontest.Client, payloadType uint32, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Wait(ctx, payloadType, text); err != nil {
		t.Fatal(err)
	}
}

func closes(t *testing.T, c *sessiontest.Client) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	text, err := c.Closed(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// user is the run-as user of tests: nobody for root.
func runAs() string {
	if os.Geteuid() == 0 {
		return "nobody"
	}
	return ""
}
