package catalog

import (
	"context"
	"errors"
	"fmt"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/plain"
)

// errNoTrack is the answer for a missing track and for somebody else's alike, so
// that ids cannot be probed.
var errNoTrack = melodyud.Refuse(melodyud.ErrNotFound, "track.not-found",
	"There is no such track among yours. Check the link, or open your list of tracks.")

var errWithdrawn = melodyud.Refuse(melodyud.ErrConflict, "track.withdrawn",
	"This track has been withdrawn and can no longer be changed.")

var errCursor = melodyud.Refuse(melodyud.ErrInvalid, "page.cursor",
	"This page marker is not one of ours. Start again without it.")

// Track returns who's track, or any track to operators. Errors: ErrNotFound.
func (s *Service) Track(ctx context.Context, who api.Principal, id melodyud.TrackID) (melodyud.Track, error) {
	r, err := s.own(ctx, s.c.Database, who, id)
	if err != nil {
		return melodyud.Track{}, err
	}
	return r.Track, nil
}

// own loads a track that who may see as its owner or as operator.
func (s *Service) own(ctx context.Context, q database.Querier, who api.Principal, id melodyud.TrackID) (*row, error) {
	if _, err := melodyud.ParseTrackID(string(id)); err != nil {
		return nil, errNoTrack
	}
	r, err := load(ctx, q, id)
	switch {
	case errors.Is(err, melodyud.ErrNotFound):
		return nil, errNoTrack
	case err != nil:
		return nil, err
	case !owns(who, r) && !who.Has(api.RoleOps):
		return nil, errNoTrack
	}
	return r, nil
}

// audible loads a track that who may play: a published one for listeners, unless it
// is an ad, operators and its owner.
func (s *Service) audible(ctx context.Context, who api.Principal, id melodyud.TrackID) (*row, error) {
	if _, err := melodyud.ParseTrackID(string(id)); err != nil {
		return nil, errNoTrack
	}
	r, err := load(ctx, s.c.Database, id)
	switch {
	case errors.Is(err, melodyud.ErrNotFound):
		return nil, errNoTrack
	case err != nil:
		return nil, err
	case r.Aside && !owns(who, r) && !who.Has(api.RoleOps):
		return nil, errNoTrack
	case hears(who, r.Owner, r.State):
		return r, nil
	}
	return nil, errNoTrack
}

func hears(who api.Principal, owner melodyud.UserID, state melodyud.State) bool {
	return who.Has(api.RoleCreator) && who.User != "" && who.User == owner || who.Has(api.RoleOps) ||
		state == melodyud.StatePublished && who.Has(api.RoleListener)
}

func owns(who api.Principal, r *row) bool {
	return who.Has(api.RoleCreator) && who.User != "" && who.User == r.Owner
}

// Page asks for a part of a list, newest first.
type Page struct {
	Limit  int              // 1..100; 0 means 50
	Cursor melodyud.TrackID // go on behind this track; empty: from the start
	State  melodyud.State   // only these; empty: all but withdrawn ones
}

const (
	usualPage = 50
	largePage = 100
)

// Tracks is one page of a list. Next is the cursor of the page behind it, empty
// on the last one.
type Tracks struct {
	Tracks []melodyud.Track
	Next   melodyud.TrackID
}

// List returns a page of who's own tracks. A malformed page is ErrInvalid.
func (s *Service) List(ctx context.Context, who api.Principal, p Page) (Tracks, error) {
	where, args := `WHERE t.owner = ? AND t.state <> ?`, []any{string(who.User), string(melodyud.StateWithdrawn)}
	if p.State != "" {
		where, args = `WHERE t.owner = ? AND t.state = ?`, []any{string(who.User), string(p.State)}
	}
	return s.page(ctx, p, where, args)
}

// Published returns a page of what listeners may play; Page.State is ignored.
func (s *Service) Published(ctx context.Context, p Page) (Tracks, error) {
	return s.page(ctx, p, `WHERE t.state = ? AND t.aside = 0`, []any{string(melodyud.StatePublished)})
}

func (s *Service) page(ctx context.Context, p Page, where string, args []any) (Tracks, error) {
	if p.Limit == 0 {
		p.Limit = usualPage
	}
	if p.Limit < 0 || p.Limit > largePage {
		return Tracks{}, fmt.Errorf("%w: page of %d tracks", melodyud.ErrInvalid, p.Limit)
	}
	if p.Cursor != "" {
		if _, err := melodyud.ParseTrackID(string(p.Cursor)); err != nil {
			return Tracks{}, errCursor
		}
		where, args = where+` AND t.id < ?`, append(args, string(p.Cursor))
	}
	rows, err := loadAll(ctx, s.c.Database, where+` ORDER BY t.id DESC LIMIT ?`, append(args, p.Limit+1)...)
	if err != nil {
		return Tracks{}, err
	}
	var out Tracks
	for i, r := range rows {
		if i == p.Limit {
			out.Next = rows[i-1].ID
			break
		}
		out.Tracks = append(out.Tracks, r.Track)
	}
	return out, nil
}

// Names are what a creator calls a track; nil fields stay as they are.
type Names struct {
	Title, Artist, Album *string
	Disc, Number         *int // 0: unknown
}

// Rename changes what who's own track is called and tells it as TrackRenamed.
// Errors: ErrNotFound, ErrConflict for a withdrawn track, ErrInvalid for a title
// that has nothing to read in it.
func (s *Service) Rename(ctx context.Context, who api.Principal, id melodyud.TrackID, n Names) (melodyud.Track, error) {
	var out *row
	err := s.c.Database.InTx(ctx, func(tx database.Tx) error {
		r, err := s.mine(ctx, tx, who, id)
		if err != nil {
			return err
		}
		out = r
		if r.State == melodyud.StateWithdrawn {
			return errWithdrawn
		}
		old := r.Track
		if err := rename(r, n); err != nil {
			return err
		}
		if old.Title == r.Title && old.Artist == r.Artist && old.Album == r.Album && old.Disc == r.Disc && old.Number == r.Number {
			return nil
		}
		return s.renamed(ctx, tx, r)
	})
	if err != nil {
		return melodyud.Track{}, err
	}
	s.feed.Poke()
	return out.Track, nil
}

func rename(r *row, n Names) error {
	for field, text := range map[*string]*string{&r.Title: n.Title, &r.Artist: n.Artist, &r.Album: n.Album} {
		if text != nil {
			*field = plain.Line(*text)
		}
	}
	for field, number := range map[*int]*int{&r.Disc: n.Disc, &r.Number: n.Number} {
		if number == nil {
			continue
		}
		if *field = *number; *number != numbered(*number) {
			return melodyud.Refuse(melodyud.ErrInvalid, "track.number", "Track and disc numbers go from 1 to 9999; 0 means none.")
		}
	}
	if n.Title != nil && r.Title == "" {
		return melodyud.Refuse(melodyud.ErrInvalid, "track.title", "A track needs a title. Type at least one letter.")
	}
	return nil
}

func (s *Service) renamed(ctx context.Context, tx database.Tx, r *row) error {
	if err := s.set(ctx, tx, r.ID, `title = ?, artist = ?, album = ?, disc = ?, number = ?`,
		r.Title, r.Artist, r.Album, r.Disc, r.Number); err != nil {
		return err
	}
	if err := s.ensureAlbum(ctx, tx, r.Owner, r.Album); err != nil {
		return err
	}
	if err := s.tell(ctx, tx, melodyud.TrackRenamed, r, melodyud.TrackFact{}); err != nil {
		return err
	}
	fresh, err := load(ctx, tx, r.ID)
	if err == nil {
		*r = *fresh
	}
	return err
}

// mine loads a track that who may change: only its owner.
func (s *Service) mine(ctx context.Context, q database.Querier, who api.Principal, id melodyud.TrackID) (*row, error) {
	r, err := s.own(ctx, q, who, id)
	if err == nil && !owns(who, r) {
		return nil, errNoTrack
	}
	return r, err
}

// Withdraw takes who's own track away from listeners for good, stops work on it
// and has its objects collected. Withdrawing again is no error. Errors: ErrNotFound.
func (s *Service) Withdraw(ctx context.Context, who api.Principal, id melodyud.TrackID) error {
	changed := false
	err := s.c.Database.InTx(ctx, func(tx database.Tx) error {
		changed = false
		r, err := s.mine(ctx, tx, who, id)
		if err != nil || r.State == melodyud.StateWithdrawn {
			return err
		}
		changed = true
		return s.withdraw(ctx, tx, r)
	})
	if err != nil || !changed {
		return err
	}
	s.feed.Poke()
	s.ring(ctx, id, melodyud.StepCollect)
	return nil
}

func (s *Service) withdraw(ctx context.Context, tx database.Tx, r *row) error {
	err := s.set(ctx, tx, r.ID, `state = ?, stage = ?, percent = 100`,
		string(melodyud.StateWithdrawn), string(melodyud.StageDone))
	if err != nil {
		return err
	}
	now := database.Millis(s.c.Now())
	due, err := s.workEnds(ctx, tx, r.ID, now)
	if err != nil {
		return err
	}
	if err := owe(ctx, tx, r.ID, melodyud.StepCollect, now, due); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM dead_letters WHERE track = ?`, string(r.ID)); err != nil {
		return err
	}
	fact := melodyud.TrackFact{}
	if r.Release != nil {
		fact.Release, fact.RenderHash = r.Release.ID, r.Release.RenderHash
	}
	if err := s.void(ctx, tx, r); err != nil {
		return err
	}
	return s.tell(ctx, tx, melodyud.TrackWithdrawn, r, fact)
}

// errPlayed is what those hear who were listening.
var errPlayed = melodyud.Refuse(melodyud.ErrForbidden, "playback.withdrawn",
	"This track has been withdrawn and can no longer be played.")

// void has every edge refuse the tickets for a withdrawn track.
func (s *Service) void(ctx context.Context, tx database.Tx, r *row) error {
	n := melodyud.Notice{
		Scope: melodyud.NoticeTrack, ID: string(r.ID), Before: s.c.Now().UTC(), Code: errPlayed.Code, Text: errPlayed.Text,
	}
	all, err := loadReleases(ctx, tx, `WHERE track = ?`, string(r.ID))
	if err != nil || len(all) == 0 {
		return err // never published: nobody has a ticket
	}
	for _, one := range all {
		n.Releases = append(n.Releases, one.ID)
	}
	return tx.Emit(ctx, melodyud.TopicRights, melodyud.NewNotice(s.c.Now(), n))
}

// workEnds returns when a worker that still holds the track has surely stopped
// writing objects: collecting before that would leave some behind.
func (s *Service) workEnds(ctx context.Context, tx database.Tx, id melodyud.TrackID, now int64) (int64, error) {
	var ends int64
	err := tx.QueryRow(ctx, `SELECT COALESCE(MAX(e.ends), 0) FROM (SELECT expires AS ends FROM claims WHERE track = ?
		UNION ALL SELECT due AS ends FROM orphans WHERE track = ?) AS e`, []any{string(id), string(id)}, &ends)
	return max(now, ends), err
}
