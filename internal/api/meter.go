package api

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Meter counts answers of one route and status that are given without the Handler,
// among those that the Handler gives. Such answers have no line in the access log.
type Meter struct {
	requests prometheus.Counter
	took     prometheus.Observer
}

// Meter returns the meter of a route, written as its pattern.
func (r *Router) Meter(route string, status int) *Meter {
	return &Meter{r.metrics.requests.WithLabelValues(route, strconv.Itoa(status)), r.metrics.took.WithLabelValues(route)}
}

// Observe counts one answer.
func (m *Meter) Observe(took time.Duration) {
	m.requests.Inc()
	m.took.Observe(took.Seconds())
}
