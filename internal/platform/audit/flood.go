package audit

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
)

// Refusals of callers who are not known cost them nothing, so they must not fill
// the disk: those beyond these numbers in a second are counted.
const (
	refusedAlone = 10   // of one source, recorded one by one
	refusedAll   = 100  // of all sources, recorded one by one
	maxSources   = 1000 // counted apart, the others together
	maxUnwritten = 4096 // counts that wait for the store
)

// Refusals is the body of KindRefused: how many refusals of unknown callers of a
// source were not recorded one by one in the second that begins at At.
type Refusals struct {
	Source string    `json:"source,omitzero"` // IP address or IPv6 /64 network; "" for many together
	Count  int       `json:"count"`
	At     time.Time `json:"at"`
}

// flood bounds the record of refusals.
type flood struct {
	mu      sync.Mutex
	second  int64
	alone   int // recorded one by one in this second
	sources map[string]*refused
	over    []Refusals // of seconds that are past
}

type refused struct{ seen, counted int }

// admit says whether a refusal is recorded by itself; if not it is counted.
func (f *flood) admit(source string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.roll(now)
	name := network(source)
	if f.sources[name] == nil && len(f.sources) >= maxSources {
		name = ""
	}
	r := f.sources[name]
	if r == nil {
		r = &refused{}
		f.sources[name] = r
	}
	r.seen++
	if r.seen <= refusedAlone && f.alone < refusedAll {
		f.alone++
		return true
	}
	r.counted++
	return false
}

// roll begins another second.
func (f *flood) roll(now time.Time) {
	if now.Unix() == f.second && f.sources != nil {
		return
	}
	for name, r := range f.sources {
		if r.counted > 0 {
			f.over = append(f.over, Refusals{Source: name, Count: r.counted, At: time.Unix(f.second, 0).UTC()})
		}
	}
	f.second, f.alone, f.sources = now.Unix(), 0, map[string]*refused{}
}

// take hands out the counts of the seconds before now.
func (f *flood) take(now time.Time) (out []Refusals) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.roll(now)
	out, f.over = f.over, nil
	return out
}

// put takes back what could not be written, as one where it is too much.
func (f *flood) put(back []Refusals) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = append(back, f.over...)
	if len(f.over) <= maxUnwritten {
		return
	}
	all := Refusals{At: f.over[0].At}
	for _, r := range f.over {
		all.Count += r.Count
	}
	f.over = []Refusals{all}
}

// network is what is counted as one source: an address, or the network of 64 bits
// that one holder of IPv6 addresses has at least.
func network(source string) string {
	a, err := netip.ParseAddr(source)
	if err != nil {
		return ""
	}
	if a = a.Unmap().WithZone(""); a.Is4() {
		return a.String()
	}
	p, _ := a.Prefix(64) // an IPv6 address has one
	return p.String()
}

// recordRefused records the counts, one fact for a source and second.
func (s *Service) recordRefused(ctx context.Context, now time.Time) error {
	counts := s.flood.take(now)
	if len(counts) == 0 {
		return nil
	}
	err := s.DB.Update(context.WithoutCancel(ctx), func(tx *db.Tx) error {
		for _, r := range counts {
			if err := s.Journal.Record(tx, journal.Fact{Kind: KindRefused, Subject: r.Source, Body: r}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.flood.put(counts)
	}
	return err
}
