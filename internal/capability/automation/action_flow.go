package automation

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/lang/ssmdoc"
)

// maxSleep is the longest aws:sleep.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/automation-action-sleep.html
const maxSleep = 604799 * time.Second

// branch chooses the next step: the first choice that is true, else Default.
func branch(w *work, _ map[string]any) outcome {
	b := w.docStep().Branch
	if b == nil {
		return failedf("the branch has no choices")
	}
	for i := range b.Choices {
		ok, err := b.Choices[i].Rule.Match(w.values().expand)
		if err != nil {
			return failedf("choice %d: %v", i+1, err)
		}
		if ok {
			return outcome{kind: done, next: b.Choices[i].NextStep}
		}
	}
	return outcome{kind: done, next: b.Default}
}

func pause(*work, map[string]any) outcome { return outcome{kind: paused} }

// sleep goes on after Duration, or at Timestamp; a past one is no wait.
func sleep(w *work, in map[string]any) outcome {
	until, err := sleepUntil(in, w.tx.Now)
	switch {
	case err != nil:
		return failedf("%v", err)
	case until.Sub(w.tx.Now) > maxSleep:
		return failedf("a sleep of %s is longer than %d seconds", until.Sub(w.tx.Now), int(maxSleep.Seconds()))
	case !until.After(w.tx.Now):
		return outcome{kind: done}
	}
	return outcome{kind: sleeping, due: until}
}

func sleepUntil(in map[string]any, now time.Time) (time.Time, error) {
	duration, hasDuration := in["Duration"]
	stamp, hasStamp := in["Timestamp"]
	switch {
	case hasDuration == hasStamp:
		return now, errors.New("a sleep needs one of Duration and Timestamp")
	case hasDuration:
		d, err := parseDuration(fmt.Sprint(duration))
		return now.Add(d), err
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04Z07:00"} {
		if t, err := time.Parse(layout, fmt.Sprint(stamp)); err == nil {
			return t.UTC(), nil
		}
	}
	return now, errors.New("the Timestamp is not an ISO 8601 time")
}

var isoDuration = regexp.MustCompile(`^P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$`)

// parseDuration reads an ISO 8601 duration of weeks, days, hours, minutes and
// seconds. Months and years have no fixed length and are refused.
func parseDuration(s string) (time.Duration, error) {
	m := isoDuration.FindStringSubmatch(s)
	if m == nil || s == "P" || strings.HasSuffix(s, "T") {
		return 0, errors.New("the Duration is not an ISO 8601 duration such as PT10M")
	}
	var total float64
	for i, unit := range []float64{7 * 86400, 86400, 3600, 60, 1} {
		if m[i+1] == "" {
			continue
		}
		n, err := strconv.ParseFloat(m[i+1], 64)
		if err != nil {
			return 0, errors.New("the Duration is not an ISO 8601 duration such as PT10M")
		}
		total += n * unit
	}
	if total > 10*365*86400 {
		return 0, errors.New("the Duration is too long")
	}
	return time.Duration(total * float64(time.Second)), nil
}

// updateVariable gives a variable of the runbook a new value of its type.
func updateVariable(w *work, in map[string]any) outcome {
	name := strings.TrimSpace(strings.Trim(fmt.Sprint(in["Name"]), "{} \t"))
	name = strings.TrimPrefix(name, "variable:")
	for _, v := range w.doc.Variables {
		if v.Name != name {
			continue
		}
		value, err := typed(in["Value"], baseType(v.Type))
		if err != nil {
			return failedf("variable %q: %v", name, err)
		}
		w.ex.vault.Variables[name] = value
		return outcome{kind: done}
	}
	return failedf("the runbook has no variable %q", name)
}

func baseType(declared string) string {
	base, _ := ssmdoc.BaseType(declared)
	return base
}

// maxIterations bounds a loop.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/automation-action-loop.html
const maxIterations = 100

// loop decides whether the body runs once more: for each of Iterators, or while
// LoopCondition holds, which is looked at after the body.
func loop(w *work, in map[string]any) outcome {
	f := w.ex.State.loop(w.row.Name)
	ran := 0
	if f != nil {
		ran = f.Iteration
		if f.Broken {
			return outcome{kind: done}
		}
	}
	if condition := w.docStep().LoopCondition; condition != nil {
		return loopWhile(w, in, condition, ran)
	}
	list, ok := in["Iterators"].([]any)
	switch {
	case !ok:
		return failedf("a loop needs Iterators, a list, or LoopCondition")
	case len(list) > maxIterations:
		return failedf("a loop takes at most %d iterators, not %d", maxIterations, len(list))
	case ran >= len(list):
		return outcome{kind: done}
	}
	return w.iteration(ran+1, list[ran])
}

func loopWhile(w *work, in map[string]any, condition *ssmdoc.Rule, ran int) outcome {
	if ran > 0 {
		ok, err := condition.Match(w.values().expand)
		if err != nil {
			return failedf("LoopCondition: %v", err)
		}
		if !ok {
			return outcome{kind: done}
		}
	}
	limit, ok := in["MaxIterations"].(int64)
	if !ok || limit > maxIterations {
		limit = maxIterations
	}
	if ran >= int(limit) {
		return outcome{kind: done}
	}
	return w.iteration(ran+1, nil)
}

func (w *work) iteration(n int, value any) outcome {
	out := map[string]any{"CurrentIterationCount": int64(n)}
	if value != nil {
		out["CurrentIteratorValue"] = value
		w.row.Spec.IteratorValue = texts(value)[0]
	}
	return outcome{kind: iterate, outputs: out}
}
