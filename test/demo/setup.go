package main

import (
	"context"
	"embed"
	"fmt"
	"os"
	"path/filepath"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/api/ssm"
)

//go:embed files
var files embed.FS

func content(name string) string {
	text, err := files.ReadFile("files/" + name)
	if err != nil {
		panic(err)
	}
	return string(text)
}

const roleARN = "arn:aws:iam::" + account + ":role/restart-orders"

// planARN is known before the plan exists: it is made of the plan's name.
const planARN = "arn:aws:ssm-incidents::" + account + ":response-plan/orders-down"

const intakeYAML = `# Who may post alerts, and where they go. See docs/intake.md.
integrations:
  - name: demo-alertmanager
    kind: alertmanager
    key: %s
    rules:
      - match: {service: orders}
        response_plan: %s
`

// writeFiles gives the hub its people and its sender of alerts.
func (s *stage) writeFiles() error {
	s.intakeKey = newKey()
	for name, text := range map[string]string{
		"identity.yaml": content("identity.yaml"), "intake.yaml": fmt.Sprintf(intakeYAML, s.intakeKey, planARN), "keys/bo": newKey() + "\n",
	} {
		if err := os.WriteFile(filepath.Join(s.hubDir(), name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return os.Chmod(filepath.Join(s.hubDir(), "keys"), 0o700)
}

// defineWork creates the documents.
func (s *stage) defineWork(ctx context.Context) error {
	for _, d := range []struct {
		name, file string
		kind       ssm.DocumentType
	}{
		{"Demo-DiagnoseOrders", "diagnose.yaml", ssm.DocumentTypeCommand},
		{"Demo-ControlOrders", "control.yaml", ssm.DocumentTypeCommand},
		{"Demo-RestartOrders", "runbook.yaml", ssm.DocumentTypeAutomation},
	} {
		err := s.admin.Call(ctx, "ssm", "CreateDocument", &ssm.CreateDocumentInput{
			Name: new(d.name), DocumentType: d.kind, DocumentFormat: ssm.DocumentFormatYaml, Content: new(content(d.file)),
		}, nil)
		if err != nil {
			return fmt.Errorf("create document %s: %w", d.name, err)
		}
	}
	s.say("runbook Demo-RestartOrders: diagnose, ask, restart, verify")
	return nil
}

// definePeople creates two people, the escalation plan and the response plan.
func (s *stage) definePeople(ctx context.Context) (err error) {
	if s.ana, err = s.person(ctx, "ana", "Ana"); err != nil {
		return err
	}
	if s.boID, err = s.person(ctx, "bo", "Bo"); err != nil {
		return err
	}
	var escalation contacts.CreateContactOutput
	stageOf := func(contact string) contacts.Stage {
		return contacts.Stage{DurationInMinutes: new(int32(1)), Targets: []contacts.Target{{ContactTargetInfo: &contacts.ContactTargetInfo{ContactId: &contact, IsEssential: new(true)}}}}
	}
	err = s.admin.Call(ctx, "ssm-contacts", "CreateContact", &contacts.CreateContactInput{
		Alias: new("orders-escalation"), DisplayName: new("Orders on call"), Type: contacts.ContactTypeEscalation,
		Plan: &contacts.Plan{Stages: []contacts.Stage{stageOf(s.ana.contact), stageOf(s.boID.contact)}},
	}, &escalation)
	if err != nil {
		return fmt.Errorf("create the escalation plan: %w", err)
	}
	s.plan = *escalation.ContactArn
	s.say("escalation plan: Ana first, Bo one stage later")
	return s.defineResponse(ctx)
}

// person creates a contact with one channel in the hub's inbox, and activates it with
// the code that arrives there.
func (s *stage) person(ctx context.Context, alias, name string) (c contactARNs, err error) {
	var made contacts.CreateContactOutput
	err = s.admin.Call(ctx, "ssm-contacts", "CreateContact", &contacts.CreateContactInput{
		Alias: &alias, DisplayName: &name, Type: contacts.ContactTypePersonal, Plan: &contacts.Plan{Stages: []contacts.Stage{}},
	}, &made)
	if err != nil {
		return c, fmt.Errorf("create contact %s: %w", alias, err)
	}
	c.contact = *made.ContactArn
	address := alias + "@inbox.local"
	var channel contacts.CreateContactChannelOutput
	err = s.admin.Call(ctx, "ssm-contacts", "CreateContactChannel", &contacts.CreateContactChannelInput{
		ContactId: &c.contact, Name: new(name + " inbox"), Type: contacts.ChannelTypeEmail,
		DeliveryAddress: &contacts.ContactChannelAddress{SimpleAddress: &address},
	}, &channel)
	if err != nil {
		return c, fmt.Errorf("create the channel of %s: %w", alias, err)
	}
	c.channel = *channel.ContactChannelArn
	m, err := s.mail(ctx, address, "the activation code of "+name, func(message) bool { return true })
	if err != nil {
		return c, err
	}
	err = s.admin.Call(ctx, "ssm-contacts", "ActivateContactChannel", &contacts.ActivateContactChannelInput{ContactChannelId: &c.channel, ActivationCode: &m.Code}, nil)
	if err != nil {
		return c, fmt.Errorf("activate the channel of %s: %w", alias, err)
	}
	return c, s.admin.Call(ctx, "ssm-contacts", "UpdateContact", &contacts.UpdateContactInput{
		ContactId: &c.contact, Plan: &contacts.Plan{Stages: []contacts.Stage{{
			DurationInMinutes: new(int32(5)),
			Targets:           []contacts.Target{{ChannelTargetInfo: &contacts.ChannelTargetInfo{ContactChannelId: &c.channel, RetryIntervalInMinutes: new(int32(5))}}},
		}}},
	}, nil)
}

// defineResponse creates what happens when the alarm comes.
func (s *stage) defineResponse(ctx context.Context) error {
	err := s.admin.Call(ctx, "ssm-incidents", "CreateReplicationSet", &incidents.CreateReplicationSetInput{
		Regions: map[string]incidents.RegionMapInputValue{region: {}},
	}, nil)
	if err != nil {
		return fmt.Errorf("create the replication set: %w", err)
	}
	var made incidents.CreateResponsePlanOutput
	err = s.await(ctx, "the replication set", func() (bool, error) {
		var list incidents.ListReplicationSetsOutput
		err := s.admin.Call(ctx, "ssm-incidents", "ListReplicationSets", &incidents.ListReplicationSetsInput{}, &list)
		return len(list.ReplicationSetArns) == 1, err
	})
	if err != nil {
		return err
	}
	err = s.admin.Call(ctx, "ssm-incidents", "CreateResponsePlan", &incidents.CreateResponsePlanInput{
		Name: new("orders-down"), DisplayName: new("Orders down"), Engagements: []string{s.plan},
		IncidentTemplate: &incidents.IncidentTemplate{Title: new("Orders is down"), Impact: new(int32(2)), Summary: new("The orders service fails its health check.")},
		Actions: []incidents.Action{{SsmAutomation: &incidents.SsmAutomation{
			DocumentName: new("Demo-RestartOrders"), RoleArn: new(roleARN),
			Parameters:        map[string][]string{"AutomationAssumeRole": {roleARN}, "Directory": {filepath.Join(s.nodeDir, "orders")}},
			DynamicParameters: map[string]incidents.DynamicSsmParameterValue{"IncidentRecordArn": {Variable: incidents.VariableTypeIncidentRecordArn}},
		}}},
	}, &made)
	if err != nil {
		return fmt.Errorf("create the response plan: %w", err)
	}
	s.response = *made.Arn
	s.say("response plan orders-down: pages the escalation plan, starts the runbook")
	return nil
}
