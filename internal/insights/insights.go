// Package insights folds the facts of listening into what creators want to know:
// how often each of their tracks was played, by how many, and to the end or not.
//
// All rows can be made anew from the facts (Rebuild). A fact that is delivered
// twice, late, or in another order than it happened in changes nothing that it
// should not: a play is a set of stretches that were heard, with marks that are set
// once (package heard), and is written in one transaction with what it adds to the
// day. What this package tells itself is that a play counts: melodyud.StreamCounted.
package insights

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/eventlog"
)

// catalog knows whose tracks are whose.
type catalog interface {
	// Track returns a track that who may manage; others are ErrNotFound.
	Track(ctx context.Context, who api.Principal, id melodyud.TrackID) (melodyud.Track, error)
}

// Config configures a Service.
type Config struct {
	DB      database.DB  // required
	Events  eventlog.Log // required by Run: the facts of listening and of tracks
	Catalog catalog      // required by Register

	// Keep is how long after its last fact a play may still be told of; facts that
	// are later begin another one. Default 3 days: players tell for one.
	Keep time.Duration

	Logger  *slog.Logger          // default: discards
	Metrics prometheus.Registerer // default: a private registry
	Now     func() time.Time      // default time.Now
}

// Service folds facts and answers for the rows. Its Run may run in many processes
// at once: the event log lets one of them work.
type Service struct {
	c       Config
	counted prometheus.Counter
	swept   atomic.Int64 // up to when old plays were last forgotten, unix hours
}

// New returns a Service. A missing database is ErrInvalid.
func New(c Config) (*Service, error) {
	if c.DB == nil {
		return nil, fmt.Errorf("%w: insights need a database", melodyud.ErrInvalid)
	}
	if c.Keep <= 0 {
		c.Keep = 3 * 24 * time.Hour
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
	s := &Service{c: c, counted: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "melodyud_insights_counted_plays_total", Help: "Plays that have come to count by the rule of 30 seconds.",
	})}
	if err := c.Metrics.Register(s.counted); err != nil {
		return nil, fmt.Errorf("register insights metrics: %w", err)
	}
	return s, nil
}

// errStale ends following the facts for rows that are being made anew meanwhile.
var errStale = errors.New("insights: the rows are being made anew")

// Run follows the facts until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	for {
		err := s.follow(ctx)
		if ctx.Err() != nil || !errors.Is(err, errStale) {
			return err
		}
	}
}

// follow folds the facts of one generation of rows.
func (s *Service) follow(ctx context.Context) error {
	generation, err := s.generation(ctx, s.c.DB)
	if err != nil {
		if errors.Is(err, melodyud.ErrUnavailable) {
			err = s.pause(ctx, err)
		}
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	name := fmt.Sprintf("insights-%d", generation)
	for topic, fold := range map[string]func(context.Context, database.Tx, []melodyud.Event) (int, error){
		melodyud.TopicTracks: learnReleases, melodyud.TopicPlayback: s.foldPlays,
	} {
		group.Go(func() error { return s.consume(ctx, topic, name, generation, fold) })
	}
	return group.Wait()
}

const outagePause = time.Second

// pause waits a little before the database is asked again.
func (s *Service) pause(ctx context.Context, err error) error {
	s.c.Logger.WarnContext(ctx, "insights wait for the database", "error", err)
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(outagePause):
		return errStale
	}
}

// consume folds a topic until ctx ends or the rows are of another generation.
func (s *Service) consume(ctx context.Context, topic, group string, generation int64,
	fold func(context.Context, database.Tx, []melodyud.Event) (int, error),
) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	err := s.c.Events.Consume(ctx, topic, group, func(ctx context.Context, events []melodyud.Event) error {
		err := s.handle(ctx, generation, events, fold)
		if errors.Is(err, errStale) {
			stop(errStale)
		}
		return err
	})
	if cause := context.Cause(ctx); errors.Is(cause, errStale) {
		return errStale
	}
	return err
}

// handle folds a batch in one transaction.
func (s *Service) handle(ctx context.Context, generation int64, events []melodyud.Event,
	fold func(context.Context, database.Tx, []melodyud.Event) (int, error),
) error {
	counted := 0
	err := s.c.DB.InTx(ctx, func(tx database.Tx) (err error) {
		now, err := s.generation(ctx, tx)
		if err == nil && now != generation {
			err = errStale
		}
		if err == nil {
			counted, err = fold(ctx, tx, events)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("fold facts: %w", err)
	}
	s.counted.Add(float64(counted))
	return nil
}

func (s *Service) generation(ctx context.Context, q database.Querier) (n int64, err error) {
	err = q.QueryRow(ctx, `SELECT generation FROM play_generations WHERE id = 1`, nil, &n)
	if errors.Is(err, melodyud.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read generation of plays: %w", err)
	}
	return n, nil
}

// Rebuild forgets all rows; Run makes them anew from the facts, wherever it runs.
// Until it has, there are fewer plays to be seen than there were.
func (s *Service) Rebuild(ctx context.Context) error {
	err := s.c.DB.InTx(ctx, func(tx database.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO play_generations (id, generation) VALUES (1, 1)
			ON CONFLICT (id) DO UPDATE SET generation = play_generations.generation + 1`)
		for _, table := range []string{"plays", "play_sessions", "play_days", "play_listeners", "play_releases"} {
			if err == nil {
				_, err = tx.Exec(ctx, `DELETE FROM `+table)
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("forget plays: %w", err)
	}
	return nil
}
