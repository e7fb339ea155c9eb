package incident

import (
	"context"

	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/page"
	"github.com/watchbill/watchbill/internal/platform/tagging"
)

// CreateResponsePlan keeps a plan; the account needs a replication set. A name
// in use is a ConflictException.
func (s *Service) CreateResponsePlan(ctx context.Context, in *incidents.CreateResponsePlanInput) (*incidents.CreateResponsePlanOutput, error) {
	out := &incidents.CreateResponsePlanOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		id, err := s.once(tx, "CreateResponsePlan", in.ClientToken, in, func() (string, error) { return s.createPlan(tx, in) })
		out.Arn = &id
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) createPlan(tx *db.Tx, in *incidents.CreateResponsePlanInput) (string, error) {
	if _, ok, err := loadSet(tx, ""); err != nil || !ok {
		if err != nil {
			return "", err
		}
		return "", invalid("Invalid value provided - Account not found for the request: create a replication set first")
	}
	p := plan{Name: *in.Name, Created: tx.Now, Spec: planSpec{
		DisplayName: in.DisplayName, Template: in.IncidentTemplate, Engagements: in.Engagements, Actions: in.Actions, Chat: chat(in.ChatChannel), Integrations: in.Integrations,
	}}
	if err := p.check(); err != nil {
		return "", err
	}
	ok, err := insertPlan(tx, p)
	id := new(planARN(tx.Scope.Account, p.Name))
	if err != nil {
		return "", err
	}
	if !ok {
		return "", &incidents.ConflictException{Message: "A response plan with this name exists", ResourceType: incidents.ResourceTypeResponsePlan, ResourceIdentifier: id}
	}
	if err := setTags(tx, *id, in.Tags); err != nil {
		return "", err
	}
	return *id, s.record(tx, "incident.plan_created", *id, nil)
}

// chat is the chat channel to keep: none for the one that says it is empty.
func chat(c *incidents.ChatChannel) *incidents.ChatChannel {
	if c == nil || len(c.ChatbotSns) == 0 {
		return nil
	}
	return c
}

// check refuses what no incident of the plan could use.
func (p plan) check() error {
	if len(p.Spec.Integrations) > 0 {
		return invalid("PagerDuty integrations are not implemented")
	}
	for _, a := range p.Spec.Actions {
		if a.SsmAutomation == nil {
			return invalid("An action needs ssmAutomation")
		}
		for name := range a.SsmAutomation.DynamicParameters {
			if _, ok := a.SsmAutomation.Parameters[name]; ok {
				return invalid("The parameter %s is both fixed and dynamic", name)
			}
		}
	}
	return nil
}

// GetResponsePlan returns a plan as it was stored.
func (s *Service) GetResponsePlan(ctx context.Context, in *incidents.GetResponsePlanInput) (*incidents.GetResponsePlanOutput, error) {
	out := &incidents.GetResponsePlanOutput{}
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		p, err := s.mustPlan(tx, *in.Arn, "")
		*out = incidents.GetResponsePlanOutput{
			Arn: new(planARN(tx.Scope.Account, p.Name)), Name: &p.Name, DisplayName: p.Spec.DisplayName, IncidentTemplate: p.Spec.Template,
			Engagements: p.Spec.Engagements, Actions: p.Spec.Actions, ChatChannel: p.Spec.Chat, Integrations: p.Spec.Integrations,
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// UpdateResponsePlan changes what is given; empty values clear.
func (s *Service) UpdateResponsePlan(ctx context.Context, in *incidents.UpdateResponsePlanInput) (*incidents.UpdateResponsePlanOutput, error) {
	out := &incidents.UpdateResponsePlanOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		p, err := s.mustPlan(tx, *in.Arn, "{lock}")
		if err != nil {
			return err
		}
		p.Spec.change(in)
		if err := p.check(); err != nil {
			return err
		}
		if err := updatePlan(tx, p); err != nil {
			return err
		}
		return s.record(tx, "incident.plan_updated", *in.Arn, nil)
	})
	return out, err
}

func (p *planSpec) change(in *incidents.UpdateResponsePlanInput) {
	if in.DisplayName != nil {
		p.DisplayName = in.DisplayName
	}
	if in.Engagements != nil {
		p.Engagements = in.Engagements
	}
	if in.Actions != nil {
		p.Actions = in.Actions
	}
	if in.Integrations != nil {
		p.Integrations = in.Integrations
	}
	if in.ChatChannel != nil {
		p.Chat = chat(in.ChatChannel)
	}
	t := p.Template
	for field, v := range map[**string]*string{&t.Title: in.IncidentTemplateTitle, &t.Summary: in.IncidentTemplateSummary, &t.DedupeString: in.IncidentTemplateDedupeString} {
		if v != nil {
			*field = v
		}
	}
	if in.IncidentTemplateImpact != nil {
		t.Impact = in.IncidentTemplateImpact
	}
	if in.IncidentTemplateNotificationTargets != nil {
		t.NotificationTargets = in.IncidentTemplateNotificationTargets
	}
	if in.IncidentTemplateTags != nil {
		t.IncidentTags = in.IncidentTemplateTags
	}
}

// DeleteResponsePlan deletes a plan; one that does not exist is deleted already.
func (s *Service) DeleteResponsePlan(ctx context.Context, in *incidents.DeleteResponsePlanInput) (*incidents.DeleteResponsePlanOutput, error) {
	out := &incidents.DeleteResponsePlanOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		name, _ := resource(tx, *in.Arn, "response-plan")
		ok, err := deletePlan(tx, name)
		if err != nil || !ok {
			return err
		}
		if err := tagging.Drop(tx, tagKind, *in.Arn); err != nil {
			return err
		}
		return s.record(tx, "incident.plan_deleted", *in.Arn, nil)
	})
	return out, err
}

// ListResponsePlans lists plans by name.
func (s *Service) ListResponsePlans(ctx context.Context, in *incidents.ListResponsePlansInput) (*incidents.ListResponsePlansOutput, error) {
	var after string
	if err := start(in.NextToken, &after); err != nil {
		return nil, err
	}
	most := page.Limit(in.MaxResults, 100)
	out := &incidents.ListResponsePlansOutput{ResponsePlanSummaries: []incidents.ResponsePlanSummary{}}
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		rows, err := listPlans(tx, after, most+1)
		for i, p := range rows {
			if i == most {
				out.NextToken = new(page.Token(rows[i-1].Name))
				break
			}
			out.ResponsePlanSummaries = append(out.ResponsePlanSummaries, incidents.ResponsePlanSummary{Arn: new(planARN(tx.Scope.Account, p.Name)), Name: &p.Name, DisplayName: p.Spec.DisplayName})
		}
		return err
	})
	return out, err
}
