package agent

import (
	"bytes"
	"encoding/json"
	"runtime"
	"time"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/agent/ledger"
	"github.com/watchbill/watchbill/internal/agent/runner"
	"github.com/watchbill/watchbill/internal/wire/mgs"

	"github.com/google/uuid"
)

// newReply makes a reply of a job: its state and the results of steps.
func newReply(jobID string, status runner.Status, trace string, results ...runner.Result) ledger.Reply {
	content := mgs.ReplyContent{
		AdditionalInfo: mgs.AdditionalInfo{
			Agent:               mgs.AgentInfo{Lang: "en-US", Name: mgs.OwnAgent, OS: runtime.GOOS, OSVer: "1", Version: Version},
			DateTime:            mgs.FormatTime(time.Now()),
			RuntimeStatusCounts: map[string]int{},
		},
		DocumentStatus:      string(status),
		DocumentTraceOutput: trace,
		RuntimeStatus:       map[string]mgs.StepStatus{},
	}
	for _, r := range results {
		content.AdditionalInfo.RuntimeStatusCounts[string(r.Status)]++
		content.RuntimeStatus[r.Name] = stepStatus(r)
	}
	return ledger.Reply{ID: uuid.NewString(), JobID: jobID, Content: bounded(content), Created: time.Now().UTC()}
}

func stepStatus(r runner.Result) mgs.StepStatus {
	return mgs.StepStatus{
		Status: string(r.Status), Code: r.Code, Name: r.Action, StepName: stepName(r),
		Output:        output(r.Stdout, r.Stderr),
		StartDateTime: mgs.FormatTime(r.Start), EndDateTime: mgs.FormatTime(r.End),
		StandardOutput: r.Stdout, StandardError: r.Stderr, Signal: r.Signal,
	}
}

// stepName is empty in schema 1.2, where a step is known by its plug-in.
func stepName(r runner.Result) string {
	if r.Name == r.Action {
		return ""
	}
	return r.Name
}

// bounded writes the content within the size that a reply may have: text that
// grows in JSON is cut further than its count of characters asks.
func bounded(content mgs.ReplyContent) string {
	text := plainJSON(content)
	for limit := mgs.MaxStepText / 2; len(text) > mgs.MaxReplyContent && limit > 0; limit /= 2 {
		for name, s := range content.RuntimeStatus {
			s.StandardOutput, s.StandardError = cut(s.StandardOutput, limit), cut(s.StandardError, limit)
			content.RuntimeStatus[name] = s
		}
		text = plainJSON(content)
	}
	return text
}

// plainJSON is JSON without the escapes that only HTML needs.
func plainJSON(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // strings, numbers and maps of them always encode
	}
	return string(bytes.TrimSpace(b.Bytes()))
}

// The marks of a cut text in StepStatus.Output, as the stock agent has them.
const (
	errorTitle   = "\n----------ERROR-------\n"
	cutMark      = "\n--output truncated--"
	outputCutoff = "\n---Output truncated---"
	errorCutoff  = "\n---Error truncated----"
)

func cut(s string, limit int) string { return cutWith(s, limit, cutMark) }

func cutWith(s string, limit int, mark string) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:max(limit-len(mark), 0)]) + mark
}

// output joins both streams within mgs.MaxStepOutput characters. When both
// are long each gets half.
func output(stdout, stderr string) string {
	if stderr == "" {
		return cutWith(stdout, mgs.MaxStepOutput, outputCutoff)
	}
	room := mgs.MaxStepOutput - len(errorTitle)
	nout, nerr := utf8.RuneCountInString(stdout), utf8.RuneCountInString(stderr)
	forErr := min(nerr, max(room/2, room-nout))
	return cutWith(stdout, room-forErr, outputCutoff) + errorTitle + cutWith(stderr, forErr, errorCutoff)
}
