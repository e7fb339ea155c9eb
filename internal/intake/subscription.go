package intake

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/watchbill/watchbill/internal/intake/cloudwatch"
	"github.com/watchbill/watchbill/internal/lang/text"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

// The states that intake.subscription tells of.
const (
	subscriptionRequested = "requested"
	subscriptionConfirmed = "confirmed"
	subscriptionRefused   = "refused" // its URL is not one of SNS
	subscriptionEnded     = "ended"
)

// subscription records what SNS says of a subscription, and confirms it when that
// cannot reach anybody but SNS. One that is not confirmed is asked for again.
func (s *Service) subscription(ctx context.Context, i *integration, sub *cloudwatch.Subscription) (any, error) {
	state := subscriptionRequested
	switch {
	case sub.Ended:
		state = subscriptionEnded
	case !cloudwatch.Confirmable(sub.ConfirmURL):
		state = subscriptionRefused
		s.Log.WarnContext(ctx, "a subscription is not confirmed: its SubscribeURL is not https://sns.REGION.amazonaws.com", "integration", i.name, "topic", text.Clip(sub.Topic, 300))
	}
	if err := s.recordSubscription(ctx, i, sub, state); err != nil {
		return nil, err
	}
	if state == subscriptionRequested {
		if err := s.confirm(ctx, sub.ConfirmURL); err != nil {
			return nil, err
		}
		state = subscriptionConfirmed
		if err := s.recordSubscription(ctx, i, sub, state); err != nil {
			return nil, err
		}
	}
	return map[string]string{"subscription": state}, nil
}

func (s *Service) recordSubscription(ctx context.Context, i *integration, sub *cloudwatch.Subscription, state string) error {
	return s.DB.Update(s.scoped(ctx, i), func(tx *db.Tx) error {
		return s.Journal.Record(tx, journal.Fact{
			Kind: "intake.subscription", Subject: "intake/" + i.name,
			Body: map[string]string{"topic": text.Clip(sub.Topic, 300), "state": state},
		})
	})
}

// confirm fetches the URL. Errors do not repeat it: it holds a token.
func (s *Service) confirm(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fault.Unavailable("The subscription could not be confirmed.")
	}
	resp, err := s.Egress.Do(req)
	if err != nil {
		s.Log.WarnContext(ctx, "a subscription could not be confirmed", "host", req.URL.Host)
		return fault.Unavailable("The subscription could not be confirmed.")
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, MaxBody))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("confirm a subscription at %s: status %d", req.URL.Host, resp.StatusCode)
	}
	return nil
}
