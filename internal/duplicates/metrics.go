package duplicates

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	tracks *prometheus.CounterVec
	found  *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		tracks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "melodyud_duplicates_tracks_total", Help: "Tracks that were looked up, by outcome.",
		}, []string{"outcome"}),
		found: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "melodyud_duplicates_found_total", Help: "Pairs that look-ups have found, by kind; those found again count again.",
		}, []string{"kind"}),
	}
	for _, c := range []prometheus.Collector{m.tracks, m.found} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
