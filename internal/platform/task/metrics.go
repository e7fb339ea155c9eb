package task

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// stats counts what the engine did.
type stats struct {
	done, failed, fenced prometheus.Counter
	lateness             prometheus.Histogram
}

func newStats() stats {
	c := func(result string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{
			Name: "watchbill_task_attempts_total", Help: "Attempts at tasks by how they ended.",
			ConstLabels: prometheus.Labels{"result": result},
		})
	}
	return stats{
		done: c("done"), failed: c("failed"), fenced: c("fenced"),
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "watchbill_task_lateness_seconds", Help: "How long after its due time a task's first attempt began.",
			Buckets: []float64{.001, .002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60},
		}),
	}
}

func (s *stats) started(r *Run) {
	if r.Attempt == 1 {
		s.lateness.Observe(time.Since(r.Due).Seconds())
	}
}

// Collectors are the engine's metrics.
func (e *Engine) Collectors() []prometheus.Collector {
	return []prometheus.Collector{e.stats.done, e.stats.failed, e.stats.fenced, e.stats.lateness}
}
