package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/plain"
)

var errNotReplaceable = melodyud.Refuse(melodyud.ErrConflict, "track.not-replaceable",
	"This track was refused or withdrawn and can no longer be given other audio. Upload the file as a new track.")

var errNoRelease = melodyud.Refuse(melodyud.ErrNotFound, "release.not-found",
	"This track has no such release. Open its list of releases and choose one of them.")

// Replaceable says whether owner may give the track other audio. Errors:
// ErrNotFound, ErrConflict for a track that was refused or withdrawn.
func (s *Service) Replaceable(ctx context.Context, owner melodyud.UserID, id melodyud.TrackID) error {
	return replaceable(ctx, s.c.Database, owner, id)
}

func replaceable(ctx context.Context, q database.Querier, owner melodyud.UserID, id melodyud.TrackID) error {
	r, err := load(ctx, q, id)
	switch {
	case errors.Is(err, melodyud.ErrNotFound), err == nil && r.Owner != owner:
		return errNoTrack
	case err == nil && r.State != melodyud.StatePublished && r.State != melodyud.StateReceived:
		return errNotReplaceable
	}
	return err
}

// replace gives a track another master. Listeners go on hearing the current release
// until the new one is published. A master that was still being worked on is dropped:
// the latest counts.
func (s *Service) replace(ctx context.Context, tx database.Tx, r melodyud.Receipt) (melodyud.Track, error) {
	if err := replaceable(ctx, tx, r.Owner, r.Track); err != nil {
		return melodyud.Track{}, err
	}
	old, err := load(ctx, tx, r.Track)
	if err != nil {
		return melodyud.Track{}, err
	}
	now := database.Millis(s.c.Now())
	if _, err := s.dropPending(ctx, tx, old, now); err != nil {
		return melodyud.Track{}, err
	}
	err = s.set(ctx, tx, r.Track, `master_sha256 = ?, master_size = ?, file_name = ?, stage = ?, percent = 0, attempt = 0,
		next_release = '', refusal_code = '', refusal_text = ''`,
		r.Master.SHA256, r.Master.Size, plain.Line(r.FileName), string(melodyud.StageQueued))
	if err == nil {
		err = owe(ctx, tx, r.Track, melodyud.StepRender, now, now)
	}
	if err != nil {
		return melodyud.Track{}, err
	}
	fresh, err := load(ctx, tx, r.Track)
	if err != nil {
		return melodyud.Track{}, err
	}
	return fresh.Track, s.tell(ctx, tx, melodyud.TrackReplacing, fresh, melodyud.TrackFact{})
}

// dropPending leaves to the collector what a master that is not going to be published
// has stored, once nobody can be writing it any more. It returns when that
// is (unix ms).
func (s *Service) dropPending(ctx context.Context, tx database.Tx, r *row, now int64) (int64, error) {
	due, err := s.workEnds(ctx, tx, r.ID, now)
	if err != nil {
		return 0, err
	}
	if r.nextRelease != "" {
		if err := orphan(ctx, tx, r.ID, orphanRelease, string(r.nextRelease), due); err != nil {
			return 0, err
		}
	}
	if r.Release == nil || r.Master.SHA256 != r.Release.Master.SHA256 {
		if err := orphan(ctx, tx, r.ID, orphanMaster, r.Master.SHA256, due); err != nil {
			return 0, err
		}
	}
	_, err = tx.Exec(ctx, `DELETE FROM dead_letters WHERE track = ?`, string(r.ID))
	return due, err
}

// What orphans are.
const (
	orphanMaster  = "master"
	orphanRelease = "release"
)

func orphan(ctx context.Context, tx database.Tx, id melodyud.TrackID, kind, name string, due int64) error {
	_, err := tx.Exec(ctx, `INSERT INTO orphans (track, kind, name, due) VALUES (?, ?, ?, ?)
		ON CONFLICT (track, kind, name) DO UPDATE SET due = excluded.due`, string(id), kind, name, due)
	return err
}

// rest ends all work on a track that lives on: what its dropped replacements left is
// owed to the collector, or nothing is owed.
func (s *Service) rest(ctx context.Context, tx database.Tx, id melodyud.TrackID) error {
	var n, due int64
	err := tx.QueryRow(ctx, `SELECT COUNT(*), COALESCE(MAX(due), 0) FROM orphans WHERE track = ?`, []any{string(id)}, &n, &due)
	if err != nil {
		return err
	}
	if n == 0 {
		return s.settled(ctx, tx, id)
	}
	now := database.Millis(s.c.Now())
	return owe(ctx, tx, id, melodyud.StepCollect, now, max(now, due))
}

// keepCurrent lets listeners hear a release of the track, as if nothing had been sent
// after it. A preview that was chosen beyond its end is ours to choose again.
func (s *Service) keepCurrent(ctx context.Context, tx database.Tx, id melodyud.TrackID, rel melodyud.Release, code, text string) error {
	latest := max(0, rel.Duration-s.c.PreviewLength).Milliseconds()
	return s.set(ctx, tx, id, `state = ?, current_release = ?, master_sha256 = ?, master_size = ?, file_name = ?, render_hash = ?,
		features_hash = '', next_release = '', stage = ?, percent = 100, refusal_code = ?, refusal_text = ?,
		preview_ms = CASE WHEN preview_ms > ? THEN -1 ELSE preview_ms END`,
		string(melodyud.StatePublished), string(rel.ID), rel.Master.SHA256, rel.Master.Size, rel.FileName, rel.RenderHash,
		string(melodyud.StageDone), code, text, latest)
}

// refuseReplacement drops what was sent to replace the audio of a published track.
// The track keeps its release and shows why.
func (s *Service) refuseReplacement(ctx context.Context, tx database.Tx, r *row, refusal *melodyud.Refusal) error {
	if _, err := s.dropPending(ctx, tx, r, database.Millis(s.c.Now())); err != nil {
		return err
	}
	err := s.keepCurrent(ctx, tx, r.ID, *r.Release, keepable(refusal.Code), keepable(refusal.Text))
	if err == nil {
		err = s.rest(ctx, tx, r.ID)
	}
	if err != nil {
		return err
	}
	return s.tell(ctx, tx, melodyud.TrackReplacementRefused, r, melodyud.TrackFact{RefusalCode: refusal.Code})
}

// Releases returns the releases of who's own track, the latest first. Errors:
// ErrNotFound.
func (s *Service) Releases(ctx context.Context, who api.Principal, id melodyud.TrackID) (current melodyud.ReleaseID, all []melodyud.Release, err error) {
	r, err := s.own(ctx, s.c.Database, who, id)
	if err != nil {
		return "", nil, err
	}
	if r.Release != nil {
		current = r.Release.ID
	}
	all, err = loadReleases(ctx, s.c.Database, `WHERE track = ? ORDER BY number DESC`, string(id))
	return current, all, err
}

func loadReleases(ctx context.Context, q database.Querier, where string, args ...any) ([]melodyud.Release, error) {
	var all []melodyud.Release
	err := each(ctx, q, `SELECT id, number, render_hash, features_hash, duration_ns, has_cover, published,
		master_sha256, master_size, file_name FROM releases `+where, args, func(rows *sql.Rows) error {
		var r melodyud.Release
		var length, cover, published int64
		if err := rows.Scan(&r.ID, &r.Number, &r.RenderHash, &r.FeaturesHash, &length, &cover, &published,
			&r.Master.SHA256, &r.Master.Size, &r.FileName); err != nil {
			return err
		}
		r.Duration, r.HasCover, r.Published = time.Duration(length), cover != 0, database.Time(published)
		all = append(all, r)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read releases: %w", err)
	}
	return all, nil
}

// Restore lets listeners hear an older release of who's own track again, and drops a
// replacement that is being worked on: what was asked last counts. Restoring the
// current release only does the latter. Errors: ErrNotFound, ErrConflict for a track
// that is not published.
func (s *Service) Restore(ctx context.Context, who api.Principal, id melodyud.TrackID, release melodyud.ReleaseID) (melodyud.Track, error) {
	var track melodyud.Track
	err := s.c.Database.InTx(ctx, func(tx database.Tx) error {
		r, err := s.mine(ctx, tx, who, id)
		if err != nil {
			return err
		}
		if r.State != melodyud.StatePublished || r.Release == nil {
			return errNotPlayable
		}
		found, err := loadReleases(ctx, tx, `WHERE track = ? AND id = ?`, string(id), string(release))
		if err == nil && len(found) == 0 {
			err = errNoRelease
		}
		if err != nil {
			return err
		}
		track, err = s.restore(ctx, tx, r, found[0])
		return err
	})
	if err != nil {
		return melodyud.Track{}, err
	}
	s.feed.Poke()
	return track, nil
}

func (s *Service) restore(ctx context.Context, tx database.Tx, r *row, rel melodyud.Release) (melodyud.Track, error) {
	if _, err := s.dropPending(ctx, tx, r, database.Millis(s.c.Now())); err != nil {
		return melodyud.Track{}, err
	}
	if err := s.keepCurrent(ctx, tx, r.ID, rel, "", ""); err != nil {
		return melodyud.Track{}, err
	}
	if err := s.rest(ctx, tx, r.ID); err != nil {
		return melodyud.Track{}, err
	}
	fresh, err := load(ctx, tx, r.ID)
	if err != nil || rel.ID == r.Release.ID {
		return fresh.Track, err
	}
	return fresh.Track, s.tell(ctx, tx, melodyud.TrackRestored, fresh, melodyud.TrackFact{
		Release: rel.ID, RenderHash: rel.RenderHash, FeaturesHash: rel.FeaturesHash,
	})
}
