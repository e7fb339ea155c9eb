package story

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/wire/shape"
	"github.com/watchbill/watchbill/test/hubtest"
)

func shapeRequest(method, path, body, contentType string) shape.Request {
	return shape.Request{Method: method, Path: path, Body: []byte(body), Header: http.Header{"Content-Type": {contentType}}}
}

// document is a CreateDocument of a content.
func document(kind, content string) hubtest.Request {
	body, _ := json.Marshal(map[string]string{"Name": "Bad", "DocumentType": kind, "DocumentFormat": "JSON", "Content": content})
	return hubtest.JSON("AmazonSSM.CreateDocument", string(body))
}

func automation(steps string) hubtest.Request {
	return document("Automation", `{"schemaVersion":"0.3","mainSteps":[`+steps+`]}`)
}

// documentCases are contents that cannot be run.
func documentCases() []bad {
	const sleep = `"action":"aws:sleep","inputs":{"Duration":"PT1S"}`
	return []bad{
		{"action unknown", automation(`{"name":"a","action":"aws:explode","inputs":{}}`), 400, "InvalidDocumentContent"},
		{"no steps", automation(``), 400, "InvalidDocumentContent"},
		{"no mainSteps", document("Automation", `{"schemaVersion":"0.3"}`), 400, "InvalidDocumentContent"},
		{"next step missing", automation(`{"name":"a",` + sleep + `,"nextStep":"b"}`), 400, "InvalidDocumentContent"},
		{"cycle of two", automation(`{"name":"a",` + sleep + `,"nextStep":"b"},{"name":"b",` + sleep + `,"nextStep":"a"}`), 400, "InvalidDocumentContent"},
		{"cycle of one", automation(`{"name":"a",` + sleep + `,"nextStep":"a"}`), 400, "InvalidDocumentContent"},
		{"cycle without a way out", automation(`{"name":"a",` + sleep + `},{"name":"b",` + sleep + `,"nextStep":"a","onFailure":"step:a"}`), 400, "InvalidDocumentContent"},
		{"step twice", automation(`{"name":"a",` + sleep + `},{"name":"a",` + sleep + `}`), 400, "InvalidDocumentContent"},
		{"input missing", automation(`{"name":"a","action":"aws:sleep","inputs":{}}`), 400, "InvalidDocumentContent"},
		{"parameter undefined", automation(`{"name":"a","action":"aws:sleep","inputs":{"Duration":"{{ Wait }}"}}`), 400, "InvalidDocumentContent"},
		{"member twice", document("Automation", `{"schemaVersion":"0.3","schemaVersion":"0.3","mainSteps":[{"name":"a",`+sleep+`}]}`), 400, "InvalidDocumentContent"},
		{"schema of the other type", document("Command", `{"schemaVersion":"0.3","mainSteps":[{"name":"a",`+sleep+`}]}`), 400, "InvalidDocumentSchemaVersion|InvalidDocumentContent"},
		{"plugin unknown", document("Command", `{"schemaVersion":"2.2","mainSteps":[{"name":"a","action":"aws:runMagic","inputs":{}}]}`), 400, "InvalidDocumentContent"},
		{"no JSON", document("Command", `mainSteps`), 400, "InvalidDocumentContent"},
		{"over 64 KB", document("Command", strings.Replace(printing, "echo", "echo "+strings.Repeat("x", 65536), 1)), 400, "MaxDocumentSizeExceeded|ValidationException"},
		{"deep", document("Automation", `{"schemaVersion":"0.3","mainSteps":`+deep(5000)+`}`), 400, "InvalidDocumentContent"},
		{"name of the service", hubtest.JSON("AmazonSSM.CreateDocument", `{"Name":"AWS-Mine","DocumentType":"Command","Content":"{}"}`), 400, "ValidationException|InvalidDocumentContent|AccessDeniedException"},
		{"exists", with(document("Command", printing), func(q *hubtest.Request) { q.Body = []byte(strings.Replace(string(q.Body), `"Bad"`, `"Printing"`, 1)) }), 400, "DocumentAlreadyExists"},
		{"run an unknown one", hubtest.JSON("AmazonSSM.StartAutomationExecution", `{"DocumentName":"NoSuch"}`), 400, "AutomationDefinitionNotFoundException"},
		{"run a command document", hubtest.JSON("AmazonSSM.StartAutomationExecution", `{"DocumentName":"Printing"}`), 400, "AutomationDefinitionNotFoundException|InvalidAutomationExecutionParametersException|ValidationException"},
		{"run with a parameter that it has not", hubtest.JSON("AmazonSSM.StartAutomationExecution", `{"DocumentName":"Pausing","Parameters":{"x":["1"]}}`), 400, "InvalidAutomationExecutionParametersException"},
		{"send with a parameter that it has not", hubtest.JSON("AmazonSSM.SendCommand", `{"DocumentName":"Printing","InstanceIds":["{{node}}"],"Parameters":{"x":["1"]}}`), 400, "InvalidParameters"},
		{"send to nobody", hubtest.JSON("AmazonSSM.SendCommand", `{"DocumentName":"Printing","InstanceIds":["mi-00000000000000000"]}`), 400, "InvalidInstanceId"},
		{"send an automation", hubtest.JSON("AmazonSSM.SendCommand", `{"DocumentName":"Pausing","InstanceIds":["{{node}}"]}`), 400, "InvalidDocument"},
		{"signal without its payload", hubtest.JSON("AmazonSSM.SendAutomationSignal", `{"AutomationExecutionId":"{{run}}","SignalType":"Approve"}`), 400, "InvalidAutomationSignalException|AutomationStepNotFoundException"},
		{"signal to nobody", hubtest.JSON("AmazonSSM.SendAutomationSignal", `{"AutomationExecutionId":"00000000-0000-0000-0000-000000000000","SignalType":"Resume"}`), 400, "AutomationExecutionNotFoundException"},
	}
}

// Bad input: each mistake gets its own error, and the store stays as it was.
func TestBadInput(t *testing.T) {
	hubtest.Each(t, nil, func(t *testing.T, h *hubtest.Hub) {
		w := newWorld(t, h)
		for _, cases := range [][]bad{wireCases(), parameterCases(), documentCases()} {
			w.refuse(t, cases)
		}
	})
}

// refuse sends what must be refused and must change nothing.
func (w *world) refuse(t *testing.T, cases []bad) {
	t.Helper()
	fill := strings.NewReplacer("{{node}}", w.node.ID, "{{run}}", w.values["AutomationExecutionId"])
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before := w.store.Snapshot()
			c.q.Body = []byte(fill.Replace(string(c.q.Body)))
			a := w.Send(t, c.q)
			if !regexp.MustCompile("^("+c.code+")$").MatchString(a.Code) || a.Status != c.status {
				t.Errorf("%d %s %.300s, want %d %s", a.Status, a.Code, a.Body, c.status, c.code)
			}
			w.store.Unchanged(t, before, c.name)
		})
	}
}
