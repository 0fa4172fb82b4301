// Package notices knows which tickets are void before they expire. It follows the
// facts of rights in the event log, keeps those that can still matter in memory and
// answers from there: asking costs a few looks into maps and waits for nothing.
//
// When the log cannot be read, what is known goes on to hold, and what is not yet
// known cannot: the edge degrades open, and tells its age.
package notices

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/ticket"
)

// log is where facts are followed.
type log interface {
	Follow(ctx context.Context, topic string, since time.Time, handle func(context.Context, []melodyud.Event) error) error
}

// Config of a Board.
type Config struct {
	Log     log                   // required
	Most    int                   // most notices kept; those that end first go first. Default 200,000, about 60 MB
	Logger  *slog.Logger          // default: discards
	Metrics prometheus.Registerer // nil: not measured
	Now     func() time.Time      // default time.Now
}

// Board is where notices hang. It is safe for concurrent use.
type Board struct {
	c       Config
	scopes  map[melodyud.NoticeScope]*scope
	current atomic.Int64 // when everything had been read last, unix nanoseconds; 0: never
	pruned  time.Time    // by Run alone
	dropped prometheus.Counter
}

const (
	defaultMost = 200_000
	pruneEvery  = time.Minute
	// late is how old the newest look into the log may be before it is told.
	late = 10 * time.Second
	// signIn is how long the name of a sign-in is, with which a device's begins.
	signIn = 16
)

// New returns a board without notices. Learn and Run fill it.
func New(c Config) (*Board, error) {
	if c.Log == nil {
		return nil, fmt.Errorf("%w: notices need an event log", melodyud.ErrInvalid)
	}
	if c.Most <= 0 {
		c.Most = defaultMost
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	b := &Board{c: c, scopes: map[melodyud.NoticeScope]*scope{}}
	for _, s := range []melodyud.NoticeScope{
		melodyud.NoticeSession, melodyud.NoticeAccount, melodyud.NoticeSignIn, melodyud.NoticeTrack, melodyud.NoticeKey,
	} {
		b.scopes[s] = newScope()
	}
	return b, b.measure()
}

func (b *Board) measure() error {
	b.dropped = prometheus.NewCounter(prometheus.CounterOpts{Name: "melodyud_edge_notices_dropped_total",
		Help: "Notices forgotten before their end because there were too many."})
	if b.c.Metrics == nil {
		return nil
	}
	for _, c := range []prometheus.Collector{
		b.dropped,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "melodyud_edge_notices_entries",
			Help: "Notices that void tickets, in memory."}, func() float64 { return float64(b.Len()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "melodyud_edge_notices_age_seconds",
			Help: "How long ago the event log was read to its end; -1: never."}, b.age),
	} {
		if err := b.c.Metrics.Register(c); err != nil {
			return fmt.Errorf("notices: register metrics: %w", err)
		}
	}
	return nil
}

func (b *Board) age() float64 {
	at := b.current.Load()
	if at == 0 {
		return -1
	}
	return b.c.Now().Sub(time.Unix(0, at)).Seconds()
}

// Len returns how many notices there are.
func (b *Board) Len() (n int) {
	for _, s := range b.scopes {
		n += int(s.count.Load())
	}
	return n
}

// Healthy returns nil while the log is being followed; otherwise revocations do not
// arrive, and everything else goes on.
func (b *Board) Healthy() error {
	switch age := b.age(); {
	case age < 0:
		return fmt.Errorf("%w: notices were never read", melodyud.ErrUnavailable)
	case age > late.Seconds():
		return fmt.Errorf("%w: notices are %.0f s old", melodyud.ErrUnavailable, age)
	}
	return nil
}

// Current reports whether all notices that were written until so long ago hang here.
func (b *Board) Current(within time.Duration) bool {
	age := b.age()
	return age >= 0 && age < within.Seconds()
}

// Learn reads all notices there are that can still matter, so that an edge does not
// begin with forgetting them. It ends with ctx at the latest.
func (b *Board) Learn(ctx context.Context) error {
	ctx, done := context.WithCancel(ctx)
	defer done()
	err := b.follow(ctx, done)
	if err == nil && b.current.Load() == 0 {
		err = fmt.Errorf("%w: notices could not be read: %w", melodyud.ErrUnavailable, context.Cause(ctx))
	}
	return err
}

// Run follows the log until ctx ends, and returns nil then.
func (b *Board) Run(ctx context.Context) error { return b.follow(ctx, func() {}) }

// follow reads on until ctx ends; it calls end each time there is no more to read.
func (b *Board) follow(ctx context.Context, end func()) error {
	since := b.c.Now().Add(-ticket.MaxLife - ticket.Skew)
	return b.c.Log.Follow(ctx, melodyud.TopicRights, since, func(ctx context.Context, events []melodyud.Event) error {
		for i := range events {
			b.take(ctx, &events[i])
		}
		if len(events) == 0 {
			b.current.Store(b.c.Now().UnixNano())
			b.prune()
			end()
		}
		return nil
	})
}

// take hangs up what an event tells. One that nobody can read is passed over: it
// must not keep the others away.
func (b *Board) take(ctx context.Context, e *melodyud.Event) {
	if e.Type != melodyud.TicketsRevoked {
		return
	}
	var n melodyud.Notice
	err := json.Unmarshal(e.Data, &n)
	if err == nil {
		err = b.Post(n)
	}
	if err != nil {
		b.c.Logger.ErrorContext(ctx, "notice passed over", slog.String("event", string(e.ID)), slog.Any("error", err))
	}
}

// Post hangs up a notice. One without a scope we know, an id or a rule that can be
// read is ErrInvalid; one that no ticket can be old enough for is forgotten.
func (b *Board) Post(n melodyud.Notice) error {
	s := b.scopes[n.Scope]
	if s == nil || n.ID == "" || n.Countries != nil && !ticket.Countries(*n.Countries).Sound() {
		return fmt.Errorf("%w: notice for %s %q", melodyud.ErrInvalid, n.Scope, n.ID)
	}
	if b.c.Now().After(endOf(n.Before)) {
		return nil
	}
	s.put(n.ID, n)
	for _, r := range n.Releases {
		s.put(string(r), n)
	}
	return nil
}

// endOf is when the last ticket that was issued before t is too old anyway.
func endOf(t time.Time) time.Time { return t.Add(ticket.MaxLife + ticket.Skew) }

// prune forgets what cannot matter any more, and what is too much.
func (b *Board) prune() {
	now := b.c.Now()
	if now.Sub(b.pruned) < pruneEvery && b.Len() <= b.c.Most {
		return
	}
	b.pruned = now
	for _, s := range b.scopes {
		s.forget(now)
	}
	// Beyond the bound, a shorter and shorter past is kept.
	for keep := ticket.MaxLife / 2; b.Len() > b.c.Most && keep > time.Second; keep /= 2 {
		before := b.Len()
		for _, s := range b.scopes {
			s.forget(now.Add(ticket.MaxLife - keep))
		}
		b.dropped.Add(float64(before - b.Len()))
		b.c.Logger.Error("too many notices: the oldest are forgotten", slog.Int("kept", b.Len()), slog.Int("most", b.c.Most))
	}
}

// Void returns the refusal of a ticket that a notice voids for a track or release,
// each of which may be empty. Else it returns the rule on countries that notices
// put on it. It waits for nothing and allocates nothing.
func (b *Board) Void(c *ticket.Claims, track, release string) (ticket.Countries, error) {
	if err := b.void(melodyud.NoticeSession, c.Session, c); err != nil {
		return "", err
	}
	if err := b.void(melodyud.NoticeAccount, c.Account, c); err != nil {
		return "", err
	}
	if err := b.void(melodyud.NoticeKey, c.KeyID, c); err != nil {
		return "", err
	}
	if err := b.void(melodyud.NoticeSignIn, c.Device[:min(len(c.Device), signIn)], c); err != nil {
		return "", err
	}
	for _, id := range [2]string{track, release} {
		rule, err := b.scopes[melodyud.NoticeTrack].ask(id, c.Issued)
		if err != nil || rule != "" {
			return rule, err
		}
	}
	return "", nil
}

func (b *Board) void(s melodyud.NoticeScope, id string, c *ticket.Claims) error {
	_, err := b.scopes[s].ask(id, c.Issued)
	return err
}
