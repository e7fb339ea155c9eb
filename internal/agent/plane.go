package agent

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/watchbill/watchbill/internal/agent/plane"
	"github.com/watchbill/watchbill/internal/wire/mgs"
	wire "github.com/watchbill/watchbill/internal/wire/plane"
	"github.com/watchbill/watchbill/internal/wire/sigv4"
)

// servePlane serves a session of our own data plane.
func (n *node) servePlane(ctx context.Context, start mgs.StartSession) error {
	return plane.Serve(ctx, plane.Config{Dial: n.dialPlane, Log: n.log}, start)
}

// dialPlane opens the node's link of a session.
func (n *node) dialPlane(ctx context.Context, id string) (l *wire.Link, w wire.Welcome, err error) {
	err = n.role.with(ctx, func(creds sigv4.Credentials) error {
		l, w, err = n.openPlane(ctx, id, creds)
		return err
	})
	var refused *hubError
	if errors.As(err, &refused) && strings.Contains(refused.Error(), mgs.SessionTerminated) {
		err = &wire.EndError{Cause: mgs.SessionTerminated}
	}
	return l, w, err
}

func (n *node) openPlane(ctx context.Context, id string, creds sigv4.Credentials) (*wire.Link, wire.Welcome, error) {
	conn, ask, err := n.hub.openChannel(ctx, "/v1/plane/"+url.PathEscape(id), "", creds)
	if err != nil {
		return nil, wire.Welcome{}, err
	}
	l := wire.NewLink(conn.NetConn(), true)
	w, err := wire.Greet(l, ask.token)
	return l, w, err
}
