package plane

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Times of a link.
const (
	pingEvery = 5 * time.Second
	silence   = 15 * time.Second // a link on which nothing comes is dead
	writeWait = 20 * time.Second
	readAhead = 4 << 10
	maxText   = 16 << 10
)

// Opcodes of WebSocket, RFC 6455.
const (
	opContinue = 0
	opText     = 1
	opBinary   = 2
	opClose    = 8
	opPing     = 9
	opPong     = 10

	bitFinal  = 0x80
	bitMasked = 0x80
)

// ErrLink says that the other side does not keep to the protocol.
var ErrLink = errors.New("plane: not a frame of the protocol")

// ErrBye says that the other side has closed the link on purpose.
var ErrBye = errors.New("plane: the other side has closed the link")

// Link is a WebSocket after its handshake. The frames are read and written here
// and not by the library of the handshake, so that a frame stays in one buffer
// from the first read to the last write. The client's mask is zero: it guards
// against proxies that mistake content for requests, and links run in TLS.
//
// One goroutine may read; any may write.
type Link struct {
	conn  net.Conn
	bulk  *Bulk // below conn, or nil
	bulky bool  // of the reader: much comes
	in    *bufio.Reader
	mask  bool // the client's side

	write sync.Mutex
	bad   error // of the first write that failed
	stop  chan struct{}
	once  sync.Once
}

// NewLink takes a connection over after its handshake. The library must not have
// read ahead, which it has not before the first message.
func NewLink(conn net.Conn, client bool) *Link {
	l := &Link{conn: conn, bulk: bulkOf(conn), in: bufio.NewReaderSize(conn, readAhead), mask: client, stop: make(chan struct{})}
	_ = conn.SetDeadline(time.Time{})
	return l
}

// Close ends the link at once.
func (l *Link) Close() {
	l.once.Do(func() {
		close(l.stop)
		_ = l.conn.Close()
	})
}

// Bye closes the link on purpose: the session is to end.
func (l *Link) Bye() {
	_ = l.control(opClose, []byte{0x03, 0xe8}) // 1000, normal
	l.Close()
}

// Beat pings until the link is closed, and closes it when it cannot.
func (l *Link) Beat() {
	t := time.NewTicker(pingEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if l.control(opPing, nil) != nil {
				l.Close()
				return
			}
		case <-l.stop:
			return
		}
	}
}

// control writes a small frame of WebSocket itself.
func (l *Link) control(op byte, payload []byte) error {
	b := append(make([]byte, 0, 16+len(payload)), bitFinal|op, byte(len(payload)))
	if l.mask {
		b[1] |= bitMasked
		b = append(b, 0, 0, 0, 0)
	}
	return l.put(append(b, payload...))
}

func (l *Link) put(b []byte) error {
	l.write.Lock()
	defer l.write.Unlock()
	if l.bad != nil {
		return l.bad
	}
	l.bad = l.writeAll(b)
	return l.bad
}

// WriteText writes a text message, of 64 KiB at most.
func (l *Link) WriteText(text []byte) error {
	f := frameOf(0, 0, text)
	defer f.Release()
	b := f.buf[headerSize:] // the text follows the room for a header
	at := putHeader(b, opText, len(text), l.mask)
	return l.put(b[at:])
}

// putHeader writes the header of a WebSocket frame in front of the n bytes behind
// the room, and says where it starts.
func putHeader(b []byte, op byte, n int, mask bool) int {
	at := headRoom
	second := byte(0)
	if mask {
		at -= 4
		clear(b[at:headRoom])
		second = bitMasked
	}
	switch {
	case n < 126:
		second |= byte(n)
	case n < 1<<16:
		at -= 2
		binary.BigEndian.PutUint16(b[at:], uint16(n))
		second |= 126
	default:
		at -= 8
		binary.BigEndian.PutUint64(b[at:], uint64(n))
		second |= 127
	}
	at -= 2
	b[at], b[at+1] = bitFinal|op, second
	return at
}

// seal makes the frame ready to be written; from then on it is only read. Both
// ends are clients to the hub, whose frames have a mask.
func (f *Frame) seal(mask bool) { f.from = putHeader(f.buf, opBinary, len(f.buf)-headRoom, mask) }

// writeSealed writes a frame that is sealed for the side.
func (l *Link) writeSealed(f *Frame) error { return l.put(f.buf[f.from:]) }

// WriteFrame writes a frame that nobody else writes. It stays the caller's.
func (l *Link) WriteFrame(f *Frame) error {
	f.seal(l.mask)
	return l.writeSealed(f)
}

// head is the header of a WebSocket frame.
type head struct {
	op    byte
	final bool
	n     int
	mask  [4]byte
}

// readHead reads the next header, and answers pings on the way.
func (l *Link) readHead() (head, error) {
	for {
		_ = l.conn.SetReadDeadline(time.Now().Add(silence))
		h, err := l.parseHead()
		if err != nil || h.op < opClose {
			return h, err
		}
		if h.n > 125 || !h.final {
			return h, ErrLink
		}
		payload := make([]byte, h.n)
		if _, err := io.ReadFull(l.in, payload); err != nil {
			return h, err
		}
		unmask(payload, h.mask)
		switch h.op {
		case opClose:
			return h, ErrBye
		case opPing:
			go func() { _ = l.control(opPong, payload) }() // reading never waits for writing
		}
	}
}

func (l *Link) parseHead() (h head, err error) {
	b, err := l.in.Peek(2)
	if err != nil {
		return h, err
	}
	h.op, h.final, h.n = b[0]&15, b[0]&bitFinal != 0, int(b[1]&^bitMasked)
	masked, rest := b[1]&bitMasked != 0, 2
	if b[0]&0x70 != 0 || masked == l.mask {
		return h, ErrLink // extensions, or the mask of the wrong side
	}
	switch h.n {
	case 126:
		rest += 2
	case 127:
		rest += 8
	}
	size := rest
	if masked {
		rest += 4
	}
	if b, err = l.in.Peek(rest); err != nil {
		return h, err
	}
	switch h.n {
	case 126:
		h.n = int(binary.BigEndian.Uint16(b[2:]))
	case 127:
		h.n = int(min(binary.BigEndian.Uint64(b[2:]), 1<<30))
	}
	copy(h.mask[:], b[size:])
	if !masked {
		h.mask = [4]byte{}
	}
	_, err = l.in.Discard(rest)
	return h, err
}

// unmask takes a mask off. Ours is zero.
func unmask(b []byte, mask [4]byte) {
	if mask == [4]byte{} {
		return
	}
	for i := range b {
		b[i] ^= mask[i&3]
	}
}

// ReadText reads a text message of at most 16 KiB.
func (l *Link) ReadText() ([]byte, error) {
	h, err := l.readHead()
	if err != nil {
		return nil, err
	}
	if h.op != opText || !h.final || h.n > maxText {
		return nil, ErrLink
	}
	b := make([]byte, h.n)
	if _, err := io.ReadFull(l.in, b); err != nil {
		return nil, err
	}
	unmask(b, h.mask)
	return b, nil
}

// ReadFrame reads the next frame. An error ends the link.
func (l *Link) ReadFrame() (*Frame, error) {
	h, err := l.readHead()
	if err != nil {
		return nil, err
	}
	if h.op != opBinary || h.n < headerSize || h.n > headerSize+MaxData {
		return nil, fmt.Errorf("%w: opcode %d of %d bytes", ErrLink, h.op, h.n)
	}
	if l.bulk != nil && h.n >= bulky && !l.bulky {
		l.bulky = true
		l.bulk.grow()
	}
	f := NewFrame(0, 0, h.n-headerSize)
	if _, err := io.ReadFull(l.in, f.buf[headRoom:]); err != nil {
		f.Release()
		return nil, err
	}
	unmask(f.buf[headRoom:], h.mask)
	if h.final {
		return f, nil
	}
	return l.readRest(f)
}

// readRest puts together what a proxy has taken apart.
func (l *Link) readRest(f *Frame) (*Frame, error) {
	all := append([]byte(nil), f.buf[headRoom:]...)
	f.Release()
	for {
		h, err := l.readHead()
		if err != nil {
			return nil, err
		}
		if h.op != opContinue || len(all)+h.n > headerSize+MaxData {
			return nil, ErrLink
		}
		piece := make([]byte, h.n)
		if _, err := io.ReadFull(l.in, piece); err != nil {
			return nil, err
		}
		unmask(piece, h.mask)
		all = append(all, piece...)
		if h.final {
			f := NewFrame(0, 0, len(all)-headerSize)
			copy(f.buf[headRoom:], all)
			return f, nil
		}
	}
}
