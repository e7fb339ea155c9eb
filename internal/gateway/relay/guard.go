package relay

import (
	"encoding/json"

	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// twoPersons is what the client of a session prints that needs a second person.
const twoPersons = "This session needs a second person. What you type while none is there is dropped.\nThe second person runs: watchbill sessions join --second-person "

// guard empties input that comes while no second person is there, so that it is
// not run later; the number stays, for both ends count. It is emptied again when
// it comes again. The client is told at the end of the handshake. The message is nil when
// too much is to be remembered.
func (m *Machine) guard(e Frame, typed bool) (Frame, *mgs.Message) {
	f := e.Message
	if !m.two {
		return e, f
	}
	switch d := m.dirs[e.Side]; {
	case typed && (m.dropped.has(f.Sequence) || m.locked && !d.seen.has(f.Sequence)):
		if !m.dropped.add(f.Sequence) {
			return e, nil
		}
		return with(e, mgs.PayloadError, []byte("-")) // no end looks at that type
	case e.Side == Node && f.PayloadType == mgs.PayloadHandshakeComplete:
		var done mgs.HandshakeComplete
		if mgs.Decode(f.Payload, &done) != nil {
			return e, f
		}
		if done.CustomerMessage != "" {
			done.CustomerMessage += "\n"
		}
		done.CustomerMessage += twoPersons + m.session
		payload, err := json.Marshal(done)
		if err != nil {
			return e, f
		}
		return with(e, f.PayloadType, payload)
	}
	return e, f
}

// with is a frame with another payload.
func with(e Frame, payloadType uint32, payload []byte) (Frame, *mgs.Message) {
	f := *e.Message
	f.PayloadType, f.Payload = payloadType, payload
	raw, err := f.Marshal()
	if err != nil {
		return e, nil
	}
	return Frame{e.Side, &f, raw}, &f
}
