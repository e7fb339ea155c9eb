package plane

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/watchbill/watchbill/internal/capability/session"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/plane"
)

// filesWord begins the commands of a document that allows to copy files in place
// of running something: "watchbill:files" [read|write] [PATH...].
const filesWord = "watchbill:files"

// tunnelType is the type of a Port document that allows connections to any host
// that its allowedHosts do not exclude.
const tunnelType = "Tunnel"

// rules say which streams a session may open.
type rules struct {
	session *session.Session
	tunnel  bool
	files   []string // the words behind filesWord
	isFiles bool
}

func rulesOf(s *session.Session) (rules, error) {
	var doc struct {
		Properties json.RawMessage `json:"properties"`
	}
	if err := json.Unmarshal(s.Document, &doc); err != nil {
		return rules{}, fmt.Errorf("plane: document of session %s: %w", s.ID, err)
	}
	r := rules{session: s}
	switch s.Kind {
	case session.Port:
		var p struct {
			Type string `json:"type"`
		}
		_ = json.Unmarshal(doc.Properties, &p)
		r.tunnel = p.Type == tunnelType
	case session.NonInteractiveCommands:
		var p map[string]struct {
			Commands any `json:"commands"`
		}
		_ = json.Unmarshal(doc.Properties, &p)
		for _, platform := range p {
			text, _ := platform.Commands.(string)
			if words := strings.Fields(text); len(words) > 0 && words[0] == filesWord {
				r.isFiles, r.files = true, words[1:]
			}
		}
	}
	return r, nil
}

var errNotAllowed = errors.New("the session's document does not allow this")

// allow says whether a stream may be opened.
func (r rules) allow(o plane.Open) error {
	switch {
	case o.Kind == plane.Shell && (r.session.Kind == session.StandardStream || r.session.Kind == session.InteractiveCommands):
		return nil
	case o.Kind == plane.Exec && r.session.Kind == session.NonInteractiveCommands && !r.isFiles:
		return nil
	case o.Kind == plane.TCP && r.session.Kind == session.Port:
		return r.allowHost(o)
	case (o.Kind == plane.Get || o.Kind == plane.Put || o.Kind == plane.List) && r.isFiles:
		return r.allowFile(o)
	}
	return errNotAllowed
}

// allowHost wants the place that the session was started for, which the node reads
// in the document, or for a tunnel one that may be reached.
func (r rules) allowHost(o plane.Open) error {
	if !r.tunnel {
		if o.Port == 0 && o.Host == "" || o.Host == r.session.Host && o.Port == r.session.Port {
			return nil
		}
		return errNotAllowed
	}
	if o.Port < 1 || o.Port > 65535 || o.Host == "" {
		return errNotAllowed
	}
	err := session.CheckHost(o.Host, o.Port, r.session.AllowedHosts)
	if err != nil {
		return errors.New(fault.Of(err).ErrorMessage())
	}
	return nil
}

// allowFile looks at the direction and at the path as it is written; the node
// opens it as the session's user.
func (r rules) allowFile(o plane.Open) error {
	words := r.files
	if len(words) > 0 && (words[0] == "read" || words[0] == "write") {
		if (words[0] == "read") != (o.Kind != plane.Put) {
			return errNotAllowed
		}
		words = words[1:]
	}
	if len(words) == 0 {
		return nil
	}
	p := path.Clean(o.Path)
	for _, prefix := range words {
		if p == path.Clean(prefix) || strings.HasPrefix(p, strings.TrimSuffix(path.Clean(prefix), "/")+"/") {
			return nil
		}
	}
	return errNotAllowed
}
