package cache

import "github.com/prometheus/client_golang/prometheus"

// meters count what the tiers do.
type meters struct {
	hits        *prometheus.CounterVec // by tier
	memory      prometheus.Counter     // of hits
	collapsed   prometheus.Counter
	fills       prometheus.Counter
	failures    prometheus.Counter
	warmDropped prometheus.Counter

	diskWrites  *prometheus.CounterVec // by result
	diskCorrupt prometheus.Counter
	diskEvicted prometheus.Counter

	peerFailures prometheus.Counter
	peerServed   prometheus.Counter
}

func newMeters() *meters {
	hits := vector("melodyud_edge_cache_hits_total", "Blocks had without the object store, by tier: memory, disk or peer.", "tier")
	return &meters{
		hits: hits, memory: hits.WithLabelValues(Memory.String()),
		collapsed:    counter("melodyud_edge_cache_collapsed_total", "Blocks had from a fill that somebody else had begun."),
		fills:        counter("melodyud_edge_cache_fills_total", "Blocks asked of the object store."),
		failures:     counter("melodyud_edge_cache_fill_failures_total", "Blocks the object store did not give."),
		warmDropped:  counter("melodyud_edge_cache_warm_dropped_total", "Blocks not read in advance because the cache was busy."),
		diskWrites:   vector("melodyud_edge_cache_disk_writes_total", "Blocks for the disk tier, by result: written, dropped (too many at once) or failed.", "result"),
		diskCorrupt:  counter("melodyud_edge_cache_disk_corrupt_total", "Files of the disk tier that were not what was written."),
		diskEvicted:  counter("melodyud_edge_cache_disk_evictions_total", "Blocks that left the disk tier for others."),
		peerFailures: counter("melodyud_edge_cache_peer_failures_total", "Times another edge was found not to answer."),
		peerServed:   counter("melodyud_edge_cache_peer_served_total", "Stretches given to other edges."),
	}
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func vector(name, help, label string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
}

func gauge(name, help string, tier Tier, value func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: name, Help: help, ConstLabels: prometheus.Labels{"tier": tier.String()},
	}, value)
}

func (m *meters) register(r prometheus.Registerer, c *Cache) {
	if r == nil {
		return
	}
	const size, help = "melodyud_edge_cache_bytes", "Bytes of blocks kept, by tier."
	r.MustRegister(m.hits, m.collapsed, m.fills, m.failures, m.warmDropped,
		m.diskWrites, m.diskCorrupt, m.diskEvicted, m.peerFailures, m.peerServed,
		gauge(size, help, Memory, func() float64 { return float64(c.blocks.WeightedSize()) }),
		gauge(size, help, Disk, func() float64 { return float64(c.disk.bytes()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "melodyud_edge_cache_filling", Help: "Blocks being filled now.",
		}, func() float64 { return float64(c.filling()) }))
}

// served counts a block that was not in memory.
func (m *meters) served(s Status) {
	if s.Collapsed {
		m.collapsed.Inc()
	}
	if s.Tier != Origin {
		m.hits.WithLabelValues(s.Tier.String()).Inc()
	}
}
