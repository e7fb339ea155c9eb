package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"github.com/watchbill/watchbill/internal/capability/session"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// maxStrangers is how many data channels may be open before their token is
// known: the stock client proves itself by the token only.
const maxStrangers = 512

// errTerminated makes the stock agent give up at once; after any other answer
// it asks again without a pause.
var errTerminated = fault.New(http.StatusBadRequest, "InvalidRequestException", mgs.SessionTerminated)

// createDataChannel hands out the token of the node's end of a session.
func (g *Gateway) createDataChannel(w http.ResponseWriter, r *http.Request) {
	ctx, body, err := g.nodeCall(w, r, "CreateDataChannel")
	if err == nil {
		err = decode(body, &mgs.ChannelRequest{})
	}
	var token string
	if err == nil {
		token, err = g.Sessions.NodeToken(ctx, r.PathValue("session"))
	}
	if errors.Is(err, session.ErrEnded) {
		err = errTerminated
	}
	if err != nil {
		g.refuse(ctx, w, r, "CreateDataChannel", err)
		return
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(mgs.MarshalToken("CreateDataChannel", token))
}

// openDataChannel serves an end of a session. Nodes sign their request. Newer
// stock clients sign theirs, too, older ones do not: for a client the token
// counts, and only it.
func (g *Gateway) openDataChannel(w http.ResponseWriter, r *http.Request) {
	ctx, isNode, err := g.dataCaller(w, r)
	if err != nil {
		g.refuse(ctx, w, r, "OpenDataChannel", err)
		return
	}
	if !g.stranger(1) {
		g.refuse(ctx, w, r, "OpenDataChannel", fault.Unavailable("Too many data channels are being opened."))
		return
	}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		g.stranger(-1)
		return // Upgrade has answered
	}
	defer func() { _ = conn.Close() }()
	ctx = context.WithoutCancel(ctx)
	hello, err := dataHello(conn)
	g.stranger(-1)
	if err == nil {
		err = g.serveData(ctx, r.PathValue("session"), isNode, hello, conn)
	}
	if err != nil {
		g.Logger.Warn("a data channel was not opened", "session", r.PathValue("session"), "node", isNode, "error", err)
		g.seen(ctx, r, "OpenDataChannel", err)
		closeWith(conn, websocket.ClosePolicyViolation)
	}
}

// serveData serves the end that the first message is from.
func (g *Gateway) serveData(ctx context.Context, id string, isNode bool, hello *mgs.OpenDataChannel, conn *websocket.Conn) error {
	switch {
	case isNode && hello.ClientInstanceID != identity.From(ctx).NodeID():
		return fault.AccessDenied("The first message is not of the node that signed the request.")
	case isNode:
		return g.Relay.ServeNode(ctx, id, hello.TokenValue, conn)
	}
	return g.Relay.ServeClient(ctx, id, hello.TokenValue, conn)
}

// dataCaller says whether a node opens the channel. A client is nobody here.
func (g *Gateway) dataCaller(w http.ResponseWriter, r *http.Request) (context.Context, bool, error) {
	client := journal.WithActor(r.Context(), "session client")
	if r.Header.Get("Authorization") == "" {
		return client, false, nil
	}
	ctx, service, err := g.Authenticate(r, nil)
	if err != nil || service != "ssmmessages" || identity.From(ctx).NodeID() == "" {
		return client, false, nil // the token decides, and a node's is good with its signature only
	}
	ctx, _, err = g.nodeCall(w, r, "OpenDataChannel")
	return ctx, true, err
}

// dataHello reads the first message.
func dataHello(conn *websocket.Conn) (*mgs.OpenDataChannel, error) {
	conn.SetReadLimit(maxOpenBody)
	_ = conn.SetReadDeadline(time.Now().Add(openWait))
	kind, b, err := conn.ReadMessage()
	if err != nil {
		return nil, err
	}
	if kind != websocket.TextMessage {
		return nil, errors.New("the first message is not a text")
	}
	var hello mgs.OpenDataChannel
	return &hello, mgs.Decode(b, &hello)
}

// stranger counts the data channels whose token is not known; false when there
// are too many.
func (g *Gateway) stranger(n int64) bool {
	if g.strangers.Add(n) > maxStrangers && n > 0 {
		g.strangers.Add(-n)
		return false
	}
	return true
}
