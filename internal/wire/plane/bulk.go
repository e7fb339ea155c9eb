package plane

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// bulkSize is how much is read or written at once below TLS, whose records have
// 16 KiB: without it each of them is a call of the system.
const bulkSize = 128 << 10

// Bulk is a connection below TLS that reads and writes large pieces once a Link
// has asked for it. Before, and for everything else, it is the connection itself.
type Bulk struct {
	net.Conn

	in          []byte // what was read ahead
	at, end     int
	write       sync.Mutex
	out         []byte // what waits for flush
	corked, big bool
}

// NewBulk wraps a connection.
func NewBulk(c net.Conn) *Bulk { return &Bulk{Conn: c} }

// bulkOf is the Bulk below TLS, nil when there is none.
func bulkOf(c net.Conn) *Bulk {
	t, ok := c.(*tls.Conn)
	if !ok {
		return nil
	}
	b, _ := t.NetConn().(*Bulk)
	return b
}

// grow makes the pieces large, after the first bulky frame: quiet links hold no
// buffers.
func (b *Bulk) grow() {
	b.write.Lock()
	defer b.write.Unlock()
	b.big = true
}

func (b *Bulk) isBig() bool {
	b.write.Lock()
	defer b.write.Unlock()
	return b.big
}

// Read reads ahead on links that carry much.
func (b *Bulk) Read(p []byte) (int, error) {
	if b.at == b.end {
		if !b.isBig() {
			return b.Conn.Read(p)
		}
		if b.in == nil {
			b.in = make([]byte, bulkSize)
		}
		n, err := b.Conn.Read(b.in)
		if n == 0 {
			return 0, err
		}
		b.at, b.end = 0, n
	}
	n := copy(p, b.in[b.at:b.end])
	b.at += n
	return n, nil
}

// Write keeps what is written while the connection is corked.
func (b *Bulk) Write(p []byte) (int, error) {
	b.write.Lock()
	defer b.write.Unlock()
	if !b.corked {
		return b.Conn.Write(p)
	}
	if len(b.out)+len(p) > bulkSize {
		if err := b.push(); err != nil {
			return 0, err
		}
	}
	if b.out == nil {
		b.out = make([]byte, 0, bulkSize)
	}
	b.out = append(b.out, p...)
	return len(p), nil
}

func (b *Bulk) push() error {
	_, err := b.Conn.Write(b.out)
	b.out = b.out[:0]
	return err
}

func (b *Bulk) cork() {
	b.write.Lock()
	defer b.write.Unlock()
	b.corked = true
}

// flush writes what was kept.
func (b *Bulk) flush() error {
	b.write.Lock()
	defer b.write.Unlock()
	b.corked = false
	if len(b.out) == 0 {
		return nil
	}
	return b.push()
}

// BulkListener wraps what a listener accepts.
type BulkListener struct{ net.Listener }

// Accept waits for the next connection.
func (l BulkListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return NewBulk(c), nil
}

// BulkDial wraps what a dialer connects.
func BulkDial(dial func(ctx context.Context, network, address string) (net.Conn, error)) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return NewBulk(c), nil
	}
}

// bulky is the length from which a frame makes a link's pieces large.
const bulky = 16 << 10

// writeAll writes a frame in one piece.
func (l *Link) writeAll(b []byte) error {
	_ = l.conn.SetWriteDeadline(time.Now().Add(writeWait))
	if l.bulk == nil || len(b) < bulky {
		_, err := l.conn.Write(b)
		return err
	}
	l.bulk.cork()
	_, err := l.conn.Write(b)
	if ferr := l.bulk.flush(); err == nil {
		err = ferr
	}
	return err
}
