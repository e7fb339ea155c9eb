package intake

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// stats counts what came in.
type stats struct {
	alarms     *prometheus.CounterVec
	deliveries *prometheus.CounterVec
}

func newStats() stats {
	return stats{
		alarms: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "watchbill_intake_alarms_total", Help: "Alarms taken in, by integration and what they did.",
		}, []string{"integration", "change"}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "watchbill_intake_deliveries_total", Help: "Deliveries by the status of their answer.",
		}, []string{"status"}),
	}
}

func (s *stats) accepted(i *integration, r Result) {
	for change, n := range map[string]int{"opened": r.Opened, "folded": r.Folded, "resolved": r.Resolved} {
		s.alarms.WithLabelValues(i.name, change).Add(float64(n))
	}
}

func (s *stats) answered(status int) {
	s.deliveries.WithLabelValues(strconv.Itoa(status)).Inc()
}

// Collectors are the metrics of the intake.
func (s *Service) Collectors() []prometheus.Collector {
	return []prometheus.Collector{s.stats.alarms, s.stats.deliveries}
}
