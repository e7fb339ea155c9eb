package incident

import (
	"context"
	"time"

	"github.com/watchbill/watchbill/internal/lang/timeline"
	"github.com/watchbill/watchbill/internal/platform/db"
)

const mostLines = 10000

// Timeline tells the timeline of an incident for people, oldest first; see package
// timeline.
func (s *Service) Timeline(ctx context.Context, incident string) (string, error) {
	var rows []event
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		if _, err := s.mustRecord(tx, incident, ""); err != nil {
			return err
		}
		f := (&db.Filter{}).And("account = ?", tx.Scope.Account).And("region = ?", "").And("incident = ?", incident)
		var err error
		rows, err = listEvents(tx, f, "asc", mostLines)
		return err
	})
	if err != nil {
		return "", err
	}
	events := make([]timeline.Event, len(rows))
	for i, e := range rows {
		events[i] = timeline.Event{At: e.At, Type: e.Type, Data: e.Data}
	}
	return timeline.Render(events, time.UTC), nil
}
