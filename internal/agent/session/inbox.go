package session

import (
	"context"
	"sync"

	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// maxInbox is how many bytes of input wait for a program that does not read.
// More are not acknowledged, and the client sends them again.
const maxInbox = 256 << 10

// inbox holds a client's messages, in order, for the session's program.
type inbox struct {
	mu    sync.Mutex
	queue []*mgs.Message
	bytes int
	ready chan struct{} // holds an element when the queue is not empty
}

func newInbox() *inbox { return &inbox{ready: make(chan struct{}, 1)} }

func (b *inbox) room() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes < maxInbox
}

func (b *inbox) put(m *mgs.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue = append(b.queue, m)
	b.bytes += len(m.Payload) + 64
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

// take is the next message; it waits for one. Error: the context's.
func (b *inbox) take(ctx context.Context) (*mgs.Message, error) {
	for {
		if m := b.first(); m != nil {
			return m, nil
		}
		select {
		case <-b.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (b *inbox) first() *mgs.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		return nil
	}
	m := b.queue[0]
	b.queue = b.queue[1:]
	b.bytes -= len(m.Payload) + 64
	return m
}
