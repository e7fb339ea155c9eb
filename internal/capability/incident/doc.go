// Package incident turns signals into incidents and keeps their records: the
// replication set that switches the service on, response plans, incident
// records with timeline and related items, and what an alarm leads to.
//
// An incident starts in one transaction: record, parent OpsItem, engagements,
// runbook and first timeline events are there together or not at all. What
// happens afterwards (pages, answers, runbook steps) comes up through the
// journal and is appended to the timeline, each fact once.
//
// Of two starts that fold into each other only one makes an incident: without
// an open incident to fold into, a start takes the lock of the account's
// replication set and looks again.
//
// Incidents have no region; their rows have region "". What they start runs in
// the region of the call that started them.
//
// Facts: incident.set_created, incident.set_updated, incident.set_deleted,
// incident.plan_created, incident.plan_updated, incident.plan_deleted,
// incident.started, incident.folded, incident.updated, incident.resolved,
// incident.reopened, incident.deleted, incident.event_created,
// incident.event_updated, incident.event_deleted, incident.item_added,
// incident.item_removed, incident.policy_put, incident.policy_deleted, incident.tagged,
// incident.untagged. Facts
// heard: engagement.*, page.*, automation.*.
package incident
