package sessiontest

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/watchbill/watchbill/internal/wire/mgs"
	"github.com/watchbill/watchbill/internal/wire/mgs/stream"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"
)

// Options say what kind of client it is.
type Options struct {
	Version string // for the handshake; "1.2.707.0" when empty

	// DataKey makes a data key of 64 bytes at the key service, plain and
	// encrypted. nil: the client refuses encrypted sessions.
	DataKey func(keyID string) (plain, sealed []byte, err error)

	// Silent makes the client not answer handshakes.
	Silent bool
}

// Client is the client's end of a session. It is safe for concurrent use.
type Client struct {
	Options
	id string

	mu        sync.Mutex
	changed   *sync.Cond
	conn      *websocket.Conn
	stream    *stream.Stream
	keys      *keys
	encrypted bool
	got       map[uint32][]byte // by payload type
	port      []byte            // output that PortReader has not read
	closed    bool
	text      string
	wake      chan struct{}
}

// New makes a client without a connection.
func New(o Options) *Client {
	if o.Version == "" {
		o.Version = "1.2.707.0"
	}
	c := &Client{Options: o, id: uuid.NewString(), stream: stream.Client(), got: map[uint32][]byte{}, wake: make(chan struct{}, 1)}
	c.changed = sync.NewCond(&c.mu)
	return c
}

// Use makes a connection the client's and sends the first message on it. The
// connection before is closed.
func (c *Client) Use(conn *websocket.Conn, token string) error {
	hello := mgs.OpenDataChannel{
		MessageSchemaVersion: mgs.MessageSchemaVersion, RequestID: uuid.NewString(), TokenValue: token,
		ClientID: c.id, ClientVersion: c.Version,
	}
	if err := conn.WriteJSON(hello); err != nil {
		return err
	}
	c.mu.Lock()
	old := c.conn
	c.conn = conn
	c.stream.Start()
	c.mu.Unlock()
	if old != nil {
		old.Close()
	}
	quit := make(chan struct{})
	go c.write(conn, quit)
	go c.read(conn, quit)
	return nil
}

// Drop cuts the connection.
func (c *Client) Drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		c.conn.NetConn().Close()
	}
}

func (c *Client) write(conn *websocket.Conn, quit <-chan struct{}) {
	for {
		c.mu.Lock()
		now := time.Now()
		m := c.stream.Next(now)
		wait := time.Hour
		if at, ok := c.stream.Wake(); ok {
			wait = max(time.Millisecond, at.Sub(now))
		}
		c.mu.Unlock()
		if m != nil {
			b, err := m.Marshal()
			if err != nil || conn.WriteMessage(websocket.BinaryMessage, b) != nil {
				return
			}
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-c.wake:
		case <-timer.C:
		case <-quit:
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

func (c *Client) read(conn *websocket.Conn, quit chan<- struct{}) {
	defer close(quit)
	for {
		kind, b, err := conn.ReadMessage()
		if err != nil {
			return
		}
		if kind != websocket.BinaryMessage {
			continue
		}
		if m, err := mgs.Unmarshal(b); err == nil {
			c.take(m)
		}
	}
}

func (c *Client) take(m *mgs.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch m.Type {
	case mgs.TypeOutputStreamData:
		for _, m := range c.stream.Receive(m, true) {
			c.deliver(m)
		}
	case mgs.TypeAcknowledge:
		var ack mgs.Acknowledge
		if mgs.Decode(m.Payload, &ack) == nil {
			c.stream.Acked(ack, time.Now())
		}
	case mgs.TypeChannelClosed:
		var closed mgs.ChannelClosed
		_ = mgs.Decode(m.Payload, &closed)
		c.closed, c.text = true, closed.Output
	}
	c.changed.Broadcast()
	c.poke()
}

func (c *Client) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *Client) deliver(m *mgs.Message) {
	if c.encrypted && (m.PayloadType == mgs.PayloadOutput || m.PayloadType == mgs.PayloadStdErr || m.PayloadType == mgs.PayloadExitCode) {
		plain, err := c.keys.open(m.Payload)
		if err != nil {
			plain = fmt.Appendf(nil, "[%v]", err)
		}
		m.Payload = plain
	}
	c.got[m.PayloadType] = append(c.got[m.PayloadType], m.Payload...)
	switch m.PayloadType {
	case mgs.PayloadOutput:
		c.port = append(c.port, m.Payload...)
	case mgs.PayloadHandshakeRequest:
		if !c.Silent {
			c.answer(m.Payload)
		}
	case mgs.PayloadEncChallengeReq:
		c.prove(m.Payload)
	}
}

// answer does what a handshake asks for.
func (c *Client) answer(payload []byte) {
	var ask mgs.HandshakeRequest
	_ = json.Unmarshal(payload, &ask)
	answer := mgs.HandshakeResponse{ClientVersion: c.Version, ProcessedClientActions: []mgs.ProcessedAction{}}
	for _, a := range ask.RequestedClientActions {
		done := mgs.ProcessedAction{ActionType: a.ActionType, ActionStatus: mgs.ActionSuccess}
		var err error
		if a.ActionType == mgs.ActionKMSEncryption {
			done.ActionResult, err = c.makeKeys(a.ActionParameters)
		}
		if err != nil {
			done.ActionStatus, done.Error = mgs.ActionFailed, err.Error()
			answer.Errors = append(answer.Errors, err.Error())
		}
		answer.ProcessedClientActions = append(answer.ProcessedClientActions, done)
	}
	c.queueJSON(mgs.PayloadHandshakeResponse, answer)
}

func (c *Client) makeKeys(parameters []byte) (json.RawMessage, error) {
	var ask mgs.KMSEncryptionRequest
	if err := json.Unmarshal(parameters, &ask); err != nil {
		return nil, err
	}
	if c.DataKey == nil {
		return nil, errors.New("no key service")
	}
	plain, sealed, err := c.DataKey(ask.KMSKeyID)
	if err != nil {
		return nil, err
	}
	if c.keys, err = newKeys(plain); err != nil {
		return nil, err
	}
	return json.Marshal(mgs.KMSEncryptionResponse{KMSCipherTextKey: sealed})
}

func (c *Client) prove(payload []byte) {
	var ask mgs.EncChallenge
	_ = json.Unmarshal(payload, &ask)
	plain, err := c.keys.open(ask.Challenge)
	if err != nil {
		return
	}
	c.queueJSON(mgs.PayloadEncChallengeAnswer, mgs.EncChallenge{Challenge: c.keys.seal(plain)})
	c.encrypted = true
}

func (c *Client) queueJSON(payloadType uint32, v any) {
	if b, err := json.Marshal(v); err == nil {
		c.stream.Queue(payloadType, b)
	}
}

// Send sends a payload of a type; Output is cut and encrypted as the session
// needs it.
func (c *Client) Send(payloadType uint32, payload []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		part := payload[:min(len(payload), mgs.MaxStreamData)]
		payload = payload[len(part):]
		if c.encrypted && payloadType == mgs.PayloadOutput {
			part = c.keys.seal(part)
		} else {
			part = bytes.Clone(part)
		}
		for !c.stream.Queue(payloadType, part) {
			c.changed.Wait()
		}
		c.poke()
		if len(payload) == 0 {
			return
		}
	}
}

// Type sends text as input.
func (c *Client) Type(text string) { c.Send(mgs.PayloadOutput, []byte(text)) }

// Resize sends the size of the terminal.
func (c *Client) Resize(cols, rows uint32) {
	b, _ := json.Marshal(mgs.Size{Cols: cols, Rows: rows})
	c.Send(mgs.PayloadSize, b)
}

// Flag sends a flag.
func (c *Client) Flag(flag uint32) {
	c.Send(mgs.PayloadFlag, binary.BigEndian.AppendUint32(nil, flag))
}

// Got is what came with a payload type.
func (c *Client) Got(payloadType uint32) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.got[payloadType])
}

// Wait waits until the text came with a payload type. Error: the context's,
// or that the session was closed without it.
func (c *Client) Wait(ctx context.Context, payloadType uint32, text string) error {
	from := 0
	return c.wait(ctx, func() (bool, error) {
		if bytes.Contains(c.got[payloadType][from:], []byte(text)) {
			return true, nil
		}
		from = max(0, len(c.got[payloadType])-len(text))
		if c.closed {
			return false, fmt.Errorf("closed with %q before %q; got %q", c.text, text, c.got[payloadType])
		}
		return false, nil
	})
}

// Closed waits for the end of the session and gives its text.
func (c *Client) Closed(ctx context.Context) (string, error) {
	err := c.wait(ctx, func() (bool, error) { return c.closed, nil })
	return c.text, err
}

func (c *Client) wait(ctx context.Context, done func() (bool, error)) error {
	stop := context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.changed.Broadcast()
	})
	defer stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w; output so far %q", ctx.Err(), c.got[mgs.PayloadOutput])
		}
		c.changed.Wait()
	}
}

// Port is the session's output and input as a stream of bytes, for port
// sessions.
func (c *Client) Port() *Port { return &Port{c} }

// Port is the byte stream of a port session.
type Port struct{ c *Client }

// Read gives output; io.EOF never comes, an error when the session is closed.
func (p *Port) Read(b []byte) (int, error) {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	for len(p.c.port) == 0 {
		if p.c.closed {
			return 0, fmt.Errorf("session closed: %s", p.c.text)
		}
		p.c.changed.Wait()
	}
	n := copy(b, p.c.port)
	p.c.port = p.c.port[n:]
	return n, nil
}

func (p *Port) Write(b []byte) (int, error) {
	p.c.Send(mgs.PayloadOutput, b)
	return len(b), nil
}

// Close does nothing: the session has its own end.
func (p *Port) Close() error { return nil }
