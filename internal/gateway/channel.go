package gateway

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"

	"github.com/watchbill/watchbill/internal/capability/command"
	"github.com/watchbill/watchbill/internal/capability/node"
	"github.com/watchbill/watchbill/internal/capability/session"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/mailbox"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// Times of a channel. The stock agent pings every 54 s and takes 60 s without
// a pong for a loss; we ping both kinds of agents ourselves.
const (
	pingEvery = 10 * time.Second
	silence   = 25 * time.Second // a channel on which nothing comes is dead
	writeWait = 10 * time.Second
	pollEvery = 30 * time.Second // the net under the wake-ups

	// resendStock is how long a job is sent again to a stock agent, which
	// forgets after 30 minutes what it has run. Ours keeps a ledger.
	resendStock = 25 * time.Minute

	maxClosed = 5 // how often a node is told that a session is over

	// goodbyeWait is how long the hub waits for the other end of a channel that was
	// replaced to say that it has heard so.
	goodbyeWait = 5 * time.Second

	maxRefused = 10 // reports about foreign commands that are looked at, per channel
)

// ending says why the hub ends a channel.
type ending int

const (
	endNone     ending = iota // the other side, or the line
	endReplaced               // a newer channel of the same node is open
	endHubStops
)

// channel is a control channel.
type channel struct {
	gateway *Gateway
	conn    *websocket.Conn
	node    string
	id      string // of the connection
	own     bool   // our agent is at the other end
	log     *slog.Logger

	write sync.Mutex
	once  sync.Once
	why   ending
	ended chan struct{}

	silent   chan struct{} // closed when the reading is over
	answered bool          // the other end closed the channel in form, for silent

	refused int // only the reading goroutine touches it
}

// end makes the channel stop; the first reason counts.
func (c *channel) end(why ending) {
	c.once.Do(func() {
		c.why = why
		close(c.ended)
	})
}

// serve runs the channel until it ends.
func (c *channel) serve(ctx context.Context, hello *mgs.OpenControlChannel) {
	nodes := c.gateway.Nodes
	if err := errors.Join(nodes.Report(ctx, c.node, reportOf(hello)), nodes.Connected(ctx, c.node, c.id)); err != nil {
		c.log.Warn("a control channel was not opened", "error", err)
		closeWith(c.conn, websocket.CloseTryAgainLater)
		return
	}
	// Only now, when the row names this connection: the end of an older one
	// must not take the node offline.
	if !c.gateway.attach(c) {
		c.end(endHubStops)
		c.bye()
		c.left(ctx)
		return
	}
	defer c.gateway.detach(c)
	c.log.Info("control channel open", "agent_version", hello.AgentVersion, "own", c.own)
	var writer sync.WaitGroup
	writer.Go(func() { c.sendLoop(ctx) })
	c.readLoop(ctx)
	close(c.silent)
	c.end(endNone)
	writer.Wait()
	c.left(ctx)
}

// left keeps the end of the channel.
func (c *channel) left(ctx context.Context) {
	var err error
	switch {
	case c.why == endHubStops:
		err = c.gateway.Nodes.Released(ctx, c.node, c.id)
	case c.why == endReplaced && c.answered:
		if c.gateway.contest(c.node, time.Now()) {
			err = c.gateway.Nodes.Contested(ctx, c.node)
		}
	default:
		err = c.gateway.Nodes.Disconnected(ctx, c.node, c.id)
	}
	if err != nil {
		c.log.Error("the end of a control channel was not kept", "error", err)
	}
	c.log.Info("control channel closed", "replaced", c.why == endReplaced)
}

// over says that the channel has been told to end.
func (c *channel) over() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// isGoodbye tells a close frame of the other end from a connection that broke.
func isGoodbye(err error) bool {
	e, ok := errors.AsType[*websocket.CloseError](err)
	return ok && e.Code != websocket.CloseAbnormalClosure
}

func (c *channel) alive() { _ = c.conn.SetReadDeadline(time.Now().Add(silence)) }

// readLoop reads frames until the connection is over.
func (c *channel) readLoop(ctx context.Context) {
	c.alive()
	c.conn.SetPongHandler(func(string) error { c.alive(); return nil })
	answer := c.conn.PingHandler()
	c.conn.SetPingHandler(func(s string) error { c.alive(); return answer(s) })
	for {
		kind, b, err := c.conn.ReadMessage()
		if err != nil {
			c.answered = c.over() && isGoodbye(err)
			return
		}
		c.alive()
		if kind != websocket.BinaryMessage {
			continue
		}
		m, err := mgs.Unmarshal(b)
		if err != nil {
			c.log.Warn("a frame cannot be read", "error", err)
			continue
		}
		if err := aside(func() error { return c.handle(ctx, m) }); err != nil {
			c.log.Warn("a frame was not taken", "type", m.Type, "error", err)
		}
	}
}

// sendLoop sends what is in the mailbox, and pings, until the channel ends.
func (c *channel) sendLoop(ctx context.Context) {
	mail, stop := c.gateway.Mailbox.Listen(ctx, c.node)
	defer stop()
	news, stop := c.gateway.Nodes.DB.Listen(node.Topic(db.ScopeOf(ctx), c.node))
	defer stop()
	pings := time.NewTicker(pingEvery)
	defer pings.Stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	defer func() { _ = c.conn.Close() }() // ends the reading, too
	for {
		select {
		case <-c.ended:
			c.bye()
			c.listenOn()
			return
		case <-pings.C:
			_ = c.conn.WriteControl(websocket.PingMessage, []byte("keepalive"), time.Now().Add(writeWait))
			continue
		case <-mail:
		case <-news:
		case <-timer.C:
		}
		var next time.Time
		err := aside(func() (err error) { next, err = c.deliver(ctx); return err })
		if err != nil {
			c.log.Error("jobs cannot be delivered", "error", err)
		}
		timer.Reset(wait(next))
	}
}

// aside runs f on a stack of its own: that of a goroutine which mostly waits must not grow,
// since there are two for each of ten thousand nodes.
func aside(f func() error) error {
	done := make(chan error)
	go func() { done <- f() }()
	return <-done
}

// wait is the time until next, within the polling net.
func wait(next time.Time) time.Duration {
	if next.IsZero() {
		return pollEvery
	}
	return min(max(time.Until(next), 0), pollEvery)
}

// deliver sends what is due and says when to come back.
func (c *channel) deliver(ctx context.Context) (time.Time, error) {
	holds, err := c.gateway.Nodes.Holds(ctx, c.node, c.id)
	if err != nil {
		return time.Time{}, err
	}
	if !holds {
		c.end(endReplaced)
		return time.Time{}, nil
	}
	resend := resendStock
	if c.own {
		resend = 0
	}
	messages, next, err := c.gateway.Mailbox.Take(ctx, c.node, resend)
	if err != nil {
		return time.Time{}, err
	}
	for _, msg := range messages {
		if err := c.deliverOne(ctx, msg); err != nil {
			return next, err
		}
	}
	return next, nil
}

// deliverOne sends a message. The job of a command is made only here. A locked
// node is told of endings only.
func (c *channel) deliverOne(ctx context.Context, msg mailbox.Message) (err error) {
	if msg.Kind == mgs.TypeChannelClosed && msg.Sends > maxClosed {
		return c.gateway.Sessions.Told(ctx, c.node, msg.ID)
	}
	if msg.Kind != mgs.TypeChannelClosed && c.gateway.Sessions.NodeLocked(ctx, c.node) {
		return nil
	}
	if len(msg.Payload) == 0 {
		if msg.Payload, err = c.payload(ctx, msg); err != nil || msg.Payload == nil {
			return err
		}
	}
	err = c.send(mgs.New(msg.Kind, msg.Payload))
	if errors.Is(err, mgs.ErrFrame) && msg.Kind == mgs.TypeAgentJob { // it will never fit
		err = c.gateway.Commands.Acked(ctx, c.node, mgs.AgentJobAck{JobID: msg.ID, StatusCode: mgs.AckInvalid})
	}
	return err
}

// payload makes what a message in the mailbox only names.
func (c *channel) payload(ctx context.Context, msg mailbox.Message) ([]byte, error) {
	if msg.Kind == mgs.TypeInteractiveShell {
		return c.gateway.Sessions.Shell(ctx, c.node, msg.ID)
	}
	return c.gateway.Commands.Job(ctx, c.node, msg.ID)
}

// listenOn leaves a replaced channel open until its other end has answered the
// goodbye, which shows that somebody is there.
func (c *channel) listenOn() {
	if c.why != endReplaced {
		return
	}
	t := time.NewTimer(goodbyeWait)
	defer t.Stop()
	select {
	case <-c.silent:
	case <-t.C:
	}
}

// bye tells the node why the hub closes the channel.
func (c *channel) bye() {
	switch c.why {
	case endReplaced:
		_ = c.reply(mgs.TypeChannelClosed, mgs.ChannelClosed{
			MessageType: mgs.TypeChannelClosed, MessageID: uuid.NewString(), DestinationID: c.node, SchemaVersion: 1,
			CreatedDate: mgs.FormatTime(time.Now()), Output: "another control channel of this node is open",
		})
		closeWith(c.conn, websocket.ClosePolicyViolation)
	case endHubStops:
		closeWith(c.conn, websocket.CloseServiceRestart)
	}
}

func (c *channel) send(m *mgs.Message) error {
	b, err := m.Marshal()
	if err != nil {
		return err
	}
	c.write.Lock()
	defer c.write.Unlock()
	_ = c.conn.SetWriteDeadline(time.Now().Add(writeWait))
	return c.conn.WriteMessage(websocket.BinaryMessage, b)
}

func (c *channel) reply(messageType string, payload any) error {
	m, err := mgs.Encode(messageType, payload)
	if err != nil {
		return err
	}
	return c.send(m)
}

// handle acts on one frame. Types that are not known are ignored.
func (c *channel) handle(ctx context.Context, m *mgs.Message) error {
	if c.refused >= maxRefused {
		return nil
	}
	err := c.take(ctx, m)
	if errors.Is(err, command.ErrForeign) || errors.Is(err, session.ErrForeign) {
		c.refused++
	}
	return err
}

func (c *channel) take(ctx context.Context, m *mgs.Message) error {
	commands := c.gateway.Commands
	switch m.Type {
	case mgs.TypeAgentJobAck:
		var ack mgs.AgentJobAck
		if err := mgs.Decode(m.Payload, &ack); err != nil {
			return err
		}
		return commands.Acked(ctx, c.node, ack)
	case mgs.TypeAgentJobReply:
		var reply mgs.AgentJobReply
		if err := mgs.Decode(m.Payload, &reply); err != nil {
			return err
		}
		return c.takeReply(ctx, m, reply)
	case mgs.TypeAgentTaskComplete:
		return c.takeEnd(ctx, m)
	case mgs.TypeJobOutput:
		var out mgs.JobOutput
		if err := mgs.Decode(m.Payload, &out); err != nil {
			return err
		}
		length, end, err := commands.Output(ctx, c.node, out)
		if err != nil {
			return err
		}
		return c.reply(mgs.TypeJobOutputAck, mgs.JobOutputAck{JobID: out.JobID, Step: out.Step, Stream: out.Stream, Length: length, End: end})
	}
	return nil
}

// takeEnd keeps a node's word that a session is over, and says so: a node repeats
// it otherwise. One about a session that is not the node's changes nothing.
func (c *channel) takeEnd(ctx context.Context, m *mgs.Message) error {
	var done mgs.AgentTaskComplete
	if err := mgs.Decode(m.Payload, &done); err != nil {
		return err
	}
	err := c.gateway.Sessions.Completed(ctx, c.node, session.Completion{
		SessionID: done.TaskID, Status: done.FinalTaskStatus, Output: done.Output, S3Bucket: done.S3Bucket, S3UrlSuffix: done.S3UrlSuffix,
		CwlGroup: done.CwlGroup, CwlStream: done.CwlStream,
	})
	if err != nil && !errors.Is(err, session.ErrForeign) {
		return err
	}
	ack, encodeErr := mgs.NewTaskAcknowledge(m.ID, done.TaskID)
	if encodeErr != nil {
		return encodeErr
	}
	return errors.Join(err, c.send(ack))
}

// takeReply acknowledges a reply once it is kept, or can never be: a node
// repeats a reply without an acknowledgement for hours.
func (c *channel) takeReply(ctx context.Context, m *mgs.Message, reply mgs.AgentJobReply) error {
	err := c.gateway.Commands.Replied(ctx, c.node, reply)
	if err != nil && !errors.Is(err, command.ErrForeign) && !errors.Is(err, command.ErrContent) {
		return err
	}
	return errors.Join(err, c.reply(mgs.TypeAgentJobReplyAck, mgs.AgentJobReplyAck{JobID: reply.JobID, AcknowledgedMessageID: m.ID.String()}))
}
