package automation

import (
	"fmt"
	"time"

	"github.com/watchbill/watchbill/internal/lang/ssmdoc"
)

// action is what a step can do. One that decides in the transaction has only
// decide. One that calls an operation has call and answer; when what it started
// goes on elsewhere, also collect and collected, which ask for its end, and
// interrupt, which stops it.
type action struct {
	timeout   time.Duration // default of timeoutSeconds
	decide    func(w *work, in map[string]any) outcome
	call      func(w *work, in map[string]any) (*call, error)
	answer    func(w *work, in map[string]any, body []byte) outcome
	collect   func(w *work, in map[string]any) (*call, error)
	collected func(w *work, in map[string]any, body []byte) outcome
	interrupt func(far string) *call
	find      func(w *work, in map[string]any) (*call, error) // looks for what a call started whose answer is lost
	found     func(w *work, in map[string]any, body []byte) (outcome, error)
	raw       []string // inputs whose references the action resolves itself
}

// call is one request to an operation through the front door.
type call struct {
	id                 string // invocation id, "" for one that only reads
	service, operation string
	body               []byte
	repeatable         bool  // making it twice does no harm
	repeated           bool  // it may have been made before
	lookup             *call // finds what it started when its answer is lost, nil when nothing can
	looked             bool  // the body is the answer of lookup
}

// outcome is what an attempt of a step came to.
type outcome struct {
	kind     outcomeKind
	outputs  map[string]any
	response string
	code     string // ResponseCode
	message  string
	reason   string // FailureDetails.FailureType
	next     string // succeeded: where a branch leads
	final    bool   // failed: another attempt is of no use
	due      time.Time
	far      string
	asked    *Fact // paused: the approval that is asked for
}

type outcomeKind int

const (
	failure  outcomeKind = iota // the zero outcome is a failure
	done                        // the step succeeded
	paused                      // the step waits for a person
	sleeping                    // the step goes on at due
	away                        // what it started goes on elsewhere, under far
	again                       // ask again later
	iterate                     // a loop runs its body once more
)

func failedf(format string, args ...any) outcome {
	return outcome{message: fmt.Sprintf(format, args...), reason: "Verification"}
}

// actions are those a step may name. An action that AWS has and Watchbill has
// not fails when its step runs, naming itself.
var actions = map[string]action{}

func init() {
	actions["aws:approve"] = action{timeout: 7 * 24 * time.Hour, decide: approve}
	actions["aws:assertAwsResourceProperty"] = action{timeout: apiTime, call: apiCall, answer: assertProperty}
	actions["aws:branch"] = action{decide: branch, raw: []string{"Choices"}}
	actions["aws:executeAutomation"] = action{call: startChild, answer: childStarted, collect: askChild, collected: childAnswer, interrupt: stopChild}
	actions["aws:executeAwsApi"] = action{timeout: apiTime, call: apiCall, answer: apiAnswer}
	actions["aws:loop"] = action{decide: loop, raw: []string{"LoopCondition"}}
	actions["aws:pause"] = action{decide: pause}
	actions["aws:runCommand"] = action{call: sendCommand, answer: commandSent, collect: askCommand, collected: commandAnswer, interrupt: cancelCommand, find: findCommand, found: commandFound}
	actions["aws:sleep"] = action{decide: sleep}
	actions["aws:updateVariable"] = action{decide: updateVariable, raw: []string{"Name"}}
	actions["aws:waitForAwsResourceProperty"] = action{timeout: time.Hour, call: apiCall, answer: waitForProperty, collect: apiCall, collected: waitForProperty}
}

// inputs resolves the inputs of the running step, once for an attempt: a
// repetition after a crash uses what was resolved first.
func (w *work) inputs(act action) (map[string]any, error) {
	v, err := w.s.opened(w.tx, w.row)
	if err != nil || v.Inputs != nil {
		return v.Inputs, err
	}
	out := map[string]any{}
	given := w.docStep().Inputs
	if given != nil {
		for _, f := range given.Fields {
			if f.Key == "Steps" && w.row.Action == "aws:loop" {
				continue
			}
			value := f.Value.Any()
			if !contains(act.raw, f.Key) {
				if value, err = w.values().expand(value); err != nil {
					return nil, fmt.Errorf("input %s: %w", f.Key, err)
				}
			}
			out[f.Key] = value
		}
	}
	v.Inputs = out
	return out, nil
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func (w *work) docStep() *ssmdoc.Step { return docStep(w.doc.MainSteps, w.row.Name) }
