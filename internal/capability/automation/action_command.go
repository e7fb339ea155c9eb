package automation

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
)

// commandInputs are the inputs of aws:runCommand that SendCommand takes as they are.
var commandInputs = map[string]bool{
	"DocumentName": true, "DocumentVersion": true, "InstanceIds": true, "Targets": true, "Parameters": true, "Comment": true,
	"DocumentHash": true, "DocumentHashType": true, "NotificationConfig": true, "OutputS3BucketName": true, "OutputS3KeyPrefix": true, "OutputS3Region": true,
	"TimeoutSeconds": true, "ServiceRoleArn": true, "MaxConcurrency": true, "MaxErrors": true, "CloudWatchOutputConfig": true,
}

func sendCommand(_ *work, in map[string]any) (*call, error) {
	body := map[string]any{}
	for k, v := range in {
		if !commandInputs[k] {
			return nil, fmt.Errorf("aws:runCommand has no input %s", k)
		}
		body[k] = v
	}
	if _, ok := body["DocumentName"]; !ok {
		return nil, fmt.Errorf("aws:runCommand needs DocumentName")
	}
	if p, ok := body["Parameters"].(map[string]any); ok {
		body["Parameters"] = allTexts(p)
	}
	b, err := marshal(canonical(ssm.Model, "SendCommand", body))
	return &call{service: "ssm", operation: "SendCommand", body: b}, err
}

func commandSent(_ *work, _ map[string]any, body []byte) outcome {
	id := commandID(body)
	if id == "" {
		return failedf("the answer of SendCommand has no CommandId")
	}
	return outcome{kind: away, far: id, outputs: map[string]any{"CommandId": id}}
}

func commandID(body []byte) string {
	var out struct{ Command struct{ CommandId string } }
	if json.Unmarshal(body, &out) != nil {
		return ""
	}
	return out.Command.CommandId
}

func askCommand(w *work, _ map[string]any) (*call, error) {
	b, err := marshal(map[string]any{"CommandId": w.row.Far, "Details": true})
	return &call{service: "ssm", operation: "ListCommandInvocations", body: b, repeatable: true}, err
}

func cancelCommand(far string) *call {
	b, err := marshal(map[string]any{"CommandId": far})
	if err != nil {
		return nil
	}
	return &call{service: "ssm", operation: "CancelCommand", body: b, repeatable: true}
}

// findCommand looks for the command that a lost answer of SendCommand was about.
func findCommand(w *work, in map[string]any) (*call, error) {
	b, err := marshal(map[string]any{"MaxResults": 50, "Filters": []any{
		map[string]any{"key": "InvokedAfter", "value": w.row.Intent.Add(-time.Second).Truncate(time.Second).Format(time.RFC3339)},
		map[string]any{"key": "DocumentName", "value": text(in["DocumentName"])},
	}})
	return &call{service: "ssm", operation: "ListCommands", body: b, repeatable: true}, err
}

var errAmbiguous = errors.New("it cannot be told which command it was")

// commandFound takes the one command that was sent as the step would have sent it
// and that no other step has. The front door said that there is one; with
// several it cannot be told which.
func commandFound(w *work, in map[string]any, body []byte) (outcome, error) {
	var out struct {
		Commands []struct {
			CommandId, Comment string
			InstanceIds        []string
			Targets            any
			Parameters         map[string][]string
		}
	}
	if err := json.Unmarshal(body, &out); err != nil {
		return outcome{}, err
	}
	parameters, _ := in["Parameters"].(map[string]any)
	var ids []string
	for _, c := range out.Commands {
		_, _, _, err := executionOfFar(w.tx, c.CommandId)
		if errors.Is(err, sql.ErrNoRows) && c.Comment == text(in["Comment"]) && sameTexts(c.Parameters, allTexts(parameters)) &&
			slices.Equal(c.InstanceIds, listTexts(in["InstanceIds"])) && slices.Equal(listTexts(c.Targets), listTexts(in["Targets"])) {
			ids = append(ids, c.CommandId)
		}
	}
	if len(ids) != 1 {
		return outcome{}, errAmbiguous
	}
	return outcome{kind: away, far: ids[0], outputs: map[string]any{"CommandId": ids[0]}}, nil
}

func listTexts(v any) []string {
	if v == nil {
		return nil
	}
	return texts(v)
}

// sameTexts compares parameters; no value and none given are the same.
func sameTexts(a, b map[string][]string) bool {
	return len(a) == len(b) && maps.EqualFunc(a, b, slices.Equal)
}

// invocation is what aws:runCommand reads of a CommandInvocation.
type invocation struct {
	InstanceId     string
	Status         string
	StatusDetails  string
	CommandPlugins []struct {
		Name         string
		Output       string
		ResponseCode *int64
	}
}

func (i *invocation) over() bool {
	switch i.Status {
	case "Pending", "InProgress", "Delayed", "Cancelling":
		return false
	}
	return true
}

// commandAnswer reads the invocations: the step goes on when all are over.
// Assumption: Status is the first that is not Success; Output and ResponseCode are
// those of the invocation with that status.
func commandAnswer(w *work, _ map[string]any, body []byte) outcome {
	var out struct{ CommandInvocations []invocation }
	if err := json.Unmarshal(body, &out); err != nil {
		return failedf("the answer of ListCommandInvocations: %v", err)
	}
	if len(out.CommandInvocations) == 0 {
		return outcome{kind: again}
	}
	worst := &out.CommandInvocations[0]
	for i := range out.CommandInvocations {
		inv := &out.CommandInvocations[i]
		if !inv.over() {
			return outcome{kind: again}
		}
		if worst.Status == success && inv.Status != success {
			worst = inv
		}
	}
	return commandOutcome(w.row.Far, worst)
}

func commandOutcome(id string, inv *invocation) outcome {
	text, code := inv.result()
	o := outcome{
		kind: done, code: fmt.Sprint(code), response: text,
		outputs: map[string]any{"CommandId": id, "Status": inv.Status, "ResponseCode": code, "Output": text},
	}
	if inv.Status == success {
		return o
	}
	o.kind, o.reason = failure, "CommandFailed"
	o.message = fmt.Sprintf("command %s on %s ended as %s (%s) with response code %d", id, inv.InstanceId, inv.Status, inv.StatusDetails, code)
	return o
}

// result joins the outputs of the plugins; the code is the first that is not 0.
func (i *invocation) result() (text string, code int64) {
	var parts []string
	for _, p := range i.CommandPlugins {
		if p.Output != "" {
			parts = append(parts, p.Output)
		}
		if p.ResponseCode != nil && code == 0 {
			code = *p.ResponseCode
		}
	}
	return strings.Join(parts, "\n"), code
}
