package mgs

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Layout of the frame. All integers are big endian.
const (
	headerLength = 116 // offset of the payload length; also the first field
	prefixLength = headerLength + 4
	typeLength   = 32

	schemaVersion = 1

	// MaxFrame is the largest frame that is read or written, in bytes. The
	// stock agent sends up to 142,000.
	MaxFrame = 256 << 10
	// MaxPayload is the largest payload of a frame, in bytes.
	MaxPayload = MaxFrame - prefixLength
)

// Flags of a frame. Readers ignore them; stock ends set them so.
const (
	FlagNone uint64 = 0
	FlagSYN  uint64 = 1
	FlagFIN  uint64 = 2
	FlagACK  uint64 = 3
)

// ErrFrame is wrapped by every error of Unmarshal and Marshal.
var ErrFrame = errors.New("mgs: bad frame")

// Message is one frame, "AgentMessage" in the stock agent.
type Message struct {
	Type        string    // for example TypeAgentJob; 1 to 32 of a-z, 0-9 and _
	Created     time.Time // milliseconds; never the zero time
	Sequence    int64
	Flags       uint64
	ID          uuid.UUID
	PayloadType uint32 // 0 when unused
	Payload     []byte
}

// New makes a message of a type with a fresh id, created now.
func New(messageType string, payload []byte) *Message {
	return &Message{Type: messageType, Created: time.Now(), ID: uuid.New(), Payload: payload}
}

// Marshal gives the bytes of the frame. Error: a type, time or payload that
// the format cannot hold.
func (m *Message) Marshal() ([]byte, error) {
	if !validType(m.Type) {
		return nil, fmt.Errorf("%w: message type %q", ErrFrame, m.Type)
	}
	created := m.Created.UnixMilli()
	if created <= 0 {
		return nil, fmt.Errorf("%w: created date %v", ErrFrame, m.Created)
	}
	if len(m.Payload) > MaxPayload {
		return nil, fmt.Errorf("%w: payload of %d bytes", ErrFrame, len(m.Payload))
	}
	b := make([]byte, prefixLength, prefixLength+len(m.Payload))
	binary.BigEndian.PutUint32(b, headerLength)
	copy(b[4:], m.Type+strings.Repeat(" ", typeLength-len(m.Type)))
	binary.BigEndian.PutUint32(b[36:], schemaVersion)
	binary.BigEndian.PutUint64(b[40:], uint64(created))
	binary.BigEndian.PutUint64(b[48:], uint64(m.Sequence))
	binary.BigEndian.PutUint64(b[56:], m.Flags)
	copy(b[64:], m.ID[8:]) // the two halves of the id are swapped
	copy(b[72:], m.ID[:8])
	digest := sha256.Sum256(m.Payload)
	copy(b[80:], digest[:])
	binary.BigEndian.PutUint32(b[112:], m.PayloadType)
	binary.BigEndian.PutUint32(b[116:], uint32(len(m.Payload)))
	return append(b, m.Payload...), nil
}

// Unmarshal reads one frame. The payload is a part of b. Error: anything that
// a correct peer does not send, wrapping ErrFrame.
func Unmarshal(b []byte) (*Message, error) {
	if err := checkPrefix(b); err != nil {
		return nil, err
	}
	m := &Message{
		Type:        strings.TrimRight(string(b[4:4+typeLength]), " \x00"),
		Created:     time.UnixMilli(int64(binary.BigEndian.Uint64(b[40:]))).UTC(),
		Sequence:    int64(binary.BigEndian.Uint64(b[48:])),
		Flags:       binary.BigEndian.Uint64(b[56:]),
		PayloadType: binary.BigEndian.Uint32(b[112:]),
		Payload:     b[prefixLength:],
	}
	copy(m.ID[8:], b[64:72])
	copy(m.ID[:8], b[72:80])
	if !validType(m.Type) {
		return nil, fmt.Errorf("%w: message type %q", ErrFrame, m.Type)
	}
	if err := checkDigest(b[80:112], m.Payload); err != nil {
		return nil, err
	}
	return m, nil
}

func checkPrefix(b []byte) error {
	if len(b) < prefixLength || len(b) > MaxFrame {
		return fmt.Errorf("%w: %d bytes", ErrFrame, len(b))
	}
	if n := binary.BigEndian.Uint32(b); n != headerLength {
		return fmt.Errorf("%w: header length %d", ErrFrame, n)
	}
	if v := binary.BigEndian.Uint32(b[36:]); v != schemaVersion {
		return fmt.Errorf("%w: schema version %d", ErrFrame, v)
	}
	if ms := int64(binary.BigEndian.Uint64(b[40:])); ms <= 0 || ms > maxMillis {
		return fmt.Errorf("%w: created date %d", ErrFrame, ms)
	}
	if n := binary.BigEndian.Uint32(b[116:]); int64(n) != int64(len(b)-prefixLength) {
		return fmt.Errorf("%w: payload length %d in a frame of %d bytes", ErrFrame, n, len(b))
	}
	return nil
}

// maxMillis is the year 10000: a later time has no ISO 8601 form.
const maxMillis = 253402300800000

// checkDigest compares the digest. An empty payload may come with any, as the
// stock plugin has it.
func checkDigest(digest, payload []byte) error {
	if len(payload) == 0 {
		return nil
	}
	if sum := sha256.Sum256(payload); string(sum[:]) != string(digest) {
		return fmt.Errorf("%w: payload digest differs", ErrFrame)
	}
	return nil
}

func validType(s string) bool {
	if s == "" || len(s) > typeLength {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == "" && !strings.ContainsAny(s, " \x00")
}
