package command

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/capability/node"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/lang/ssmdoc"
	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// Defaults of SendCommand. Source: SendCommand in the API reference.
const (
	defaultTimeout     = 3600
	defaultConcurrency = "50"
	defaultErrors      = "0"
	maxTargets         = 10_000
	maxRelated         = 50 // nodes named in the fact of a sending
)

// SendCommand starts a document on nodes. A call with the invocation id of an
// earlier one and the same input answers the earlier command.
func (s *Service) SendCommand(ctx context.Context, in *ssm.SendCommandInput) (*ssm.SendCommandOutput, error) {
	if err := checkTargets(in); err != nil {
		return nil, err
	}
	id, err := commandID(ctx, in)
	if err != nil {
		return nil, err
	}
	c, err := s.find(ctx, id)
	if err != nil {
		return nil, err
	}
	if c == nil {
		if c, err = s.create(ctx, id, in); err != nil {
			return nil, err
		}
	}
	out, err := s.project(ctx, c)
	return &ssm.SendCommandOutput{Command: out}, err
}

func (s *Service) find(ctx context.Context, id string) (c *command, err error) {
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		c, err = findCommand(tx, id, false)
		return err
	})
	return c, err
}

// create prepares a command outside the transaction that makes it.
func (s *Service) create(ctx context.Context, id string, in *ssm.SendCommandInput) (*command, error) {
	p, err := s.plan(ctx, id, in)
	if err != nil {
		return nil, err
	}
	allowed, err := s.authorize(ctx, in)
	if err != nil {
		return nil, err
	}
	var c *command
	err = s.DB.Update(ctx, func(tx *db.Tx) error {
		if c, err = findCommand(tx, id, true); err != nil || c != nil {
			return err // the same call came twice at once
		}
		c, err = s.send(tx, id, in, p, allowed)
		return err
	})
	return c, err
}

// send makes a command in the caller's transaction.
func (s *Service) send(tx *db.Tx, id string, in *ssm.SendCommandInput, p *plan, allowed func(string) bool) (*command, error) {
	targets, err := s.targets(tx, in, p.doc, allowed)
	if err != nil {
		return nil, err
	}
	c := newCommand(id, in, p, tx.Now, len(targets))
	if err := insertCommand(tx, c); err != nil {
		return nil, err
	}
	related := []string{}
	for i, t := range targets {
		if err := insertTarget(tx, c, p, t); err != nil {
			return nil, err
		}
		if i < maxRelated {
			related = append(related, t.node.ID)
		}
	}
	body := map[string]any{"documentName": c.DocumentName, "documentVersion": c.DocumentVersion, "targets": len(targets), "comment": ptr.Value(in.Comment)}
	if err := s.Journal.Record(tx, journal.Fact{Kind: "command.sent", Subject: c.ID, Related: related, Body: body}); err != nil {
		return nil, err
	}
	if err := s.advance(tx, c); err != nil {
		return nil, err
	}
	if c.Status.final() {
		return c, nil
	}
	if err := s.Tasks.Enqueue(tx, task.Spec{Kind: deliveryTask, Key: c.ID, Due: c.Expires}); err != nil {
		return nil, err
	}
	return c, s.Tasks.Enqueue(tx, task.Spec{Kind: endTask, Key: c.ID, Due: c.Ends})
}

func checkTargets(in *ssm.SendCommandInput) error {
	switch {
	case len(in.InstanceIds) > 0 && len(in.Targets) > 0:
		return fault.Validation("InstanceIds and Targets cannot be used together.")
	case len(in.InstanceIds) == 0 && len(in.Targets) == 0:
		return fault.Validation("InstanceIds or Targets is required.")
	}
	ids := slices.Clone(in.InstanceIds)
	slices.Sort(ids)
	if len(slices.Compact(ids)) != len(in.InstanceIds) {
		return &ssm.DuplicateInstanceId{Message: "An instance id is given more than once."}
	}
	return nil
}

var idSpace = uuid.MustParse("5b0a4f0e-3a0c-4f5e-9c56-0d4d3c0f6a11")

// commandID is a new id, or the one that belongs to the caller's invocation id
// and input: a repeated call finds the command of the first one.
func commandID(ctx context.Context, in *ssm.SendCommandInput) (string, error) {
	invocation := wire.InvocationID(ctx)
	if invocation == "" {
		return uuid.NewString(), nil
	}
	b, err := json.Marshal(in)
	if err != nil {
		return "", err
	}
	scope := db.ScopeOf(ctx)
	key := strings.Join([]string{scope.Account, scope.Region, journal.ActorOf(ctx), invocation, string(b)}, "\x00")
	return uuid.NewSHA1(idSpace, []byte(key)).String(), nil
}

// document is the document to run. Errors: InvalidDocument,
// InvalidDocumentVersion.
func (s *Service) document(tx *db.Tx, in *ssm.SendCommandInput) (*Document, error) {
	doc, err := s.Documents(tx, *in.DocumentName, ptr.Value(in.DocumentVersion))
	if err != nil {
		return nil, err
	}
	if doc.Type != "Command" {
		return nil, &ssm.InvalidDocument{Message: fmt.Sprintf("The document %s is of type %s; SendCommand runs documents of type Command.", doc.Name, doc.Type)}
	}
	if in.DocumentHash != nil {
		if in.DocumentHashType == ssm.DocumentHashTypeSha1 {
			return nil, &ssm.InvalidDocument{Message: "The document hash must be of type Sha256."}
		}
		if subtle.ConstantTimeCompare([]byte(strings.ToLower(*in.DocumentHash)), []byte(doc.Hash)) != 1 {
			return nil, &ssm.InvalidDocument{Message: "The document hash is not that of the document " + doc.Name + "."}
		}
	}
	return doc, nil
}

// plan is what a command will do, from its document and parameters.
type plan struct {
	doc        *Document
	job        []byte // content of the jobs, without parameters
	parameters []byte // sealed
	steps      []step
	execution  time.Duration // the steps' time-outs together
}

// plan reads the document and binds the parameters. Errors: InvalidDocument,
// InvalidDocumentVersion, InvalidParameters.
func (s *Service) plan(ctx context.Context, id string, in *ssm.SendCommandInput) (*plan, error) {
	p := &plan{}
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		p.doc, err = s.document(tx, in)
		return err
	})
	if err != nil {
		return nil, err
	}
	parsed, err := ssmdoc.Parse(p.doc.Content, p.doc.Format)
	if err != nil {
		return nil, &ssm.InvalidDocument{Message: err.Error()}
	}
	values, err := ssmdoc.BindParameters(parsed, in.Parameters)
	if err != nil {
		if bad, ok := errors.AsType[*ssmdoc.ParameterError](err); ok {
			return nil, &ssm.InvalidParameters{Message: bad.Message}
		}
		return nil, err
	}
	if err := p.addSteps(parsed, values); err != nil {
		return nil, err
	}
	content, err := ssmdoc.Convert(p.doc.Content, p.doc.Format, ssmdoc.JSON)
	if err != nil {
		return nil, &ssm.InvalidDocument{Message: err.Error()}
	}
	if p.job, err = json.Marshal(jobOf(id, in, p.doc, content)); err != nil {
		return nil, err
	}
	p.parameters, err = s.sealParameters(ctx, id, in.Parameters, values)
	return p, err
}

func (p *plan) addSteps(parsed *ssmdoc.Document, values map[string]any) error {
	if len(parsed.MainSteps) == 0 {
		return &ssm.InvalidDocument{Message: "The document has no steps."}
	}
	lookup := func(name string) (any, bool, error) { v, ok := values[name]; return v, ok, nil }
	for i, m := range parsed.MainSteps {
		timeout, err := ssmdoc.Expand(m.Inputs.Get("timeoutSeconds").Any(), lookup)
		if err != nil {
			return &ssm.InvalidParameters{Message: err.Error()}
		}
		p.execution += executionTimeout(timeout)
		p.steps = append(p.steps, step{Position: i, Name: m.Name, Plugin: m.Action, Status: pending})
	}
	return nil
}

// executionTimeout is a step's time-out as a node understands it: 5 to 172,800
// seconds, an hour for anything else.
func executionTimeout(v any) time.Duration {
	var seconds int
	if _, err := fmt.Sscanf(fmt.Sprint(v), "%d", &seconds); err != nil || seconds < 5 || seconds > 172_800 {
		seconds = 3600
	}
	return time.Duration(seconds) * time.Second
}

func jobOf(id string, in *ssm.SendCommandInput, doc *Document, content []byte) mgs.SendCommand {
	job := mgs.SendCommand{
		CommandID: id, DocumentName: doc.Name, DocumentContent: content,
		OutputS3BucketName: ptr.Value(in.OutputS3BucketName), OutputS3KeyPrefix: ptr.Value(in.OutputS3KeyPrefix), CloudWatchOutputEnabled: "false",
	}
	if cw := in.CloudWatchOutputConfig; cw != nil && cw.CloudWatchOutputEnabled != nil && *cw.CloudWatchOutputEnabled {
		job.CloudWatchOutputEnabled, job.CloudWatchLogGroupName = "true", ptr.Value(cw.CloudWatchLogGroupName)
	}
	return job
}

func newCommand(id string, in *ssm.SendCommandInput, p *plan, now time.Time, targets int) *command {
	timeout := int32(defaultTimeout)
	if in.TimeoutSeconds != nil {
		timeout = *in.TimeoutSeconds
	}
	concurrency, budget := defaultConcurrency, defaultErrors
	if in.MaxConcurrency != nil {
		concurrency = *in.MaxConcurrency
	}
	if in.MaxErrors != nil {
		budget = *in.MaxErrors
	}
	version := "$DEFAULT"
	if in.DocumentVersion != nil {
		version = *in.DocumentVersion
	}
	c := &command{
		ID: id, DocumentName: p.doc.Name, DocumentVersion: version, Requested: now, Expires: now.Add(time.Duration(timeout) * time.Second),
		Status: pending, MaxConcurrency: limit(concurrency, targets), MaxErrors: limit(budget, targets), Targets: targets,
		Job: p.job, Parameters: p.parameters,
	}
	c.Ends = c.Expires.Add(p.execution)
	c.Spec = ssm.Command{
		AlarmConfiguration: in.AlarmConfiguration, CloudWatchOutputConfig: in.CloudWatchOutputConfig, Comment: in.Comment, InstanceIds: in.InstanceIds,
		MaxConcurrency: &concurrency, MaxErrors: &budget, NotificationConfig: in.NotificationConfig, OutputS3BucketName: in.OutputS3BucketName,
		OutputS3KeyPrefix: in.OutputS3KeyPrefix, OutputS3Region: in.OutputS3Region, ServiceRole: in.ServiceRoleArn,
		Targets: in.Targets, TimeoutSeconds: &timeout,
	}
	return c
}

// target is a node of a command and the state its invocation begins in.
type target struct {
	node   node.Node
	status detail
}

// targets finds the nodes. One that is named and cannot be used refuses the
// command; one that is selected gets an invocation that says why.
func (s *Service) targets(tx *db.Tx, in *ssm.SendCommandInput, doc *Document, allowed func(string) bool) ([]target, error) {
	nodes, err := s.nodes(tx, in)
	if err != nil {
		return nil, err
	}
	out := make([]target, 0, len(nodes))
	for _, n := range nodes {
		t := target{n, pending}
		switch {
		case !allowed(n.ID):
			t.status = accessDenied
		case runsOn(doc, n.PlatformType):
		case len(in.InstanceIds) > 0:
			return nil, &ssm.UnsupportedPlatformType{Message: fmt.Sprintf("The document %s does not run on %s, the platform of %s.", doc.Name, n.PlatformType, n.ID)}
		default:
			t.status = invalidPlatform
		}
		out = append(out, t)
	}
	return out, nil
}

// authorize asks about each node that the targets select now. A node that
// they select only later, when the command is made, is not allowed.
func (s *Service) authorize(ctx context.Context, in *ssm.SendCommandInput) (func(nodeID string) bool, error) {
	if len(in.InstanceIds) > 0 || s.Allow == nil {
		return func(string) bool { return true }, nil
	}
	var nodes []node.Node
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		nodes, err = s.nodes(tx, in)
		return err
	})
	if err != nil {
		return nil, err
	}
	yes := map[string]bool{}
	for _, n := range nodes {
		err := s.Allow(ctx, "ssm:SendCommand", arn.SSM(n.Scope, "managed-instance/"+n.ID))
		if err != nil && fault.Of(err).HTTPStatus() >= http.StatusInternalServerError {
			return nil, err
		}
		yes[n.ID] = err == nil
	}
	return func(id string) bool { return yes[id] }, nil
}

func (s *Service) nodes(tx *db.Tx, in *ssm.SendCommandInput) ([]node.Node, error) {
	if len(in.InstanceIds) == 0 {
		nodes, err := s.Nodes.Match(tx, in.Targets)
		if err == nil && len(nodes) > maxTargets {
			err = fault.Validation("The targets select %d nodes, more than %d.", len(nodes), maxTargets)
		}
		return nodes, err
	}
	nodes, err := s.Nodes.Find(tx, in.InstanceIds)
	if err != nil {
		return nil, err
	}
	for _, id := range in.InstanceIds {
		if !slices.ContainsFunc(nodes, func(n node.Node) bool { return n.ID == id }) {
			return nil, &ssm.InvalidInstanceId{Message: "The instance " + id + " is not a managed node of this account and region."}
		}
	}
	return nodes, nil
}

// runsOn says whether the document is for the platform. A node that has not
// said what it is may try.
func runsOn(doc *Document, platform string) bool {
	return platform == "" || len(doc.PlatformTypes) == 0 || slices.Contains(doc.PlatformTypes, platform)
}

func insertTarget(tx *db.Tx, c *command, p *plan, t target) error {
	i := &invocation{
		CommandID: c.ID, NodeID: t.node.ID, NodeName: t.node.ComputerName, DocumentName: c.DocumentName, Requested: c.Requested, Status: t.status,
	}
	if err := insertInvocation(tx, i); err != nil {
		return err
	}
	for _, st := range p.steps {
		st.Status = t.status
		if err := insertStep(tx, i, &st); err != nil {
			return err
		}
	}
	if !i.Status.final() {
		return nil
	}
	i.Finished = tx.Now
	return saveInvocation(tx, i)
}
