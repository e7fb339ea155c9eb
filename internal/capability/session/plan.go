package session

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ssmdoc"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

// preferences is the document of an account's session preferences.
const preferences = "SSM-SessionManagerRunShell"

// defaultIdle ends a session on which nothing came or went. Source: the user
// guide gives 20 minutes when idleSessionTimeout is not set.
const defaultIdle = 20 * time.Minute

// runAsTag on a caller names the OS user of its sessions.
const runAsTag = "SSMSessionRunAs"

// own marks the options that only Watchbill has; the node does not see them.
const own = "watchbill:"

// plan is what a session will be, read from its document.
type plan struct {
	name, version string
	kind          string
	host          string
	port          int
	idle, max     time.Duration
	twoPerson     bool
	strict        bool
	content       content
}

// plan reads the document of a session and checks the parameters against it.
func (s *Service) plan(ctx context.Context, in *ssm.StartSessionInput) (*plan, error) {
	var doc, prefs *Document
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		if prefs, err = s.Documents(tx, preferences); err != nil {
			return err
		}
		doc = prefs
		if in.DocumentName != nil {
			doc, err = s.Documents(tx, *in.DocumentName)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	parsed, err := parse(doc)
	if err != nil {
		return nil, err
	}
	inputs := parsed.Root.Get("inputs")
	if inputs == nil {
		// Assumption: a document that says nothing of its own takes the account's
		// preferences, as those of AWS for single commands and ports do.
		account, err := parse(prefs)
		if err != nil {
			return nil, err
		}
		inputs = account.Root.Get("inputs")
	}
	p := &plan{name: doc.Name, version: doc.Version, kind: parsed.SessionType}
	return p, p.read(parsed, inputs, in.Parameters, identity.From(ctx))
}

func parse(doc *Document) (*ssmdoc.Document, error) {
	if doc.Type != "Session" {
		return nil, &ssm.InvalidDocument{Message: "The document " + doc.Name + " is of type " + doc.Type + "; StartSession takes documents of type Session."}
	}
	parsed, err := ssmdoc.Parse(doc.Content, doc.Format)
	if err == nil {
		err = parsed.Validate("Session")
	}
	if err != nil {
		return nil, &ssm.InvalidDocument{Message: err.Error()}
	}
	return parsed, nil
}

// read fills the plan from a document, the inputs that hold for it, the
// parameters given and the caller's tags.
func (p *plan) read(parsed *ssmdoc.Document, inputs *ssmdoc.Node, given map[string][]string, c identity.Caller) error {
	for name, values := range given {
		if strings.Contains(strings.Join(values, ""), "\x00") {
			return fault.Validation("The parameter %q holds a NUL character.", name)
		}
	}
	bound, err := ssmdoc.BindParameters(parsed, given)
	if err != nil {
		if bad, ok := errors.AsType[*ssmdoc.ParameterError](err); ok {
			return fault.Validation("%s", bad.Message)
		}
		return err
	}
	lookup := func(name string) (any, bool, error) { v, ok := bound[name]; return v, ok, nil }
	expanded, err := ssmdoc.Expand(map[string]any{"inputs": inputs.Any(), "properties": parsed.Root.Get("properties").Any()}, lookup)
	if err != nil {
		return fault.Validation("%s", err.Error())
	}
	filled := expanded.(map[string]any)
	p.content.Parameters = bound
	if err := p.readInputs(object(filled["inputs"]), c); err != nil {
		return err
	}
	if p.kind == Port {
		if err := p.readPort(object(filled["properties"])); err != nil {
			return err
		}
	}
	p.content.Document, err = nodeContent(parsed, inputs)
	return err
}

func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func word(v any) string {
	s, err := ssmdoc.Text(v)
	if err != nil {
		return ""
	}
	return s
}

func truth(v any) bool { return strings.EqualFold(word(v), "true") }

// readInputs reads the options that the hub itself keeps.
func (p *plan) readInputs(inputs map[string]any, c identity.Caller) (err error) {
	if p.idle, err = minutes(inputs, "idleSessionTimeout", 60); err != nil {
		return err
	}
	if p.idle == 0 {
		p.idle = defaultIdle
	}
	if p.max, err = minutes(inputs, "maxSessionDuration", 1440); err != nil {
		return err
	}
	p.twoPerson, p.strict = truth(inputs[own+"requireSecondPerson"]), truth(inputs[own+"strictRecording"])
	hosts, _ := inputs[own+"allowedHosts"].([]any)
	for _, h := range hosts {
		p.content.AllowedHosts = append(p.content.AllowedHosts, word(h))
	}
	if !truth(inputs["runAsEnabled"]) || p.kind == Port {
		return nil
	}
	return p.runAs(word(inputs["runAsDefaultUser"]), c)
}

// minutes is a time limit of the document, 0 when it has none.
func minutes(inputs map[string]any, name string, most int) (time.Duration, error) {
	v := word(inputs[name])
	if v == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > most {
		return 0, fault.Validation("%s must be minutes from 1 to %d.", name, most)
	}
	return time.Duration(n) * time.Minute, nil
}

// runAs finds the OS user: the caller's tag before the default of the document.
// There is no other to fall back to. Source: the user guide on Run As support.
func (p *plan) runAs(user string, c identity.Caller) error {
	if tag := c.Tags[runAsTag]; tag != "" {
		user = tag
	}
	switch {
	case user == "":
		return fault.Validation("The session preferences want an operating system user, and neither the caller's tag %s nor runAsDefaultUser names one.", runAsTag)
	case user == "root" || strings.HasPrefix(user, "-") || strings.ContainsAny(user, ":/ \t\r\n\x00"):
		return fault.Validation("A session cannot run as the operating system user %q.", user)
	}
	p.content.RunAsUser = user
	return nil
}

// nodeContent is the document as the node gets it: as JSON, with the inputs that
// hold for it, without the options of the hub.
func nodeContent(parsed *ssmdoc.Document, inputs *ssmdoc.Node) (json.RawMessage, error) {
	doc := object(parsed.Root.Any())
	mine := map[string]any{}
	for k, v := range object(inputs.Any()) {
		if !strings.HasPrefix(k, own) {
			mine[k] = v
		}
	}
	doc["inputs"] = mine
	return json.Marshal(doc)
}
