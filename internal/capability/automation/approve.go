package automation

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/platform/identity"
)

// The words of ApprovalStatus and of an approver's decision.
const (
	approved = "Approved"
	rejected = "Rejected"
)

// maxApprovalTime is the longest that an aws:approve may wait.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/automation-action-approve.html
const maxApprovalTime = 30 * 24 * time.Hour

// approve asks the approvers. They answer by SendAutomationSignal.
func approve(w *work, in map[string]any) outcome {
	ask, err := approvalOf(in)
	if err != nil {
		return failedf("%v", err)
	}
	if w.plan.find(w.row.Name).Timeout > maxApprovalTime {
		return failedf("an approval can wait for 30 days at most")
	}
	f := w.stepFact(w.row)
	f.Approvers, f.Required, f.Message = ask.approvers, ask.required, ask.message
	return outcome{
		kind: paused, asked: &f,
		outputs: map[string]any{"ApprovalStatus": waiting, "ApproverDecisions": []any{}},
	}
}

// question is what an aws:approve step asks.
type question struct {
	approvers []string
	required  int
	message   string
}

func approvalOf(in map[string]any) (question, error) {
	q := question{required: 1, message: text(in["Message"])}
	list, ok := in["Approvers"].([]any)
	if !ok || len(list) == 0 {
		return q, errors.New("aws:approve needs Approvers, a list")
	}
	for _, a := range list {
		q.approvers = append(q.approvers, text(a))
	}
	if len(q.approvers) > 10 {
		return q, fmt.Errorf("aws:approve takes at most 10 Approvers, not %d", len(q.approvers))
	}
	switch n := whole(in["MinRequiredApprovals"]).(type) {
	case nil:
	case int64:
		q.required = int(n)
	default:
		return q, errors.New("MinRequiredApprovals is no Integer")
	}
	if q.required < 1 || q.required > len(q.approvers) {
		return q, fmt.Errorf("MinRequiredApprovals is %d, but there are %d Approvers", q.required, len(q.approvers))
	}
	return q, nil
}

// decide takes one person's approval or rejection of the waiting step.
func (w *work) decide(c identity.Caller, decision, comment string) error {
	p := w.row
	if p == nil || p.Action != "aws:approve" || p.Status != waiting {
		return &refusal{"no step waits for an approval"}
	}
	v, err := w.s.opened(w.tx, p)
	if err != nil {
		return err
	}
	q, err := approvalOf(v.Inputs)
	if err != nil {
		return err
	}
	given, err := approvals(w.tx, p.ID)
	if err != nil {
		return err
	}
	if err := w.mayDecide(c, q, given); err != nil {
		return err
	}
	a := approval{ARN: c.ARN, Human: c.Human, Decision: decision, Comment: comment, At: w.tx.Now}
	if err := insertApproval(w.tx, p.ID, len(given), a); err != nil {
		return err
	}
	return w.decided(q, append(given, a))
}

// mayDecide refuses who is not an approver, runbooks, machines, who started the execution,
// and who has decided already. People count, not keys.
func (w *work) mayDecide(c identity.Caller, q question, given []approval) error {
	switch {
	case !slices.ContainsFunc(q.approvers, func(a string) bool { return names(a, c) }):
		return &refusal{"the caller is not one of the approvers"}
	case c.Via != "":
		return &refusal{"a runbook cannot approve or reject"}
	case c.Human == "":
		return &refusal{"only a person can approve or reject"}
	case c.Human == w.ex.Human:
		return &refusal{"who started the execution cannot approve or reject it"}
	case slices.ContainsFunc(given, func(a approval) bool { return a.Human == c.Human }):
		return &refusal{"the caller has already decided"}
	}
	return nil
}

// principal is the ARN without the session of an assumed role, which any name
// can be given to.
func principal(arn string) string {
	if head, rest, ok := strings.Cut(arn, ":assumed-role/"); ok {
		role, _, _ := strings.Cut(rest, "/")
		return head + ":assumed-role/" + role
	}
	return arn
}

// names says whether an entry of Approvers means the caller: a user name, or the
// ARN of a user, of a role, or of an assumed role.
func names(approver string, c identity.Caller) bool {
	if !strings.HasPrefix(approver, "arn:") {
		return c.Kind == identity.User && c.Name() == approver
	}
	if approver == c.ARN || principal(c.ARN) == approver {
		return true
	}
	account, role, ok := strings.Cut(approver, ":role/")
	if !ok || c.Kind != identity.Role {
		return false
	}
	_, accountID, _ := strings.Cut(account, "::")
	return c.Account == accountID && c.Name() == role[strings.LastIndexByte(role, '/')+1:]
}

// decided records the decisions so far and ends the step when they suffice: one
// rejection ends it as failed.
func (w *work) decided(q question, all []approval) error {
	p, last := w.row, all[len(all)-1]
	v, err := w.s.opened(w.tx, p)
	if err != nil {
		return err
	}
	list := []any{}
	for _, a := range all {
		list = append(list, map[string]any{"Approver": a.ARN, "Decision": a.Decision, "Comment": a.Comment, "Timestamp": a.At.Format(time.RFC3339)})
	}
	status := waiting
	switch {
	case last.Decision == rejected:
		status = rejected
	case len(all) >= q.required:
		status = approved
	}
	v.Outputs = map[string]any{"ApprovalStatus": status, "ApproverDecisions": list}
	f := w.stepFact(p)
	f.Approver, f.Required, f.Given, f.Message = last.ARN, q.required, len(all), last.Comment
	if err := w.record(map[string]string{approved: "automation.approved", rejected: "automation.rejected"}[last.Decision], f); err != nil {
		return err
	}
	switch status {
	case approved:
		return w.settle(outcome{kind: done, outputs: v.Outputs})
	case rejected:
		return w.settle(outcome{kind: failure, final: true, reason: rejected, message: "rejected by " + last.ARN, outputs: v.Outputs})
	}
	return w.s.updateStep(w.tx, p)
}
