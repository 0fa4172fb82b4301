// Package catalog owns the rows of tracks: what they are called, where they stand,
// which release listeners hear, and who is working on them.
//
// Every change of a row and the fact that tells of it are one transaction. The
// lease of a worker is a row too (claims): whoever holds the newest fence may
// write, and work whose lease lapsed is owed again. The queue is only rung; nothing
// here depends on anybody hearing it.
package catalog

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/catalog/feed"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/queue"
)

type bell interface {
	Ring(ctx context.Context, t queue.Task) error
}

// Config configures a Service.
type Config struct {
	Database database.DB       // required
	Store    objectstore.Store // required: masters are checked, covers and waveforms read
	Bell     bell              // required: rung when there is work; losing a ring is harmless

	PreviewLength time.Duration // longest preview, which creators leave room for; default 30 s

	Lease       time.Duration // a claim lapses this long after its last renewal; default 45 s
	MaxAttempts int           // counted tries before a step becomes a dead letter; default 5
	RetryFirst  time.Duration // pause after the first counted failure, doubling; default 5 s
	RetryMost   time.Duration // longest pause after a counted failure; default 10 min
	OutageMost  time.Duration // longest pause while a backend is away; default 30 s

	EventPoll      time.Duration // how often changed rows are looked for; default 1 s
	EventHeartbeat time.Duration // comment on an idle event stream; default 15 s
	EventStreams   int           // most event streams of this process; default 1,000

	Logger *slog.Logger     // default: discards
	Now    func() time.Time // default time.Now
	// Jitter returns a number in [0, 1) that spreads retries; default random.
	Jitter func() float64
}

// Service is the catalog. Safe for concurrent use.
type Service struct {
	c    Config
	feed *feed.Feed
}

// New returns a catalog over a database whose schema is up to date. A missing
// dependency is ErrInvalid.
func New(c Config) (*Service, error) {
	if c.Database == nil || c.Store == nil || c.Bell == nil {
		return nil, fmt.Errorf("%w: the catalog needs a database, a store and a bell", melodyud.ErrInvalid)
	}
	c = c.withDefaults()
	s := &Service{c: c}
	s.feed = feed.New(feed.Config{
		Changed: s.changed, Show: func(t melodyud.Track) any { return api.TrackOf(t, true) },
		Poll: c.EventPoll, Heartbeat: c.EventHeartbeat, Streams: c.EventStreams, Logger: c.Logger, Now: c.Now,
	})
	return s, nil
}

func (c Config) withDefaults() Config {
	orDuration(&c.Lease, 45*time.Second)
	orDuration(&c.RetryFirst, 5*time.Second)
	orDuration(&c.RetryMost, 10*time.Minute)
	orDuration(&c.OutageMost, 30*time.Second)
	orDuration(&c.PreviewLength, 30*time.Second)
	orDuration(&c.EventPoll, time.Second)
	orDuration(&c.EventHeartbeat, 15*time.Second)
	if c.MaxAttempts <= 0 {
		c.MaxAttempts = 5
	}
	if c.EventStreams <= 0 {
		c.EventStreams = 1000
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Jitter == nil {
		c.Jitter = rand.Float64
	}
	return c
}

func orDuration(d *time.Duration, fallback time.Duration) {
	if *d <= 0 {
		*d = fallback
	}
}

const ringPatience = 2 * time.Second // how long a dead queue may hold up a caller

// ring wakes a worker for step. A lost ring is made good by the sweep.
func (s *Service) ring(ctx context.Context, id melodyud.TrackID, step melodyud.Step) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ringPatience)
	defer cancel()
	if err := s.c.Bell.Ring(ctx, taskFor(id, step)); err != nil {
		s.c.Logger.WarnContext(ctx, "ring lost", "track", id, "step", step, "error", err)
	}
}

// taskFor returns the task that wakes a worker for step.
func taskFor(id melodyud.TrackID, step melodyud.Step) queue.Task {
	switch step {
	case melodyud.StepPublish:
		return queue.Task{Type: "track:publish", Subject: string(id), Urgency: queue.Critical}
	case melodyud.StepCollect:
		return queue.Task{Type: "gc", Subject: string(id), Urgency: queue.Bulk}
	}
	return queue.Task{Type: "track:render", Subject: string(id), Urgency: queue.Default}
}
