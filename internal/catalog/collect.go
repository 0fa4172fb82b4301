package catalog

import (
	"context"
	"database/sql"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
)

// Collect names the objects that may be deleted now that the claim's track is
// withdrawn or refused. If no other track uses the master it is part of them, and until
// Collected no track can be received on those bytes: otherwise an upload of the
// same file could lose its master to the collector. A lease that was lost is
// ErrConflict.
func (s *Service) Collect(ctx context.Context, c melodyud.Claim) (melodyud.Leftovers, error) {
	var left melodyud.Leftovers
	sha := c.Track.Master.SHA256
	err := s.fenced(ctx, c, func(tx database.Tx, w work) error {
		left = melodyud.Leftovers{}
		// A publisher that died may have stored the manifest of the release it had reserved.
		err := column(ctx, tx, `SELECT id FROM releases WHERE track = ? UNION
			SELECT next_release FROM tracks WHERE id = ? AND next_release <> ''`, &left.Releases, string(w.track), string(w.track))
		if err != nil {
			return err
		}
		var users int64
		err = tx.QueryRow(ctx, `SELECT COUNT(*) FROM tracks WHERE master_sha256 = ? AND state IN (?, ?)`,
			[]any{sha, string(melodyud.StateReceived), string(melodyud.StatePublished)}, &users)
		if err != nil || users > 0 {
			return err
		}
		left.Masters = []string{sha}
		if err := column(ctx, tx, `SELECT render_hash FROM renders WHERE master_sha256 = ?`, &left.RenderHashes, sha); err != nil {
			return err
		}
		if err := column(ctx, tx, `SELECT features_hash FROM feature_sets WHERE master_sha256 = ?`, &left.FeatureSets, sha); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO collecting (master_sha256, track) VALUES (?, ?)
			ON CONFLICT (master_sha256, track) DO NOTHING`, sha, string(w.track))
		return err
	})
	return left, err
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
		if _, err := tx.Exec(ctx, `DELETE FROM collecting WHERE track = ?`, string(w.track)); err != nil {
			return err
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
