package agent

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/agent/runner"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// The full streams of a command go to the hub in pieces, while it runs and
// after it: one piece of a stream at a time, the next from where the hub's
// copy ends. A stream that fits in the reply and ended before its first piece
// is not sent twice. What has not arrived outputLife after the end, or before
// the node program ends, stays on the node only.
const (
	outputTick = 250 * time.Millisecond
	outputLife = 10 * time.Minute // the hub takes no piece later
)

// stream is one output file of a step, as far as the hub has it.
type stream struct {
	jobID  string
	step   string
	name   string // stdout or stderr
	file   string // below the job's directory
	inline int64  // bytes that a reply carries anyway
	held   int64  // bytes that the hub has
	begun  bool   // a piece was sent
	whole  bool   // the hub has all of it
	flying bool   // a piece was sent on this channel and not answered
}

// outputs are the streams of commands that run or have just ended, by command.
type outputs struct {
	mu      sync.Mutex
	streams map[string][]*stream
	ended   map[string]time.Time
	wake    chan struct{}
}

func newOutputs() *outputs {
	return &outputs{streams: map[string][]*stream{}, ended: map[string]time.Time{}, wake: make(chan struct{}, 1)}
}

// begin follows the streams of a command.
func (o *outputs) begin(commandID, jobID string, steps []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, step := range steps {
		dir := runner.StepDir(i)
		o.streams[commandID] = append(
			o.streams[commandID],
			&stream{jobID: jobID, step: step, name: "stdout", file: filepath.Join(dir, "stdout"), inline: runner.MaxStdout},
			&stream{jobID: jobID, step: step, name: "stderr", file: filepath.Join(dir, "stderr"), inline: runner.MaxStderr},
		)
	}
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// end says that the streams of a command grow no more.
func (o *outputs) end(commandID string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended[commandID] = time.Now()
}

// keepOutputs sends pieces until the channel ends.
func (n *node) keepOutputs(c *channel, quit <-chan struct{}) {
	n.outputs.land()
	for {
		var tick <-chan time.Time
		if n.sendOutputs(c) {
			tick = time.After(outputTick)
		}
		select {
		case <-tick:
		case <-n.outputs.wake:
			select { // a short command needs no piece
			case <-time.After(outputTick):
			case <-quit:
				return
			}
		case <-quit:
			return
		}
	}
}

// land forgets the pieces that flew on an earlier channel.
func (o *outputs) land() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, list := range o.streams {
		for _, s := range list {
			s.flying = false
		}
	}
}

// sendOutputs sends the next piece of every stream that has one, and says
// whether there are streams to look at again.
func (n *node) sendOutputs(c *channel) bool {
	o := n.outputs
	o.mu.Lock()
	defer o.mu.Unlock()
	for commandID, list := range o.streams {
		ended := o.ended[commandID]
		left := false
		for _, s := range list {
			left = n.sendPiece(c, commandID, s, !ended.IsZero()) || left
		}
		if !ended.IsZero() && (!left || time.Since(ended) > outputLife) {
			delete(o.streams, commandID)
			delete(o.ended, commandID)
		}
	}
	return len(o.streams) > 0
}

// sendPiece sends one piece of a stream, and says whether the hub lacks any.
func (n *node) sendPiece(c *channel, commandID string, s *stream, ended bool) bool {
	if s.whole {
		return false
	}
	f, err := os.Open(filepath.Join(n.ledger.Path(commandID), s.file))
	if err != nil {
		return false
	}
	defer f.Close()
	st, err := f.Stat()
	switch {
	case err != nil, st.Size() <= s.held && !ended, ended && !s.begun && inReply(f, st.Size(), s.inline):
		return false
	case s.flying:
		return true
	}
	data := make([]byte, min(max(st.Size()-s.held, 0), mgs.MaxOutputChunk))
	size, _ := f.ReadAt(data, s.held)
	end := ended && s.held+int64(size) >= st.Size()
	if size == 0 && !end { // cut back since
		return false
	}
	m, err := mgs.Encode(mgs.TypeJobOutput, mgs.JobOutput{JobID: s.jobID, Step: s.step, Stream: s.name, Offset: s.held, Data: data[:size], End: end})
	if err == nil {
		err = c.send(m)
	}
	if err != nil {
		n.log.Warn("output was not sent", "job", s.jobID, "step", s.step, "error", err.Error())
		return true
	}
	s.begun, s.flying = true, true
	return true
}

// inReply says that the step's report holds the whole of a file unchanged: it
// is short, and text that JSON does not lengthen much.
func inReply(f *os.File, size, most int64) bool {
	if size > most {
		return false
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil {
		return false
	}
	special := func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == utf8.RuneError }
	return !bytes.ContainsFunc(b, special)
}

// held takes the hub's answer to a piece and sends the next one.
func (n *node) held(c *channel, ack mgs.JobOutputAck) {
	commandID, _, err := mgs.ParseJobID(ack.JobID)
	if err != nil || ack.Length < 0 {
		return
	}
	o := n.outputs
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range o.streams[commandID] {
		if s.step == ack.Step && s.name == ack.Stream {
			s.held, s.flying, s.whole = ack.Length, false, ack.End
			n.sendPiece(c, commandID, s, !o.ended[commandID].IsZero())
		}
	}
}
