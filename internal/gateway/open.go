package gateway

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"

	"github.com/watchbill/watchbill/internal/capability/node"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/wire"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

const (
	maxOpenBody = 16 << 10
	openWait    = 15 * time.Second // from the upgrade to the first message
)

// createControlChannel hands out the token of a channel.
func (g *Gateway) createControlChannel(w http.ResponseWriter, r *http.Request) {
	if !g.admitted(w) {
		return
	}
	defer func() { g.admission.leave(time.Now()) }()
	ctx, body, err := g.authenticate(w, r, "CreateControlChannel")
	if err == nil {
		err = decode(body, &mgs.ChannelRequest{})
	}
	if err == nil {
		err = g.quarrel(r.PathValue("node"), time.Now())
	}
	var token string
	if err == nil {
		token, err = g.Nodes.ChannelToken(ctx, r.PathValue("node"))
	}
	if err != nil {
		g.refuse(ctx, w, r, "CreateControlChannel", err)
		return
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(mgs.MarshalToken("CreateControlChannel", token))
}

// authenticate checks that the node of the path itself signed the request and may
// call the operation. The context tells who called also when the answer is no.
func (g *Gateway) authenticate(w http.ResponseWriter, r *http.Request, operation string) (context.Context, []byte, error) {
	ctx, body, err := g.nodeCall(w, r, operation)
	if err == nil && identity.From(ctx).NodeID() != r.PathValue("node") {
		err = fault.AccessDenied("The channel belongs to another node.")
	}
	return ctx, body, err
}

// nodeCall checks that a node signed the request and may call the operation.
func (g *Gateway) nodeCall(w http.ResponseWriter, r *http.Request, operation string) (context.Context, []byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxOpenBody))
	if err != nil {
		return r.Context(), nil, fault.TooLarge(maxOpenBody)
	}
	ctx, service, err := g.Authenticate(r, body)
	if err != nil {
		return r.Context(), nil, err
	}
	if service != "ssmmessages" {
		return ctx, nil, fault.InvalidSignature("Credential should be scoped to correct service: 'ssmmessages'.")
	}
	caller := identity.From(ctx)
	ctx = journal.WithActor(ctx, caller.ARN)
	allowed, err := g.Authorize(ctx, service, operation, nil)
	if err != nil {
		return ctx, nil, err
	}
	if caller.NodeID() == "" {
		return ctx, nil, fault.AccessDenied("The channel belongs to another node.")
	}
	return allowed, body, nil
}

// xmlFault is the form of errors here: the element is named by the code.
type xmlFault struct {
	XMLName xml.Name
	Message string `xml:"Message"`
}

// refuse answers an error once it is recorded.
func (g *Gateway) refuse(ctx context.Context, w http.ResponseWriter, r *http.Request, operation string, err error) {
	g.seen(ctx, r, operation, err)
	g.answer(w, r, err)
}

// seen records that a request was refused.
func (g *Gateway) seen(ctx context.Context, r *http.Request, operation string, err error) {
	if g.Observe == nil {
		return
	}
	now, coded := time.Now(), fault.Of(err)
	c := wire.Call{Service: "ssmmessages", Operation: operation, RequestID: uuid.NewString(), Started: now, Status: coded.HTTPStatus(), Err: coded}
	c.Source, _, _ = net.SplitHostPort(r.RemoteAddr)
	g.Observe(ctx, c)
}

func (g *Gateway) answer(w http.ResponseWriter, r *http.Request, err error) {
	coded := fault.Of(err)
	if f, ok := errors.AsType[*fault.Fault](coded); ok && f.Cause != nil {
		g.Logger.Error("a channel cannot be opened", "path", r.URL.Path, "error", f.Cause)
	}
	body, err := xml.Marshal(xmlFault{XMLName: xml.Name{Local: coded.ErrorCode()}, Message: coded.ErrorMessage()})
	if err != nil {
		body = nil
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(coded.HTTPStatus())
	_, _ = w.Write(body)
}

// Reports are small and seldom, and ten thousand channels are open at once: each has a
// small buffer for reading, and those for writing are shared.
var upgrader = websocket.Upgrader{ReadBufferSize: 1 << 10, WriteBufferSize: 4 << 10, WriteBufferPool: &sync.Pool{}}

// openControlChannel upgrades the connection. The channel lives on in a goroutine of its
// own, so that nothing of the request is kept as long as it.
func (g *Gateway) openControlChannel(w http.ResponseWriter, r *http.Request) {
	ctx, _, err := g.authenticate(w, r, "OpenControlChannel")
	if err != nil {
		g.refuse(ctx, w, r, "OpenControlChannel", err)
		return
	}
	id := strings.Clone(r.PathValue("node"))
	if err := g.admit(id); err != nil {
		g.refuse(ctx, w, r, "OpenControlChannel", err)
		return
	}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		g.leave(id)
		return // Upgrade has answered
	}
	go g.serveControlChannel(context.WithoutCancel(ctx), conn, id)
}

// serveControlChannel serves a channel until it ends.
func (g *Gateway) serveControlChannel(ctx context.Context, conn *websocket.Conn, id string) {
	defer g.leave(id)
	defer func() { _ = conn.Close() }()
	hello, err := g.hello(ctx, conn, id)
	if err != nil {
		g.Logger.Warn("a control channel was not opened", "node", id, "error", err)
		closeWith(conn, websocket.ClosePolicyViolation)
		return
	}
	c := &channel{
		gateway: g, conn: conn, node: id, id: uuid.NewString(), own: hello.AgentName == mgs.OwnAgent,
		ended: make(chan struct{}), silent: make(chan struct{}), log: g.Logger.With("node", id),
	}
	c.serve(ctx, hello)
}

// hello reads the first message and takes its token.
func (g *Gateway) hello(ctx context.Context, conn *websocket.Conn, id string) (*mgs.OpenControlChannel, error) {
	conn.SetReadLimit(mgs.MaxFrame)
	_ = conn.SetReadDeadline(time.Now().Add(openWait))
	kind, b, err := conn.ReadMessage()
	if err != nil {
		return nil, err
	}
	if kind != websocket.TextMessage || len(b) > maxOpenBody {
		return nil, errors.New("the first message is not a text of the size it should have")
	}
	var hello mgs.OpenControlChannel
	if err := mgs.Decode(b, &hello); err != nil {
		return nil, err
	}
	return &hello, g.Nodes.UseChannelToken(ctx, id, hello.TokenValue)
}

func closeWith(conn *websocket.Conn, code int) {
	_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), time.Now().Add(writeWait))
}

// reportOf is what the first message says of the node.
func reportOf(hello *mgs.OpenControlChannel) node.Report {
	return node.Report{AgentName: hello.AgentName, AgentVersion: hello.AgentVersion, PlatformType: hello.PlatformType}
}
