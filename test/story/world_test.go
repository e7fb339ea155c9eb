package story

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/api/kms"
	"github.com/watchbill/watchbill/internal/api/logs"
	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/wire/shape"
	"github.com/watchbill/watchbill/internal/wire/wiretest"
	"github.com/watchbill/watchbill/test/hubtest"
)

// world is what a hub holds before anybody tries anything: one of each, so that an
// input can name something that exists.
type world struct {
	*hubtest.Hub
	store *hubtest.Store
	node  *hubtest.Node
	// values of members, by name, or by operation and name divided by a dot
	values     map[string]string
	ciphertext []byte
}

const (
	pausing  = `{"schemaVersion":"0.3","mainSteps":[{"name":"wait","action":"aws:pause","inputs":{}}]}`
	printing = `{"schemaVersion":"2.2","parameters":{"word":{"type":"String","default":"x"}},"mainSteps":[{"name":"say","action":"aws:runShellScript","inputs":{"runCommand":["echo {{ word }}"]}}]}`
)

func newWorld(t *testing.T, h *hubtest.Hub) *world {
	t.Helper()
	w := &world{Hub: h, store: hubtest.OpenStore(t, h.Store), node: h.Register(t), values: map[string]string{}}
	red := []ssm.Tag{{Key: new("Team"), Value: new("red")}}
	h.Must(t, "ssm", "PutParameter", &ssm.PutParameterInput{Name: new("/red/plain"), Type: ssm.ParameterTypeString, Value: new("v"), Tags: red}, nil)
	h.Must(t, "ssm", "PutParameter", &ssm.PutParameterInput{Name: new("/red/secret"), Type: ssm.ParameterTypeSecureString, Value: new("s")}, nil)
	for name, content := range map[string]string{"Printing": printing, "Pausing": pausing} {
		kind := ssm.DocumentTypeCommand
		if name == "Pausing" {
			kind = ssm.DocumentTypeAutomation
		}
		h.Must(t, "ssm", "CreateDocument", &ssm.CreateDocumentInput{Name: &name, Content: &content, DocumentType: kind, DocumentFormat: ssm.DocumentFormatJson, Tags: red}, nil)
	}
	var command ssm.SendCommandOutput
	h.Must(t, "ssm", "SendCommand", &ssm.SendCommandInput{DocumentName: new("Printing"), InstanceIds: []string{w.node.ID}}, &command)
	var run ssm.StartAutomationExecutionOutput
	h.Must(t, "ssm", "StartAutomationExecution", &ssm.StartAutomationExecutionInput{DocumentName: new("Pausing")}, &run)
	w.settles(t, *run.AutomationExecutionId)
	activation, _ := h.Activate(t, 1)
	var contact contacts.CreateContactOutput
	h.Must(t, "ssm-contacts", "CreateContact", &contacts.CreateContactInput{
		Alias: new("ann"), DisplayName: new("Ann"), Type: contacts.ContactTypePersonal, Plan: &contacts.Plan{Stages: []contacts.Stage{}},
	}, &contact)
	var key kms.CreateKeyOutput
	h.Must(t, "kms", "CreateKey", nil, &key)
	h.Must(t, "kms", "CreateAlias", &kms.CreateAliasInput{AliasName: new("alias/red"), TargetKeyId: key.KeyMetadata.KeyId}, nil)
	var sealed kms.EncryptOutput
	h.Must(t, "kms", "Encrypt", &kms.EncryptInput{KeyId: key.KeyMetadata.KeyId, Plaintext: []byte("s")}, &sealed)
	w.ciphertext = sealed.CiphertextBlob
	h.Must(t, "logs", "CreateLogGroup", &logs.CreateLogGroupInput{LogGroupName: new("red")}, nil)
	h.Must(t, "logs", "CreateLogStream", &logs.CreateLogStreamInput{LogGroupName: new("red"), LogStreamName: new("s")}, nil)
	w.values = map[string]string{
		"KeyId": *key.KeyMetadata.KeyId, "TargetKeyId": *key.KeyMetadata.KeyId, "AliasName": "alias/red", "CreateAlias.AliasName": "alias/other",
		"LogGroupName": "red", "LogStreamName": "s", "CreateLogGroup.LogGroupName": "other", "CreateLogStream.LogStreamName": "other",
		"CommandId": *command.Command.CommandId, "AutomationExecutionId": *run.AutomationExecutionId, "ActivationId": activation,
		"InstanceId": w.node.ID, "Target": w.node.ID, "DocumentName": "Printing", "ContactId": *contact.ContactArn,
		"StartAutomationExecution.DocumentName": "Pausing", "AssumeRole.RoleArn": "arn:aws:iam::123456789012:role/auditor",
	}
	return w
}

// input fills the required members of an operation's input, with what exists where
// the name of the member says what it is.
func (w *world) input(t *testing.T, m *shape.Model, op *shape.Operation) any {
	t.Helper()
	in := op.NewInput()
	wiretest.Sample(t, m, op.Input, in, false)
	v := reflect.ValueOf(in).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		value, ok := w.values[op.Name+"."+name]
		if !ok {
			value, ok = w.values[name]
		}
		if name == "Name" && strings.Contains(op.Name, "Parameter") && !strings.Contains(op.Name, "Document") {
			value, ok = "/red/plain", true
		}
		if name == "Name" && strings.Contains(op.Name, "Document") && !strings.HasPrefix(op.Name, "Create") {
			value, ok = "Printing", true
		}
		if name == "CiphertextBlob" {
			v.Field(i).SetBytes(w.ciphertext)
		}
		if ok && !v.Field(i).IsZero() && v.Field(i).Type() == reflect.TypeFor[*string]() {
			v.Field(i).Set(reflect.ValueOf(&value))
		}
	}
	return in
}

// settles waits until the run is at its pause and nothing goes on behind it.
func (w *world) settles(t *testing.T, run string) {
	t.Helper()
	err := hubtest.Await(20*time.Second, "the pause of the run", func() (bool, error) {
		var out ssm.GetAutomationExecutionOutput
		w.Must(t, "ssm", "GetAutomationExecution", &ssm.GetAutomationExecutionInput{AutomationExecutionId: &run}, &out)
		waits := out.AutomationExecution.AutomationExecutionStatus == ssm.AutomationExecutionStatusWaiting
		return waits && len(w.store.Rows("select id from task_task where owner <> '' or kind = 'automation.begin'")) == 0, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
