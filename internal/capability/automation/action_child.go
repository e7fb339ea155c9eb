package automation

import (
	"encoding/json"
	"fmt"

	"github.com/watchbill/watchbill/internal/api/ssm"
)

// startChild is aws:executeAutomation: another runbook, started through the
// front door and waited for.
func startChild(w *work, in map[string]any) (*call, error) {
	body := map[string]any{}
	for k, v := range in {
		switch k {
		case "RuntimeParameters":
			p, ok := v.(map[string]any)
			if !ok {
				return nil, fmt.Errorf("RuntimeParameters is no map")
			}
			body["Parameters"] = allTexts(p)
		case "DocumentName", "DocumentVersion", "Tags":
			body[k] = v
		default:
			return nil, fmt.Errorf("aws:executeAutomation has no input %s here", k)
		}
	}
	body["ClientToken"] = w.invocationID() // the same child however often it is asked for
	b, err := marshal(canonical(ssm.Model, "StartAutomationExecution", body))
	return &call{service: "ssm", operation: "StartAutomationExecution", body: b, repeatable: true}, err
}

func childStarted(_ *work, _ map[string]any, body []byte) outcome {
	var out struct{ AutomationExecutionId string }
	if err := json.Unmarshal(body, &out); err != nil || out.AutomationExecutionId == "" {
		return failedf("the answer of StartAutomationExecution has no AutomationExecutionId")
	}
	return outcome{kind: away, far: out.AutomationExecutionId, outputs: map[string]any{"ExecutionId": out.AutomationExecutionId}}
}

func askChild(w *work, _ map[string]any) (*call, error) {
	b, err := marshal(map[string]any{"AutomationExecutionId": w.row.Far})
	return &call{service: "ssm", operation: "GetAutomationExecution", body: b, repeatable: true}, err
}

func stopChild(far string) *call {
	b, err := marshal(map[string]any{"AutomationExecutionId": far})
	if err != nil {
		return nil
	}
	return &call{service: "ssm", operation: "StopAutomationExecution", body: b, repeatable: true}
}

func childAnswer(w *work, _ map[string]any, body []byte) outcome {
	var out struct {
		AutomationExecution struct {
			AutomationExecutionStatus string
			FailureMessage            string
			Outputs                   map[string][]string
		}
	}
	if err := json.Unmarshal(body, &out); err != nil {
		return failedf("the answer of GetAutomationExecution: %v", err)
	}
	e := out.AutomationExecution
	if s := (state{Status: e.AutomationExecutionStatus}); !s.ended() {
		return outcome{kind: again}
	}
	list := []any{}
	for _, k := range sorted(e.Outputs) {
		for _, v := range e.Outputs[k] {
			list = append(list, v)
		}
	}
	o := outcome{kind: done, outputs: map[string]any{"ExecutionId": w.row.Far, "Status": e.AutomationExecutionStatus, "Output": list}}
	if e.AutomationExecutionStatus != success {
		o.kind, o.reason = failure, "AutomationFailed"
		o.message = fmt.Sprintf("execution %s ended as %s: %s", w.row.Far, e.AutomationExecutionStatus, e.FailureMessage)
	}
	return o
}
