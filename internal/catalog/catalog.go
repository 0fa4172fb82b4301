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
	"net/url"
	"strings"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/catalog/feed"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/queue"
	"github.com/melodyud/melodyud/internal/ticket"
)

type bell interface {
	Ring(ctx context.Context, t queue.Task) error
}

type signer interface {
	Sign(c ticket.Claims) (string, error)
}

// mediaKeys names the secrets of encrypted sound and knows the keys of devices.
type mediaKeys interface {
	Newest() string
	Binding(keyID string, user melodyud.UserID, device string) (string, bool)
	OfflineKey(s ticket.Stream, binding, rendition string) ([]byte, bool)
}

// Config configures a Service.
type Config struct {
	Database database.DB       // required
	Store    objectstore.Store // required: masters are checked, covers and waveforms read
	Bell     bell              // required: rung when there is work; losing a ring is harmless
	Tickets  signer            // required: signs playback tickets

	// EdgeURL is where the edge answers, such as "https://edge.example.org"; empty
	// means the host the request was sent to.
	EdgeURL string

	// MediaKeys encrypts streams and offline files; nil: neither is on offer.
	MediaKeys mediaKeys
	// Encrypt makes all playback encrypted; it needs MediaKeys. Default: only what
	// is asked for.
	Encrypt       bool
	OfflineFor    time.Duration // an offline key is good for so long; default 30 days
	PreviewLength time.Duration // longest preview, 5 to 30 s; default 30 s

	Lease       time.Duration // a claim lapses this long after its last renewal; default 45 s
	MaxAttempts int           // counted tries before a step becomes a dead letter; default 5
	RetryFirst  time.Duration // pause after the first counted failure, doubling; default 5 s
	RetryMost   time.Duration // longest pause after a counted failure; default 10 min
	OutageMost  time.Duration // longest pause while a backend is away; default 30 s

	PauseAllowanceFree    time.Duration // a ticket outlives the track by this (TOK-4); default 1 h
	PauseAllowancePremium time.Duration // default 6 h

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
// dependency or a malformed EdgeURL is ErrInvalid.
func New(c Config) (*Service, error) {
	if c.Database == nil || c.Store == nil || c.Bell == nil || c.Tickets == nil {
		return nil, fmt.Errorf("%w: the catalog needs a database, a store, a bell and a signer", melodyud.ErrInvalid)
	}
	if err := checkEdgeURL(c.EdgeURL); err != nil {
		return nil, err
	}
	if c.Encrypt && c.MediaKeys == nil {
		return nil, fmt.Errorf("%w: encrypted playback needs media keys", melodyud.ErrInvalid)
	}
	if c.PreviewLength != 0 && (c.PreviewLength < shortestPreview || c.PreviewLength > longestPreview) {
		return nil, fmt.Errorf("%w: previews last %v to %v, not %v", melodyud.ErrInvalid, shortestPreview, longestPreview, c.PreviewLength)
	}
	c.EdgeURL = strings.TrimSuffix(c.EdgeURL, "/")
	c = c.withDefaults()
	s := &Service{c: c}
	s.feed = feed.New(feed.Config{
		Changed: s.changed, Show: func(t melodyud.Track) any { return viewOf(t, true) },
		Poll: c.EventPoll, Heartbeat: c.EventHeartbeat, Streams: c.EventStreams, Logger: c.Logger, Now: c.Now,
	})
	return s, nil
}

func checkEdgeURL(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("%w: edge URL %q: write it as https://host", melodyud.ErrInvalid, s)
	}
	return nil
}

func (c Config) withDefaults() Config {
	orDuration(&c.Lease, 45*time.Second)
	orDuration(&c.RetryFirst, 5*time.Second)
	orDuration(&c.RetryMost, 10*time.Minute)
	orDuration(&c.OutageMost, 30*time.Second)
	orDuration(&c.PauseAllowanceFree, time.Hour)
	orDuration(&c.PauseAllowancePremium, 6*time.Hour)
	orDuration(&c.OfflineFor, 30*24*time.Hour)
	orDuration(&c.PreviewLength, longestPreview)
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
