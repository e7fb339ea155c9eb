package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/api/ssm"
)

// message is one of the hub's inbox.
type message struct {
	ID, Address, Subject, Content, Incident, Code, Link string
}

// mail waits for a message to an address.
func (s *stage) mail(ctx context.Context, address, what string, fits func(message) bool) (found message, err error) {
	err = s.await(ctx, what, func() (bool, error) {
		list, err := s.inbox(ctx, address)
		if i := slices.IndexFunc(list, fits); i >= 0 {
			found = list[i]
			return true, nil
		}
		return false, err
	})
	return found, err
}

func (s *stage) inbox(ctx context.Context, address string) ([]message, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/inbox/?address="+url.QueryEscape(address), nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	var out struct{ Messages []message }
	text, err := s.fetch(r)
	if err != nil {
		return nil, err
	}
	return out.Messages, errors.Join(json.Unmarshal(text, &out), nil)
}

// fetch asks again for a while when the hub is away or cannot answer just now: what
// it is asked here may be asked twice.
func (s *stage) fetch(r *http.Request) ([]byte, error) {
	for until := time.Now().Add(away); ; <-time.After(100 * time.Millisecond) {
		text, again, err := s.fetchOnce(r)
		if err == nil || !again || time.Now().After(until) {
			return text, err
		}
		if r.GetBody != nil {
			if r.Body, err = r.GetBody(); err != nil {
				return nil, err
			}
		}
	}
}

func (s *stage) fetchOnce(r *http.Request) (text []byte, again bool, err error) {
	resp, err := s.web.Do(r)
	if err != nil {
		return nil, true, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err = io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s: %s", r.Method, r.URL.Path, resp.Status, bytes.TrimSpace(text))
	}
	return text, err != nil && (resp.StatusCode/100 == 2 || resp.StatusCode >= 500), err
}

// breakService uses the service up until its health URL fails.
func (s *stage) breakService(ctx context.Context) error {
	for range 8 {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.orders+"/orders/cancel", nil)
		if err != nil {
			return err
		}
		if _, err := s.fetch(r); err != nil {
			return err
		}
	}
	status, err := s.health(ctx)
	if err == nil && status != http.StatusServiceUnavailable {
		err = fmt.Errorf("the service did not break: health is %d", status)
	}
	if err == nil {
		s.say("orders breaks: its health URL answers 503")
	}
	return err
}

func (s *stage) health(ctx context.Context) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.orders+"/health", nil)
	if err != nil {
		return 0, err
	}
	resp, err := s.web.Do(r)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// post sends the alert as Alertmanager does.
func (s *stage) post(ctx context.Context, status, startsAt, endsAt string) error {
	body := fmt.Sprintf(content("alert.json"), status, s.orders, startsAt, endsAt)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/intake/alertmanager/"+s.intakeKey, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Alertmanager/0.27.0")
	_, err = s.fetch(r)
	return err
}

const never = "0001-01-01T00:00:00Z"

// alarm posts the alert, twice as Alertmanager would, and finds its one incident.
func (s *stage) alarm(ctx context.Context) error {
	at := s.began.UTC().Format(time.RFC3339Nano)
	for range 2 {
		if err := s.post(ctx, "firing", at, never); err != nil {
			return fmt.Errorf("post the alert: %w", err)
		}
	}
	var list incidents.ListIncidentRecordsOutput
	if err := s.admin.Call(ctx, "ssm-incidents", "ListIncidentRecords", &incidents.ListIncidentRecordsInput{}, &list); err != nil {
		return err
	}
	if len(list.IncidentRecordSummaries) != 1 {
		return fmt.Errorf("two deliveries of one alert made %d incidents", len(list.IncidentRecordSummaries))
	}
	i := list.IncidentRecordSummaries[0]
	s.incident = *i.Arn
	s.say("alert posted twice, ONE INCIDENT opened: %q, impact %d", *i.Title, *i.Impact)
	return nil
}

// people waits until the second person is paged and acknowledges through the link.
func (s *stage) people(ctx context.Context) error {
	ofIncident := func(m message) bool { return m.Incident == s.incident && m.Link != "" }
	if _, err := s.mail(ctx, "ana@inbox.local", "the page to Ana", ofIncident); err != nil {
		return err
	}
	s.say("Ana paged ... and stays silent")
	if early, err := s.inbox(ctx, "bo@inbox.local"); err != nil || slices.ContainsFunc(early, ofIncident) {
		return fmt.Errorf("the second stage did not wait for the first: %w", err)
	}
	page, err := s.mail(ctx, "bo@inbox.local", "the page to Bo", ofIncident)
	if err != nil {
		return err
	}
	s.say("the first stage ran out, Bo paged: %q", page.Subject)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, page.Link, nil)
	if err != nil {
		return err
	}
	if _, err := s.fetch(r); err != nil {
		return fmt.Errorf("acknowledge: %w", err)
	}
	s.say("Bo acknowledged through the link of the page")
	return nil
}

// runbook waits for the approval, gives it, and waits for the end.
func (s *stage) runbook(ctx context.Context) error {
	if err := s.await(ctx, "the runbook's request for approval", s.asksForApproval(ctx)); err != nil {
		return err
	}
	s.say("runbook %s has diagnosed on the node and WAITS FOR APPROVAL:", s.execution)
	for line := range strings.Lines(s.output(ctx, "Diagnose")) {
		fmt.Printf("              | %s", strings.TrimRight(line, "\n")+"\n")
	}
	if err := s.approve(ctx); err != nil {
		return err
	}
	err := s.await(ctx, "the end of the runbook", func() (bool, error) {
		e, err := s.automation(ctx)
		if err != nil {
			return false, err
		}
		switch e.AutomationExecutionStatus {
		case ssm.AutomationExecutionStatusSuccess:
			return true, nil
		case ssm.AutomationExecutionStatusFailed, ssm.AutomationExecutionStatusCancelled, ssm.AutomationExecutionStatusTimedOut, ssm.AutomationExecutionStatusRejected:
			return false, fmt.Errorf("it ended %s: %s", e.AutomationExecutionStatus, deref(e.FailureMessage))
		}
		return false, nil
	})
	if err != nil {
		return err
	}
	s.say("runbook restarted orders and verified: %s", strings.TrimSpace(s.output(ctx, "VerifyHealth")))
	if status, err := s.health(ctx); err != nil || status != http.StatusOK {
		return fmt.Errorf("orders is not healthy after the runbook: %d, %w", status, err)
	}
	return nil
}

func deref(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

func (s *stage) asksForApproval(ctx context.Context) func() (bool, error) {
	return func() (bool, error) {
		var list ssm.DescribeAutomationExecutionsOutput
		if err := s.admin.Call(ctx, "ssm", "DescribeAutomationExecutions", &ssm.DescribeAutomationExecutionsInput{}, &list); err != nil {
			return false, err
		}
		if len(list.AutomationExecutionMetadataList) == 0 {
			return false, nil
		}
		s.execution = *list.AutomationExecutionMetadataList[0].AutomationExecutionId
		e, err := s.automation(ctx)
		if err != nil {
			return false, err
		}
		if e.AutomationExecutionStatus == ssm.AutomationExecutionStatusFailed {
			return false, fmt.Errorf("it failed: %s", deref(e.FailureMessage))
		}
		return slices.ContainsFunc(e.StepExecutions, func(x ssm.StepExecution) bool {
			return deref(x.StepName) == "ApproveRestart" && x.StepStatus == ssm.AutomationExecutionStatusWaiting
		}), nil
	}
}

func (s *stage) automation(ctx context.Context) (*ssm.AutomationExecution, error) {
	var out ssm.GetAutomationExecutionOutput
	err := s.admin.Call(ctx, "ssm", "GetAutomationExecution", &ssm.GetAutomationExecutionInput{AutomationExecutionId: &s.execution}, &out)
	if err == nil && out.AutomationExecution == nil {
		err = errors.New("the answer holds no execution")
	}
	return out.AutomationExecution, err
}

// output is what a command step printed on the node.
func (s *stage) output(ctx context.Context, step string) string {
	e, err := s.automation(ctx)
	if err != nil {
		return err.Error()
	}
	for _, x := range e.StepExecutions {
		if deref(x.StepName) == step {
			return strings.Join(x.Outputs["Output"], "\n")
		}
	}
	return ""
}

// approve lets the reader approve by the line shown; after a moment Bo does.
func (s *stage) approve(ctx context.Context) error {
	if !s.fast {
		fmt.Printf("              approve with:  eval \"$(%s env --data %s)\"; AWS_PROFILE=bo aws ssm send-automation-signal --automation-execution-id %s --signal-type Approve\n", s.binary, s.hubDir(), s.execution)
		fmt.Println("              (Bo approves by himself in 8 s)")
		if err := s.addProfile(); err != nil {
			return err
		}
		for until := time.Now().Add(8 * time.Second); time.Now().Before(until); {
			waits, err := s.asksForApproval(ctx)()
			if err != nil {
				return err
			}
			if !waits {
				s.say("APPROVED by you")
				return nil
			}
			<-time.After(200 * time.Millisecond)
		}
	}
	err := s.bo.Call(ctx, "ssm", "SendAutomationSignal", &ssm.SendAutomationSignalInput{
		AutomationExecutionId: &s.execution, SignalType: ssm.SignalTypeApprove, Payload: map[string][]string{"Comment": {"pool exhausted, restart is safe"}},
	}, nil)
	if err != nil {
		return fmt.Errorf("approve: %w", err)
	}
	s.say("APPROVED by Bo")
	return nil
}

// addProfile puts Bo's key beside the administrator's.
func (s *stage) addProfile() error {
	key, err := s.boKey(context.Background())
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(s.hubDir(), "credentials"), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "\n[bo]\naws_access_key_id = %s\naws_secret_access_key = %s\n", key.AccessKeyID, key.SecretAccessKey)
	return errors.Join(err, f.Close())
}

// resolve posts the end of the alert and closes the incident.
func (s *stage) resolve(ctx context.Context) error {
	now := time.Now().UTC()
	if err := s.post(ctx, "resolved", s.began.UTC().Format(time.RFC3339Nano), now.Format(time.RFC3339Nano)); err != nil {
		return fmt.Errorf("post the end of the alert: %w", err)
	}
	err := s.bo.Call(ctx, "ssm-incidents", "UpdateIncidentRecord", &incidents.UpdateIncidentRecordInput{Arn: &s.incident, Status: incidents.IncidentRecordStatusResolved}, nil)
	if err != nil {
		return fmt.Errorf("resolve the incident: %w", err)
	}
	var out incidents.GetIncidentRecordOutput
	if err := s.admin.Call(ctx, "ssm-incidents", "GetIncidentRecord", &incidents.GetIncidentRecordInput{Arn: &s.incident}, &out); err != nil {
		return err
	}
	if out.IncidentRecord.Status != incidents.IncidentRecordStatusResolved {
		return fmt.Errorf("the incident is %s after it was resolved", out.IncidentRecord.Status)
	}
	s.say("alert resolved, INCIDENT RESOLVED by Bo")
	return nil
}
