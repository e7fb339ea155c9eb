package server

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/wire"
	"github.com/watchbill/watchbill/internal/wire/s3"
)

// metrics are the hub's own; label values come from fixed sets, never from input.
type metrics struct {
	registry *prometheus.Registry
	calls    *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "watchbill_calls_total", Help: "API calls by service, operation and HTTP status.",
		}, []string{"service", "operation", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "watchbill_call_seconds", Help: "How long API calls took.", Buckets: prometheus.ExponentialBuckets(.0005, 4, 8),
		}, []string{"service"}),
	}
	m.register(m.calls, m.seconds, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) register(c ...prometheus.Collector) { m.registry.MustRegister(c...) }

func (m *metrics) observe(c wire.Call) {
	service, operation := c.Service, c.Operation
	if !known(service, operation) {
		service, operation = "", ""
	}
	m.calls.WithLabelValues(service, operation, strconv.Itoa(c.Status)).Inc()
	m.seconds.WithLabelValues(service).Observe(c.Duration.Seconds())
}

// known keeps names that callers make up out of the labels.
var known = func() func(service, operation string) bool {
	type name struct{ service, operation string }
	names := map[name]bool{}
	for _, m := range append(slices.Clone(models), s3.Model) {
		for _, op := range m.Operations {
			names[name{m.SigningName, op.Name}] = true
		}
	}
	return func(service, operation string) bool { return names[name{service, operation}] }
}()

func healthz(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) }

// readyz says whether the hub serves, and whether it takes changes.
func (h *hub) readyz(w http.ResponseWriter, r *http.Request) {
	err := h.frozen
	if err == nil {
		err = h.db.View(r.Context(), func(tx *db.Tx) error { return tx.QueryRow("select 1").Scan(new(int)) })
	}
	switch {
	case err != nil:
		h.log.ErrorContext(r.Context(), "not ready", "error", err)
		http.Error(w, "the store refuses: see the log", http.StatusServiceUnavailable)
	case !h.ready.Load():
		http.Error(w, "starting or draining", http.StatusServiceUnavailable)
	default:
		healthz(w, r)
	}
}

func (h *hub) metricsHandler() http.Handler {
	return promhttp.HandlerFor(h.metrics.registry, promhttp.HandlerOpts{})
}
