package automation

import "github.com/watchbill/watchbill/internal/platform/journal"

// Fact is the body of the facts about an execution. Step members are those of
// the step that a fact is about.
type Fact struct {
	ExecutionID     string
	DocumentName    string
	DocumentVersion string
	DocumentHash    string
	Status          string
	FailureMessage  string   `json:",omitzero"`
	StartedBy       string   `json:",omitzero"`
	Incident        string   `json:",omitzero"` // ARN of the incident it was started for
	StepName        string   `json:",omitzero"`
	StepExecutionID string   `json:",omitzero"`
	StepAction      string   `json:",omitzero"`
	StepStatus      string   `json:",omitzero"`
	Attempt         int      `json:",omitzero"`
	Message         string   `json:",omitzero"`
	Approver        string   `json:",omitzero"` // ARN
	Approvers       []string `json:",omitzero"`
	Required        int      `json:",omitzero"` // approvals needed
	Given           int      `json:",omitzero"` // approvals so far
	Signal          string   `json:",omitzero"`
}

func (w *work) fact() Fact {
	f := Fact{
		ExecutionID: w.ex.ID, DocumentName: w.ex.Document, DocumentVersion: w.ex.Version, DocumentHash: w.ex.Hash,
		Status: w.ex.State.Status, StartedBy: w.ex.StartedBy, Incident: w.ex.Spec.Incident,
	}
	if w.ex.State.ended() {
		f.FailureMessage = w.ex.State.Message
	}
	return f
}

func (w *work) stepFact(p *step) Fact {
	f := w.fact()
	f.StepName, f.StepExecutionID, f.StepAction, f.StepStatus, f.Attempt = p.Name, p.ID, p.Action, p.Status, p.Attempt
	f.Message = p.Spec.Message
	return f
}

func (w *work) record(kind string, f Fact) error {
	fact := journal.Fact{Kind: kind, Subject: ARN(w.tx.Scope, w.ex.ID), Body: f}
	if w.ex.Spec.Incident != "" {
		fact.Related = append(fact.Related, w.ex.Spec.Incident)
	}
	return w.s.Journal.Record(w.tx, fact)
}
