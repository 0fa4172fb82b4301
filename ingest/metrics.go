package ingest

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	bytes   prometheus.Counter
	uploads *prometheus.CounterVec
	writers prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "melodyud_ingest_stored_bytes_total", Help: "Bytes of creators that were stored.",
		}),
		uploads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "melodyud_ingest_uploads_total", Help: "Uploads that were created or changed their state.",
		}, []string{"state"}),
		writers: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "melodyud_ingest_active_writers", Help: "Requests that are writing an upload now.",
		}),
	}
	return m, errors.Join(reg.Register(m.bytes), reg.Register(m.uploads), reg.Register(m.writers))
}
