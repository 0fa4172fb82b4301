package node

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge/pace"
	"github.com/melodyud/melodyud/edge/streams"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/ticket"
)

// EdgeLimits is what one listener may take of the edge; 0 is no limit.
type EdgeLimits struct {
	StreamsFree    int    `env:"MELODYUD_STREAMS_FREE" default:"1" help:"Devices a free account plays on at once; 0: no limit."`
	StreamsPremium int    `env:"MELODYUD_STREAMS_PREMIUM" default:"3" help:"Devices a premium account plays on at once; 0: no limit."`
	StreamsPolicy  string `env:"MELODYUD_STREAMS_POLICY" enum:"end-oldest,refuse-new" default:"end-oldest" help:"What happens beyond that: end-oldest or refuse-new."`

	RateFree     float64 `env:"MELODYUD_RATE_FREE" default:"20" help:"Requests a second of a free account, after a first 600; 0: no limit."`
	RatePremium  float64 `env:"MELODYUD_RATE_PREMIUM" default:"0" help:"The same for a premium account."`
	RateStranger float64 `env:"MELODYUD_RATE_STRANGER" default:"5" help:"Requests a second with bad tickets from one network address, after a first 150; 0: no limit."`
	RateAPI      float64 `name:"rate-api" env:"MELODYUD_RATE_API" default:"100" help:"Requests a second to the API of one sign-in, or of one network address without any, after a first 3000; 0: no limit."`
}

// burstSeconds is how much may be asked for at once, in seconds of the rate: enough
// to fill a player's buffer and skip through an album.
const burstSeconds = 30

// The bounds of rates, in requests a second.
const leastRate, mostRate = 0.001, 1e6

func (l *EdgeLimits) check() error {
	if l.StreamsPolicy == "" {
		l.StreamsPolicy = string(streams.EndOldest)
	}
	if l.StreamsFree < 0 || l.StreamsPremium < 0 {
		return fmt.Errorf("%w: --streams-free and --streams-premium cannot be negative; 0 is no limit", melodyud.ErrInvalid)
	}
	for _, r := range []float64{l.RateFree, l.RatePremium, l.RateStranger, l.RateAPI} {
		if r != 0 && !(r >= leastRate && r <= mostRate) {
			return fmt.Errorf("%w: a rate goes from %g to %g requests a second; 0 is no limit", melodyud.ErrInvalid, leastRate, mostRate)
		}
	}
	return nil
}

// newStreams counts the streams of accounts, together with the other edges where
// they have a Redis in common.
func (n *Node) newStreams() (*streams.Gate, error) {
	l := n.config.EdgeLimits
	g, err := streams.New(streams.Config{
		Limits: map[ticket.Tier]int{ticket.Free: l.StreamsFree, ticket.Premium: l.StreamsPremium}, Policy: streams.Policy(l.StreamsPolicy),
		Redis: n.backends.redis, Logger: n.log, Metrics: n.metrics, Now: n.config.Now,
	})
	if err == nil {
		n.runs("streams", working, g.Run)
	}
	return g, err
}

func rateOf(perSecond float64) pace.Rate {
	return pace.Rate{PerSecond: perSecond, Burst: max(1, int(perSecond*burstSeconds))}
}

func (n *Node) newPace() (*pace.Gate, error) {
	l := n.config.EdgeLimits
	return pace.NewGate(pace.Config{
		Listeners: map[ticket.Tier]pace.Rate{ticket.Free: rateOf(l.RateFree), ticket.Premium: rateOf(l.RatePremium)},
		Strangers: rateOf(l.RateStranger), Metrics: n.metrics, Now: n.config.Now,
	})
}

// newEdgeLimits makes both.
func (n *Node) newEdgeLimits() (*streams.Gate, *pace.Gate, error) {
	s, err := n.newStreams()
	if err != nil {
		return nil, nil, err
	}
	p, err := n.newPace()
	return s, p, err
}

var errTooFast = melodyud.Refuse(melodyud.ErrLimited, "request.too-fast",
	"These requests come too fast. Go on more slowly after the time in Retry-After.")

// paced keeps programs from asking the API faster than --rate-api: each sign-in, or
// each network address of those who have none, by itself.
func (n *Node) paced(next http.Handler) http.Handler {
	perSecond := n.config.RateAPI
	if perSecond == 0 {
		return next
	}
	const remembered = 100_000
	buckets, err := pace.New(rateOf(perSecond), remembered)
	if err != nil {
		return next // checked
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/") {
			if wait := buckets.Take(asker(buckets, r), n.config.Now()); wait > 0 {
				api.WriteProblem(w, r, errTooFast.After(wait))
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// asker is the bucket of whoever sent r.
func asker(b *pace.Buckets, r *http.Request) pace.Key {
	if key := r.Header.Get("Authorization"); key != "" {
		return b.Name(key)
	}
	if session, err := r.Cookie(api.SessionCookie); err == nil {
		return b.Name(session.Value)
	}
	from, _ := netip.ParseAddrPort(r.RemoteAddr) // what has no address is one network
	return b.Network(from.Addr())
}
