package contact_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/capability/contact"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/journal/journaltest"
	"github.com/watchbill/watchbill/internal/platform/tagging"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/platform/task/tasktest"
)

var schema = []db.Migrations{task.Migrations, journal.Migrations, tagging.Migrations, contact.Migrations}

// mailbox keeps the codes that were sent, by address.
type mailbox map[string][]string

func (m mailbox) SendCode(_ context.Context, _ string, c contact.Channel, code string) error {
	m[c.Address] = append(m[c.Address], code)
	return nil
}

type fixture struct {
	*contact.Service
	ctx  context.Context
	mail mailbox
}

func setUp(t *testing.T, d *db.DB) fixture {
	t.Helper()
	m := mailbox{}
	s := contact.New(contact.Service{DB: d, Tasks: tasktest.New(t, d), Journal: journaltest.New(t, d), Codes: m, Key: []byte("a key of the tests, 32 bytes long")})
	return fixture{s, db.WithScope(t.Context(), db.Scope{Account: "123456789012", Region: "eu-west-1"}), m}
}

func each(t *testing.T, f func(*testing.T, fixture)) {
	t.Helper()
	dbtest.Each(t, schema, func(t *testing.T, d *db.DB) { f(t, setUp(t, d)) })
}

func (f fixture) person(t *testing.T, alias string) string {
	t.Helper()
	out, err := f.CreateContact(f.ctx, &contacts.CreateContactInput{Alias: &alias, Type: contacts.ContactTypePersonal, Plan: &contacts.Plan{}})
	if err != nil {
		t.Fatal(err)
	}
	return *out.ContactArn
}

func (f fixture) channel(t *testing.T, owner, address string) string {
	t.Helper()
	out, err := f.CreateContactChannel(f.ctx, &contacts.CreateContactChannelInput{
		ContactId: &owner, Name: new("mail"), Type: contacts.ChannelTypeEmail, DeliveryAddress: &contacts.ContactChannelAddress{SimpleAddress: &address},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Tasks.RunDue(f.ctx); err != nil {
		t.Fatal(err)
	}
	return *out.ContactChannelArn
}

func TestContactLife(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		ann := f.person(t, "ann")
		if want := "arn:aws:ssm-contacts:eu-west-1:123456789012:contact/ann"; ann != want {
			t.Fatalf("ARN %s", ann)
		}
		stage := contacts.Stage{DurationInMinutes: new(int32(5)), Targets: []contacts.Target{{ContactTargetInfo: &contacts.ContactTargetInfo{ContactId: &ann, IsEssential: new(true)}}}}
		plan := &contacts.Plan{Stages: []contacts.Stage{stage}}
		made, err := f.CreateContact(f.ctx, &contacts.CreateContactInput{Alias: new("plan"), Type: contacts.ContactTypeEscalation, DisplayName: new("The plan"), Plan: plan})
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.GetContact(f.ctx, &contacts.GetContactInput{ContactId: made.ContactArn})
		if err != nil {
			t.Fatal(err)
		}
		want := &contacts.GetContactOutput{Alias: new("plan"), ContactArn: made.ContactArn, DisplayName: new("The plan"), Plan: plan, Type: contacts.ContactTypeEscalation}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("(-want +got):\n%s", d)
		}
		if _, err := f.UpdateContact(f.ctx, &contacts.UpdateContactInput{ContactId: &ann, DisplayName: new("Ann")}); err != nil {
			t.Fatal(err)
		}
		list, err := f.ListContacts(f.ctx, &contacts.ListContactsInput{MaxResults: new(int32(1))})
		if err != nil || len(list.Contacts) != 1 || *list.Contacts[0].DisplayName != "Ann" || list.NextToken == nil {
			t.Fatalf("%+v, %v", list, err)
		}
		list, err = f.ListContacts(f.ctx, &contacts.ListContactsInput{NextToken: list.NextToken, AliasPrefix: new("pl")})
		if err != nil || len(list.Contacts) != 1 || *list.Contacts[0].Alias != "plan" || list.NextToken != nil {
			t.Fatalf("%+v, %v", list, err)
		}
		if _, err := f.DeleteContact(f.ctx, &contacts.DeleteContactInput{ContactId: &ann}); err != nil {
			t.Fatal(err)
		}
		_, err = f.GetContact(f.ctx, &contacts.GetContactInput{ContactId: &ann})
		if _, ok := errors.AsType[*contacts.ResourceNotFoundException](err); !ok {
			t.Fatalf("after deletion: %v", err)
		}
	})
}

func TestCreateContactRefusals(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		ann := f.person(t, "ann")
		other := f.channel(t, f.person(t, "bob"), "bob@example.com")
		target := func(c *contacts.ChannelTargetInfo, p *contacts.ContactTargetInfo) *contacts.Plan {
			return &contacts.Plan{Stages: []contacts.Stage{{DurationInMinutes: new(int32(0)), Targets: []contacts.Target{{ChannelTargetInfo: c, ContactTargetInfo: p}}}}}
		}
		tests := map[string]*contacts.CreateContactInput{
			"alias in use":            {Alias: new("ann"), Type: contacts.ContactTypePersonal, Plan: &contacts.Plan{}},
			"schedule":                {Alias: new("x"), Type: contacts.ContactTypeOncallSchedule, Plan: &contacts.Plan{}},
			"empty stage of no time":  {Alias: new("x"), Type: contacts.ContactTypePersonal, Plan: &contacts.Plan{Stages: []contacts.Stage{{DurationInMinutes: new(int32(0))}}}},
			"somebody else's channel": {Alias: new("x"), Type: contacts.ContactTypePersonal, Plan: target(&contacts.ChannelTargetInfo{ContactChannelId: &other}, nil)},
			"contact for a person":    {Alias: new("x"), Type: contacts.ContactTypePersonal, Plan: target(nil, &contacts.ContactTargetInfo{ContactId: &ann})},
			"channel for escalation":  {Alias: new("x"), Type: contacts.ContactTypeEscalation, Plan: target(&contacts.ChannelTargetInfo{ContactChannelId: &other}, nil)},
			"unknown contact":         {Alias: new("x"), Type: contacts.ContactTypeEscalation, Plan: target(nil, &contacts.ContactTargetInfo{ContactId: new(ann + "x")})},
			"rotation of a person":    {Alias: new("x"), Type: contacts.ContactTypePersonal, Plan: &contacts.Plan{RotationIds: []string{"r"}}},
		}
		for name, in := range tests {
			if _, err := f.CreateContact(f.ctx, in); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
	})
}

func TestActivation(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		ch := f.channel(t, f.person(t, "ann"), "ann@example.com")
		activate := func(code string) error {
			_, err := f.ActivateContactChannel(f.ctx, &contacts.ActivateContactChannelInput{ContactChannelId: &ch, ActivationCode: &code})
			return err
		}
		wrong := fmt.Sprintf("%06d", 1)
		if f.mail["ann@example.com"][0] == wrong {
			wrong = "000002"
		}
		for range 5 {
			if activate(wrong) == nil {
				t.Fatal("a wrong code was accepted")
			}
		}
		if activate(f.mail["ann@example.com"][0]) == nil {
			t.Fatal("the code survived five wrong ones")
		}
		if _, err := f.SendActivationCode(f.ctx, &contacts.SendActivationCodeInput{ContactChannelId: &ch}); err != nil {
			t.Fatal(err)
		}
		if err := f.Tasks.RunDue(f.ctx); err != nil {
			t.Fatal(err)
		}
		if err := activate(f.mail["ann@example.com"][1]); err != nil {
			t.Fatal(err)
		}
		if got := f.status(t, ch); got != contacts.ActivationStatusActivated {
			t.Fatal(got)
		}
		if _, err := f.UpdateContactChannel(f.ctx, &contacts.UpdateContactChannelInput{ContactChannelId: &ch, DeliveryAddress: &contacts.ContactChannelAddress{SimpleAddress: new("new@example.com")}}); err != nil {
			t.Fatal(err)
		}
		if got := f.status(t, ch); got != contacts.ActivationStatusNotActivated {
			t.Fatal("another address stays activated")
		}
		for i := range 5 { // two codes were sent: three more fit into the hour
			_, err := f.SendActivationCode(f.ctx, &contacts.SendActivationCodeInput{ContactChannelId: &ch})
			if _, ok := errors.AsType[*contacts.ServiceQuotaExceededException](err); ok != (i >= 3) {
				t.Fatalf("code %d: %v", i+3, err)
			}
		}
	})
}

func (f fixture) status(t *testing.T, ch string) contacts.ActivationStatus {
	t.Helper()
	out, err := f.GetContactChannel(f.ctx, &contacts.GetContactChannelInput{ContactChannelId: &ch})
	if err != nil {
		t.Fatal(err)
	}
	return out.ActivationStatus
}

func TestChannelAddresses(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		ann := f.person(t, "ann")
		for address, kind := range map[string]contacts.ChannelType{
			"ann": "EMAIL", "Ann <ann@example.com>": "EMAIL", "ann@example.com\r\nBcc: x@example.com": "EMAIL", "5550100": "SMS", "+1 415": "VOICE",
		} {
			in := &contacts.CreateContactChannelInput{ContactId: &ann, Name: new("x"), Type: kind, DeliveryAddress: &contacts.ContactChannelAddress{SimpleAddress: &address}}
			if _, err := f.CreateContactChannel(f.ctx, in); err == nil {
				t.Errorf("%q accepted", address)
			}
		}
		ch := f.channel(t, ann, "ann@example.com")
		list, err := f.ListContactChannels(f.ctx, &contacts.ListContactChannelsInput{ContactId: &ann})
		if err != nil || len(list.ContactChannels) != 1 || *list.ContactChannels[0].ContactChannelArn != ch {
			t.Fatalf("%+v, %v", list, err)
		}
	})
}

func TestTagsAndPolicy(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		ann := f.person(t, "ann")
		if _, err := f.TagResource(f.ctx, &contacts.TagResourceInput{ResourceARN: &ann, Tags: []contacts.Tag{{Key: new("team"), Value: new("core")}, {Key: new("a"), Value: new("")}}}); err != nil {
			t.Fatal(err)
		}
		if _, err := f.UntagResource(f.ctx, &contacts.UntagResourceInput{ResourceARN: &ann, TagKeys: []string{"a"}}); err != nil {
			t.Fatal(err)
		}
		got, err := f.ListTagsForResource(f.ctx, &contacts.ListTagsForResourceInput{ResourceARN: &ann})
		if d := cmp.Diff([]contacts.Tag{{Key: new("team"), Value: new("core")}}, got.Tags); err != nil || d != "" {
			t.Fatal(d, err)
		}
		if _, err := f.PutContactPolicy(f.ctx, &contacts.PutContactPolicyInput{ContactArn: &ann, Policy: new(`{"Version":"2012-10-17"}`)}); err != nil {
			t.Fatal(err)
		}
		p, err := f.GetContactPolicy(f.ctx, &contacts.GetContactPolicyInput{ContactArn: &ann})
		if err != nil || *p.Policy != `{"Version":"2012-10-17"}` {
			t.Fatal(p, err)
		}
	})
}
