package intake

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"slices"

	"github.com/watchbill/watchbill/internal/capability/alarm"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/platform/journal"
)

// Service takes alarms in.
type Service struct {
	DB        *db.DB
	Journal   *journal.Journal
	Alarms    *alarm.Service
	Incidents Incidents
	OpsItems  OpsItems
	Config    func() *Config // File.Config
	Account   string
	Egress    *http.Client // confirms SNS subscriptions
	Log       *slog.Logger

	stats stats
}

// New makes the service.
func New(s Service) *Service {
	s.stats = newStats()
	return &s
}

// Result counts what became of the alarms of a delivery.
type Result struct {
	Accepted int `json:"accepted"`
	Opened   int `json:"opened"`
	Folded   int `json:"folded"`
	Resolved int `json:"resolved"`
}

// scoped is a context in which an integration acts.
func (s *Service) scoped(ctx context.Context, i *integration) context.Context {
	by := identity.Caller{
		ARN:     "arn:aws:sts::" + s.Account + ":assumed-role/watchbill-intake/" + i.name,
		Account: s.Account, Kind: identity.Hub, SessionName: i.name,
	}
	ctx = journal.WithActor(identity.With(ctx, by), by.ARN)
	return db.WithScope(ctx, db.Scope{Account: s.Account, Region: i.region})
}

// accept takes a delivery in, all of it or nothing, durably.
func (s *Service) accept(ctx context.Context, i *integration, signals []alarm.Signal) (Result, error) {
	for n := range signals {
		signals[n].Integration, signals[n].Key = i.name, short(signals[n].Key)
	}
	// One order for all deliveries, so that those that share alarms do not lock
	// each other out.
	slices.SortStableFunc(signals, func(a, b alarm.Signal) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), a.StartsAt.Compare(b.StartsAt))
	})
	var out Result
	err := s.DB.Update(s.scoped(ctx, i), func(tx *db.Tx) error {
		out = Result{Accepted: len(signals)}
		for _, sig := range signals {
			t, err := s.Alarms.Observe(tx, sig)
			if err != nil {
				return err
			}
			out.count(t.Change)
			if err := s.act(tx, i, sig, t); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		s.stats.accepted(i, out)
	}
	return out, err
}

func (r *Result) count(c alarm.Change) {
	switch c {
	case alarm.Opened, alarm.Reopened:
		r.Opened++
	case alarm.Resolved:
		r.Resolved++
	default:
		r.Folded++
	}
}
