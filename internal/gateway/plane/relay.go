package plane

import (
	"errors"
	"sync"

	"github.com/watchbill/watchbill/internal/wire/plane"
)

// maxStreams is how many streams of a session live at a time.
const maxStreams = 1024

// Tally is what passed through a stream.
type Tally struct {
	In, Out int64       // bytes of data to the node and to the client
	Exit    *plane.Exit // the node's last word
	Cause   string      // why it ended before its time
}

// Session is what a relay must know of the session it serves. The functions may
// be called at the same time for different streams.
type Session interface {
	// Opening decides whether a stream may be opened, and keeps that it is: again is
	// set when the hub meets an old stream for the first time. The error is told.
	Opening(id uint32, open plane.Open, again bool) error
	Closed(id uint32, open plane.Open, t Tally)

	// Output and Input show the content of terminals and commands, in order. An
	// error of Output ends the session.
	Output(b []byte) error
	Input(b []byte)
	Resize(columns, rows uint16)

	Active(in, out int) // there was input or output, in bytes
	// InputClosed says why nothing may be typed now; "" when it may.
	InputClosed() string
	Left() // the client has closed its link on purpose
}

// Relay serves one session.
type Relay struct {
	session Session

	mu      sync.Mutex
	links   [2]*plane.Link // by side
	streams map[uint32]*stream
	told    bool // the client knows that input is dropped
	ended   bool
}

type side int

const (
	client side = iota
	node
)

// stream is what the hub knows of a stream.
type stream struct {
	open    plane.Open
	ready   bool      // the opening was allowed
	seen    [2]uint64 // by sender: the last numbered frame that passed
	final   [2]uint64 // by sender: the number of the final frame
	acked   [2]uint64 // by sender
	dropped numbers   // of input that was not passed on
	closed  bool      // and told
	tally   Tally
}

// NewRelay makes the relay of a session.
func NewRelay(s Session) *Relay { return &Relay{session: s, streams: map[uint32]*stream{}} }

// errOver says that the session ends with the link.
var errOver = errors.New("plane: the session is over")

// Serve reads the link of one side, whose first message was read and found good,
// until it ends. Welcome is sent from here.
func (r *Relay) serve(from side, link *plane.Link) {
	defer link.Close()
	if !r.attach(from, link) {
		return
	}
	go link.Beat()
	if why := r.session.InputClosed(); from == client && why != "" {
		r.Notice(why)
	}
	err := r.read(from, link)
	r.detach(from, link)
	if from == client && errors.Is(err, plane.ErrBye) {
		r.session.Left()
	}
}

// ServeClient serves the client's link until it ends.
func (r *Relay) ServeClient(link *plane.Link) { r.serve(client, link) }

// ServeNode serves the node's link until it ends.
func (r *Relay) ServeNode(link *plane.Link) { r.serve(node, link) }

func (r *Relay) read(from side, link *plane.Link) error {
	for {
		f, err := link.ReadFrame()
		if err != nil {
			return err
		}
		if from == client {
			err = r.fromClient(f)
		} else {
			err = r.fromNode(f)
		}
		if err != nil {
			return err
		}
	}
}

// attach makes a link the one of its side. The welcome is the first thing that
// is written to it.
func (r *Relay) attach(at side, link *plane.Link) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		_ = link.Welcome(plane.Welcome{Error: "Session is already terminated", Over: true})
		return false
	}
	if link.Welcome(plane.Welcome{Peer: r.links[1-at] != nil}) != nil {
		return false
	}
	if old := r.links[at]; old != nil {
		old.Close()
	}
	r.links[at] = link
	r.peer(1-at, true)
	return true
}

func (r *Relay) detach(at side, link *plane.Link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.links[at] == link {
		r.links[at] = nil
		r.peer(1-at, false)
	}
}

// peer tells a side about the other one; the caller holds the lock.
func (r *Relay) peer(to side, up bool) {
	link := r.links[to]
	if link == nil {
		return
	}
	f := plane.NewFrame(plane.KindPeer, 0, 0)
	if up {
		f.SetFlags(1)
	}
	go write(link, f) // not under the lock
}

// Linked says which sides are there.
func (r *Relay) Linked() (clientUp, nodeUp bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.links[client] != nil, r.links[node] != nil
}

func write(link *plane.Link, f *plane.Frame) {
	if link.WriteFrame(f) != nil {
		link.Close()
	}
	f.Release()
}

// send passes a frame to a side, or drops it: it will be asked for again.
func (r *Relay) send(to side, f *plane.Frame) {
	r.mu.Lock()
	link := r.links[to]
	r.mu.Unlock()
	if link == nil {
		f.Release()
		return
	}
	write(link, f)
}

// End ends the session on both links and closes its streams.
func (r *Relay) End(cause string) {
	r.mu.Lock()
	if r.ended {
		r.mu.Unlock()
		return
	}
	r.ended = true
	links := r.links
	all := r.streams
	r.streams = map[uint32]*stream{}
	r.mu.Unlock()
	for _, link := range links {
		if link == nil {
			continue
		}
		if f, err := plane.FrameJSON(plane.KindEnd, 0, plane.End{Cause: cause}); err == nil {
			write(link, f)
		}
		link.Close()
	}
	for id, s := range all {
		r.close(id, s, cause)
	}
}

// close tells that a stream has ended, once.
func (r *Relay) close(id uint32, s *stream, cause string) {
	r.mu.Lock()
	told := s.closed || !s.ready
	s.closed = true
	if s.tally.Cause == "" {
		s.tally.Cause = cause
	}
	t := s.tally
	r.mu.Unlock()
	if !told {
		r.session.Closed(id, s.open, t)
	}
}

// Cut closes both links: the ends come back to the next hub.
func (r *Relay) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	for _, link := range r.links {
		if link != nil {
			link.Close()
		}
	}
}

// Notice tells the person at the client something.
func (r *Relay) Notice(text string) {
	f := plane.NewFrame(plane.KindNotice, 0, min(len(text), plane.MaxData))
	copy(f.Payload(), text)
	r.mu.Lock()
	link := r.links[client]
	r.told = false // the next input that is dropped is told again
	r.mu.Unlock()
	if link == nil {
		f.Release()
		return
	}
	go write(link, f)
}
