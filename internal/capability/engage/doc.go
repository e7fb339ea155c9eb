// Package engage calls people: it runs escalation plans and personal plans
// stage by stage, sends pages over channels and takes acknowledgements.
//
// An engagement is a pure machine (machine.go) over the plans of contacts; its
// state is a row, its next deadline a task, so waiting is never a goroutine.
// A page is an intent: the row commits with the transition that wants it, a
// task hands it to its channel with the page's own id as the key, and the
// receipt commits afterwards. A kill between the two repeats the delivery of
// that page at most once, with the same id.
//
// Accept codes and the tokens of acknowledge links are derived from the page's
// id with a key that is kept outside the database, so nothing that would open
// a page is at rest in it.
//
// Facts: engagement.started, engagement.escalated (a stage began),
// engagement.stage_skipped, engagement.resolved (with its outcome), page.created,
// page.sent, page.delivered, page.failed, page.acknowledged. Their body is Fact;
// engagement, incident and contact are among the related. Tasks: engage.stage (the
// next deadline of an engagement), engage.page (one page to be handed over).
package engage
