package catalog

import (
	"context"
	"database/sql"
	"slices"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
)

// Collect names the objects that may be deleted: all of the claim's track, if it is
// withdrawn or refused, else what its dropped replacements have left. A master is part
// of them if no other track and no release uses it, and until Collected no track can be
// received on those bytes: otherwise an upload of the same file could lose its master
// to the collector. A lease that was lost is ErrConflict.
func (s *Service) Collect(ctx context.Context, c melodyud.Claim) (melodyud.Leftovers, error) {
	var left melodyud.Leftovers
	err := s.fenced(ctx, c, func(tx database.Tx, w work) error {
		left = melodyud.Leftovers{}
		masters, err := abandoned(ctx, tx, w.track, &left)
		for _, sha := range masters {
			if err == nil {
				err = collectMaster(ctx, tx, w.track, sha, &left)
			}
		}
		return err
	})
	return left, err
}

// abandoned notes the releases that nobody can hear any more, and returns the masters
// that the track does not need any more, though others may.
func abandoned(ctx context.Context, tx database.Tx, id melodyud.TrackID, left *melodyud.Leftovers) (masters []string, err error) {
	track := string(id)
	if err := column(ctx, tx, `SELECT name FROM orphans WHERE track = ? AND kind = ?`, &left.Releases, track, orphanRelease); err != nil {
		return nil, err
	}
	if err := column(ctx, tx, `SELECT name FROM orphans WHERE track = ? AND kind = ?`, &masters, track, orphanMaster); err != nil {
		return nil, err
	}
	r, err := load(ctx, tx, id)
	if err != nil || r.State == melodyud.StatePublished {
		return masters, err
	}
	// A publisher that died may have stored the manifest of the release it had reserved.
	err = column(ctx, tx, `SELECT id FROM releases WHERE track = ? UNION
		SELECT next_release FROM tracks WHERE id = ? AND next_release <> ''`, &left.Releases, track, track)
	if err == nil {
		err = column(ctx, tx, `SELECT master_sha256 FROM releases WHERE track = ? UNION
			SELECT master_sha256 FROM tracks WHERE id = ?`, &masters, track, track)
	}
	return masters, err
}

// collectMaster adds a master and what was made of it to left, unless it is in use.
func collectMaster(ctx context.Context, tx database.Tx, id melodyud.TrackID, sha string, left *melodyud.Leftovers) error {
	var users int64
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM tracks t WHERE t.state IN (?, ?) AND (t.master_sha256 = ?
		OR t.id IN (SELECT r.track FROM releases r WHERE r.master_sha256 = ?))`,
		[]any{string(melodyud.StateReceived), string(melodyud.StatePublished), sha, sha}, &users)
	if err != nil || users > 0 || slices.Contains(left.Masters, sha) {
		return err
	}
	left.Masters = append(left.Masters, sha)
	if err := column(ctx, tx, `SELECT render_hash FROM renders WHERE master_sha256 = ?`, &left.RenderHashes, sha); err != nil {
		return err
	}
	if err := column(ctx, tx, `SELECT features_hash FROM feature_sets WHERE master_sha256 = ?`, &left.FeatureSets, sha); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO collecting (master_sha256, track) VALUES (?, ?)
		ON CONFLICT (master_sha256, track) DO NOTHING`, sha, string(id))
	return err
}

// Collected ends a collect step whose leftovers are deleted. A lease that was lost
// is ErrConflict.
func (s *Service) Collected(ctx context.Context, c melodyud.Claim, left melodyud.Leftovers) error {
	return s.fenced(ctx, c, func(tx database.Tx, w work) error {
		for _, hash := range left.RenderHashes {
			if _, err := tx.Exec(ctx, `DELETE FROM renders WHERE render_hash = ?`, hash); err != nil {
				return err
			}
		}
		for _, hash := range left.FeatureSets {
			if _, err := tx.Exec(ctx, `DELETE FROM feature_sets WHERE features_hash = ?`, hash); err != nil {
				return err
			}
		}
		for _, table := range []string{"collecting", "orphans"} {
			if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE track = ?`, string(w.track)); err != nil {
				return err
			}
		}
		return s.settled(ctx, tx, w.track)
	})
}

// column appends a query's only column to out.
func column[T ~string](ctx context.Context, q database.Querier, query string, out *[]T, args ...any) error {
	return each(ctx, q, query, args, func(rows *sql.Rows) error {
		var v T
		err := rows.Scan(&v)
		*out = append(*out, v)
		return err
	})
}
