package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"runtime"
	"time"

	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// session is one open session.
type session struct {
	*Service
	id     string
	kind   string
	start  mgs.StartSession
	doc    document
	log    *slog.Logger
	ctx    context.Context // ends, with a reason, when the session must end
	cancel context.CancelCauseFunc
	link   *link

	inputs     inputs
	properties json.RawMessage
	values     values
	client     string   // version of the client, by the handshake
	left       []string // processes that could not be ended
}

var sessionID = regexp.MustCompile(`^[A-Za-z0-9_.@+=,:-]{1,256}$`)

// newSession reads the hub's request. Error: what the client will read.
func newSession(s *Service, shell mgs.InteractiveShell) (*session, error) {
	if !sessionID.MatchString(shell.TaskID) {
		return nil, errors.New("the session id is not valid")
	}
	one := &session{Service: s, id: shell.TaskID}
	if err := mgs.Decode([]byte(shell.Content), &one.start); err != nil {
		return nil, fmt.Errorf("the session cannot be read: %w", err)
	}
	if one.start.SessionID != "" && one.start.SessionID != shell.TaskID {
		return nil, errors.New("the request is about another session")
	}
	if err := mgs.Decode(one.start.DocumentContent, &one.doc); err != nil {
		return nil, fmt.Errorf("the session document cannot be read: %w", err)
	}
	if v := one.doc.SchemaVersion; v != "1.0" {
		return nil, fmt.Errorf("session documents of schema version %q are not supported", v)
	}
	one.kind = one.doc.SessionType
	one.log = s.Log.With("session", one.id)
	one.ctx, one.cancel = context.WithCancelCause(s.stop)
	return one, nil
}

// run is the whole life of a session on the node.
func (s *session) run() outcome {
	defer s.cancel(nil)
	s.log.Info("session started", "type", s.kind, "owner", s.start.SessionOwner, "document", s.start.DocumentName)
	began := time.Now()
	var err error
	if s.start.Plane > 0 {
		err = s.Plane(s.ctx, s.start)
	} else {
		err = s.onLink()
	}
	out := s.outcome(err)
	s.log.Info("session ended", "status", out.status, "output", out.text, "after", time.Since(began).Round(time.Millisecond).String())
	return out
}

// onLink performs the session on a stock data channel.
func (s *session) onLink() error {
	s.link = newLink(s)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.link.run()
	}()
	err := s.perform()
	s.link.finish(context.Cause(s.ctx) == nil)
	<-ended
	return err
}

// perform prepares what the session's document says and does it.
func (s *session) perform() error {
	if err := s.fill(); err != nil {
		return err
	}
	switch s.kind {
	case standardStream:
		return s.shell()
	case interactiveCommands:
		return s.interactive()
	case nonInteractiveCommands:
		return s.nonInteractive()
	case portSession:
		return s.port()
	}
	return fmt.Errorf("sessions of type %q are not supported", s.kind)
}

// fill puts the parameters into the document.
func (s *session) fill() (err error) {
	if s.values, err = s.doc.valuesOf(s.start.Parameters); err != nil {
		return err
	}
	if err := s.values.stored(s.ctx, s.Stored, s.doc.Inputs, s.doc.Properties); err != nil {
		return fmt.Errorf("the document's parameters cannot be resolved: %w", err)
	}
	if _, err := s.values.filled(s.doc.Inputs, &s.inputs); err != nil {
		return fmt.Errorf("the inputs of the session document cannot be read: %w", err)
	}
	var any any
	s.properties, err = s.values.filled(s.doc.Properties, &any)
	return err
}

// command is the command of this platform with its parameters filled in, and
// its text without them.
func (s *session) command() (filled command, template string, err error) {
	var all commands
	var texts templates
	if len(s.properties) > 0 {
		err = errors.Join(json.Unmarshal(s.properties, &all), json.Unmarshal(s.doc.Properties, &texts))
	}
	if err != nil {
		return filled, "", fmt.Errorf("the properties of the session document cannot be read: %w", err)
	}
	filled, template = all.command, texts.Commands
	if one := all.platforms()[runtime.GOOS]; one != nil {
		filled, template = *one, texts.platforms()[runtime.GOOS].Commands
	}
	if filled.Commands == "" {
		return filled, "", fmt.Errorf("the session document has no commands for %s", runtime.GOOS)
	}
	return filled, template, nil
}

// outcome is the end of the session for the hub. What a client or the hub
// ended is no failure.
func (s *session) outcome(err error) outcome {
	out := outcome{status: mgs.TaskSuccess}
	cause := context.Cause(s.ctx)
	switch {
	case errors.Is(cause, errClosed), errors.Is(cause, errLeft):
	case cause != nil:
		out = outcome{mgs.TaskFailed, cause.Error()}
	case err != nil:
		out = outcome{mgs.TaskFailed, err.Error()}
	}
	if len(s.left) > 0 {
		out.text = join(out.text, leftText(s.left))
	}
	return out
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}
