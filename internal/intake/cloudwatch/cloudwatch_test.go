package cloudwatch_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/capability/alarm"
	"github.com/watchbill/watchbill/internal/intake/cloudwatch"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func parse(t *testing.T, body []byte) cloudwatch.Delivery {
	t.Helper()
	d, err := cloudwatch.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

const alarmARN = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:web-5xx"

func TestSNS(t *testing.T) {
	want := &alarm.Signal{
		Source: "cloudwatch", Key: alarmARN, ARN: alarmARN, State: alarm.Alarm, Summary: "web-5xx", Description: "Too many errors.",
		StartsAt: time.Date(2026, 7, 1, 12, 4, 35, 261e6, time.UTC),
		Labels: map[string]string{
			"alarm_name": "web-5xx", "account": "123456789012", "region": "US East (N. Virginia)", "namespace": "AWS/ApplicationELB",
			"metric": "HTTPCode_Target_5XX_Count", "dimension_LoadBalancer": "app/web/50dc6c495c0c9188",
		},
		Annotations: map[string]string{"reason": "Threshold Crossed: 3 datapoints were greater than the threshold (5.0)."},
	}
	var envelope struct{ Message string }
	if err := json.Unmarshal(read(t, "sns.json"), &envelope); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, parse(t, []byte(envelope.Message)).Signal); diff != "" {
		t.Errorf("raw delivery: %s", diff)
	}
	want.Labels["topic"] = "arn:aws:sns:us-east-1:123456789012:alarms"
	if diff := cmp.Diff(want, parse(t, read(t, "sns.json")).Signal); diff != "" {
		t.Error(diff)
	}
}

func TestEventBridge(t *testing.T) {
	want := &alarm.Signal{
		Source: "cloudwatch", Key: alarmARN, ARN: alarmARN, State: alarm.OK, Summary: "web-5xx", Description: "Too many errors.",
		EndsAt: time.Date(2026, 7, 1, 12, 9, 35, 100e6, time.UTC),
		Labels: map[string]string{
			"alarm_name": "web-5xx", "account": "123456789012", "region": "us-east-1", "namespace": "AWS/ApplicationELB",
			"metric": "HTTPCode_Target_5XX_Count", "dimension_LoadBalancer": "app/web/50dc6c495c0c9188",
		},
		Annotations: map[string]string{"reason": "Threshold not crossed."},
	}
	if diff := cmp.Diff(want, parse(t, read(t, "eventbridge.json")).Signal); diff != "" {
		t.Fatal(diff)
	}
}

func TestSubscriptions(t *testing.T) {
	const url = "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=x&Token=abc"
	got := parse(t, []byte(`{"Type":"SubscriptionConfirmation","TopicArn":"arn:t","Token":"abc","SubscribeURL":"`+url+`"}`)).Subscription
	if diff := cmp.Diff(&cloudwatch.Subscription{Topic: "arn:t", ConfirmURL: url}, got); diff != "" {
		t.Error(diff)
	}
	got = parse(t, []byte(`{"Type":"UnsubscribeConfirmation","TopicArn":"arn:t"}`)).Subscription
	if diff := cmp.Diff(&cloudwatch.Subscription{Topic: "arn:t", Ended: true}, got); diff != "" {
		t.Error(diff)
	}
}

func TestConfirmable(t *testing.T) {
	const query = "/?Action=ConfirmSubscription&Token=abc"
	for url, want := range map[string]bool{
		"https://sns.us-east-1.amazonaws.com" + query:               true,
		"https://sns.us-gov-west-1.amazonaws.com" + query:           true,
		"http://sns.us-east-1.amazonaws.com" + query:                false,
		"https://sns.us-east-1.amazonaws.com:8443" + query:          false,
		"https://sns.us-east-1.amazonaws.com.example.com" + query:   false,
		"https://example.com/sns.us-east-1.amazonaws.com" + query:   false,
		"https://sns.us-east-1.amazonaws.com@example.com" + query:   false,
		"https://user@sns.us-east-1.amazonaws.com" + query:          false,
		"https://sns..amazonaws.com" + query:                        false,
		"https://sns.us-east-1.amazonaws.com/other" + query:         false,
		"https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe":   false,
		"https://s3.us-east-1.amazonaws.com" + query:                false,
		"https://sns.us-east-1.amazonaws.com\n.example.com" + query: false,
		"https://169.254.169.254" + query:                           false,
		"":                                                          false,
	} {
		if got := cloudwatch.Confirmable(url); got != want {
			t.Errorf("%q: %v", url, got)
		}
	}
}

func TestBadDeliveries(t *testing.T) {
	for body, want := range map[string]string{
		`{}`:                                      "this is neither a CloudWatch alarm nor an SNS message",
		`{"Type":"Other"}`:                        "Type must be one of",
		`{"Type":1}`:                              "Type must be a text",
		`{"Type":"Notification","Type":"x"}`:      "Type is given twice",
		`{"Type":"Notification"}`:                 "Message: not well-formed JSON",
		`{"Type":"Notification","Message":{}}`:    "Message must be a text",
		`{"Type":"Notification","Message":"hi"}`:  "Message: not well-formed JSON",
		`{"Type":"Notification","Message":"{}"}`:  "Message: this is neither",
		`{"AlarmName":"a"}`:                       "NewStateValue is missing",
		`{"AlarmName":1}`:                         "AlarmName must be a text",
		`{"AlarmName":"a","NewStateValue":"BAD"}`: "NewStateValue must be one of ALARM, OK, INSUFFICIENT_DATA",
		`{"AlarmName":"a","NewStateValue":"OK","StateChangeTime":"noon"}`:                                                     "StateChangeTime must be a time",
		`{"AlarmName":"a","NewStateValue":"OK","Trigger":{"Dimensions":[3]}}`:                                                 "Trigger.Dimensions[0] must be an object",
		`{"AlarmName":"a","NewStateValue":"OK","Trigger":[]}`:                                                                 "Trigger must be an object",
		`{"detail-type":"EC2 Instance State-change Notification","detail":{}}`:                                                "detail-type must be one of CloudWatch Alarm State Change",
		`{"detail-type":"CloudWatch Alarm State Change"}`:                                                                     "detail is missing",
		`{"detail-type":"CloudWatch Alarm State Change","detail":{}}`:                                                         "detail.alarmName is missing",
		`{"detail-type":"CloudWatch Alarm State Change","detail":{"alarmName":"a"}}`:                                          "detail.state is missing",
		`{"detail-type":"CloudWatch Alarm State Change","detail":{"alarmName":"a","state":{}}}`:                               "detail.state.value is missing",
		`{"detail-type":"CloudWatch Alarm State Change","resources":[1],"detail":{"alarmName":"a","state":{"value":"OK"}}}`:   "resources[0] must be a text",
		`{"detail-type":"CloudWatch Alarm State Change","resources":"arn","detail":{"alarmName":"a","state":{"value":"OK"}}}`: "resources must be a list",
	} {
		_, err := cloudwatch.Parse([]byte(body))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(read(f, "sns.json"))
	f.Add(read(f, "eventbridge.json"))
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := cloudwatch.Parse(body)
		if err == nil && (d.Signal == nil) == (d.Subscription == nil) {
			t.Fatalf("%+v", d)
		}
		if d.Signal != nil && (d.Signal.Key == "" || d.Signal.State == "") {
			t.Fatalf("%+v", d.Signal)
		}
	})
}
