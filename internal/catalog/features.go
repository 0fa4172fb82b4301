package catalog

import (
	"context"
	"errors"
	"fmt"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/catalog/hearing"
	"github.com/melodyud/melodyud/internal/database"
)

var errNotPlayable = melodyud.Refuse(melodyud.ErrConflict, "track.not-published",
	"This track cannot be played: it is not published. If it is still being prepared, try again in a moment.")

// Audible returns a published track that who may play. Errors: ErrNotFound,
// ErrConflict for a track that is not published.
func (s *Service) Audible(ctx context.Context, who api.Principal, id melodyud.TrackID) (melodyud.Track, error) {
	r, err := s.published(ctx, who, id)
	if err != nil {
		return melodyud.Track{}, err
	}
	return r.Track, nil
}

// published is audible for tracks that have a release to be heard.
func (s *Service) published(ctx context.Context, who api.Principal, id melodyud.TrackID) (*row, error) {
	r, err := s.audible(ctx, who, id)
	if err == nil && (r.State != melodyud.StatePublished || r.Release == nil) {
		err = errNotPlayable
	}
	return r, err
}

// Listening notes, before the first object is written, that the folder of set is
// made of the claim's master, so that it is found when the last track of that
// master goes. A lease that was lost is ErrConflict.
func (s *Service) Listening(ctx context.Context, c melodyud.Claim, set melodyud.FeatureSet) error {
	return s.fenced(ctx, c, func(tx database.Tx, _ work) error {
		return noteFeatures(ctx, tx, c.Track.Master.SHA256, set)
	})
}

func noteFeatures(ctx context.Context, tx database.Tx, master string, set melodyud.FeatureSet) error {
	_, err := tx.Exec(ctx, `INSERT INTO feature_sets (features_hash, master_sha256, version) VALUES (?, ?, ?)
		ON CONFLICT (features_hash) DO NOTHING`, set.Hash, master, set.Version)
	return err
}

// Relistening is Listening for a published track on which nobody holds a claim.
// One that is not published any more is ErrConflict: its objects go.
func (s *Service) Relistening(ctx context.Context, t melodyud.Track, set melodyud.FeatureSet) error {
	return s.c.Database.InTx(ctx, func(tx database.Tx) error {
		if _, err := stillHeard(ctx, tx, t); err != nil {
			return err
		}
		return noteFeatures(ctx, tx, t.Release.Master.SHA256, set)
	})
}

// Relistened gives t's release the features whose objects are all stored, and
// tells it as TrackAnalyzed. Doing it again changes nothing. If the track was
// withdrawn or has another release meanwhile, it is ErrConflict and the objects are
// owed to the collector.
func (s *Service) Relistened(ctx context.Context, t melodyud.Track, set melodyud.FeatureSet) error {
	var late error
	err := s.c.Database.InTx(ctx, func(tx database.Tx) error {
		r, err := stillHeard(ctx, tx, t)
		if late = nil; errors.Is(err, melodyud.ErrConflict) {
			late = err
			return s.oweFeatures(ctx, tx, t, set)
		}
		if err != nil || r.Release.FeaturesHash == set.Hash {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE releases SET features_hash = ? WHERE id = ?`, set.Hash, string(r.Release.ID))
		if err != nil {
			return err
		}
		return s.tell(ctx, tx, melodyud.TrackAnalyzed, r, melodyud.TrackFact{
			Release: r.Release.ID, RenderHash: r.Release.RenderHash, FeaturesHash: set.Hash,
		})
	})
	return errors.Join(err, late)
}

// stillHeard loads t if listeners still hear the same release of it.
func stillHeard(ctx context.Context, tx database.Tx, t melodyud.Track) (*row, error) {
	r, err := load(ctx, tx, t.ID)
	if err != nil {
		return nil, err
	}
	if r.State != melodyud.StatePublished || r.Release == nil || t.Release == nil || r.Release.ID != t.Release.ID {
		return nil, fmt.Errorf("%w: track %s was withdrawn or replaced", melodyud.ErrConflict, t.ID)
	}
	return r, nil
}

// oweFeatures has the objects of set collected, which may have been stored after
// the collector of t's master had passed.
func (s *Service) oweFeatures(ctx context.Context, tx database.Tx, t melodyud.Track, set melodyud.FeatureSet) error {
	if err := noteFeatures(ctx, tx, t.Release.Master.SHA256, set); err != nil {
		return err
	}
	r, err := load(ctx, tx, t.ID)
	if err != nil || r.State != melodyud.StateWithdrawn {
		return err // the collector comes when the track goes
	}
	now := database.Millis(s.c.Now())
	return owe(ctx, tx, t.ID, melodyud.StepCollect, now, now)
}

// Heard returns up to limit published tracks behind after that match, in the order
// of their ids.
func (s *Service) Heard(ctx context.Context, which melodyud.Hearing, after melodyud.TrackID, limit int) ([]melodyud.Track, error) {
	where, args := hearing.Where(which)
	rows, err := loadAll(ctx, s.c.Database, where+` AND t.id > ? ORDER BY t.id LIMIT ?`, append(args, string(after), limit)...)
	if err != nil {
		return nil, err
	}
	tracks := make([]melodyud.Track, len(rows))
	for i, r := range rows {
		tracks[i] = r.Track
	}
	return tracks, nil
}

// CountHeard counts what Heard would return, and its length in seconds.
func (s *Service) CountHeard(ctx context.Context, which melodyud.Hearing) (tracks int, seconds float64, err error) {
	where, args := hearing.Where(which)
	var ms int64
	err = s.c.Database.QueryRow(ctx, `SELECT COUNT(*), CAST(COALESCE(SUM(r.duration_ns / 1000000), 0) AS BIGINT)
		FROM tracks t JOIN releases r ON r.id = t.current_release `+where, args, &tracks, &ms)
	if err != nil {
		return 0, 0, fmt.Errorf("count tracks: %w", err)
	}
	return tracks, float64(ms) / 1000, nil
}
