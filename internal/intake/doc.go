// Package intake takes alarms in over HTTP: from Prometheus Alertmanager and from
// CloudWatch, each sender with a key of its own, as DIR/intake.yaml says. It puts
// them into the register (package alarm) and starts what the rules say: an
// incident by a response plan, an OpsItem, or nothing. An alarm that no rule knows
// opens an OpsItem that nobody owns.
//
// Invariants: an answer of 2xx means that the whole delivery is durable; all
// alarms of one delivery are taken in one transaction; no alarm is dropped because
// of what it leads to: when a response plan cannot be started the alarm opens an
// OpsItem that says why; which keys exist cannot be told from the answers.
//
// Facts: intake.subscription (SNS subscribed or unsubscribed a topic, and whether
// the hub confirmed), besides those of package alarm.
package intake
