package audit

import (
	"context"
	"errors"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
)

const (
	flushEvery = 500 * time.Millisecond
	flushAt    = 2000
	maxWaiting = 4 * flushAt // then callers wait
	maxHeld    = 4 * flushAt // while the store refuses; further calls are only counted
)

// batch gathers the entries of plain reads.
type batch struct{ entries chan entry }

func (b *batch) init() { b.entries = make(chan entry, maxWaiting) }

func (b *batch) add(e entry) { b.entries <- e }

// held are the gathered calls that are to be recorded together.
type held struct {
	calls   []entry
	lost    int  // calls that came when too many were held
	refused bool // the store did not take the last batch
}

func (h *held) add(e entry) {
	if len(h.calls) >= maxHeld {
		h.lost++
		return
	}
	h.calls = append(h.calls, e)
}

// Start records the gathered calls until ctx ends, then the rest.
func (s *Service) Start(ctx context.Context) error {
	t := time.NewTicker(flushEvery)
	defer t.Stop()
	h := &held{}
	for {
		select {
		case e := <-s.batch.entries:
			if h.add(e); len(h.calls) < flushAt || h.refused {
				continue
			}
		case now := <-t.C:
			if err := s.recordRefused(ctx, now); err != nil {
				s.Log.ErrorContext(ctx, "record counted refusals", "error", err)
			}
		case <-ctx.Done():
			return errors.Join(s.drain(context.WithoutCancel(ctx), h), s.recordRefused(ctx, time.Now().Add(time.Second)))
		}
		s.tryFlush(ctx, h)
	}
}

// tryFlush records what is held, or keeps it until the store takes it. Callers do
// not wait: reads go on while the disk is full.
func (s *Service) tryFlush(ctx context.Context, h *held) {
	err := s.flush(ctx, h)
	if err != nil && !h.refused {
		s.Log.ErrorContext(ctx, "record gathered calls", "error", err)
	}
	if err == nil && h.refused {
		s.Log.InfoContext(ctx, "gathered calls are recorded again", "calls", len(h.calls), "lost", h.lost)
	}
	if h.refused = err != nil; !h.refused {
		*h = held{calls: h.calls[:0]}
	}
}

func (s *Service) drain(ctx context.Context, h *held) error {
	for {
		select {
		case e := <-s.batch.entries:
			h.add(e)
		default:
			return s.flush(ctx, h)
		}
	}
}

func (s *Service) flush(ctx context.Context, h *held) error {
	if len(h.calls) == 0 {
		return nil
	}
	return s.DB.Update(context.WithoutCancel(ctx), func(tx *db.Tx) error {
		return s.Journal.Record(tx, journal.Fact{Kind: KindBatch, Body: struct {
			Calls []entry `json:"calls"`
			Lost  int     `json:"lost,omitzero"` // how many more there were
		}{h.calls, h.lost}})
	})
}
