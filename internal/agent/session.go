package agent

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/agent/session"
	"github.com/watchbill/watchbill/internal/wire/mgs"
	"github.com/watchbill/watchbill/internal/wire/sigv4"

	"github.com/gorilla/websocket"
)

var errNoChannel = errors.New("no control channel is open")

// newSessions makes the sessions of a node.
func (n *node) newSessions(dir string) (*session.Service, error) {
	return session.New(session.Config{
		NodeID: n.id, Dir: filepath.Join(dir, "sessions"),
		Dial: n.dialSession, Report: n.report, Decrypt: n.decryptKey, Stored: n.stored, Plane: n.servePlane, Log: n.log,
	})
}

// handleSession acts on a frame about sessions.
func (n *node) handleSession(m *mgs.Message) {
	switch m.Type {
	case mgs.TypeInteractiveShell:
		var shell mgs.InteractiveShell
		if err := mgs.Decode(m.Payload, &shell); err != nil {
			n.log.Warn("a session request cannot be read", "error", err.Error())
			return
		}
		n.sessions.Start(shell)
	case mgs.TypeAgentTaskAcknowledge:
		var ack mgs.AgentTaskAcknowledge
		if mgs.Decode(m.Payload, &ack) == nil {
			n.sessions.Acknowledged(ack)
		}
	}
}

// report sends a frame on the control channel.
func (n *node) report(m *mgs.Message) error {
	n.mu.Lock()
	c := n.channel
	n.mu.Unlock()
	if c == nil {
		return errNoChannel
	}
	return c.send(m)
}

// dialSession opens a session's data channel.
func (n *node) dialSession(ctx context.Context, id string) (conn *websocket.Conn, err error) {
	err = n.role.with(ctx, func(creds sigv4.Credentials) error {
		conn, err = n.openData(ctx, id, creds)
		return err
	})
	var refused *hubError
	if errors.As(err, &refused) && strings.Contains(refused.Error(), mgs.SessionTerminated) {
		return nil, session.ErrTerminated
	}
	return conn, err
}

func (n *node) openData(ctx context.Context, id string, creds sigv4.Credentials) (*websocket.Conn, error) {
	conn, ask, err := n.hub.openChannel(ctx, mgs.DataChannelPath(id), mgs.DataChannelQuery, creds)
	if err != nil {
		return nil, err
	}
	_ = conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	err = conn.WriteJSON(mgs.OpenDataChannel{
		MessageSchemaVersion: mgs.MessageSchemaVersion, RequestID: ask.id, TokenValue: ask.token, ClientInstanceID: n.id,
	})
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// decryptKey decrypts a session's data key at the hub's key service.
func (n *node) decryptKey(ctx context.Context, keyID string, blob []byte, encryptionContext map[string]string) ([]byte, error) {
	body, err := json.Marshal(map[string]any{"CiphertextBlob": blob, "KeyId": keyID, "EncryptionContext": encryptionContext})
	if err != nil {
		return nil, err
	}
	var out struct{ Plaintext []byte }
	err = n.role.with(ctx, func(creds sigv4.Credentials) error {
		header := http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {"TrentService.Decrypt"}}
		answer, err := n.hub.post(ctx, "/", body, header, http.StatusOK, n.hub.byCredentials(creds, "kms"))
		if err != nil {
			return err
		}
		return json.Unmarshal(answer, &out)
	})
	return out.Plaintext, err
}
