package plane

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/watchbill/watchbill/internal/agent/account"
	"github.com/watchbill/watchbill/internal/lang/ssmdoc"
	"github.com/watchbill/watchbill/internal/wire/mgs"
	wire "github.com/watchbill/watchbill/internal/wire/plane"
)

// Config is what a session needs of the node.
type Config struct {
	// Dial opens the session's data channel and greets the hub.
	Dial func(ctx context.Context, sessionID string) (*wire.Link, wire.Welcome, error)
	Log  *slog.Logger
}

// session is a session at the node.
type session struct {
	start      mgs.StartSession
	kind       string
	properties map[string]any // filled
	inputs     map[string]any
	user       *account.User
	log        *slog.Logger
	work       sync.WaitGroup
}

// Serve serves a session until the hub ends it or ctx does. The error is for the
// person whose session it is; nil for an ordinary end.
func Serve(ctx context.Context, c Config, start mgs.StartSession) error {
	s, err := read(start)
	if err != nil {
		return err
	}
	s.log = c.Log.With("session", start.SessionID)
	e := wire.NewEndpoint(wire.Config{
		Dial:   func(ctx context.Context) (*wire.Link, wire.Welcome, error) { return c.Dial(ctx, start.SessionID) },
		Handle: s.handle,
	})
	err = e.Run(ctx)
	s.work.Wait()
	if _, over := errors.AsType[*wire.EndError](err); over || ctx.Err() != nil {
		return nil
	}
	return err
}

// read fills the session's document with its parameters.
func read(start mgs.StartSession) (*session, error) {
	var doc struct {
		SessionType string         `json:"sessionType"`
		Inputs      map[string]any `json:"inputs"`
		Properties  map[string]any `json:"properties"`
		Parameters  map[string]struct {
			Default any `json:"default"`
		} `json:"parameters"`
	}
	if err := json.Unmarshal(start.DocumentContent, &doc); err != nil {
		return nil, fmt.Errorf("the session document cannot be read: %w", err)
	}
	values := map[string]any{}
	for name, p := range doc.Parameters {
		values[name] = p.Default
	}
	for name, raw := range start.Parameters {
		var v any
		if err := json.Unmarshal(raw, &v); err != nil {
			return nil, fmt.Errorf("parameter %s: %w", name, err)
		}
		values[name] = v
	}
	lookup := func(name string) (any, bool, error) { v, ok := values[name]; return v, ok, nil }
	filled, err := ssmdoc.Expand(map[string]any{"i": doc.Inputs, "p": doc.Properties}, lookup)
	if err != nil {
		return nil, err
	}
	s := &session{start: start, kind: doc.SessionType}
	all := filled.(map[string]any)
	s.inputs, _ = all["i"].(map[string]any)
	s.properties, _ = all["p"].(map[string]any)
	if s.kind != "Port" { // connections are nobody's
		s.user, err = account.Find(s.want())
	}
	return s, err
}

// commands are the properties of this platform in a document with commands.
func (s *session) commands() map[string]any {
	name := map[string]string{"darwin": "macos"}[runtime.GOOS]
	if name == "" {
		name = runtime.GOOS
	}
	m, _ := s.properties[name].(map[string]any)
	return m
}

// want is what the session says about its user.
func (s *session) want() account.Want {
	elevated, _ := ssmdoc.Text(s.commands()["runAsElevated"])
	runAs, _ := ssmdoc.Text(s.inputs["runAsEnabled"])
	usual, _ := ssmdoc.Text(s.inputs["runAsDefaultUser"])
	return account.Want{Name: s.start.RunAsUser, RunAs: strings.EqualFold(runAs, "true"), Default: usual, Elevated: strings.EqualFold(elevated, "true")}
}

// line is the command line that the document gives, "" without one.
func (s *session) line() string {
	switch v := s.commands()["commands"].(type) {
	case string:
		return v
	case []any:
		var all string
		for _, item := range v {
			text, _ := ssmdoc.Text(item)
			all += text + "\n"
		}
		return all
	}
	return ""
}

// allowed are the streams of each type of session; the hub checks the same.
var allowed = map[string][]string{
	"Standard_Stream":        {wire.Shell},
	"InteractiveCommands":    {wire.Shell},
	"NonInteractiveCommands": {wire.Exec, wire.Get, wire.Put, wire.List},
	"Port":                   {wire.TCP},
}

// handle serves one stream.
func (s *session) handle(st *wire.Stream) {
	s.work.Add(1)
	defer s.work.Done()
	defer st.Close()
	open := st.Header()
	if !slices.Contains(allowed[s.kind], open.Kind) {
		s.refuse(st, errors.New("the session's document does not allow this"))
		return
	}
	s.log.Info("stream opened", "kind", open.Kind)
	switch open.Kind {
	case wire.Shell:
		s.shell(st)
	case wire.Exec:
		s.exec(st)
	case wire.TCP:
		s.tcp(st)
	case wire.Get:
		s.get(st)
	case wire.Put:
		s.put(st)
	case wire.List:
		s.list(st)
	}
}

// refuse answers that a stream cannot be served.
func (s *session) refuse(st *wire.Stream, err error) {
	s.log.Info("stream refused", "kind", st.Header().Kind, "error", err.Error())
	_ = st.Answer(wire.Opened{Error: err.Error()})
}
