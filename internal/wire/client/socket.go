package client

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"github.com/watchbill/watchbill/internal/wire/plane"
)

// Socket opens a WebSocket at an address that an operation gave, with the trust
// of the client's calls. It is not signed.
func (c *Client) Socket(ctx context.Context, address string) (*websocket.Conn, error) {
	d := websocket.Dialer{Proxy: http.ProxyFromEnvironment, HandshakeTimeout: 15 * time.Second, WriteBufferSize: 1 << 10}
	if t, ok := c.http.Transport.(*http.Transport); ok && t.TLSClientConfig != nil {
		d.TLSClientConfig = t.TLSClientConfig.Clone()
		d.TLSClientConfig.NextProtos = nil // a WebSocket is HTTP/1.1
		d.TLSClientConfig.DynamicRecordSizingDisabled = true
	}
	d.NetDialContext = plane.BulkDial((&net.Dialer{Timeout: 10 * time.Second}).DialContext)
	conn, res, err := d.DialContext(ctx, address, nil)
	if err != nil && res != nil {
		return nil, fmt.Errorf("client: %s: %w (HTTP %d)", address, err, res.StatusCode)
	}
	if err != nil {
		return nil, fmt.Errorf("client: %s: %w", address, err)
	}
	return conn, nil
}
