package hubtest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/channel/inbox"
)

// Call calls an operation of a hub.
type Call func(service, operation string, in, out any) error

// ReadInbox reads the inbox of an address, the latest message first.
func ReadInbox(ctx context.Context, c *http.Client, hub, address string) ([]inbox.Message, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, hub+"/inbox/?address="+url.QueryEscape(address), nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	res, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	var out struct{ Messages []inbox.Message }
	return out.Messages, json.NewDecoder(res.Body).Decode(&out)
}

// Person makes a contact who is paged into the inbox ALIAS@inbox.local, and gives
// the contact's ARN and the activation code of the channel.
func Person(call Call, read func(address string) ([]inbox.Message, error), alias string) (arn, code string, err error) {
	var c contacts.CreateContactOutput
	in := &contacts.CreateContactInput{Alias: &alias, DisplayName: &alias, Type: contacts.ContactTypePersonal, Plan: &contacts.Plan{Stages: []contacts.Stage{}}}
	if err := call("ssm-contacts", "CreateContact", in, &c); err != nil {
		return "", "", err
	}
	var ch contacts.CreateContactChannelOutput
	address := alias + "@inbox.local"
	if err := call("ssm-contacts", "CreateContactChannel", &contacts.CreateContactChannelInput{
		ContactId: c.ContactArn, Name: new("inbox"), Type: contacts.ChannelTypeEmail, DeliveryAddress: &contacts.ContactChannelAddress{SimpleAddress: &address},
	}, &ch); err != nil {
		return "", "", err
	}
	err = Await(10*time.Second, "the activation code of "+alias, func() (bool, error) {
		messages, err := read(address)
		if len(messages) > 0 {
			code = messages[0].Code
		}
		return code != "", err
	})
	if err != nil {
		return "", "", err
	}
	if err := call("ssm-contacts", "ActivateContactChannel", &contacts.ActivateContactChannelInput{ContactChannelId: ch.ContactChannelArn, ActivationCode: &code}, nil); err != nil {
		return "", "", err
	}
	stage := contacts.Stage{DurationInMinutes: new(int32(5)), Targets: []contacts.Target{{ChannelTargetInfo: &contacts.ChannelTargetInfo{ContactChannelId: ch.ContactChannelArn}}}}
	err = call("ssm-contacts", "UpdateContact", &contacts.UpdateContactInput{ContactId: c.ContactArn, Plan: &contacts.Plan{Stages: []contacts.Stage{stage}}}, nil)
	return *c.ContactArn, code, err
}

// Await asks again until done, for at most the given time.
func Await(most time.Duration, what string, done func() (bool, error)) error {
	deadline := time.After(most)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := done()
		if ok {
			return nil
		}
		select {
		case <-tick.C:
		case <-deadline:
			return fmt.Errorf("%s did not come within %v; the last error: %w", what, most, err)
		}
	}
}
