package alertmanager_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/capability/alarm"
	"github.com/watchbill/watchbill/internal/intake/alertmanager"
)

func parseFile(t *testing.T, name string) alertmanager.Delivery {
	t.Helper()
	body, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	d, err := alertmanager.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestMixedGroup(t *testing.T) {
	labels := func(instance string) map[string]string {
		return map[string]string{"alertname": "InstanceDown", "instance": instance, "job": "node", "severity": "page", "team": "storage"}
	}
	const graph = "http://prometheus.example:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1"
	want := alertmanager.Delivery{Signals: []alarm.Signal{
		{
			Source: "alertmanager", Key: "c2d1f6a0b3e49587", State: alarm.Alarm, Summary: "10.0.3.7:9100 is down",
			Description: "No scrape has succeeded for 5 minutes.", StartsAt: time.Date(2026, 7, 1, 12, 4, 35, 261e6, time.UTC),
			Labels: labels("10.0.3.7:9100"), URL: graph, Annotations: map[string]string{
				"summary": "10.0.3.7:9100 is down", "description": "No scrape has succeeded for 5 minutes.",
				"runbook_url": "https://runbooks.example/instance-down",
			},
		},
		{
			Source: "alertmanager", Key: "0f1e2d3c4b5a6978", State: alarm.OK, Summary: "10.0.3.8:9100 is down",
			StartsAt: time.Date(2026, 7, 1, 11, 50, 5, 261e6, time.UTC), EndsAt: time.Date(2026, 7, 1, 12, 3, 5, 261e6, time.UTC),
			Labels: labels("10.0.3.8:9100"), URL: graph, Annotations: map[string]string{"summary": "10.0.3.8:9100 is down"},
		},
	}}
	if diff := cmp.Diff(want, parseFile(t, "mixed.json")); diff != "" {
		t.Fatal(diff)
	}
}

func TestMissingMembersComeFromTheGroup(t *testing.T) {
	d := parseFile(t, "sparse.json")
	a, b := d.Signals[0], d.Signals[1]
	if a.State != alarm.OK || a.Summary != "DiskFull" || a.Description != "no room" || len(a.Key) != 32 || !a.StartsAt.IsZero() || a.URL != "http://sender.example" {
		t.Errorf("%+v", a)
	}
	if b.State != alarm.Alarm || b.Summary != "Other" || b.Key == a.Key || len(b.Key) != 32 {
		t.Errorf("%+v", b)
	}
}

func TestBadDeliveries(t *testing.T) {
	one := func(alert string) string { return `{"version":"4","status":"firing","alerts":[` + alert + `]}` }
	for body, want := range map[string]string{
		``:                                    "not well-formed JSON: it ends early",
		`{"alerts":[`:                         "not well-formed JSON: it ends early",
		`{"alerts":[}`:                        "not well-formed JSON at byte",
		`[]`:                                  "the document must be a JSON object",
		`"x"`:                                 "the document must be a JSON object",
		`{"alerts":[]} {}`:                    "text after the end",
		`{"status":"firing"}`:                 "alerts is missing",
		`{"alerts":null}`:                     "alerts is missing",
		`{"alerts":{}}`:                       "alerts must be a list",
		`{"alerts":[1]}`:                      "alerts[0] must be an object",
		`{"alerts":[],"version":"3"}`:         "version must be one of 4",
		`{"alerts":[],"version":4}`:           "version must be a text",
		`{"alerts":[],"status":"fire"}`:       "status must be one of firing, resolved",
		`{"alerts":[],"alerts":[]}`:           "alerts is given twice",
		`{"alerts":[],"truncatedAlerts":"1"}`: "truncatedAlerts must be a whole number",
		`{"alerts":[],"truncatedAlerts":1.5}`: "truncatedAlerts must be a whole number",
		`{"alerts":[{"labels":{"a":"b"}}]}`:   "alerts[0].status is missing",
		`{"alerts":[{"Status":"firing","labels":{"a":"b"}}]}`: "alerts[0].status is missing",
		one(`{}`):            "alerts[0] has neither a fingerprint nor labels",
		one(`{"labels":{}}`): "alerts[0] has neither a fingerprint nor labels",
		one(`{"labels":{"a":"b"}},{"labels":{"a":1}}`):                    "alerts[1].labels.a must be a text",
		one(`{"labels":{"a":"b","a":"c"}}`):                               "alerts[0].labels.a is given twice",
		one(`{"labels":[]}`):                                              "alerts[0].labels must be an object",
		one(`{"labels":{"a":"b"},"startsAt":"yesterday"}`):                "alerts[0].startsAt must be a time",
		one(`{"labels":{"a":"b"},"endsAt":5}`):                            "alerts[0].endsAt must be a text",
		one(`{"fingerprint":7}`):                                          "alerts[0].fingerprint must be a text",
		`{"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`: "nested deeper than 32",
	} {
		_, err := alertmanager.Parse([]byte(body))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"mixed.json", "sparse.json"} {
		body, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := alertmanager.Parse(body)
		for _, s := range d.Signals {
			if err == nil && (s.Key == "" || s.Summary == "" || s.State == "") {
				t.Fatalf("%+v", s)
			}
		}
	})
}
