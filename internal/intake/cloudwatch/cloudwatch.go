// Package cloudwatch reads the state changes of CloudWatch alarms as SNS delivers
// them over HTTP, in its envelope or raw, and as EventBridge does.
//
// Sources: the SNS developer guide, "HTTP/HTTPS notification JSON format"; the
// CloudWatch user guide, "Alarm events and EventBridge".
package cloudwatch

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"time"

	"github.com/watchbill/watchbill/internal/capability/alarm"
	"github.com/watchbill/watchbill/internal/intake/payload"
)

// Kind is the name of this kind of integration.
const Kind = "cloudwatch"

// layouts are the forms of times: 2026-07-01T12:00:00.000+0000 and RFC 3339.
var layouts = []string{"2006-01-02T15:04:05.999999999Z0700", time.RFC3339Nano}

// Delivery is what one request says: of an alarm or of the subscription.
type Delivery struct {
	Signal       *alarm.Signal
	Subscription *Subscription
}

// Subscription is what SNS says of the subscription itself.
type Subscription struct {
	Topic      string // ARN
	Ended      bool   // it was taken off
	ConfirmURL string // to be fetched to confirm; it holds a token, so it is not to be logged
}

// Parse reads the body of a request. An error says which member is wrong.
func Parse(body []byte) (Delivery, error) {
	o, err := payload.Parse(body)
	if err != nil {
		return Delivery{}, err
	}
	kind := o.OneOf("Type", "Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation")
	if o.Err() != nil {
		return Delivery{}, o.Err()
	}
	switch kind {
	case "":
		return event(o)
	case "Notification":
		return notification(o)
	}
	s := &Subscription{Topic: o.Text("TopicArn"), Ended: kind == "UnsubscribeConfirmation", ConfirmURL: o.Text("SubscribeURL")}
	return Delivery{Subscription: s}, o.Err()
}

func notification(o *payload.Object) (Delivery, error) {
	topic, message := o.Text("TopicArn"), o.Text("Message")
	if err := o.Err(); err != nil {
		return Delivery{}, err
	}
	inner, err := payload.Parse([]byte(message))
	if err != nil {
		return Delivery{}, fmt.Errorf("in Message: %w", err)
	}
	d, err := event(inner)
	if err != nil {
		return d, fmt.Errorf("in Message: %w", err)
	}
	if topic != "" {
		d.Signal.Labels["topic"] = topic
	}
	return d, nil
}

// event reads what changed, in either of its shapes.
func event(o *payload.Object) (Delivery, error) {
	var s *alarm.Signal
	switch {
	case o.Has("detail-type"):
		s = fromEventBridge(o)
	case o.Has("AlarmName"):
		s = fromSNS(o)
	default:
		return Delivery{}, errors.New("this is neither a CloudWatch alarm nor an SNS message: there is no Type, AlarmName or detail-type")
	}
	if err := o.Err(); err != nil {
		return Delivery{}, err
	}
	for k, v := range s.Labels {
		if v == "" {
			delete(s.Labels, k)
		}
	}
	return Delivery{Signal: s}, nil
}

func fromSNS(o *payload.Object) *alarm.Signal {
	s := &alarm.Signal{
		Source: Kind, Summary: o.Text("AlarmName"), ARN: o.Text("AlarmArn"),
		Description: o.Text("AlarmDescription"), Annotations: map[string]string{"reason": o.Text("NewStateReason")},
		Labels: map[string]string{"account": o.Text("AWSAccountId"), "region": o.Text("Region")},
	}
	if t := o.Object("Trigger"); t != nil {
		metric(t, "Namespace", "MetricName", s.Labels)
		for _, d := range t.Objects("Dimensions") {
			s.Labels["dimension_"+d.Text("name")] = d.Text("value")
		}
	}
	if s.Summary == "" {
		o.Fail("AlarmName", "is missing")
	}
	finish(s, o, "NewStateValue", o.Time("StateChangeTime", layouts...))
	return s
}

func fromEventBridge(o *payload.Object) *alarm.Signal {
	o.OneOf("detail-type", "CloudWatch Alarm State Change")
	s := &alarm.Signal{
		Source: Kind, Annotations: map[string]string{},
		Labels: map[string]string{"account": o.Text("account"), "region": o.Text("region")},
	}
	detail := o.Object("detail")
	if detail == nil {
		o.Fail("detail", "is missing")
		return s
	}
	s.Summary, s.ARN = detail.Text("alarmName"), o.First("resources")
	if s.Summary == "" {
		detail.Fail("alarmName", "is missing")
	}
	state := detail.Object("state")
	if state == nil {
		detail.Fail("state", "is missing")
		return s
	}
	s.Annotations["reason"] = state.Text("reason")
	if c := detail.Object("configuration"); c != nil {
		s.Description = c.Text("description")
		configuration(c, s.Labels)
	}
	at := state.Time("timestamp", layouts...)
	if at.IsZero() {
		at = o.Time("time", layouts...)
	}
	finish(s, state, "value", at)
	return s
}

// configuration reads the first metric that is not an expression.
func configuration(c *payload.Object, labels map[string]string) {
	for _, m := range c.Objects("metrics") {
		stat := m.Object("metricStat")
		if stat == nil {
			continue
		}
		if of := stat.Object("metric"); of != nil {
			metric(of, "namespace", "name", labels)
			for k, v := range of.Texts("dimensions") {
				labels["dimension_"+k] = v
			}
		}
		return
	}
}

func metric(o *payload.Object, namespace, name string, labels map[string]string) {
	labels["namespace"], labels["metric"] = o.Text(namespace), o.Text(name)
}

// finish reads the new state, which began at a time, and names the alarm.
func finish(s *alarm.Signal, o *payload.Object, member string, at time.Time) {
	s.State = alarm.State(o.OneOf(member, "ALARM", "OK", "INSUFFICIENT_DATA"))
	switch s.State {
	case alarm.Alarm:
		s.StartsAt = at
	case alarm.OK:
		s.EndsAt = at
	case "":
		o.Fail(member, "is missing")
	}
	s.Labels["alarm_name"] = s.Summary
	s.Key = s.ARN
	if s.Key == "" {
		s.Key = s.Labels["account"] + ":" + s.Labels["region"] + ":" + s.Summary
	}
}

var snsHost = regexp.MustCompile(`^sns\.[a-z]{2}(-[a-z]+)+-[0-9]+\.amazonaws\.com$`)

// Confirmable says that a URL is one of SNS itself, so that fetching it can do
// nothing but confirm.
func Confirmable(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "https" && u.User == nil && snsHost.MatchString(u.Host) && (u.Path == "/" || u.Path == "") &&
		u.Query().Get("Action") == "ConfirmSubscription"
}
