package workers

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/queue"
)

// metrics are what operators watch. Gauges of the rows are the same in every
// process; those of the queue are hints.
type metrics struct {
	stages   *prometheus.HistogramVec
	outcomes *prometheus.CounterVec
	failures *prometheus.CounterVec
	rerung   prometheus.Counter
	lost     prometheus.Counter
	depth    *prometheus.GaugeVec
	age      *prometheus.GaugeVec
	owed     *prometheus.GaugeVec
	waiting  *prometheus.GaugeVec
	dead     prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	name := func(what, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "melodyud", Subsystem: "workers", Name: what, Help: help}
	}
	counter := func(what, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts(name(what, help)), labels)
	}
	gauge := func(what, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts(name(what, help)), labels)
	}
	m := &metrics{
		stages: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "melodyud", Subsystem: "workers", Name: "stage_seconds",
			Help: "How long the stages of the work took, where they succeeded.", Buckets: prometheus.ExponentialBuckets(0.05, 2, 14),
		}, []string{"stage"}),
		outcomes: counter("steps_total", "Steps of tracks by how they ended.", "step", "outcome"),
		failures: counter("failures_total", "Refused and failed steps by code.", "code"),
		rerung:   prometheus.NewCounter(prometheus.CounterOpts(name("rerung_total", "Tracks the sweep rang for because nobody had come."))),
		lost:     prometheus.NewCounter(prometheus.CounterOpts(name("claims_lost_total", "Leases that went to somebody else or to a withdrawal."))),
		depth:    gauge("queue_depth_tasks", "Tasks in the queue.", "queue", "state"),
		age:      gauge("queue_age_seconds", "How long the oldest pending task has waited.", "queue"),
		owed:     gauge("owed_tracks", "Tracks that are owed a step, by the rows.", "step", "state"),
		waiting:  gauge("owed_age_seconds", "How long the oldest track has been owed a step, by the rows.", "step"),
		dead:     prometheus.NewGauge(prometheus.GaugeOpts(name("dead_tracks", "Dead letters waiting for a person."))),
	}
	for _, c := range []prometheus.Collector{m.stages, m.outcomes, m.failures, m.rerung, m.lost, m.depth, m.age, m.owed, m.waiting, m.dead} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// stage starts the clock of a stage; the returned function stops it.
func (m *metrics) stage(name string) func() {
	began := time.Now()
	return func() { m.stages.WithLabelValues(name).Observe(time.Since(began).Seconds()) }
}

func (m *metrics) failed(step melodyud.Step, outcome, code string) {
	m.outcomes.WithLabelValues(string(step), outcome).Inc()
	m.failures.WithLabelValues(code).Inc()
}

func (m *metrics) showDepth(d queue.Depth) {
	q := string(d.Urgency)
	m.depth.WithLabelValues(q, "pending").Set(float64(d.Pending))
	m.depth.WithLabelValues(q, "active").Set(float64(d.Active))
	m.depth.WithLabelValues(q, "delayed").Set(float64(d.Delayed))
	m.age.WithLabelValues(q).Set(d.Oldest.Seconds())
}

func (m *metrics) showBacklog(b melodyud.Backlog) {
	m.owed.Reset()
	m.waiting.Reset()
	for _, one := range b.Steps {
		step := string(one.Step)
		m.owed.WithLabelValues(step, "all").Set(float64(one.Owed))
		m.owed.WithLabelValues(step, "due").Set(float64(one.Due))
		m.owed.WithLabelValues(step, "held").Set(float64(one.Held))
		m.waiting.WithLabelValues(step).Set(one.Oldest.Seconds())
	}
	m.dead.Set(float64(b.Dead))
}
