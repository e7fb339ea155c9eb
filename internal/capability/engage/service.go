package engage

import (
	"slices"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/capability/contact"
	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire"
)

// Service serves engagements and pages.
type Service struct {
	DB       *db.DB
	Tasks    *task.Engine
	Journal  *journal.Journal
	Contacts *contact.Service
	Channels Channels
	// Key is 32 bytes kept outside the database. Accept codes and link tokens
	// derive from it: it must outlive the process, or links stop working.
	Key []byte
	// BaseURL is where people reach the hub, as "https://hub.example.com:8443".
	BaseURL string
	// StageUnit is the length of one minute of a plan; 0 means a minute. Drills
	// and demonstrations make it shorter.
	StageUnit time.Duration
}

// New registers the tasks of the package.
func New(s Service) *Service {
	if s.StageUnit == 0 {
		s.StageUnit = time.Minute
	}
	s.Tasks.Handle(stageTask, s.runStage)
	s.Tasks.HandleWith(pageTask, task.Options{MaxAttempts: pageTries + 2, Timeout: pageTimeout}, s.deliver)
	return &s
}

// Operations are the bindings of the operations served here.
func (s *Service) Operations() []wire.Binding {
	return []wire.Binding{
		contacts.BindStartEngagement(s.StartEngagement),
		contacts.BindStopEngagement(s.StopEngagement),
		contacts.BindDescribeEngagement(s.DescribeEngagement),
		contacts.BindListEngagements(s.ListEngagements),
		contacts.BindListPagesByEngagement(s.ListPagesByEngagement),
		contacts.BindListPagesByContact(s.ListPagesByContact),
		contacts.BindDescribePage(s.DescribePage),
		contacts.BindAcceptPage(s.AcceptPage),
		contacts.BindListPageReceipts(s.ListPageReceipts),
		contacts.BindListPageResolutions(s.ListPageResolutions),
	}
}

// within runs f in another scope of the same transaction: contacts live in the
// region of their ARN, their callers elsewhere.
func within(tx *db.Tx, s db.Scope, f func() error) error {
	old := tx.Scope
	tx.Scope = s
	defer func() { tx.Scope = old }()
	return f()
}

// resource splits the ARN of an engagement or a page: scope, alias and id.
func resource(account, id, kind string) (s db.Scope, alias, uuid string, ok bool) {
	a, err := arn.Parse(id)
	if err != nil || a.Service != "ssm-contacts" || a.Account != account {
		return s, "", "", false
	}
	p := strings.Split(a.Resource, "/")
	if len(p) != 3 || p[0] != kind || slices.Contains(p, "") {
		return s, "", "", false
	}
	return db.Scope{Account: a.Account, Region: a.Region}, p[1], p[2], true
}

func (s *Service) findEngagement(tx *db.Tx, id, lock string) (engagement, error) {
	scope, alias, uuid, ok := resource(tx.Scope.Account, id, "engagement")
	if !ok || scope != tx.Scope {
		return engagement{}, notFound("ENGAGEMENT", id)
	}
	e, ok, err := loadEngagement(tx, scope, uuid, lock)
	if err == nil && (!ok || e.Alias != alias) {
		err = notFound("ENGAGEMENT", id)
	}
	return e, err
}

func (s *Service) findPage(tx *db.Tx, id, lock string) (pageRow, error) {
	scope, alias, uuid, ok := resource(tx.Scope.Account, id, "page")
	if !ok || scope != tx.Scope {
		return pageRow{}, notFound("PAGE", id)
	}
	p, ok, err := loadPage(tx, scope, uuid, lock)
	if err == nil && (!ok || p.Alias != alias) {
		err = notFound("PAGE", id)
	}
	return p, err
}

func notFound(kind, id string) error {
	return &contacts.ResourceNotFoundException{Message: "The resource " + id + " was not found", ResourceId: &id, ResourceType: &kind}
}
