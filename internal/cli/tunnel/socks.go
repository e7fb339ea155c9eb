package tunnel

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"

	"github.com/watchbill/watchbill/internal/cli/plane"
	wire "github.com/watchbill/watchbill/internal/wire/plane"
)

// SOCKS 5, RFC 1928: CONNECT without authentication.
const (
	socksVersion = 5
	socksConnect = 1
	socksIPv4    = 1
	socksName    = 3
	socksIPv6    = 4

	socksOK          = 0
	socksFailed      = 5 // connection refused
	socksBadCommand  = 7
	socksNoMethod    = 0xff
	socksGreetingTTL = 10 * time.Second
)

var errSocks = errors.New("not a SOCKS 5 request that is supported")

// socks serves one connection of the proxy.
func (t *tunnels) socks(ctx context.Context, s *plane.Session, conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(socksGreetingTTL))
	host, port, err := readSocks(conn)
	_ = conn.SetDeadline(time.Time{})
	if err != nil {
		_ = conn.Close()
		return
	}
	open := wire.Open{Kind: wire.TCP, Host: host, Port: port}
	t.carry(ctx, s, conn, open, func(err error) error {
		code := byte(socksOK)
		if err != nil {
			code = socksFailed
		}
		return answerSocks(conn, code)
	})
}

// answerSocks answers a request; the address that we are bound to says nothing.
func answerSocks(conn io.Writer, code byte) error {
	_, err := conn.Write([]byte{socksVersion, code, 0, socksIPv4, 0, 0, 0, 0, 0, 0})
	return err
}

// readSocks reads the greeting and the request.
func readSocks(conn io.ReadWriter) (host string, port int, err error) {
	b := make([]byte, 257)
	if _, err := io.ReadFull(conn, b[:2]); err != nil || b[0] != socksVersion {
		return "", 0, errSocks
	}
	methods := b[2 : 2+int(b[1])]
	if _, err := io.ReadFull(conn, methods); err != nil {
		return "", 0, err
	}
	method := byte(socksNoMethod)
	for _, m := range methods {
		if m == 0 {
			method = 0
		}
	}
	if _, err := conn.Write([]byte{socksVersion, method}); err != nil || method != 0 {
		return "", 0, errSocks
	}
	if _, err := io.ReadFull(conn, b[:4]); err != nil || b[0] != socksVersion {
		return "", 0, errSocks
	}
	if b[1] != socksConnect {
		_ = answerSocks(conn, socksBadCommand)
		return "", 0, errSocks
	}
	return readAddress(conn, b[3], b)
}

func readAddress(r io.Reader, kind byte, b []byte) (host string, port int, err error) {
	n := map[byte]int{socksIPv4: net.IPv4len, socksIPv6: net.IPv6len}[kind]
	if kind == socksName {
		if _, err := io.ReadFull(r, b[:1]); err != nil {
			return "", 0, err
		}
		n = int(b[0])
	}
	if n == 0 {
		return "", 0, errSocks
	}
	if _, err := io.ReadFull(r, b[:n]); err != nil {
		return "", 0, err
	}
	host = string(b[:n])
	if kind != socksName {
		host = net.IP(b[:n]).String()
	}
	if _, err := io.ReadFull(r, b[:2]); err != nil {
		return "", 0, err
	}
	return host, int(binary.BigEndian.Uint16(b)), nil
}
