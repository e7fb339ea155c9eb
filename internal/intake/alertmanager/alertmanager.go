// Package alertmanager reads the webhook of Prometheus Alertmanager, version 4 of
// its payload.
//
// Source: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
package alertmanager

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/watchbill/watchbill/internal/capability/alarm"
	"github.com/watchbill/watchbill/internal/intake/payload"
)

// Kind is the name of this kind of integration.
const Kind = "alertmanager"

// Delivery is what one request says.
type Delivery struct {
	Signals []alarm.Signal
	Cut     int64 // alerts that the sender left out because of its max_alerts
}

// Parse reads the body of a request. An error says which member is wrong.
func Parse(body []byte) (Delivery, error) {
	o, err := payload.Parse(body)
	if err != nil {
		return Delivery{}, err
	}
	o.OneOf("version", "4")
	g := group{
		status: o.OneOf("status", "firing", "resolved"),
		labels: o.Texts("commonLabels"), annotations: o.Texts("commonAnnotations"), url: o.Text("externalURL"),
	}
	d := Delivery{Cut: o.Int("truncatedAlerts")}
	if !o.Has("alerts") {
		o.Fail("alerts", "is missing")
	}
	for _, a := range o.Objects("alerts") {
		d.Signals = append(d.Signals, g.signal(a))
	}
	return d, o.Err()
}

// group is what the alerts of a delivery share, for members that they lack.
type group struct {
	status      string
	labels      map[string]string
	annotations map[string]string
	url         string
}

func (g group) signal(a *payload.Object) alarm.Signal {
	status := cmp.Or(a.OneOf("status", "firing", "resolved"), g.status)
	if status == "" {
		a.Fail("status", "is missing")
	}
	labels := filled(a.Texts("labels"), g.labels)
	annotations := filled(a.Texts("annotations"), g.annotations)
	s := alarm.Signal{
		Source: Kind, Key: cmp.Or(a.Text("fingerprint"), fingerprint(labels)), State: alarm.Alarm,
		Summary:     cmp.Or(annotations["summary"], annotations["title"], labels["alertname"], "alarm without a name"),
		Description: cmp.Or(annotations["description"], annotations["message"]),
		StartsAt:    a.Time("startsAt", time.RFC3339Nano), EndsAt: a.Time("endsAt", time.RFC3339Nano),
		Labels: labels, Annotations: annotations, URL: cmp.Or(a.Text("generatorURL"), g.url),
	}
	if status == "resolved" {
		s.State = alarm.OK
	}
	if s.Key == "" {
		a.Fail("", "has neither a fingerprint nor labels: nothing tells it from others")
	}
	return s
}

// filled is own, or what the group shares when an alert has none of its own.
func filled(own, shared map[string]string) map[string]string {
	if own != nil {
		return own
	}
	return maps.Clone(shared)
}

// fingerprint names an alert by its labels, as Alertmanager does in its own way;
// "" without labels.
func fingerprint(labels map[string]string) string {
	if len(labels) == 0 {
		return ""
	}
	h := sha256.New()
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		h.Write([]byte(strconv.Quote(k) + "=" + strconv.Quote(labels[k]) + ","))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
