package inbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/ingest"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/objectstore"
)

// Where a version of a file stands. The first two have no row.
const (
	waiting      = "waiting"
	ignored      = "ignored"
	taking       = "taking"
	received     = "received"  // it is a track, which is being rendered
	published    = "published" // it can be heard
	refusedState = "refused"
	gone         = "gone" // replaced, removed or cancelled before it was taken
)

const followed = 1000 // rows looked after in one look

// row is one version of a file that was begun.
type row struct {
	name, tag, owner    string
	upload              melodyud.UploadID
	track               melodyud.TrackID
	state, code, reason string
	updated             time.Time
}

const selectRow = `SELECT name, tag, owner, upload, track, state, code, reason, updated FROM inbox_files `

func (r *row) scan(scan func(...any) error) error {
	var updated int64
	err := scan(&r.name, &r.tag, &r.owner, &r.upload, &r.track, &r.state, &r.code, &r.reason, &updated)
	r.updated = database.Time(updated)
	return err
}

func (s *Service) load(ctx context.Context, d objectstore.Dropped) (r row, err error) {
	err = r.scan(func(to ...any) error {
		return s.config.DB.QueryRow(ctx, selectRow+`WHERE name = ? AND tag = ?`, []any{d.Name, d.Tag}, to...)
	})
	return r, err
}

func (s *Service) query(ctx context.Context, where string, args ...any) ([]row, error) {
	rows, err := s.config.DB.Query(ctx, selectRow+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read inbox: %w", err)
	}
	defer rows.Close()
	return collect(rows)
}

func collect(rows *sql.Rows) ([]row, error) {
	var all []row
	for rows.Next() {
		var r row
		if err := r.scan(rows.Scan); err != nil {
			return nil, fmt.Errorf("read inbox: %w", err)
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

func (s *Service) insert(ctx context.Context, r *row) error {
	r.updated = s.config.Now()
	now := database.Millis(r.updated)
	_, err := s.config.DB.Exec(ctx, `INSERT INTO inbox_files (name, tag, owner, upload, track, state, code, reason, created, updated)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.name, r.tag, r.owner, string(r.upload), string(r.track), r.state, r.code, r.reason, now, now)
	if err != nil {
		return fmt.Errorf("note dropped file %s: %w", r.name, err)
	}
	return nil
}

func (s *Service) update(ctx context.Context, r *row) error {
	r.updated = s.config.Now()
	_, err := s.config.DB.Exec(ctx, `UPDATE inbox_files SET state = ?, code = ?, reason = ?, updated = ? WHERE name = ? AND tag = ?`,
		r.state, r.code, r.reason, database.Millis(r.updated), r.name, r.tag)
	if err != nil {
		return fmt.Errorf("note dropped file %s: %w", r.name, err)
	}
	return nil
}

func (s *Service) drop(ctx context.Context, r row) error {
	if _, err := s.config.DB.Exec(ctx, `DELETE FROM inbox_files WHERE name = ? AND tag = ?`, r.name, r.tag); err != nil {
		return fmt.Errorf("forget dropped file %s: %w", r.name, err)
	}
	return nil
}

// taken names the creator's files that became tracks.
func (s *Service) taken(ctx context.Context, owner string) (map[string]bool, error) {
	rows, err := s.query(ctx, `WHERE owner = ? AND state IN (?, ?)`, owner, received, published)
	names := map[string]bool{}
	for _, r := range rows {
		names[same(r.name)] = true
	}
	return names, err
}

// follow looks after what was begun: versions of files that are gone, and what became
// of tracks.
func (s *Service) follow(ctx context.Context, folders map[string][]objectstore.Dropped) error {
	there := map[string]string{}
	for _, files := range folders {
		for _, d := range files {
			there[d.Name] = d.Tag
		}
	}
	rows, err := s.query(ctx, `WHERE state = ? ORDER BY updated LIMIT ?`, taking, followed)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if there[r.name] != r.tag {
			if err := s.followTaking(ctx, r); err != nil {
				return err
			}
		}
	}
	rows, err = s.query(ctx, `WHERE state = ? ORDER BY updated LIMIT ?`, received, followed)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if err := s.followTrack(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// expire forgets what is long over. It comes after a look, which has removed the files.
func (s *Service) expire(ctx context.Context) error {
	_, err := s.config.DB.Exec(ctx, `DELETE FROM inbox_files WHERE updated < ? AND state NOT IN (?, ?)`,
		database.Millis(s.config.Now().Add(-s.config.Keep-24*time.Hour)), taking, received)
	if err != nil {
		return fmt.Errorf("forget dropped files: %w", err)
	}
	return nil
}

// followTaking ends an upload whose file is gone, unless it has all bytes.
func (s *Service) followTaking(ctx context.Context, r row) error {
	v, err := s.config.Uploads.Stands(ctx, r.upload)
	switch {
	case errors.Is(err, melodyud.ErrNotFound) || err == nil && v.State == ingest.StateOpen:
		return s.giveUp(ctx, &r)
	case err != nil:
		return err
	}
	return s.settle(ctx, &r, v)
}

// followTrack notes how the track ended. One that nobody can find any more is done.
func (s *Service) followTrack(ctx context.Context, r row) error {
	t, err := s.config.Tracks.Track(ctx, api.Principal{User: melodyud.UserID(r.owner), Roles: []api.Role{api.RoleCreator}}, r.track)
	switch {
	case err != nil && !errors.Is(err, melodyud.ErrNotFound):
		return fmt.Errorf("look after %s: %w", r.name, err)
	case err == nil && !t.State.Terminal():
		return nil
	}
	r.state = published
	if t.Refusal != nil && t.State == melodyud.StateRefused {
		r.state, r.code, r.reason = refusedState, t.Refusal.Code, t.Refusal.Text
	}
	return s.update(ctx, &r)
}
