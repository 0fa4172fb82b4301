package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/ticket"
)

// Album is what tracks of one owner with the same album title are together, as far
// as they are published.
type Album struct {
	ID       melodyud.AlbumID
	Title    string
	Artist   string // empty when its tracks have several
	Count    int    // published tracks
	Duration time.Duration
	Cover    melodyud.TrackID // a track that has a picture; empty for none
}

// Albums is one page of albums. Next is the cursor of the page behind it, empty on
// the last one.
type Albums struct {
	Albums []Album
	Next   melodyud.AlbumID
}

var errNoAlbum = melodyud.Refuse(melodyud.ErrNotFound, "album.not-found",
	"There is no such album, or none of its tracks is published. Open the list of albums.")

// numbered is n if it can be the number of a disc or a track, else 0.
func numbered(n int) int {
	if n < 0 || n > melodyud.MaxNumber {
		return 0
	}
	return n
}

// AlbumTracks returns the published tracks of an album that who may play, in order.
// Errors: ErrNotFound.
func (s *Service) AlbumTracks(ctx context.Context, who api.Principal, id melodyud.AlbumID) ([]melodyud.Track, error) {
	_, tracks, err := s.Album(ctx, id)
	if err == nil && !hears(who, tracks[0].Owner, melodyud.StatePublished) {
		err = errNoAlbum
	}
	return tracks, err
}

// ensureAlbum gives the tracks that owner calls title an album.
func (s *Service) ensureAlbum(ctx context.Context, tx database.Tx, owner melodyud.UserID, title string) error {
	if title == "" {
		return nil
	}
	now := s.c.Now()
	_, err := tx.Exec(ctx, `INSERT INTO albums (id, owner, title, created) VALUES (?, ?, ?, ?)
		ON CONFLICT (owner, title) DO NOTHING`, string(melodyud.NewAlbumID(now)), string(owner), title, database.Millis(now))
	if err != nil {
		return fmt.Errorf("make album: %w", err)
	}
	return nil
}

const (
	fromAlbum = ` FROM albums a JOIN tracks t ON t.owner = a.owner AND t.album = a.title AND t.state = 'published' AND t.aside = 0
		JOIN releases r ON r.id = t.current_release`
	selectAlbums = `SELECT a.id, a.title, MIN(t.artist), MAX(t.artist), COUNT(*), CAST(SUM(r.duration_ns) AS BIGINT),
		MAX(CASE WHEN r.has_cover <> 0 THEN t.id ELSE '' END)` + fromAlbum
	groupAlbums = ` GROUP BY a.id, a.title ORDER BY a.id DESC`
	// onAlbums picks a page of ids first, so that only its tracks are read.
	onAlbums = ` WHERE a.id IN (SELECT b.id FROM albums b WHERE b.id < ? AND EXISTS (SELECT 1 FROM tracks u
		WHERE u.owner = b.owner AND u.album = b.title AND u.state = 'published' AND u.aside = 0) ORDER BY b.id DESC LIMIT ?)`
)

// Albums returns a page of albums that have published tracks, newest first, behind
// the album cursor. limit is 1..100; 0 means 50.
func (s *Service) Albums(ctx context.Context, limit int, cursor melodyud.AlbumID) (Albums, error) {
	if limit == 0 {
		limit = usualPage
	}
	if limit < 0 || limit > largePage {
		return Albums{}, fmt.Errorf("%w: page of %d albums", melodyud.ErrInvalid, limit)
	}
	behind := "alb_" + strings.Repeat("Z", 26) // sorts behind every id
	if cursor != "" {
		if _, err := melodyud.ParseAlbumID(string(cursor)); err != nil {
			return Albums{}, errCursor
		}
		behind = string(cursor)
	}
	found, err := s.albums(ctx, onAlbums, behind, limit+1)
	if err != nil {
		return Albums{}, err
	}
	if len(found) > limit {
		return Albums{found[:limit], found[limit-1].ID}, nil
	}
	return Albums{Albums: found}, nil
}

func (s *Service) albums(ctx context.Context, where string, args ...any) ([]Album, error) {
	var all []Album
	err := each(ctx, s.c.Database, selectAlbums+where+groupAlbums, args, func(rows *sql.Rows) error {
		var a Album
		var last string
		var duration int64
		if err := rows.Scan(&a.ID, &a.Title, &a.Artist, &last, &a.Count, &duration, &a.Cover); err != nil {
			return err
		}
		if a.Artist != last {
			a.Artist = ""
		}
		a.Duration = time.Duration(duration)
		all = append(all, a)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read albums: %w", err)
	}
	return all, nil
}

// Album returns an album and its published tracks in order: by disc and number,
// those without a number behind, in the order they were sent. Of more than
// ticket.MaxList tracks these are the first. Errors: ErrNotFound.
func (s *Service) Album(ctx context.Context, id melodyud.AlbumID) (Album, []melodyud.Track, error) {
	if _, err := melodyud.ParseAlbumID(string(id)); err != nil {
		return Album{}, nil, errNoAlbum
	}
	found, err := s.albums(ctx, ` WHERE a.id = ?`, string(id))
	if err != nil {
		return Album{}, nil, err
	}
	if len(found) == 0 {
		return Album{}, nil, errNoAlbum
	}
	rows, err := loadAll(ctx, s.c.Database, `JOIN albums a ON a.owner = t.owner AND a.title = t.album
		WHERE a.id = ? AND t.state = 'published' AND t.aside = 0
		ORDER BY t.disc, CASE WHEN t.number = 0 THEN 1 ELSE 0 END, t.number, t.id LIMIT ?`, string(id), ticket.MaxList)
	if err != nil {
		return Album{}, nil, err
	}
	tracks := make([]melodyud.Track, len(rows))
	for i, r := range rows {
		tracks[i] = r.Track
	}
	if len(tracks) == 0 { // withdrawn in between
		return Album{}, nil, errNoAlbum
	}
	return found[0], tracks, nil
}
