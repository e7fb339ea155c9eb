package relay

import (
	"encoding/binary"
	"time"

	"github.com/watchbill/watchbill/internal/gateway/record"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// Deliver takes a message that comes for the first time: it is counted,
// recorded and shown.
func (l *live) Deliver(d Deliver) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.crypt.open(l, d) {
		l.take(d)
	}
}

// take is Deliver for a message in the clear. The caller holds the lock.
func (l *live) take(d Deliver) {
	switch d.PayloadType {
	case mgs.PayloadOutput, mgs.PayloadStdErr:
		l.bytes(d)
	case mgs.PayloadExitCode:
		l.mark(string(d.Payload))
	case mgs.PayloadSize:
		var size mgs.Size
		if mgs.Decode(d.Payload, &size) == nil && d.Side == Client {
			l.do(func(c *record.Cast, now time.Time) { c.Resize(now, size.Cols, size.Rows) })
		}
	}
}

func (l *live) bytes(d Deliver) {
	if len(d.Payload) == 0 {
		return
	}
	if l.session.Kind != "Port" || !onlyNOPs(d.Payload) {
		l.last = time.Now()
	}
	if d.Side == Client {
		l.in += int64(len(d.Payload))
		l.do(func(c *record.Cast, now time.Time) { c.Input(now, d.Payload) })
		return
	}
	l.out += int64(len(d.Payload))
	l.do(func(c *record.Cast, now time.Time) { c.Output(now, d.Payload) })
	if l.recorder != nil {
		l.room.Show(d.PayloadType, d.Payload)
	}
}

func (l *live) mark(text string) {
	l.do(func(c *record.Cast, now time.Time) { c.Mark(now, text) })
}

func (l *live) do(f func(c *record.Cast, now time.Time)) {
	if l.recorder != nil {
		l.recorder.Do(f)
	}
}

// Header of a frame of the multiplexer of port sessions: version, command,
// length (little endian), stream.
const (
	muxHeader  = 8
	muxVersion = 1
	muxNOP     = 3
)

// onlyNOPs says that a payload is nothing but keep-alives of the multiplexer.
func onlyNOPs(b []byte) bool {
	if len(b) == 0 || len(b)%muxHeader != 0 {
		return false
	}
	for ; len(b) > 0; b = b[muxHeader:] {
		if b[0] != muxVersion || b[1] != muxNOP || binary.LittleEndian.Uint16(b[2:]) != 0 {
			return false
		}
	}
	return true
}
