package plane

import (
	"encoding/binary"
	"fmt"

	"github.com/watchbill/watchbill/internal/wire/plane"
)

// fromClient acts on a frame of the client.
func (r *Relay) fromClient(f *plane.Frame) error {
	switch f.Kind() {
	case plane.KindOpen:
		r.opening(f)
	case plane.KindData, plane.KindFin, plane.KindResize, plane.KindSignal, plane.KindSum:
		return r.pass(client, f)
	case plane.KindAck:
		r.acked(node, f)
	case plane.KindSync:
		return r.sync(f)
	case plane.KindSyncEnd:
		r.send(node, f)
	case plane.KindReset:
		r.reset(node, f)
	default:
		defer f.Release()
		return fmt.Errorf("plane: a client sent a frame of kind %d", f.Kind())
	}
	return nil
}

// fromNode acts on a frame of the node.
func (r *Relay) fromNode(f *plane.Frame) error {
	switch f.Kind() {
	case plane.KindData, plane.KindStderr, plane.KindFin, plane.KindOpened, plane.KindExit:
		return r.pass(node, f)
	case plane.KindAck:
		r.acked(client, f)
	case plane.KindSynced:
		r.mu.Lock()
		if s := r.streams[f.Stream()]; s != nil {
			s.seen[client] = max(s.seen[client], f.Number())
		}
		r.mu.Unlock()
		r.send(client, f)
	case plane.KindReset:
		r.reset(client, f)
	default:
		defer f.Release()
		return fmt.Errorf("plane: a node sent a frame of kind %d", f.Kind())
	}
	return nil
}

// opening checks a new stream beside the reading, for its fact is kept first. A
// client sends nothing more on a stream before it has the answer.
func (r *Relay) opening(f *plane.Frame) {
	id := f.Stream()
	var open plane.Open
	if f.Number() != 1 || f.Decode(&open) != nil {
		f.Release()
		r.refuse(id, "the stream's description cannot be read")
		return
	}
	r.mu.Lock()
	s := r.streams[id]
	full := len(r.streams) >= maxStreams || r.ended
	if s == nil && !full {
		r.streams[id] = &stream{open: open, seen: [2]uint64{client: 1}}
	}
	again := s != nil && s.ready
	r.mu.Unlock()
	switch {
	case again:
		r.send(node, f)
	case s != nil:
		f.Release()
	case full:
		f.Release()
		r.refuse(id, "too many streams are open")
	default:
		go r.open(f, open)
	}
}

func (r *Relay) open(f *plane.Frame, open plane.Open) {
	id := f.Stream()
	if err := r.allow(id, open, false); err != nil {
		f.Release()
		return
	}
	r.send(node, f)
}

// allow asks the session about a stream, and refuses it.
func (r *Relay) allow(id uint32, open plane.Open, again bool) error {
	err := r.session.Opening(id, open, again)
	r.mu.Lock()
	s := r.streams[id]
	if err != nil {
		delete(r.streams, id)
	} else if s != nil {
		s.ready = true
	}
	r.mu.Unlock()
	switch {
	case err != nil:
		r.refuse(id, err.Error())
	case s == nil: // the session has ended meanwhile
		r.session.Closed(id, open, Tally{Cause: errOver.Error()})
		return errOver
	}
	return err
}

// refuse tells the client that a stream is over.
func (r *Relay) refuse(id uint32, reason string) {
	f := plane.NewFrame(plane.KindReset, id, min(len(reason), plane.MaxData))
	copy(f.Payload(), reason)
	r.mu.Lock()
	link := r.links[client]
	r.mu.Unlock()
	if link == nil {
		f.Release()
		return
	}
	go write(link, f)
}

// sync takes up a stream that is older than this hub's memory.
func (r *Relay) sync(f *plane.Frame) error {
	id := f.Stream()
	r.mu.Lock()
	s := r.streams[id]
	full := len(r.streams) >= maxStreams || r.ended
	r.mu.Unlock()
	if s == nil {
		var old plane.Sync
		if err := f.Decode(&old); err != nil || full {
			f.Release()
			return err
		}
		r.mu.Lock()
		r.streams[id] = &stream{open: old.Open, seen: [2]uint64{client: max(old.Acked, 1), node: f.Number()}}
		r.mu.Unlock()
		if r.allow(id, old.Open, true) != nil {
			f.Release()
			return nil
		}
	}
	r.send(node, f)
	return nil
}

// pass accounts and shows a numbered frame and passes it on. A frame that came
// before is passed on and not shown again; one behind a gap is dropped.
func (r *Relay) pass(from side, f *plane.Frame) error {
	r.mu.Lock()
	s := r.streams[f.Stream()]
	if s == nil || !s.ready || f.Number() > s.seen[from]+1 {
		r.mu.Unlock()
		f.Release()
		return nil
	}
	fresh := f.Number() == s.seen[from]+1
	recorded := s.open.Kind == plane.Shell || s.open.Kind == plane.Exec
	if from == client && recorded && r.guard(s, f, fresh) {
		s.seen[client] = max(s.seen[client], f.Number())
		r.mu.Unlock()
		r.send(node, empty(f))
		return nil
	}
	ends := false
	if fresh {
		s.seen[from]++
		ends = s.count(from, f)
	}
	r.mu.Unlock()
	if fresh {
		if err := r.show(from, f, recorded); err != nil {
			f.Release()
			return err
		}
	}
	id := f.Stream()
	r.send(1-from, f)
	if ends {
		r.close(id, s, "")
	}
	return nil
}

// count accounts a fresh frame, and says whether both directions have ended.
func (s *stream) count(from side, f *plane.Frame) bool {
	switch f.Kind() {
	case plane.KindData, plane.KindStderr:
		if from == client {
			s.tally.In += int64(len(f.Payload()))
		} else {
			s.tally.Out += int64(len(f.Payload()))
		}
	case plane.KindExit:
		var exit plane.Exit
		if f.Decode(&exit) == nil {
			s.tally.Exit = &exit
		}
	}
	if f.Kind().Final() {
		s.final[from] = f.Number()
	}
	return f.Kind().Final() && s.final[client] != 0 && s.final[node] != 0
}

// show shows the content of a terminal or a command to the session.
func (r *Relay) show(from side, f *plane.Frame, recorded bool) error {
	switch f.Kind() {
	case plane.KindData, plane.KindStderr:
		if from == client {
			r.session.Active(len(f.Payload()), 0)
		} else {
			r.session.Active(0, len(f.Payload()))
		}
	}
	if !recorded {
		return nil
	}
	switch f.Kind() {
	case plane.KindStderr:
		return r.session.Output(f.Payload())
	case plane.KindData:
		if from == node {
			return r.session.Output(f.Payload())
		}
		r.session.Input(f.Payload())
	case plane.KindResize:
		if p := f.Payload(); len(p) == 4 {
			r.session.Resize(binary.BigEndian.Uint16(p), binary.BigEndian.Uint16(p[2:]))
		}
	}
	return nil
}

// acked passes an acknowledgement on to the sender of what it acknowledges, and
// forgets the stream when everything was.
func (r *Relay) acked(sender side, f *plane.Frame) {
	r.mu.Lock()
	id := f.Stream()
	if s := r.streams[id]; s != nil {
		s.acked[sender] = max(s.acked[sender], f.Number())
		if sender == client {
			s.dropped.forget(s.acked[client])
		}
		if s.closed && s.final[0] != 0 && s.acked[0] >= s.final[0] && s.final[1] != 0 && s.acked[1] >= s.final[1] {
			delete(r.streams, id)
		}
	}
	r.mu.Unlock()
	r.send(sender, f)
}

// reset passes the giving up of a stream on.
func (r *Relay) reset(to side, f *plane.Frame) {
	id := f.Stream()
	reason := string(f.Payload())
	r.mu.Lock()
	s := r.streams[id]
	delete(r.streams, id)
	r.mu.Unlock()
	r.send(to, f)
	if s != nil {
		r.close(id, s, reason)
	}
}
