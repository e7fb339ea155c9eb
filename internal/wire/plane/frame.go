package plane

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"sync"
)

// Kind is the type of a frame.
type Kind uint8

// The numbered frames of a stream; those that end a direction are final.
const (
	KindOpen   Kind = 1 // client: JSON of Open; always number 1
	KindData   Kind = 2 // bytes
	KindStderr Kind = 3 // node: bytes of standard error
	KindFin    Kind = 4 // final: no more is sent in this direction
	KindOpened Kind = 5 // node: JSON of Opened; always number 1
	KindResize Kind = 6 // client: columns and rows, two bytes each
	KindSignal Kind = 7 // client: a name such as INT
	KindExit   Kind = 8 // node, final: JSON of Exit
	KindSum    Kind = 9 // client: the SHA-256 of a file, in hexadecimal
)

// Frames without a number of their own.
const (
	KindAck     Kind = 32 // number: the last consumed; 4 bytes: the window in bytes
	KindSync    Kind = 33 // client: number: the last received; JSON of Sync
	KindSynced  Kind = 34 // node: number: the last received
	KindReset   Kind = 35 // either: the stream is over; a text says why
	KindSyncEnd Kind = 36 // client: every stream that lives has been named
	KindPeer    Kind = 37 // hub: the other end is there (flags 1) or away (0)
	KindEnd     Kind = 38 // hub: the session is over; JSON of End
	KindNotice  Kind = 39 // hub: a text for the person
)

// Numbered says whether frames of the kind have a place in their stream.
func (k Kind) Numbered() bool { return k >= KindOpen && k <= KindSum }

// Final says whether nothing numbered comes behind a frame of the kind.
func (k Kind) Final() bool { return k == KindFin || k == KindExit }

// Sizes in bytes.
const (
	MaxData    = 64 << 10 // payload of one frame
	headerSize = 16       // kind, flags, 2 unused, stream (4), number (8); big endian
	headRoom   = 14       // the longest header of a WebSocket frame
	smallData  = 1 << 10
)

// Frame is one frame in a buffer of its own. Whoever holds it last releases it.
type Frame struct {
	buf  []byte // room, header, payload
	from int    // where the WebSocket header starts, once sealed

	stream *Stream // where it is accounted when it is released; nil elsewhere
}

var (
	small = sync.Pool{New: func() any { return &Frame{buf: make([]byte, headRoom+headerSize+smallData)} }}
	large = sync.Pool{New: func() any { return &Frame{buf: make([]byte, headRoom+headerSize+MaxData)} }}
)

// NewFrame gives a frame whose payload has n bytes, of any content. At most MaxData.
func NewFrame(kind Kind, stream uint32, n int) *Frame {
	pool := &large
	if n <= smallData {
		pool = &small
	}
	f := pool.Get().(*Frame)
	f.buf = f.buf[:headRoom+headerSize+n]
	f.from, f.stream = headRoom, nil
	h := f.header()
	clear(h)
	h[0] = byte(kind)
	binary.BigEndian.PutUint32(h[4:], stream)
	return f
}

// frameOf gives a frame with a copy of the payload.
func frameOf(kind Kind, stream uint32, payload []byte) *Frame {
	f := NewFrame(kind, stream, len(payload))
	copy(f.Payload(), payload)
	return f
}

// FrameJSON gives a frame whose payload is the JSON of a value, which must fit.
func FrameJSON(kind Kind, stream uint32, v any) (*Frame, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if len(b) > MaxData {
		return nil, fmt.Errorf("plane: a description of %d bytes does not fit into a frame", len(b))
	}
	return frameOf(kind, stream, b), nil
}

func (f *Frame) header() []byte { return f.buf[headRoom : headRoom+headerSize] }

// Kind is what the frame is.
func (f *Frame) Kind() Kind { return Kind(f.buf[headRoom]) }

// Flags are those of KindPeer.
func (f *Frame) Flags() byte { return f.buf[headRoom+1] }

// SetFlags sets them.
func (f *Frame) SetFlags(b byte) { f.buf[headRoom+1] = b }

// Stream is the stream's number, 0 for frames of the whole session.
func (f *Frame) Stream() uint32 { return binary.BigEndian.Uint32(f.buf[headRoom+4:]) }

// Number is the frame's place in its stream, from 1, or what its kind says.
func (f *Frame) Number() uint64 { return binary.BigEndian.Uint64(f.buf[headRoom+8:]) }

// SetNumber sets it.
func (f *Frame) SetNumber(n uint64) { binary.BigEndian.PutUint64(f.buf[headRoom+8:], n) }

// Payload is the content, valid until the frame is released.
func (f *Frame) Payload() []byte { return f.buf[headRoom+headerSize:] }

// shorten keeps the first n bytes of the payload.
func (f *Frame) shorten(n int) { f.buf = f.buf[:headRoom+headerSize+n] }

// Decode reads the payload as JSON.
func (f *Frame) Decode(v any) error {
	if err := json.Unmarshal(f.Payload(), v); err != nil {
		return fmt.Errorf("plane: frame of kind %d: %w", f.Kind(), err)
	}
	return nil
}

// Release gives the buffer back, and counts a frame of a stream as consumed.
func (f *Frame) Release() {
	if s := f.stream; s != nil {
		f.stream = nil
		s.consumed(f)
	}
	switch f.buf = f.buf[:cap(f.buf)]; len(f.buf) {
	case headRoom + headerSize + smallData:
		small.Put(f)
	case headRoom + headerSize + MaxData:
		large.Put(f)
	}
}
