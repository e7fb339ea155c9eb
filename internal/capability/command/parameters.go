package command

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ssmdoc"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// parameters are those of a command. They may hold secrets, so they are only
// in its row, sealed, and in the messages to its nodes.
type parameters struct {
	Given map[string][]string        `json:"given,omitempty"` // as the caller gave them
	Bound map[string]json.RawMessage `json:"bound,omitempty"` // as the nodes get them
}

func sealPlace(scope db.Scope, id string) string {
	return "command_command/" + scope.Account + "/" + scope.Region + "/" + id
}

func (s *Service) sealParameters(ctx context.Context, id string, given map[string][]string, values map[string]any) ([]byte, error) {
	p := parameters{Given: given, Bound: map[string]json.RawMessage{}}
	for name, v := range values {
		b, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		p.Bound[name] = b
	}
	b, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	return s.Sealer.Seal(ctx, b, sealPlace(db.ScopeOf(ctx), id))
}

func (s *Service) openParameters(ctx context.Context, c *command) (p parameters, err error) {
	b, err := s.Sealer.Open(ctx, c.Parameters, sealPlace(db.ScopeOf(ctx), c.ID))
	if err != nil {
		return p, fmt.Errorf("command: parameters of %s: %w", c.ID, err)
	}
	return p, json.Unmarshal(b, &p)
}

// checkText refuses characters that no script expects: NUL in any value, and
// control characters in a value that a pattern constrains, unless the pattern
// speaks of them. Error: InvalidParameters.
func checkText(doc *ssmdoc.Document, values map[string]any) error {
	for i := range doc.Parameters {
		p := &doc.Parameters[i]
		for _, s := range texts(values[p.Name]) {
			if strings.Contains(s, "\x00") || p.AllowedPattern != "" && !speaksOfControls(p.AllowedPattern) && strings.ContainsFunc(s, unicode.IsControl) {
				return &ssm.InvalidParameters{Message: fmt.Sprintf("Parameter %q has a value with a control character.", p.Name)}
			}
		}
	}
	return nil
}

// texts is the strings in a value.
func texts(v any) (out []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, item := range v {
			out = append(out, texts(item)...)
		}
	}
	return out
}

func speaksOfControls(pattern string) bool {
	for _, word := range []string{`\n`, `\r`, `\t`, `\s`, `\S`, `[[:space:]]`, `[[:cntrl:]]`, `(?s`, "\n", "\t"} {
		if strings.Contains(pattern, word) {
			return true
		}
	}
	return false
}

// Job is the payload of a message in a node's mailbox whose own is empty: the
// job that runs a command. It is nil when the job is not to be run any more.
func (s *Service) Job(ctx context.Context, nodeID, jobID string) ([]byte, error) {
	commandID, of, err := mgs.ParseJobID(jobID)
	if err != nil || of != nodeID {
		return nil, err
	}
	c, err := s.find(ctx, commandID)
	if err != nil || c == nil || len(c.Job) == 0 {
		return nil, err
	}
	p, err := s.openParameters(ctx, c)
	if err != nil {
		return nil, err
	}
	var content mgs.SendCommand
	if err := json.Unmarshal(c.Job, &content); err != nil {
		return nil, err
	}
	content.Parameters = p.Bound
	b, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	return json.Marshal(mgs.AgentJob{Content: string(b), JobID: jobID, Topic: mgs.TopicSendCommand, SchemaVersion: 1})
}

// project is a command as the API shows it.
func (s *Service) project(ctx context.Context, c *command) (*ssm.Command, error) {
	p, err := s.openParameters(ctx, c)
	if err != nil {
		return nil, err
	}
	out := c.project()
	out.Parameters = p.Given
	return out, nil
}
