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
)

// batch gathers the entries of plain reads.
type batch struct{ entries chan entry }

func (b *batch) init() { b.entries = make(chan entry, maxWaiting) }

func (b *batch) add(e entry) { b.entries <- e }

// Start records the gathered calls until ctx ends, then the rest.
func (s *Service) Start(ctx context.Context) error {
	t := time.NewTicker(flushEvery)
	defer t.Stop()
	var have []entry
	for {
		select {
		case e := <-s.batch.entries:
			if have = append(have, e); len(have) < flushAt {
				continue
			}
		case now := <-t.C:
			if err := s.recordRefused(ctx, now); err != nil {
				s.Log.ErrorContext(ctx, "record counted refusals", "error", err)
			}
		case <-ctx.Done():
			return errors.Join(s.drain(context.WithoutCancel(ctx), have), s.recordRefused(ctx, time.Now().Add(time.Second)))
		}
		if err := s.flush(ctx, have); err != nil {
			s.Log.ErrorContext(ctx, "record gathered calls", "error", err)
			continue // kept; the store comes back or callers wait
		}
		have = have[:0]
	}
}

func (s *Service) drain(ctx context.Context, have []entry) error {
	for {
		select {
		case e := <-s.batch.entries:
			have = append(have, e)
		default:
			return s.flush(ctx, have)
		}
	}
}

func (s *Service) flush(ctx context.Context, calls []entry) error {
	if len(calls) == 0 {
		return nil
	}
	return s.DB.Update(context.WithoutCancel(ctx), func(tx *db.Tx) error {
		return s.Journal.Record(tx, journal.Fact{Kind: KindBatch, Body: struct {
			Calls []entry `json:"calls"`
		}{calls}})
	})
}
