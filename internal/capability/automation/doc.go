// Package automation runs runbooks (documents of type Automation, schema 0.3)
// durably: it owns the operations on automation executions, their steps and
// their signals, and the actions that a step may name.
//
// It leaves the reading of documents to lang/ssmdoc, their storage to
// capability/document, and everything a step does to other services to the
// front door: a step calls an operation through wire.Caller as the runbook's
// role, so validation, authorization and audit are those of a call from outside.
//
// Invariants. A wait is a row and a due task, never a goroutine: an execution
// goes on after a restart wherever it stood. Each change of a step is one
// transaction with its journal facts. A call that changes something is an
// intent (committed), then the call under an invocation id made of the step and
// the attempt, then its answer; a call whose answer was lost is repeated under
// the same id while the front door remembers it, and after that the step waits
// as Unknown for a person. What steps read and wrote is sealed at rest.
//
// Facts recorded (subject: the ARN of the execution): automation.started,
// automation.step.started, automation.step.finished, automation.step.unknown,
// automation.approval.requested, automation.approved, automation.rejected,
// automation.signalled, automation.stopping, automation.finished. Fact heard:
// command.finished.
//
// Tasks owned: automation.run (one attempt of a step), automation.collect (asks
// for the end of what a step started), automation.timer (a step's deadline),
// automation.wake (the end of a sleep), automation.interrupt (stops what a
// step started), automation.unwind (the two minutes of a cancel path).
package automation
