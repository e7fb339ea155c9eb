package incident

import (
	"context"
	"fmt"
	"strings"

	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/capability/automation"
	"github.com/watchbill/watchbill/internal/capability/engage"
	"github.com/watchbill/watchbill/internal/capability/opsitem"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/page"
	"github.com/watchbill/watchbill/internal/wire"
)

// Automations starts runbooks in the caller's transaction; package automation
// does.
type Automations interface {
	Start(ctx context.Context, tx *db.Tx, s automation.Start) (executionID string, err error)
}

// Service serves response plans and incidents.
type Service struct {
	DB          *db.DB
	Journal     *journal.Journal
	Engage      *engage.Service
	OpsItems    *opsitem.Service
	Automations Automations
}

// New subscribes the timeline to the journal.
func New(s Service) *Service {
	s.Journal.Subscribe(journal.Subscription{Name: "incident.timeline", Kinds: heard(), Handle: s.follow})
	return &s
}

// Operations are the bindings of the operations served here.
func (s *Service) Operations() []wire.Binding {
	return []wire.Binding{
		incidents.BindCreateReplicationSet(s.CreateReplicationSet),
		incidents.BindGetReplicationSet(s.GetReplicationSet),
		incidents.BindListReplicationSets(s.ListReplicationSets),
		incidents.BindUpdateReplicationSet(s.UpdateReplicationSet),
		incidents.BindDeleteReplicationSet(s.DeleteReplicationSet),
		incidents.BindUpdateDeletionProtection(s.UpdateDeletionProtection),
		incidents.BindCreateResponsePlan(s.CreateResponsePlan),
		incidents.BindGetResponsePlan(s.GetResponsePlan),
		incidents.BindUpdateResponsePlan(s.UpdateResponsePlan),
		incidents.BindDeleteResponsePlan(s.DeleteResponsePlan),
		incidents.BindListResponsePlans(s.ListResponsePlans),
		incidents.BindStartIncident(s.StartIncident),
		incidents.BindGetIncidentRecord(s.GetIncidentRecord),
		incidents.BindUpdateIncidentRecord(s.UpdateIncidentRecord),
		incidents.BindListIncidentRecords(s.ListIncidentRecords),
		incidents.BindDeleteIncidentRecord(s.DeleteIncidentRecord),
		incidents.BindCreateTimelineEvent(s.CreateTimelineEvent),
		incidents.BindGetTimelineEvent(s.GetTimelineEvent),
		incidents.BindUpdateTimelineEvent(s.UpdateTimelineEvent),
		incidents.BindDeleteTimelineEvent(s.DeleteTimelineEvent),
		incidents.BindListTimelineEvents(s.ListTimelineEvents),
		incidents.BindListRelatedItems(s.ListRelatedItems),
		incidents.BindUpdateRelatedItems(s.UpdateRelatedItems),
		incidents.BindTagResource(s.TagResource),
		incidents.BindUntagResource(s.UntagResource),
		incidents.BindListTagsForResource(s.ListTagsForResource),
		incidents.BindPutResourcePolicy(s.PutResourcePolicy),
		incidents.BindGetResourcePolicies(s.GetResourcePolicies),
		incidents.BindDeleteResourcePolicy(s.DeleteResourcePolicy),
		incidents.BindListIncidentFindings(s.ListIncidentFindings),
		incidents.BindBatchGetIncidentFindings(s.BatchGetIncidentFindings),
	}
}

// resource takes the ARN of a thing of this service apart: what follows the
// kind. Things of other accounts do not exist.
func resource(tx *db.Tx, id, kind string) (rest string, ok bool) {
	a, err := arn.Parse(id)
	if err != nil || a.Service != "ssm-incidents" || a.Account != tx.Scope.Account || a.Region != "" {
		return "", false
	}
	return strings.CutPrefix(a.Resource, kind+"/")
}

func (s *Service) mustSet(tx *db.Tx, id, lock string) (set, error) {
	uuid, _ := resource(tx, id, "replication-set")
	v, ok, err := loadSet(tx, lock)
	if err == nil && (!ok || v.ID != uuid) {
		err = notFound(incidents.ResourceTypeReplicationSet, id)
	}
	return v, err
}

func (s *Service) mustPlan(tx *db.Tx, id, lock string) (plan, error) {
	name, _ := resource(tx, id, "response-plan")
	p, ok, err := loadPlan(tx, name, lock)
	if err == nil && !ok {
		err = notFound(incidents.ResourceTypeResponsePlan, id)
	}
	return p, err
}

func (s *Service) mustRecord(tx *db.Tx, id, lock string) (record, error) {
	r, ok, err := loadRecord(tx, id, lock)
	if err == nil && !ok {
		err = notFound(incidents.ResourceTypeIncidentRecord, id)
	}
	return r, err
}

func notFound(t incidents.ResourceType, id string) error {
	return &incidents.ResourceNotFoundException{Message: "The resource " + id + " was not found", ResourceType: t, ResourceIdentifier: &id}
}

func invalid(format string, args ...any) error {
	return &incidents.ValidationException{Message: fmt.Sprintf(format, args...)}
}

func (s *Service) record(tx *db.Tx, kind, subject string, body any, related ...string) error {
	return s.Journal.Record(tx, journal.Fact{Kind: kind, Subject: subject, Related: related, Body: body})
}

func actor(tx *db.Tx) string { return journal.ActorOf(tx.Context()) }

// within runs f in another region of the transaction's account.
func within(tx *db.Tx, region string, f func() error) error {
	old := tx.Scope
	tx.Scope.Region = region
	defer func() { tx.Scope = old }()
	return f()
}

func start(token *string, position any) error {
	if page.Parse(ptr.Value(token), position) != nil {
		return invalid("The pagination token is not valid")
	}
	return nil
}
