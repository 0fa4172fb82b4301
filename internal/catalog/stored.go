package catalog

import (
	"context"
	"strings"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
)

// Stored sums up what the owner's tracks take that are received or published, but
// for those excepted: the bytes of their masters; how many of these belong to
// tracks without a release, whose length nobody knows yet; and the others' sound.
func (s *Service) Stored(ctx context.Context, q database.Querier, owner melodyud.UserID, except []melodyud.TrackID) (
	bytes, unmeasured int64, sound time.Duration, err error,
) {
	query := `SELECT CAST(COALESCE(SUM(t.master_size), 0) AS BIGINT),
		CAST(COALESCE(SUM(CASE WHEN r.id IS NULL THEN t.master_size ELSE 0 END), 0) AS BIGINT),
		CAST(COALESCE(SUM(r.duration_ns), 0) AS BIGINT)
		FROM tracks t LEFT JOIN releases r ON r.id = t.current_release WHERE t.owner = ? AND t.state IN (?, ?)`
	args := []any{string(owner), string(melodyud.StateReceived), string(melodyud.StatePublished)}
	if len(except) > 0 {
		query += ` AND t.id NOT IN (?` + strings.Repeat(`, ?`, len(except)-1) + `)`
		for _, id := range except {
			args = append(args, string(id))
		}
	}
	err = q.QueryRow(ctx, query, args, &bytes, &unmeasured, &sound)
	return bytes, unmeasured, sound, err
}
