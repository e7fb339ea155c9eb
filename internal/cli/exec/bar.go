package exec

import (
	"fmt"
	"sync/atomic"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// bar shows how many nodes are done; nothing without a terminal.
type bar struct {
	all    *mpb.Progress
	one    *mpb.Bar
	errors atomic.Int64
}

func newBar(t Terminal) *bar {
	b := &bar{}
	if !t.Progress {
		return b
	}
	b.all = mpb.New(mpb.WithOutput(t.Err), mpb.WithWidth(40))
	b.one = b.all.AddBar(0, mpb.PrependDecorators(decor.CountersNoUnit("%d/%d nodes")), mpb.BarRemoveOnComplete(), mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
		if n := b.errors.Load(); n > 0 {
			return fmt.Sprintf(" %d failed", n)
		}
		return ""
	}), decor.Elapsed(decor.ET_STYLE_GO, decor.WC{W: 6})))
	return b
}

func (b *bar) set(total, done, failed int64) {
	if b.one == nil {
		return
	}
	b.errors.Store(failed)
	b.one.SetTotal(total, false)
	b.one.SetCurrent(done)
}

func (b *bar) end() {
	if b.one == nil {
		return
	}
	b.one.Abort(true)
	b.all.Wait()
}
