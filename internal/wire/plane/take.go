package plane

import "encoding/binary"

func (f *Frame) setStream(id uint32) { binary.BigEndian.PutUint32(f.buf[headRoom+4:], id) }

// take acts on a frame, on the reading goroutine: it never waits for the network.
func (e *Endpoint) take(f *Frame) error {
	if f.Kind().Numbered() {
		e.takeNumbered(f)
		return nil
	}
	defer f.Release()
	switch f.Kind() {
	case KindAck:
		if s := e.stream(f.Stream()); s != nil {
			s.ack(f)
		}
	case KindSync:
		e.takeSync(f)
	case KindSynced:
		if s, n := e.stream(f.Stream()), f.Number(); s != nil {
			e.later(func() { s.resend(n) })
		}
	case KindReset:
		if s := e.stream(f.Stream()); s != nil {
			s.failed(&ResetError{Reason: string(f.Payload())})
		}
	case KindSyncEnd:
		e.syncEnd(uint32(f.Number()))
	case KindPeer:
		e.mu.Lock()
		e.peer = f.Flags() != 0
		up := e.peer
		e.mu.Unlock()
		e.tell()
		if up {
			e.later(e.sync)
		}
	case KindNotice:
		if e.Notice != nil {
			e.Notice(string(f.Payload()))
		}
	case KindEnd:
		var end End
		if err := f.Decode(&end); err != nil {
			return err
		}
		return &EndError{Cause: end.Cause}
	}
	return nil
}

func (e *Endpoint) stream(id uint32) *Stream {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.streams[id]
}

func (e *Endpoint) takeNumbered(f *Frame) {
	s := e.stream(f.Stream())
	if s == nil && f.Kind() == KindOpen && !e.Client {
		s = e.accept(f)
	}
	if s == nil {
		f.Release()
		return
	}
	s.receive(f)
}

// accept takes a new stream at the node. A number that was used is never used
// again: what the stream did is not done twice.
func (e *Endpoint) accept(f *Frame) *Stream {
	id := f.Stream()
	var open Open
	if f.Number() != 1 || f.Decode(&open) != nil {
		e.later(func() { e.reset(id, "the stream's description cannot be read") })
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err != nil || len(e.streams) >= maxStreams || !e.used.add(id) {
		go e.later(func() { e.reset(id, "the stream cannot be opened") })
		return nil
	}
	s := newStream(e, id, open)
	s.named = e.asked[id]
	e.streams[id] = s
	e.granted += s.granted
	go func() {
		if first, err := s.Next(); err == nil { // the frame of the opening itself
			first.Release()
			e.Handle(s)
		}
	}()
	return s
}

// takeSync answers the client's question for a stream, at the node.
func (e *Endpoint) takeSync(f *Frame) {
	id, n := f.Stream(), f.Number()
	var sync Sync
	if e.Client || f.Decode(&sync) != nil {
		return
	}
	e.mu.Lock()
	s, known := e.streams[id], e.used.has(id)
	if !known && len(e.asked) < maxStreams {
		e.asked[id] = true
	}
	e.mu.Unlock()
	switch {
	case s != nil:
		s.mu.Lock()
		s.named = true
		s.mu.Unlock()
		e.later(func() {
			e.synced(id, s.got())
			s.acknowledge(true)
			s.resend(n)
		})
	case known || sync.Acked > 0:
		e.later(func() { e.reset(id, "the node has lost the stream") })
	default:
		e.later(func() { e.synced(id, 0) })
	}
}

func (s *Stream) got() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.received
}

func (e *Endpoint) synced(id uint32, received uint64) {
	f := NewFrame(KindSynced, id, 0)
	f.SetNumber(received)
	e.writeOnce(f)
}

// syncEnd gives up the streams that the client has not named: it has forgotten
// them.
func (e *Endpoint) syncEnd(last uint32) {
	e.mu.Lock()
	all := e.live()
	clear(e.asked)
	e.mu.Unlock()
	for _, s := range all {
		s.mu.Lock()
		if !s.named && s.id <= last {
			s.fail(&ResetError{Reason: "the client has given the stream up"})
		}
		s.named = false
		s.mu.Unlock()
	}
}

// used is a set of stream numbers that are mostly without gaps.
type used struct {
	all  uint32 // every number up to this one
	more map[uint32]bool
}

func (u *used) has(id uint32) bool { return id <= u.all || u.more[id] }

// add is false when the number is there already.
func (u *used) add(id uint32) bool {
	if u.has(id) || len(u.more) > maxLater {
		return false
	}
	if u.more == nil {
		u.more = map[uint32]bool{}
	}
	u.more[id] = true
	for u.more[u.all+1] {
		u.all++
		delete(u.more, u.all)
	}
	return true
}
