package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/wire/client"
	"github.com/watchbill/watchbill/internal/wire/shape"
)

const (
	account   = "123456789012"
	planARN   = "arn:aws:ssm-incidents::" + account + ":response-plan/bench"
	intakeKey = "benchbenchbenchbenchbenchbenchbench0"
	address   = "bench@inbox.local"
)

const intakeYAML = `integrations:
  - name: bench
    kind: alertmanager
    key: ` + intakeKey + `
    rules:
      - match: {page: "yes"}
        response_plan: ` + planARN + `
`

// startIntake starts a hub that takes alerts, which page one person.
func startIntake(ctx context.Context, dir string) (*hubProcess, error) {
	data := filepath.Join(dir, "hub")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(data, "intake.yaml"), []byte(intakeYAML), 0o600); err != nil {
		return nil, err
	}
	h, err := startHub(ctx, dir)
	if err != nil {
		return nil, err
	}
	c, err := apiClient(h)
	if err == nil {
		err = definePlan(ctx, c, h)
	}
	if err != nil {
		h.stop()
		return nil, err
	}
	return h, nil
}

func apiClient(h *hubProcess) (*client.Client, error) {
	return client.New(client.Config{
		Endpoint: "http://" + h.http, Region: region, Models: []*shape.Model{ssm.Model, incidents.Model, contacts.Model},
		Credentials: func(context.Context) (client.Credentials, error) {
			return client.Credentials{AccessKeyID: adminID, SecretAccessKey: adminSecret}, nil
		},
	})
}

// definePlan makes a person with an active channel, and a response plan that pages
// the person.
func definePlan(ctx context.Context, c *client.Client, h *hubProcess) error {
	var person contacts.CreateContactOutput
	err := c.Call(ctx, "ssm-contacts", "CreateContact", &contacts.CreateContactInput{
		Alias: new("bench"), DisplayName: new("Bench"), Type: contacts.ContactTypePersonal, Plan: &contacts.Plan{Stages: []contacts.Stage{}},
	}, &person)
	if err != nil {
		return err
	}
	var channel contacts.CreateContactChannelOutput
	err = c.Call(ctx, "ssm-contacts", "CreateContactChannel", &contacts.CreateContactChannelInput{
		ContactId: person.ContactArn, Name: new("inbox"), Type: contacts.ChannelTypeEmail,
		DeliveryAddress: &contacts.ContactChannelAddress{SimpleAddress: new(address)},
	}, &channel)
	if err != nil {
		return err
	}
	code, err := activationCode(ctx, h)
	if err != nil {
		return err
	}
	err = c.Call(ctx, "ssm-contacts", "ActivateContactChannel", &contacts.ActivateContactChannelInput{ContactChannelId: channel.ContactChannelArn, ActivationCode: &code}, nil)
	if err != nil {
		return err
	}
	err = c.Call(ctx, "ssm-contacts", "UpdateContact", &contacts.UpdateContactInput{ContactId: person.ContactArn, Plan: &contacts.Plan{Stages: []contacts.Stage{{
		DurationInMinutes: new(int32(5)),
		Targets:           []contacts.Target{{ChannelTargetInfo: &contacts.ChannelTargetInfo{ContactChannelId: channel.ContactChannelArn}}},
	}}}}, nil)
	if err != nil {
		return err
	}
	return defineResponse(ctx, c, *person.ContactArn)
}

func defineResponse(ctx context.Context, c *client.Client, contact string) error {
	err := c.Call(ctx, "ssm-incidents", "CreateReplicationSet", &incidents.CreateReplicationSetInput{
		Regions: map[string]incidents.RegionMapInputValue{region: {}},
	}, nil)
	if err != nil {
		return err
	}
	return c.Call(ctx, "ssm-incidents", "CreateResponsePlan", &incidents.CreateResponsePlanInput{
		Name: new("bench"), Engagements: []string{contact}, IncidentTemplate: &incidents.IncidentTemplate{Title: new("Bench"), Impact: new(int32(3))},
	}, nil)
}

// activationCode waits for the code in the hub's inbox.
func activationCode(ctx context.Context, h *hubProcess) (string, error) {
	for range 200 {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.http+"/inbox/?address="+address, nil)
		if err != nil {
			return "", err
		}
		r.Header.Set("Accept", "application/json")
		var list struct{ Messages []struct{ Code string } }
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return "", err
		}
		err = json.NewDecoder(resp.Body).Decode(&list)
		if err = errors.Join(err, resp.Body.Close()); err != nil {
			return "", fmt.Errorf("the inbox: %w", err)
		}
		if len(list.Messages) > 0 {
			return list.Messages[0].Code, nil
		}
		<-time.After(20 * time.Millisecond)
	}
	return "", errors.New("no activation code came")
}
