package command

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/lang/ssmdoc"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

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
	if err := checkText(parsed, values); err != nil {
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
