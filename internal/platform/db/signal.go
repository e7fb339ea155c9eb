package db

import (
	"slices"
	"sync"
)

const notifyChannel = "watchbill"

// signals wakes whoever waits for a topic. A waiter has one slot: several signals
// while it is busy are one.
type signals struct {
	mu      sync.Mutex
	waiters map[string][]chan struct{}
}

// Notify wakes those who listen to topic, here and on the other hubs, after the
// transaction is committed.
func (t *Tx) Notify(topic string) error {
	if t.db.pg {
		_, err := t.Exec("select pg_notify($1, $2)", notifyChannel, topic)
		t.AfterCommit(func() { t.db.signals.send(topic) })
		return err
	}
	t.AfterCommit(func() { t.db.signals.send(topic) })
	return nil
}

// Listen returns a channel that gets a value after each Notify of topic, and a
// function that ends it.
func (d *DB) Listen(topic string) (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	s := &d.signals
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiters == nil {
		s.waiters = map[string][]chan struct{}{}
	}
	s.waiters[topic] = append(s.waiters[topic], c)
	return c, func() { s.remove(topic, c) }
}

func (s *signals) remove(topic string, c chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiters[topic] = slices.DeleteFunc(s.waiters[topic], func(x chan struct{}) bool { return x == c })
	if len(s.waiters[topic]) == 0 {
		delete(s.waiters, topic)
	}
}

func (s *signals) send(topic string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.waiters[topic] {
		poke(c)
	}
}

func (s *signals) sendAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, cs := range s.waiters {
		for _, c := range cs {
			poke(c)
		}
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
