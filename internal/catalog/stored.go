package catalog

import (
	"context"
	"strings"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
)

// Stored sums up what the owner's tracks take that are received or published: the
// bytes of their masters, those of older releases too; how many of these belong to
// tracks without a release, whose length nobody knows yet; and the others' sound. It
// names those of the uploads given whose masters are among them.
func (s *Service) Stored(ctx context.Context, q database.Querier, owner melodyud.UserID, uploads []melodyud.UploadID) (
	bytes, unmeasured int64, sound time.Duration, among []melodyud.UploadID, err error,
) {
	const living = `t.owner = ? AND t.state IN ('` + string(melodyud.StateReceived) + `', '` + string(melodyud.StatePublished) + `')`
	err = q.QueryRow(ctx, `SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM (
		SELECT t.id AS track, t.master_sha256 AS master, t.master_size AS size FROM tracks t WHERE `+living+` UNION
		SELECT r.track, r.master_sha256, r.master_size FROM releases r JOIN tracks t ON t.id = r.track WHERE `+living+`) AS masters`,
		[]any{string(owner), string(owner)}, &bytes)
	if err != nil {
		return 0, 0, 0, nil, err
	}
	err = q.QueryRow(ctx, `SELECT CAST(COALESCE(SUM(CASE WHEN r.id IS NULL THEN t.master_size ELSE 0 END), 0) AS BIGINT),
		CAST(COALESCE(SUM(r.duration_ns), 0) AS BIGINT)
		FROM tracks t LEFT JOIN releases r ON r.id = t.current_release WHERE `+living, []any{string(owner)}, &unmeasured, &sound)
	if err != nil || len(uploads) == 0 {
		return bytes, unmeasured, sound, nil, err
	}
	args := make([]any, len(uploads))
	for i, id := range uploads {
		args[i] = string(id)
	}
	err = column(ctx, q, `SELECT upload FROM track_uploads WHERE upload IN (?`+strings.Repeat(`, ?`, len(uploads)-1)+`)`, &among, args...)
	return bytes, unmeasured, sound, among, err
}
