package catalog

import (
	"context"
	"errors"
	"fmt"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
)

var errNotLevelled = melodyud.Refuse(melodyud.ErrConflict, "track.busy",
	"This track is being worked on. Try again when that is done.")

// SetAside takes a track out of every list of listeners, who cannot play it by itself
// any more: it is an ad. There is no way back. Setting aside again is no error.
// Errors: ErrNotFound, ErrConflict for a track that was refused or withdrawn.
func (s *Service) SetAside(ctx context.Context, id melodyud.TrackID) (melodyud.Track, error) {
	var out *row
	err := s.c.Database.InTx(ctx, func(tx database.Tx) (err error) {
		if out, err = s.living(ctx, tx, id); err != nil || out.Aside {
			return err
		}
		if err := s.set(ctx, tx, id, `aside = 1`); err != nil {
			return err
		}
		out, err = load(ctx, tx, id)
		return err
	})
	if err != nil {
		return melodyud.Track{}, err
	}
	s.feed.Poke()
	return out.Track, nil
}

// living loads a track that is, or may yet be, published.
func (s *Service) living(ctx context.Context, tx database.Tx, id melodyud.TrackID) (*row, error) {
	if _, err := melodyud.ParseTrackID(string(id)); err != nil {
		return nil, errNoTrack
	}
	r, err := load(ctx, tx, id)
	switch {
	case errors.Is(err, melodyud.ErrNotFound):
		return nil, errNoTrack
	case err == nil && r.State == melodyud.StateWithdrawn:
		return nil, errWithdrawn
	case err == nil && r.State == melodyud.StateRefused:
		return nil, errNotReplaceable
	}
	return r, err
}

// Level has a published track rendered again with a gain, in hundredths of a decibel.
// Its release is heard until then. It is ErrConflict while the track is worked on.
func (s *Service) Level(ctx context.Context, id melodyud.TrackID, gain int) error {
	err := s.c.Database.InTx(ctx, func(tx database.Tx) error {
		r, err := s.living(ctx, tx, id)
		if err != nil {
			return err
		}
		if r.State != melodyud.StatePublished || r.Progress.Stage != melodyud.StageDone {
			return errNotLevelled
		}
		err = s.set(ctx, tx, id, `gain = ?, stage = ?, percent = 0, attempt = 0, next_release = ''`, gain, string(melodyud.StageQueued))
		if err != nil {
			return err
		}
		now := database.Millis(s.c.Now())
		return owe(ctx, tx, id, melodyud.StepRender, now, now)
	})
	if err != nil {
		return fmt.Errorf("level track %s: %w", id, err)
	}
	s.feed.Poke()
	s.ring(ctx, id, melodyud.StepRender)
	return nil
}
