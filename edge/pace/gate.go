package pace

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/ticket"
)

// Config of a Gate.
type Config struct {
	// Listeners are the rates of an account's requests by tier, or of a session's
	// where the ticket names no account. A tier without a rate is not limited.
	Listeners map[ticket.Tier]Rate
	// Strangers is the rate of requests with tickets that are not valid, of one
	// network: an IPv4 address, or 64 bits of IPv6.
	Strangers Rate
	// Keys is how many listeners of each tier, and how many networks, are
	// remembered at once; default 100,000, which take about 20 MB each.
	Keys    int
	Metrics prometheus.Registerer // nil: not measured
	Now     func() time.Time      // default time.Now
}

// Gate is the pace of an edge's requests. It is safe for concurrent use.
type Gate struct {
	listeners map[ticket.Tier]*Buckets
	strangers *Buckets
	now       func() time.Time
	refused   *prometheus.CounterVec
}

// NewGate returns a gate with full buckets.
func NewGate(c Config) (*Gate, error) {
	if c.Keys == 0 {
		c.Keys = 100_000
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	g := &Gate{now: c.Now, listeners: map[ticket.Tier]*Buckets{}, refused: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "melodyud_pace_refused_total", Help: "Requests refused for coming too fast, of listeners or of strangers.",
	}, []string{"who"})}
	var err error
	if g.strangers, err = New(c.Strangers, c.Keys); err != nil {
		return nil, err
	}
	for tier, r := range c.Listeners {
		if g.listeners[tier], err = New(r, c.Keys); err != nil {
			return nil, err
		}
	}
	if c.Metrics != nil {
		if err := c.Metrics.Register(g.refused); err != nil {
			return nil, fmt.Errorf("register metrics of pace: %w", err)
		}
	}
	return g, nil
}

// errTooFast is a 503 for media, because players do not come again after a 4xx.
var errTooFast = melodyud.Refuse(melodyud.ErrUnavailable, "playback.too-fast",
	"These requests come faster than anybody can listen. Playing goes on by itself in a moment.")

// Listener counts a request with a valid ticket. One that comes too fast is
// ErrUnavailable until the next would be taken (melodyud.Refusal.After).
func (g *Gate) Listener(c *ticket.Claims) error {
	b := g.listeners[c.Tier]
	if b == nil {
		return nil
	}
	key := c.Account
	if key == "" {
		key = c.Session
	}
	return g.verdict("listener", b.Take(b.Name(key), g.now()))
}

// Stranger counts a request whose ticket is not valid, and says whether its network
// should hear no more than that.
func (g *Gate) Stranger(from netip.Addr) error {
	return g.verdict("stranger", g.strangers.Take(g.strangers.Network(from), g.now()))
}

func (g *Gate) verdict(who string, wait time.Duration) error {
	if wait == 0 {
		return nil
	}
	g.refused.WithLabelValues(who).Inc()
	return errTooFast.After(wait)
}
