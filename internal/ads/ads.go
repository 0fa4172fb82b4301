// Package ads keeps the house ads: which tracks are ads, that they sound as loud as
// music, and when a listener is due to hear one.
//
// An ad is a track like any other, through the same pipeline; naming it an ad sets
// it aside from all lists and has it rendered at the loudness of music. What is ready
// to be heard is told to the edges as one object, HouseKey, which they read again
// and again (House): they have no rows.
package ads

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/ticket"
)

// tracks are the catalog's.
type tracks interface {
	// Track returns a track that who may manage; others are ErrNotFound.
	Track(ctx context.Context, who api.Principal, id melodyud.TrackID) (melodyud.Track, error)
	// SetAside takes a track out of all lists of listeners.
	SetAside(ctx context.Context, id melodyud.TrackID) (melodyud.Track, error)
	// Level has a published track rendered again with a gain in hundredths of a
	// decibel. It is ErrConflict while the track is worked on.
	Level(ctx context.Context, id melodyud.TrackID, gain int) error
}

// Config configures a Service.
type Config struct {
	DB     database.DB       // required
	Store  objectstore.Store // required: manifests are read, HouseKey is written
	Tracks tracks            // required
	// Gap is how much time is between two breaks that a listener is given; default
	// 10 min.
	Gap time.Duration
	// Every is how often ads are compared with their tracks; default 5 s.
	Every  time.Duration
	Logger *slog.Logger     // default: discards
	Now    func() time.Time // default time.Now
}

// Service keeps the house ads. Its Run may run in many processes at once.
type Service struct {
	c     Config
	poked chan struct{}
	any   atomic.Bool // whether an ad was ready at the last look

	mu    sync.Mutex // of what follows
	read  map[melodyud.ReleaseID]sounds
	wrote []byte // HouseKey's content as this process left it; nil: not known
}

// New returns a Service. A missing dependency is ErrInvalid.
func New(c Config) (*Service, error) {
	if c.DB == nil || c.Store == nil || c.Tracks == nil {
		return nil, fmt.Errorf("%w: ads need a database, a store and tracks", melodyud.ErrInvalid)
	}
	if c.Gap <= 0 {
		c.Gap = 10 * time.Minute
	}
	if c.Every <= 0 {
		c.Every = 5 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{c: c, poked: make(chan struct{}, 1), read: map[melodyud.ReleaseID]sounds{}}, nil
}

// Run levels ads and tells edges which are ready, until ctx ends. What fails is
// tried again.
func (s *Service) Run(ctx context.Context) error {
	for {
		if err := s.Settle(ctx); err != nil && ctx.Err() == nil {
			s.c.Logger.WarnContext(ctx, "house ads not settled", "error", err)
		}
		timer := time.NewTimer(s.c.Every)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-s.poked:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// poke makes Run look at once.
func (s *Service) poke() {
	select {
	case s.poked <- struct{}{}:
	default:
	}
}

// Settle does once what Run does: it has ads rendered that are not as loud as music,
// and writes HouseKey if it would be another.
func (s *Service) Settle(ctx context.Context) error {
	all, err := s.Ads(ctx)
	if err != nil {
		return err
	}
	var ready []melodyud.Spot
	var failed error
	for _, a := range all {
		if a.Status == Levelling {
			if err := s.c.Tracks.Level(ctx, a.Track, a.wanted); err != nil && !errors.Is(err, melodyud.ErrConflict) {
				failed = errors.Join(failed, err) // one that cannot be levelled stops no other
			}
		}
		if a.Status == Ready && a.Active {
			ready = append(ready, melodyud.Spot{
				Track: a.Track, Release: a.Release, Title: a.Title, Advertiser: a.Advertiser, Weight: a.Weight,
			})
		}
	}
	s.any.Store(len(ready) > 0)
	return errors.Join(failed, s.tell(ctx, ready))
}

// Policy returns which ads the ticket of a session has: a break before the music if
// the last one that its listener heard is a Gap ago, and else only those between tracks
// that play as one. A break is owed until it was heard (AD-23): see Heard. While no ad is
// ready there are none. listener is an account, by any name that stays the same.
func (s *Service) Policy(ctx context.Context, listener, session string) (ticket.Ads, error) {
	if !s.any.Load() || listener == "" {
		return ticket.NoAds, nil
	}
	now := s.c.Now()
	var broke int64
	err := s.c.DB.QueryRow(ctx, `SELECT broke FROM ad_listeners WHERE listener = ?`, []any{listener}, &broke)
	switch {
	case err == nil && now.Sub(database.Time(broke)) < s.c.Gap:
		return ticket.BetweenAds, nil
	case err != nil && !errors.Is(err, melodyud.ErrNotFound):
		return ticket.NoAds, fmt.Errorf("read the last break: %w", err)
	}
	_, err = s.c.DB.Exec(ctx, `INSERT INTO ad_breaks (session, listener, asked, told) VALUES (?, ?, ?, 0)
		ON CONFLICT (session) DO NOTHING`, session, listener, database.Millis(now))
	if err != nil {
		return ticket.NoAds, fmt.Errorf("note a break: %w", err)
	}
	return ticket.HouseAds, nil
}
