package automation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/capability/document"
	"github.com/watchbill/watchbill/internal/lang/ssmdoc"
	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/tagging"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

// tagKind is the ResourceType of an execution's tags.
const tagKind = "Automation"

// Start is a request to run a runbook.
type Start struct {
	DocumentName string
	Version      string              // "", a number, $LATEST or $DEFAULT
	Parameters   map[string][]string // as given, every value a list
	RoleARN      string              // used when the document names no role, and the only one it may name; "" to run as StartedBy
	ClientToken  string              // the same token answers the same execution
	StartedBy    string              // ARN of the principal
	Session      string              // identity.Caller.Session of the principal
	Human        string              // id of the person behind it, "" for a machine
	Interactive  bool
	Tags         map[string]string
	IncidentARN  string // related to every fact about the execution

	// passRole asks for the right to another role than RoleARN; nil: there is none.
	passRole func(roleARN string) error
}

// Start opens an execution in the caller's transaction and answers its id. The
// errors are those of StartAutomationExecution.
func (s *Service) Start(_ context.Context, tx *db.Tx, r Start) (executionID string, err error) {
	request, err := r.hash()
	if err != nil {
		return "", err
	}
	if r.ClientToken != "" {
		old, err := s.findByToken(tx, r.ClientToken)
		if err != nil {
			return "", err
		}
		if old != nil {
			return old.ID, sameRequest(old, request)
		}
	}
	book, err := s.runbook(tx, r.DocumentName, r.Version)
	if err != nil {
		return "", err
	}
	ex := &execution{
		ID: uuid.NewString(), Document: book.Name, Version: book.Version, Hash: book.Hash,
		StartedBy: r.StartedBy, Human: r.Human, Token: r.ClientToken, Request: request, Created: tx.Now,
		State: state{Status: pending, Interactive: r.Interactive},
		Spec:  spec{Tags: r.Tags, Incident: r.IncidentARN}, vault: vault{Session: r.Session},
	}
	w := &work{s: s, tx: tx, ex: ex, doc: book.Doc}
	if err := w.bind(r); err != nil {
		return "", err
	}
	return ex.ID, w.open(book, r)
}

// runbook finds a document of type Automation.
func (s *Service) runbook(tx *db.Tx, name, version string) (*document.Resolved, error) {
	book, err := s.Documents.Resolve(tx, name, version)
	if e, ok := errors.AsType[*ssm.InvalidDocument](err); ok {
		return nil, &ssm.AutomationDefinitionNotFoundException{Message: e.Message}
	}
	if e, ok := errors.AsType[*ssm.InvalidDocumentVersion](err); ok {
		return nil, &ssm.AutomationDefinitionVersionNotFoundException{Message: e.Message}
	}
	if err == nil && book.Type != ssm.DocumentTypeAutomation {
		return nil, &ssm.AutomationDefinitionNotFoundException{Message: fmt.Sprintf("Document %s is of type %s, not Automation.", book.Name, book.Type)}
	}
	return book, err
}

// hash tells requests apart that bear the same token.
func (r *Start) hash() (string, error) {
	b, err := json.Marshal([]any{r.DocumentName, r.Version, r.Parameters, r.RoleARN, r.Interactive, r.Tags, r.IncidentARN})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

func sameRequest(old *execution, request string) error {
	if old.Request != request {
		return &ssm.IdempotentParameterMismatch{Message: "The client token was used with another request."}
	}
	return nil
}

func badParameters(format string, args ...any) error {
	return &ssm.InvalidAutomationExecutionParametersException{Message: fmt.Sprintf(format, args...)}
}

// bind reads the parameters, the variables, the flow and the role.
func (w *work) bind(r Start) error {
	bound, err := ssmdoc.BindParameters(w.doc, r.Parameters)
	if p, ok := errors.AsType[*ssmdoc.ParameterError](err); ok {
		return badParameters("%s", p.Message)
	}
	if err != nil {
		return err
	}
	w.ex.vault.Parameters, w.ex.vault.Variables = bound, map[string]any{}
	for _, v := range w.doc.Variables {
		w.ex.vault.Variables[v.Name] = v.Default.Any()
	}
	for _, p := range w.doc.Parameters {
		if _, given := r.Parameters[p.Name]; !given && len(stored(bound[p.Name])) > 0 {
			w.ex.Spec.Defaults = append(w.ex.Spec.Defaults, p.Name)
		}
	}
	w.plan, w.flaw = newPlan(w.doc, w.values().expand)
	if w.flaw != nil && len(w.ex.Spec.Defaults) == 0 {
		return badParameters("%v", w.flaw)
	}
	return w.chooseRole(r)
}

// chooseRole is the document's assumeRole, which may name a parameter, or else
// the role of the request.
func (w *work) chooseRole(r Start) error {
	value, err := w.values().expand(w.doc.AssumeRole)
	if err != nil {
		return badParameters("assumeRole: %v", err)
	}
	role := strings.TrimSpace(text(value))
	if role == "" {
		w.ex.Role = r.RoleARN
		return nil
	}
	a, err := arn.Parse(role)
	if kind, _ := a.Type(); err != nil || a.Service != "iam" || kind != "role" {
		return badParameters("assumeRole is not the ARN of a role")
	}
	w.ex.Role = role
	switch {
	case r.passRole != nil:
		return r.passRole(role)
	case role != r.RoleARN:
		// Nobody was asked for this one: whoever wrote the plan, or its parameters,
		// would choose freely among all roles that runbooks can have.
		return fault.AccessDenied("The runbook acts as %s, which is not the role that was passed to it", role)
	}
	return nil
}

// open writes the rows of a new execution.
func (w *work) open(book *document.Resolved, r Start) error {
	if err := keepContent(w.tx, book); err != nil {
		return err
	}
	if err := w.s.insertExecution(w.tx, w.ex); err != nil {
		return err
	}
	for i, f := range w.doc.MainSteps {
		p := &step{Position: int64(i) + 1, ID: uuid.NewString(), Name: f.Name, Action: f.Action, Status: pending}
		if err := w.s.insertStep(w.tx, w.ex.ID, p); err != nil {
			return err
		}
	}
	if len(r.Tags) > 0 {
		if err := tagging.Set(w.tx, tagKind, w.ex.ID, r.Tags); err != nil {
			return err
		}
	}
	if err := w.record("automation.started", w.fact()); err != nil {
		return err
	}
	return w.s.Tasks.Enqueue(w.tx, task.Spec{Kind: "automation.begin", Key: w.ex.ID, Args: stepArgs{Execution: w.ex.ID}})
}

// stored are the Parameter Store names that a default refers to.
func stored(value any) []string {
	var out []string
	for _, name := range ssmdoc.References(value) {
		if rest, ok := strings.CutPrefix(name, "ssm:"); ok {
			out = append(out, rest)
		}
	}
	return out
}

// begin resolves the defaults that name Parameter Store parameters and enters
// the first step.
func (s *Service) begin(ctx context.Context, r *task.Run) error {
	var a stepArgs
	if err := r.Decode(&a); err != nil {
		return err
	}
	var names []string
	var who actingAs
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		w, err := s.loadWith(tx, a.Execution, false)
		if err != nil || w == nil {
			return err
		}
		who = w.actingAs()
		for _, p := range w.ex.Spec.Defaults {
			names = append(names, stored(w.ex.vault.Parameters[p])...)
		}
		return nil
	})
	if err != nil {
		return err
	}
	found, err := s.storedValues(ctx, who, names)
	if passing(err) && r.Attempt < patience {
		return err
	}
	return s.event(ctx, r, func(w *work, _ stepArgs) error {
		if doneErr := r.Done(w.tx); doneErr != nil {
			return doneErr
		}
		e := event{kind: evStart}
		if problem := w.resolve(found, err); problem != nil {
			e.message = problem.Error()
		}
		return w.apply(e)
	})
}

// storedValues reads parameters of the Parameter Store, not the secure ones.
func (s *Service) storedValues(ctx context.Context, who actingAs, names []string) (map[string]any, error) {
	slices.Sort(names)
	found := map[string]any{}
	for _, name := range slices.Compact(names) {
		body, err := marshal(map[string]any{"Name": name})
		if err != nil {
			return nil, err
		}
		c := &call{service: "ssm", operation: "GetParameter", body: body, repeatable: true}
		answer, err := s.perform(ctx, who, c)
		if err != nil {
			return nil, err
		}
		var out struct{ Parameter struct{ Type, Value string } }
		if err := json.Unmarshal(answer, &out); err != nil {
			return nil, fmt.Errorf("the answer of GetParameter: %w", err)
		}
		switch out.Parameter.Type {
		case "SecureString":
			return nil, fmt.Errorf("parameter %s is a SecureString and cannot be a default", name)
		case "StringList":
			list := []any{}
			for item := range strings.SplitSeq(out.Parameter.Value, ",") {
				list = append(list, item)
			}
			found[name] = list
		default:
			found[name] = out.Parameter.Value
		}
	}
	return found, nil
}

// resolve puts the values found into the parameters and looks at the flow again.
func (w *work) resolve(found map[string]any, problem error) error {
	if problem != nil || len(w.ex.Spec.Defaults) == 0 {
		return problem
	}
	for _, name := range w.ex.Spec.Defaults {
		v, err := ssmdoc.Expand(w.ex.vault.Parameters[name], func(ref string) (any, bool, error) {
			value, ok := found[strings.TrimPrefix(ref, "ssm:")]
			return value, ok, nil
		})
		if err != nil {
			return err
		}
		if err := w.doc.Parameter(name).Check(v); err != nil {
			return err
		}
		w.ex.vault.Parameters[name] = v
	}
	w.plan, w.flaw = newPlan(w.doc, w.values().expand)
	return w.flaw
}
