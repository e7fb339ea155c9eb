package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"

	"github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/wire/client"
	"github.com/watchbill/watchbill/internal/wire/mgs"
	"github.com/watchbill/watchbill/internal/wire/plane"
)

// ClientVersion is what one who joins says of the program: the features of that
// version of the stock plugin, none of which a reader needs.
const ClientVersion = "1.2.707.0"

// JoinOptions say how to join a session.
type JoinOptions struct {
	Second bool // as the second person, who lets input of the owner flow
	Reason string
}

// Join shows the output of a session as it comes, until the session or ctx ends. It
// answers what the hub says at the end.
func Join(ctx context.Context, c *client.Client, id string, o JoinOptions, w io.Writer) (string, error) {
	in := &watchbill.JoinSessionInput{SessionId: &id, Mode: watchbill.JoinModeReadOnly, Reason: ptr.OrNil(o.Reason)}
	if o.Second {
		in.Mode = watchbill.JoinModeSecondPerson
	}
	var out watchbill.JoinSessionOutput
	if err := c.Call(ctx, "watchbill", "JoinSession", in, &out); err != nil {
		return "", err
	}
	conn, err := c.Socket(ctx, ptr.Value(out.StreamUrl))
	if err != nil {
		return "", err
	}
	if strings.Contains(ptr.Value(out.StreamUrl), "/v1/plane/") {
		return view(ctx, plane.NewLink(conn.NetConn(), true), ptr.Value(out.TokenValue), w)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	defer func() { _ = conn.Close() }()
	hello := mgs.OpenDataChannel{
		MessageSchemaVersion: mgs.MessageSchemaVersion, RequestID: uuid.NewString(), TokenValue: ptr.Value(out.TokenValue), ClientID: uuid.NewString(), ClientVersion: ClientVersion,
	}
	if err := conn.WriteJSON(hello); err != nil {
		return "", err
	}
	v := &viewer{conn: conn, w: w}
	said, err := v.read()
	if ctx.Err() != nil {
		return "", nil
	}
	return said, err
}

// viewer reads what a session shows. Frames come at least once; their numbers tell.
type viewer struct {
	conn *websocket.Conn
	w    io.Writer
	seen int64 // one more than the number of the last frame that was shown
}

func (v *viewer) read() (said string, err error) {
	for {
		kind, b, err := v.conn.ReadMessage()
		if err != nil {
			return "", fmt.Errorf("the connection was lost: %w", err)
		}
		if kind != websocket.BinaryMessage {
			continue
		}
		m, err := mgs.Unmarshal(b)
		if err != nil {
			return "", err
		}
		switch m.Type {
		case mgs.TypeChannelClosed:
			var closed mgs.ChannelClosed
			err := mgs.Decode(m.Payload, &closed)
			return closed.Output, err
		case mgs.TypeOutputStreamData:
			if err := v.show(m); err != nil {
				return "", err
			}
		}
	}
}

// show writes the output in a frame and acknowledges it.
func (v *viewer) show(m *mgs.Message) error {
	if m.Sequence >= v.seen && (m.PayloadType == mgs.PayloadOutput || m.PayloadType == mgs.PayloadStdErr) {
		v.seen = m.Sequence + 1
		if _, err := v.w.Write(m.Payload); err != nil {
			return err
		}
	}
	ack, err := mgs.NewAcknowledge(m)
	if err != nil {
		return err
	}
	b, err := ack.Marshal()
	if err != nil {
		return err
	}
	_ = v.conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
	return v.conn.WriteMessage(websocket.BinaryMessage, b)
}

// view is Join for a session of our own data plane.
func view(ctx context.Context, link *plane.Link, token string, w io.Writer) (string, error) {
	defer link.Close()
	stop := context.AfterFunc(ctx, link.Bye)
	defer stop()
	_, err := plane.Greet(link, token)
	if end, ok := errors.AsType[*plane.EndError](err); ok {
		return end.Cause, nil
	}
	if err != nil {
		return "", err
	}
	go link.Beat()
	for {
		f, err := link.ReadFrame()
		if ctx.Err() != nil {
			return "", nil
		}
		if err != nil {
			return "", fmt.Errorf("the connection was lost: %w", err)
		}
		switch f.Kind() {
		case plane.KindData:
			_, err = w.Write(f.Payload())
		case plane.KindEnd:
			var end plane.End
			err := f.Decode(&end)
			f.Release()
			return end.Cause, err
		}
		f.Release()
		if err != nil {
			return "", err
		}
	}
}
