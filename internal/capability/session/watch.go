package session

import (
	"context"
	"log/slog"
	"time"

	"github.com/watchbill/watchbill/internal/capability/node"
)

// watchEvery is the net under the wake-ups.
const watchEvery = 10 * time.Second

// Watch calls look at once and after each news of the session or of its node, here and on
// other hubs, until look answers false or ctx ends. Ended says that the session is over,
// with the text for its client.
func (s *Service) Watch(ctx context.Context, x *Session, log *slog.Logger, look func(output string, ended bool) bool) {
	news, stop := s.DB.Listen(Topic(x.Scope, x.ID))
	defer stop()
	moves, stop := s.DB.Listen(node.Topic(x.Scope, x.Node))
	defer stop()
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	for {
		output, ended, err := s.Closing(ctx, x.ID)
		if err != nil && ctx.Err() == nil {
			log.Error("the state of a session cannot be read", "error", err)
		}
		if !look(output, err == nil && ended) {
			return
		}
		select {
		case <-news:
		case <-moves:
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}
