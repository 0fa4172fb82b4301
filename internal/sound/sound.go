// Package sound shows what was heard of tracks: features, the views of them that
// clients of other services know, waveforms and cover pictures. It reads objects
// that never change under a name, so all it says may be cached.
//
// It also keeps the rows of a back-fill: which published tracks a newer analyzer
// still has to listen to, at which rate, and who is at it.
package sound

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/queue"
)

// tracks knows who may hear what.
type tracks interface {
	// Audible returns a published track that who may play. Errors: ErrNotFound,
	// ErrConflict for a track that is not published.
	Audible(ctx context.Context, who api.Principal, id melodyud.TrackID) (melodyud.Track, error)
	// AlbumTracks returns the published tracks of an album that who may play.
	AlbumTracks(ctx context.Context, who api.Principal, id melodyud.AlbumID) ([]melodyud.Track, error)
}

// library finds what to listen to.
type library interface {
	// Heard returns up to limit published tracks behind after that match, by id.
	Heard(ctx context.Context, which melodyud.Hearing, after melodyud.TrackID, limit int) ([]melodyud.Track, error)
	CountHeard(ctx context.Context, which melodyud.Hearing) (tracks int, seconds float64, err error)
}

type bell interface {
	Ring(ctx context.Context, t queue.Task) error
}

// Config configures a Service.
type Config struct {
	Tracks   tracks            // required
	Store    objectstore.Store // required: features, waveforms and covers are read
	Database database.DB       // required: the rows of back-fills
	Library  library           // required
	Bell     bell              // required: rung when there is something to listen to; losing a ring is harmless

	Lease time.Duration // a track that is not renewed for so long is given to another worker; default 45 s

	Logger *slog.Logger     // default: discards
	Now    func() time.Time // default time.Now
}

// Service shows what was heard. Safe for concurrent use.
type Service struct {
	c Config
}

// New returns a Service. A missing dependency is ErrInvalid.
func New(c Config) (*Service, error) {
	if c.Tracks == nil || c.Store == nil || c.Database == nil || c.Library == nil || c.Bell == nil {
		return nil, fmt.Errorf("%w: sound needs tracks, a store, a database, a library and a bell", melodyud.ErrInvalid)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Lease <= 0 {
		c.Lease = 45 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{c: c}, nil
}

// audible returns the published track that whoever asks may hear.
func (s *Service) audible(ctx context.Context, id string) (melodyud.Track, error) {
	who, err := anybody(ctx)
	if err != nil {
		return melodyud.Track{}, err
	}
	return s.c.Tracks.Audible(ctx, who, melodyud.TrackID(id))
}

// anybody returns who asks if they may hear anything at all: what exactly, the
// track decides.
func anybody(ctx context.Context) (api.Principal, error) {
	who, err := api.RequireAny(ctx)
	if err != nil || who.Has(api.RoleOps) || who.Has(api.RoleCreator) {
		return who, err
	}
	return api.Require(ctx, api.RoleListener)
}
