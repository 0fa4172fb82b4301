// Package duplicates finds recordings that are published already. It follows the
// facts of tracks: of each that is published or listened to anew it reads the
// features, looks their fingerprint up in an inverted index, and keeps the pairs it
// finds for people to judge. Nothing waits for it: what it cannot do now, because
// the database or the store is away, is done when they are back.
package duplicates

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/eventlog"
	"github.com/melodyud/melodyud/internal/objectstore"
)

// catalog knows whose tracks are whose.
type catalog interface {
	// Track returns a track that who may manage; others are ErrNotFound.
	Track(ctx context.Context, who api.Principal, id melodyud.TrackID) (melodyud.Track, error)
}

// Config configures a Service.
type Config struct {
	DB      database.DB       // required: the index and the pairs
	Store   objectstore.Store // required: holds the features
	Events  eventlog.Log      // required by Run: the facts of tracks
	Catalog catalog           // required by Register

	// MaxPostings is how many tracks may share a key of the index; further ones are
	// found by their other keys. It bounds what a look-up reads. Default 1,000.
	MaxPostings int

	Logger  *slog.Logger          // default: discards
	Metrics prometheus.Registerer // default: a private registry
	Now     func() time.Time      // default time.Now
}

// Service finds duplicates. Its Run may run in many processes at once: the event
// log lets one of them work.
type Service struct {
	c       Config
	metrics *metrics
}

// New returns a Service. A missing database or store is ErrInvalid.
func New(c Config) (*Service, error) {
	if c.DB == nil || c.Store == nil {
		return nil, fmt.Errorf("%w: duplicates need a database and a store", melodyud.ErrInvalid)
	}
	if c.MaxPostings <= 0 {
		c.MaxPostings = 1000
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	m, err := newMetrics(c.Metrics)
	if err != nil {
		return nil, fmt.Errorf("register duplicates metrics: %w", err)
	}
	return &Service{c: c, metrics: m}, nil
}

const group = "duplicates"

// Run follows the facts of tracks until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	return s.c.Events.Consume(ctx, melodyud.TopicTracks, group, s.handle)
}

// handle does what a batch of facts asks for. Doing it again changes nothing. Only
// an outage is an error; what can never be read is logged and passed over.
func (s *Service) handle(ctx context.Context, events []melodyud.Event) error {
	for _, e := range events {
		var fact melodyud.TrackFact
		err := json.Unmarshal(e.Data, &fact)
		if err == nil {
			err = s.learn(ctx, e.Type, fact)
		}
		if errors.Is(err, melodyud.ErrUnavailable) || errors.Is(err, melodyud.ErrLimited) || ctx.Err() != nil {
			return err
		}
		if err != nil {
			s.metrics.tracks.WithLabelValues("unreadable").Inc()
			s.c.Logger.WarnContext(ctx, "track not looked up for duplicates", "track", e.Subject, "error", err)
		}
	}
	return nil
}

func (s *Service) learn(ctx context.Context, typ string, fact melodyud.TrackFact) error {
	switch typ {
	case melodyud.TrackWithdrawn:
		return s.Forget(ctx, fact.Track)
	case melodyud.TrackPublished, melodyud.TrackAnalyzed:
		return s.heard(ctx, fact)
	}
	return nil
}

// heard looks up and indexes a track from its stored features.
func (s *Service) heard(ctx context.Context, fact melodyud.TrackFact) error {
	known, err := s.indexed(ctx, fact)
	if err != nil || known || fact.FeaturesHash == "" {
		return err
	}
	var f melodyud.Features
	var d melodyud.Analysis
	err = s.read(ctx, fact.FeaturesHash, "features.json", &f)
	if err == nil {
		err = s.read(ctx, fact.FeaturesHash, "analysis.json", &d)
	}
	if errors.Is(err, melodyud.ErrNotFound) {
		return nil // withdrawn or heard anew meanwhile: a later fact says so
	}
	if err != nil {
		return err
	}
	return s.Learn(ctx, fact, f, d)
}

const maxDocument = 64 << 20 // bytes

func (s *Service) read(ctx context.Context, hash, name string, into any) error {
	r, info, err := s.c.Store.Open(ctx, "features/"+hash+"/"+name, 0, -1)
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	defer r.Close()
	if info.Size > maxDocument {
		return fmt.Errorf("%w: %s has %d bytes", melodyud.ErrInvalid, name, info.Size)
	}
	if err := json.NewDecoder(r).Decode(into); err != nil {
		var syntax *json.SyntaxError
		var shape *json.UnmarshalTypeError
		if errors.As(err, &syntax) || errors.As(err, &shape) {
			return fmt.Errorf("%w: read %s: %w", melodyud.ErrInvalid, name, err)
		}
		return fmt.Errorf("%w: read %s: %w", melodyud.ErrUnavailable, name, err)
	}
	return nil
}

// Learn looks a track's sound up and puts it into the index in the place of what
// was there of it. Pairs that were dismissed stay so while the release is the same.
// Doing it again changes nothing.
func (s *Service) Learn(ctx context.Context, fact melodyud.TrackFact, f melodyud.Features, d melodyud.Analysis) error {
	p := newPrint(fact, f, d)
	found, crowded, err := s.lookup(ctx, p)
	if err != nil {
		return fmt.Errorf("look up track %s: %w", fact.Track, err)
	}
	if err := s.store(ctx, p, found, crowded); err != nil {
		return fmt.Errorf("index track %s: %w", fact.Track, err)
	}
	s.metrics.tracks.WithLabelValues("indexed").Inc()
	for _, m := range found {
		s.metrics.found.WithLabelValues(string(m.kind)).Inc()
		s.c.Logger.InfoContext(ctx, "possible duplicate", "track", fact.Track, "other", m.other.track, "kind", m.kind, "score", m.score)
	}
	return nil
}
