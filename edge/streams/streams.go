// Package streams limits how many streams an account plays at once.
//
// A stream is a device of an account, or a session where the ticket names no
// device. It begins with its first segment and counts for as long as what it
// fetched would play, and at least a little while after the last segment. Other
// requests begin nothing, but are refused where a segment would be. Previews and
// files for listening offline do not count, and neither do tickets that name no
// account.
//
// Allow decides from memory alone. Run tells other edges of the streams of this
// one, and hears of theirs, through Redis. An edge knows of a new stream elsewhere
// after two of Config.Every, mostly. While Redis is away each edge knows only its
// own, so that an account may play more than it should, never less.
package streams

import (
	"fmt"
	"hash/maphash"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/ticket"
)

// Policy says which stream must go when an account plays more than it may.
type Policy string

// The policies.
const (
	// EndOldest lets the stream go on that began last. One that was ended may come
	// back with a ticket asked for after that: somebody pressed play there again.
	EndOldest Policy = "end-oldest"
	// RefuseNew keeps the streams that began first.
	RefuseNew Policy = "refuse-new"
)

// Config of a Gate.
type Config struct {
	// Limits are how many streams an account of a tier may play at once; 0 or
	// absent: as many as it likes.
	Limits map[ticket.Tier]int
	// Policy is what happens beyond the limit; default EndOldest.
	Policy Policy
	// Redis is where the edges of a deployment tell each other; nil: this is the
	// only one.
	Redis redis.UniversalClient
	// Every is how often Run tells and asks; default 1 s.
	Every time.Duration
	// Linger is how long a stream counts after a segment, at least; default 30 s.
	Linger time.Duration
	// Ahead is how long a stream counts after a segment, at most, when it fetched a
	// lot ahead; default 5 min.
	Ahead time.Duration
	// Accounts is how many accounts are remembered at once; those beyond it are not
	// limited. Default 200,000, which take about 60 MB.
	Accounts int
	Logger   *slog.Logger          // default: discards
	Metrics  prometheus.Registerer // nil: not measured
	Now      func() time.Time      // default time.Now
}

// The refusals of Allow.
var (
	errTooMany = melodyud.Refuse(melodyud.ErrForbidden, "playback.too-many-streams",
		"This account is playing on as many devices as its plan allows. Stop the music on one of them, then press play again.")
	errElsewhere = melodyud.Refuse(melodyud.ErrForbidden, "playback.elsewhere",
		"This account went on playing on another device. Press play to listen here instead.")
)

const (
	shards      = 64
	mostStreams = 64 // of one account, ended ones included
	segment     = 4 * time.Second
)

// Gate decides who may play. It is safe for concurrent use.
type Gate struct {
	c      Config
	id     string // of this edge, among those that use Redis
	seed   maphash.Seed
	shards [shards]shard
	away   atomic.Bool // Redis did not answer last time
	meters meters
}

type shard struct {
	mu       sync.Mutex
	accounts map[string]*account
	queue    []string // accounts that Run should tell and ask about
}

// New returns a gate that knows of no stream. Redis is used by Run alone.
func New(c Config) (*Gate, error) {
	c.complete()
	if c.Policy != EndOldest && c.Policy != RefuseNew {
		return nil, fmt.Errorf("%w: the policy on streams is %s or %s, not %q", melodyud.ErrInvalid, EndOldest, RefuseNew, c.Policy)
	}
	if c.Every < 0 || c.Linger < time.Second || c.Ahead < c.Linger || c.Accounts < 0 {
		return nil, fmt.Errorf("%w: streams count for a second at least", melodyud.ErrInvalid)
	}
	for tier, n := range c.Limits {
		if n < 0 || n > mostStreams {
			return nil, fmt.Errorf("%w: the limit on streams of %s goes from 0, for none, to %d", melodyud.ErrInvalid, tier, mostStreams)
		}
	}
	g := &Gate{c: c, seed: maphash.MakeSeed(), id: newID()}
	for i := range g.shards {
		g.shards[i].accounts = map[string]*account{}
	}
	if err := g.measure(c.Metrics); err != nil {
		return nil, fmt.Errorf("register metrics of streams: %w", err)
	}
	return g, nil
}

func (c *Config) complete() {
	if c.Policy == "" {
		c.Policy = EndOldest
	}
	if c.Every == 0 {
		c.Every = time.Second
	}
	if c.Linger == 0 {
		c.Linger = 30 * time.Second
	}
	if c.Ahead == 0 {
		c.Ahead = max(5*time.Minute, c.Linger)
	}
	if c.Accounts == 0 {
		c.Accounts = 200_000
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
}

// Allow reports whether claims, of a ticket that opens path, may have it now. A
// stream too many is ErrForbidden: "playback.too-many-streams" where it may not
// begin, "playback.elsewhere" where another one took its place. It never waits for
// the network.
func (g *Gate) Allow(claims *ticket.Claims, path string) error {
	limit := g.c.Limits[claims.Tier]
	if limit == 0 || claims.Account == "" || uncounted(claims.Prefix) {
		return nil
	}
	s := g.shardOf(claims.Account)
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[claims.Account]
	if a == nil {
		if len(s.accounts) >= max(1, g.c.Accounts/shards) {
			g.meters.unlimited.Inc()
			return nil
		}
		a = &account{name: strings.Clone(claims.Account)} // not a piece of a larger buffer
		s.accounts[a.name] = a
	}
	err := g.decide(s, a, visit{claims: claims, sound: strings.HasSuffix(path, ".m4s"), limit: limit, now: g.c.Now().UnixMilli()})
	if err != nil {
		g.meters.refused.Inc()
	}
	return err
}

// uncounted reports whether a ticket's prefix, which it was signed for, is that of
// a preview or of files for listening offline.
func uncounted(prefix string) bool {
	return strings.Contains(prefix, "/preview/segments/") || strings.Contains(prefix, "/offline/v1/")
}

func (g *Gate) shardOf(account string) *shard {
	return &g.shards[maphash.String(g.seed, account)%shards]
}
