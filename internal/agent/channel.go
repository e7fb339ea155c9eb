package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"runtime"
	"sync"
	"time"

	"github.com/watchbill/watchbill/internal/wire/mgs"
	"github.com/watchbill/watchbill/internal/wire/plane"
	"github.com/watchbill/watchbill/internal/wire/sigv4"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"
)

// Times of a control channel.
const (
	pingEvery    = 20 * time.Second
	silence      = 60 * time.Second // a channel on which nothing comes is dead
	writeTimeout = 10 * time.Second
	dialTimeout  = 15 * time.Second
)

// channel is an open control channel.
type channel struct {
	conn  *websocket.Conn
	write sync.Mutex
}

func (c *channel) send(m *mgs.Message) error {
	b, err := m.Marshal()
	if err != nil {
		return err
	}
	c.write.Lock()
	defer c.write.Unlock()
	_ = c.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	return c.conn.WriteMessage(websocket.BinaryMessage, b)
}

// openAndServe opens a control channel and serves it until it ends; opened
// says whether it came so far.
func (n *node) openAndServe(ctx context.Context) (opened bool, err error) {
	var c *channel
	err = n.role.with(ctx, func(creds sigv4.Credentials) error {
		c, err = n.openChannel(ctx, creds)
		return err
	})
	if err != nil {
		return false, err
	}
	defer c.conn.Close()
	n.log.Info("control channel open")
	n.once.Do(func() { close(n.reached) })
	return true, n.serve(c)
}

// openChannel opens the control channel and hands its token in.
func (n *node) openChannel(ctx context.Context, creds sigv4.Credentials) (*channel, error) {
	path := "/v1/control-channel/" + url.PathEscape(n.id)
	conn, ask, err := n.hub.openChannel(ctx, path, "?role=subscribe&stream=input", creds)
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(mgs.MaxFrame)
	_ = conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	err = conn.WriteJSON(mgs.OpenControlChannel{
		MessageSchemaVersion: mgs.MessageSchemaVersion, RequestID: ask.id, TokenValue: ask.token,
		AgentVersion: Version, PlatformType: runtime.GOOS, AgentName: mgs.OwnAgent,
	})
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &channel{conn: conn}, nil
}

// ticket is the hub's answer to the request for a channel.
type ticket struct{ id, token string }

// openChannel asks for the token of a channel and connects to it.
func (h *hub) openChannel(ctx context.Context, path, query string, creds sigv4.Credentials) (*websocket.Conn, ticket, error) {
	ask := mgs.ChannelRequest{MessageSchemaVersion: mgs.MessageSchemaVersion, RequestID: uuid.NewString()}
	body, err := json.Marshal(ask)
	if err != nil {
		return nil, ticket{}, err
	}
	header := http.Header{"Content-Type": {"application/json"}}
	answer, err := h.post(ctx, path, body, header, http.StatusCreated, h.byCredentials(creds, "ssmmessages"))
	if err != nil {
		return nil, ticket{}, err
	}
	token, err := mgs.UnmarshalToken(answer)
	if err != nil {
		return nil, ticket{}, err
	}
	conn, err := h.dial(ctx, path+query, creds)
	return conn, ticket{ask.RequestID, token}, err
}

// dial opens a WebSocket at the hub, signed as a GET of its address.
func (h *hub) dial(ctx context.Context, path string, creds sigv4.Credentials) (*websocket.Conn, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.base.String()+path, nil)
	if err != nil {
		return nil, err
	}
	if err := h.byCredentials(creds, "ssmmessages")(r, nil, h.now()); err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", userAgent())
	address := *r.URL
	address.Scheme = map[string]string{"https": "wss", "http": "ws"}[address.Scheme]
	d := websocket.Dialer{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: h.tls.Clone(), HandshakeTimeout: dialTimeout,
		ReadBufferSize: 4 << 10, WriteBufferSize: 4 << 10,
		NetDialContext: plane.BulkDial((&net.Dialer{Timeout: dialTimeout}).DialContext),
	}
	d.TLSClientConfig.DynamicRecordSizingDisabled = true // small writes are single records anyway
	conn, res, err := d.DialContext(ctx, address.String(), r.Header)
	if errors.Is(err, websocket.ErrBadHandshake) && res != nil {
		return nil, &hubError{Status: res.StatusCode, After: retryAfter(res.Header.Get("Retry-After"))}
	}
	if err != nil {
		return nil, h.unreachable(err)
	}
	return conn, nil
}

// serve reads the channel until it ends. The replies that the hub has not
// acknowledged are sent first.
func (n *node) serve(c *channel) error {
	quit := make(chan struct{})
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer close(quit)
	n.use(c)
	defer n.use(nil)
	c.watch()
	helpers.Go(func() { n.beat(c, quit) })
	helpers.Go(func() { n.keepReplies(c, quit) })
	helpers.Go(func() { n.keepOutputs(c, quit) })
	for {
		kind, b, err := c.conn.ReadMessage()
		if err != nil {
			return closing(err)
		}
		c.alive()
		if kind != websocket.BinaryMessage {
			continue
		}
		m, err := mgs.Unmarshal(b)
		if err != nil {
			n.log.Warn("a frame cannot be read", "error", err.Error())
			continue
		}
		if err := n.handle(c, m); err != nil {
			return err
		}
	}
}

func (n *node) use(c *channel) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.channel = c
	clear(n.sent) // everything is sent again on a new channel
}

func (c *channel) alive() { _ = c.conn.SetReadDeadline(time.Now().Add(silence)) }

// watch takes pings and pongs as signs of life, and answers pings.
func (c *channel) watch() {
	c.alive()
	c.conn.SetPongHandler(func(string) error { c.alive(); return nil })
	answer := c.conn.PingHandler()
	c.conn.SetPingHandler(func(s string) error { c.alive(); return answer(s) })
}

// beat pings the hub, and closes the channel when the node stops.
func (n *node) beat(c *channel, quit <-chan struct{}) {
	t := time.NewTicker(pingEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			_ = c.conn.WriteControl(websocket.PingMessage, []byte("keepalive"), time.Now().Add(writeTimeout))
		case <-n.stop.Done():
			n.jobs.Wait() // so that the last results still go out
			bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
			_ = c.conn.WriteControl(websocket.CloseMessage, bye, time.Now().Add(time.Second))
			c.conn.Close()
			return
		case <-quit:
			return
		}
	}
}

// handle acts on one frame. Types that are not known are ignored.
func (n *node) handle(c *channel, m *mgs.Message) error {
	switch m.Type {
	case mgs.TypeAgentJob:
		return n.handleJob(c, m)
	case mgs.TypeAgentJobReplyAck:
		var ack mgs.AgentJobReplyAck
		if err := mgs.Decode(m.Payload, &ack); err != nil {
			n.log.Warn("an acknowledgement cannot be read", "error", err.Error())
			return nil
		}
		n.acknowledged(ack)
	case mgs.TypeJobOutputAck:
		var ack mgs.JobOutputAck
		if mgs.Decode(m.Payload, &ack) == nil {
			n.held(c, ack)
		}
	case mgs.TypeInteractiveShell, mgs.TypeAgentTaskAcknowledge:
		n.handleSession(m)
	case mgs.TypeChannelClosed:
		var closed mgs.ChannelClosed
		if mgs.Decode(m.Payload, &closed) != nil {
			return nil
		}
		n.sessions.Close(closed.SessionID)
		if closed.SessionID == "" {
			return &hubError{Code: codeReplaced, Message: "the hub closed this channel for another one of the same node: does a second program use this registration?"}
		}
	}
	return nil
}

func (n *node) handleJob(c *channel, m *mgs.Message) error {
	var job mgs.AgentJob
	got := receipt{code: mgs.AckParseError, text: "the job cannot be read"}
	if err := mgs.Decode(m.Payload, &job); err == nil {
		got = n.receive(job)
	}
	ack, err := mgs.Encode(mgs.TypeAgentJobAck, mgs.AgentJobAck{
		JobID: job.JobID, AcknowledgedMessageID: m.ID.String(), CreatedDate: mgs.FormatTime(time.Now()),
		StatusCode: got.code, ErrorMessage: got.text,
	})
	if err == nil {
		err = c.send(ack)
	}
	if got.then != nil {
		got.then() // the job is kept, whether the hub has heard of it or not
	}
	return err
}

var retryHint = regexp.MustCompile(`\bretry-after=([0-9]{1,4})\b`)

// closing reads the hub's wish in a close frame: a reason with the text
// retry-after=SECONDS says when to come back.
func closing(err error) error {
	var c *websocket.CloseError
	if !errors.As(err, &c) {
		return err
	}
	if m := retryHint.FindStringSubmatch(c.Text); m != nil {
		return &hubError{Code: "ChannelClosed", Message: c.Text, After: retryAfter(m[1])}
	}
	return fmt.Errorf("the hub closed the channel: %w", err)
}
