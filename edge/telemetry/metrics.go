package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	melodyud "github.com/melodyud/melodyud"
)

// metrics count what players tell, by the definitions of §5.6. What is told twice
// counts twice here: facts are what numbers for creators are made of.
type metrics struct {
	dropped, lost, unread prometheus.Counter
	beacons               *prometheus.CounterVec
	plays                 *prometheus.CounterVec
	startup, stall        *prometheus.HistogramVec
	heard                 *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	count := func(name, help string) prometheus.CounterOpts { return prometheus.CounterOpts{Name: name, Help: help} }
	span := func(name, help string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: name, Help: help, Buckets: []float64{.05, .1, .2, .3, .5, .75, 1, 1.5, 2, 3, 5, 10, 30},
		}, []string{"tier"})
	}
	m := &metrics{
		dropped: prometheus.NewCounter(count("melodyud_telemetry_dropped_segments_total", "Segments that were sent but not summed up: too many sessions.")),
		lost:    prometheus.NewCounter(count("melodyud_telemetry_lost_facts_total", "Sums of segments that the event log did not take in time.")),
		unread:  prometheus.NewCounter(count("melodyud_telemetry_unread_cmcd_total", "Requests whose CMCD could not be read.")),
		beacons: prometheus.NewCounterVec(count("melodyud_telemetry_beacons_total", "Beacons of players, by outcome."), []string{"outcome"}),
		plays: prometheus.NewCounterVec(count("melodyud_telemetry_plays_total",
			"What players told of plays: requested, started, stalled, ended, skipped or failed."), []string{"tier", "what"}),
		startup: span("melodyud_telemetry_startup_seconds", "From the wish to hear a track to its first sample."),
		stall:   span("melodyud_telemetry_stall_seconds", "Silences for want of data while a track played."),
		heard:   prometheus.NewCounterVec(count("melodyud_telemetry_heard_seconds_total", "Music that players rendered."), []string{"tier"}),
	}
	for _, c := range []prometheus.Collector{m.dropped, m.lost, m.unread, m.beacons, m.plays, m.startup, m.stall, m.heard} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// seen are the facts of plays that are counted by name.
var seen = map[string]string{
	melodyud.PlaybackRequested: "requested", melodyud.PlaybackStarted: "started", melodyud.PlaybackStalled: "stalled",
	melodyud.PlaybackEnded: "ended", melodyud.PlaybackSkipped: "skipped", melodyud.PlaybackFailed: "failed",
}

func (m *metrics) observe(typ string, f *melodyud.PlaybackFact) {
	if name, ok := seen[typ]; ok {
		m.plays.WithLabelValues(f.Tier, name).Inc()
	}
	took := (time.Duration(f.Took) * time.Millisecond).Seconds()
	switch {
	case took == 0: // it is not known, or a track follows another without a gap
	case typ == melodyud.PlaybackStarted:
		m.startup.WithLabelValues(f.Tier).Observe(took)
	case typ == melodyud.PlaybackStalled:
		m.stall.WithLabelValues(f.Tier).Observe(took)
	}
	for _, i := range f.Heard {
		m.heard.WithLabelValues(f.Tier).Add(float64(i.To-i.From) / 1000)
	}
}
