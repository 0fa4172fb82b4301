package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
)

// row is a track as its row has it, with what the Track noun does not show.
type row struct {
	melodyud.Track
	renderHash   string // handed over by the render step
	featuresHash string // and this
	nextRelease  melodyud.ReleaseID
	version      int64
}

const selectTrack = `SELECT t.id, t.owner, t.state, t.title, t.artist, t.album, t.disc, t.number, t.file_name,
	t.master_sha256, t.master_size, t.refusal_code, t.refusal_text, t.render_hash, t.features_hash, t.next_release, t.preview_ms, t.aside, t.gain,
	t.stage, t.percent, t.attempt, t.version, t.created, t.updated,
	COALESCE(r.id, ''), COALESCE(r.number, 0), COALESCE(r.render_hash, ''), COALESCE(r.features_hash, ''), COALESCE(r.duration_ns, 0),
	COALESCE(r.has_cover, 0), COALESCE(r.published, 0), COALESCE(r.master_sha256, ''), COALESCE(r.master_size, 0), COALESCE(r.file_name, '')
	FROM tracks t LEFT JOIN releases r ON r.id = t.current_release `

// raw holds what the database keeps in another form than the noun.
type raw struct {
	code, text                 string
	created, updated           int64
	release                    melodyud.Release
	duration, cover, published int64
	aside                      int64
	preview                    int64 // milliseconds; negative: none chosen
}

func (r *row) targets(w *raw) []any {
	return []any{
		&r.ID, &r.Owner, &r.State, &r.Title, &r.Artist, &r.Album, &r.Disc, &r.Number, &r.FileName,
		&r.Master.SHA256, &r.Master.Size, &w.code, &w.text, &r.renderHash, &r.featuresHash, &r.nextRelease, &w.preview, &w.aside, &r.Gain,
		&r.Progress.Stage, &r.Progress.Percent, &r.Progress.Attempt, &r.version, &w.created, &w.updated,
		&w.release.ID, &w.release.Number, &w.release.RenderHash, &w.release.FeaturesHash, &w.duration, &w.cover, &w.published,
		&w.release.Master.SHA256, &w.release.Master.Size, &w.release.FileName,
	}
}

func (r *row) finish(w *raw) {
	r.Created, r.Updated = database.Time(w.created), database.Time(w.updated)
	r.Aside = w.aside != 0
	if w.preview >= 0 {
		r.PreviewStart = new(time.Duration(w.preview) * time.Millisecond)
	}
	if w.code != "" {
		r.Refusal = melodyud.Refuse(melodyud.ErrInvalid, w.code, w.text)
	}
	if w.release.ID != "" {
		rel := w.release
		rel.Duration, rel.HasCover, rel.Published = time.Duration(w.duration), w.cover != 0, database.Time(w.published)
		r.Release = &rel
	}
}

// load reads one track; a missing one is ErrNotFound.
func load(ctx context.Context, q database.Querier, id melodyud.TrackID) (*row, error) {
	var r row
	var w raw
	err := q.QueryRow(ctx, selectTrack+`WHERE t.id = ?`, []any{string(id)}, r.targets(&w)...)
	if err != nil {
		return nil, fmt.Errorf("read track %s: %w", id, err)
	}
	r.finish(&w)
	return &r, nil
}

func loadAll(ctx context.Context, q database.Querier, where string, args ...any) ([]*row, error) {
	var all []*row
	err := each(ctx, q, selectTrack+where, args, func(rows *sql.Rows) error {
		var r row
		var w raw
		if err := rows.Scan(r.targets(&w)...); err != nil {
			return err
		}
		r.finish(&w)
		all = append(all, &r)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read tracks: %w", err)
	}
	return all, nil
}

// each calls f for every row of a query.
func each(ctx context.Context, q database.Querier, query string, args []any, f func(*sql.Rows) error) error {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// set changes columns of a track's row so that every reader sees a new version.
func (s *Service) set(ctx context.Context, tx database.Tx, id melodyud.TrackID, columns string, args ...any) error {
	args = append(args, database.Millis(s.c.Now()), string(id))
	n, err := tx.Exec(ctx, `UPDATE tracks SET `+columns+`, version = version + 1, updated = ? WHERE id = ?`, args...)
	if err == nil && n == 0 {
		err = melodyud.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("write track %s: %w", id, err)
	}
	return nil
}

// tell writes the fact typ about r with the transaction.
func (s *Service) tell(ctx context.Context, tx database.Tx, typ string, r *row, more melodyud.TrackFact) error {
	more.Track, more.Owner, more.Title, more.MasterSHA256 = r.ID, r.Owner, r.Title, r.Master.SHA256
	return tx.Emit(ctx, melodyud.TopicTracks, melodyud.NewEvent(s.c.Now(), typ, string(r.ID), more))
}
