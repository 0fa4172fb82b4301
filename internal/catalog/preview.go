package catalog

import (
	"context"
	"fmt"
	"math"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/database"
)

var errPreviewTooEarly = melodyud.Refuse(melodyud.ErrConflict, "track.preview-too-early",
	"The preview can be chosen once the track is published: until then its length is not known.")

// ChoosePreview sets where the preview of who's own track begins, in seconds; -1
// leaves the choice to us again. Errors: ErrNotFound, ErrConflict for a track that
// is not published, ErrInvalid for a start that leaves no room.
func (s *Service) ChoosePreview(ctx context.Context, who api.Principal, id melodyud.TrackID, start float64) error {
	err := s.c.Database.InTx(ctx, func(tx database.Tx) error {
		r, err := s.mine(ctx, tx, who, id)
		switch {
		case err != nil:
			return err
		case r.State == melodyud.StateWithdrawn:
			return errWithdrawn
		case r.Release == nil:
			return errPreviewTooEarly
		}
		ms, err := startFor(start, r.Release.Duration, s.c.PreviewLength)
		if err != nil {
			return err
		}
		return s.set(ctx, tx, id, `preview_ms = ?`, ms)
	})
	if err == nil {
		s.feed.Poke()
	}
	return err
}

// startFor checks a start in seconds and returns it in milliseconds.
func startFor(start float64, track, length time.Duration) (ms int64, err error) {
	if start == -1 {
		return -1, nil
	}
	latest := max(0, track-length).Seconds()
	if !(start >= 0 && start <= latest+0.0005) {
		return 0, melodyud.Refuse(melodyud.ErrInvalid, "track.preview-start", fmt.Sprintf(
			"The preview lasts up to %g seconds: let it begin between 0 and %.3f seconds, or write -1 to leave the choice to us.",
			length.Seconds(), latest))
	}
	return int64(math.Round(start * 1000)), nil
}
