package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/watchbill/watchbill/internal/wire/fault"
)

// Times of a held answer. The stock agent waits 60 s for its credentials.
const (
	holdFor   = 40 * time.Second
	holdPause = 500 * time.Millisecond
)

// hold repeats f while it fails for the hub's own reasons, as long as the node waits:
// an error in answer to its first health ping makes the stock agent sleep for five
// minutes and more, and one to the request for credentials for twenty seconds; a late
// answer costs nothing. What the node itself does wrong is answered at once.
func (g *Gateway) hold(ctx context.Context, f func() error) error {
	limit := time.NewTimer(holdFor)
	defer limit.Stop()
	pause := time.NewTicker(holdPause)
	defer pause.Stop()
	for {
		err := f()
		if err == nil || !ours(err) {
			return err
		}
		select {
		case <-pause.C:
		case <-limit.C:
			return err
		case <-g.draining:
			return err
		case <-ctx.Done():
			return err
		}
	}
}

// ours says that an error is the hub's trouble, not the caller's.
func ours(err error) bool {
	coded, ok := errors.AsType[fault.Coded](err)
	return !ok || coded.HTTPStatus() >= http.StatusInternalServerError
}
