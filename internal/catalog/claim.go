package catalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/plain"
)

const maxReason = 1000 // bytes of a refusal's or a dead letter's text

func keepable(s string) string { return plain.Text(s, maxReason) }

// work is a row of claims.
type work struct {
	track   melodyud.TrackID
	step    melodyud.Step
	fence   int64
	expires int64
	due     int64
	attempt int
	waits   int
}

func loadWork(ctx context.Context, q database.Querier, id melodyud.TrackID) (work, error) {
	w := work{track: id}
	err := q.QueryRow(ctx, `SELECT step, fence, expires, due, attempt, waits FROM claims WHERE track = ?`,
		[]any{string(id)}, &w.step, &w.fence, &w.expires, &w.due, &w.attempt, &w.waits)
	return w, err
}

// Claim takes the lease on a step of a track. ErrConflict means that somebody
// holds it or that it has to wait; ErrNotFound that the step is not owed (any
// more). Claiming counts an attempt: a step that was tried MaxAttempts times by
// workers who died without a word becomes a dead letter instead.
func (s *Service) Claim(ctx context.Context, id melodyud.TrackID, step melodyud.Step, holder string) (melodyud.Claim, error) {
	var c melodyud.Claim
	var spent bool
	err := s.c.Database.InTx(ctx, func(tx database.Tx) error {
		w, err := loadWork(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := w.free(step, database.Millis(s.c.Now())); err != nil {
			return err
		}
		if spent = w.attempt >= s.c.MaxAttempts; spent {
			return s.bury(ctx, tx, w, "the worker died at every attempt without saying why")
		}
		c, err = s.take(ctx, tx, w, holder)
		return err
	})
	if err == nil && spent {
		err = fmt.Errorf("%w: given up after %d attempts", melodyud.ErrNotFound, s.c.MaxAttempts)
	}
	if err != nil {
		return melodyud.Claim{}, fmt.Errorf("claim %s of track %s: %w", step, id, err)
	}
	return c, nil
}

func (w work) free(step melodyud.Step, now int64) error {
	switch {
	case w.step != step:
		return fmt.Errorf("%w: it needs %s", melodyud.ErrNotFound, w.step)
	case w.expires > now:
		return fmt.Errorf("%w: another worker holds it", melodyud.ErrConflict)
	case w.due > now:
		return fmt.Errorf("%w: it is not due yet", melodyud.ErrConflict)
	}
	return nil
}

func (s *Service) take(ctx context.Context, tx database.Tx, w work, holder string) (melodyud.Claim, error) {
	expires := s.c.Now().Add(s.c.Lease)
	c := melodyud.Claim{Step: w.step, Holder: holder, Attempt: w.attempt + 1, Expires: expires}
	err := tx.QueryRow(ctx, `UPDATE tracks SET fence = fence + 1 WHERE id = ? RETURNING fence`,
		[]any{string(w.track)}, &c.Fence)
	if err != nil {
		return c, err
	}
	_, err = tx.Exec(ctx, `UPDATE claims SET holder = ?, fence = ?, expires = ?, attempt = ? WHERE track = ?`,
		holder, c.Fence, database.Millis(expires), c.Attempt, string(w.track))
	if err != nil {
		return c, err
	}
	if err := s.set(ctx, tx, w.track, `attempt = ?`, c.Attempt); err != nil {
		return c, err
	}
	r, err := load(ctx, tx, w.track)
	if err != nil {
		return c, err
	}
	c.Track = r.Track
	if c.Step == melodyud.StepPublish {
		c.RenderHash, c.FeaturesHash, c.Release = r.renderHash, r.featuresHash, r.nextRelease
	}
	return c, nil
}

// held makes sure that c is still the newest claim of its track: the fence that
// keeps late workers from writing. It does not ask the clock; a lease that lapsed
// unnoticed is still its holder's.
func held(ctx context.Context, tx database.Tx, c melodyud.Claim) (work, error) {
	w, err := loadWork(ctx, tx, c.Track.ID)
	if errors.Is(err, melodyud.ErrNotFound) || err == nil && (w.fence != c.Fence || w.step != c.Step) {
		return w, fmt.Errorf("%w: the lease was lost", melodyud.ErrConflict)
	}
	return w, err
}

// Renew keeps a claim alive, shows its progress, and returns its new expiry. A
// lease that was lost is ErrConflict: stop working.
func (s *Service) Renew(ctx context.Context, c melodyud.Claim, p melodyud.Progress) (time.Time, error) {
	expires := s.c.Now().Add(s.c.Lease)
	err := s.fenced(ctx, c, func(tx database.Tx, w work) error {
		_, err := tx.Exec(ctx, `UPDATE claims SET expires = ? WHERE track = ?`, database.Millis(expires), string(c.Track.ID))
		if err != nil || p.Stage == "" || c.Step == melodyud.StepCollect {
			return err
		}
		return s.showProgress(ctx, tx, c.Track.ID, p)
	})
	return expires, err
}

func (s *Service) showProgress(ctx context.Context, tx database.Tx, id melodyud.TrackID, p melodyud.Progress) error {
	_, err := tx.Exec(ctx, `UPDATE tracks SET stage = ?, percent = ?, version = version + 1, updated = ?
		WHERE id = ? AND (stage <> ? OR percent <> ?)`,
		string(p.Stage), p.Percent, database.Millis(s.c.Now()), string(id), string(p.Stage), p.Percent)
	return err
}

// fenced runs f in a transaction in which c is the newest claim of its track.
func (s *Service) fenced(ctx context.Context, c melodyud.Claim, f func(database.Tx, work) error) error {
	err := s.c.Database.InTx(ctx, func(tx database.Tx) error {
		w, err := held(ctx, tx, c)
		if err != nil {
			return err
		}
		return f(tx, w)
	})
	if err != nil {
		return fmt.Errorf("%s of track %s: %w", c.Step, c.Track.ID, err)
	}
	s.feed.Poke()
	return nil
}

// Fail gives a claim back because of cause. An outage (ErrUnavailable, ErrLimited)
// or a shutdown (context.Canceled) is tried again later and not counted; anything
// else is tried again after a growing pause, and after MaxAttempts becomes a dead
// letter with cause as its reason. A publish step that failed goes back to
// rendering, which repairs objects. A lease that was lost is ErrConflict.
func (s *Service) Fail(ctx context.Context, c melodyud.Claim, cause error) error {
	return s.fenced(ctx, c, func(tx database.Tx, w work) error {
		now := s.c.Now()
		switch {
		case errors.Is(cause, context.Canceled):
			return s.requeue(ctx, tx, w, now, w.attempt-1, 0)
		case errors.Is(cause, melodyud.ErrUnavailable), errors.Is(cause, melodyud.ErrLimited):
			pause := s.pause(time.Second, s.c.OutageMost, w.waits)
			return s.requeue(ctx, tx, w, now.Add(pause), w.attempt-1, w.waits+1)
		case w.attempt >= s.c.MaxAttempts:
			return s.bury(ctx, tx, w, keepable(cause.Error()))
		case w.step == melodyud.StepPublish:
			w.step = melodyud.StepRender
		}
		pause := s.pause(s.c.RetryFirst, s.c.RetryMost, w.attempt-1)
		return s.requeue(ctx, tx, w, now.Add(pause), w.attempt, 0)
	})
}

// pause doubles from first up to most, and takes off up to a half at random so
// that what failed together does not come back together.
func (s *Service) pause(first, most time.Duration, doublings int) time.Duration {
	d := most
	if doublings < 30 && first<<doublings < most {
		d = first << doublings
	}
	return d - time.Duration(s.c.Jitter()*float64(d)/2)
}

func (s *Service) requeue(ctx context.Context, tx database.Tx, w work, due time.Time, attempt, waits int) error {
	_, err := tx.Exec(ctx, `UPDATE claims SET step = ?, holder = '', fence = 0, expires = 0, due = ?, attempt = ?, waits = ?
		WHERE track = ?`, string(w.step), database.Millis(due), max(attempt, 0), waits, string(w.track))
	if err != nil || w.step == melodyud.StepCollect {
		return err
	}
	return s.set(ctx, tx, w.track, `stage = ?, percent = 0`, string(melodyud.StageQueued))
}

func (s *Service) bury(ctx context.Context, tx database.Tx, w work, reason string) error {
	_, err := tx.Exec(ctx, `INSERT INTO dead_letters (track, step, reason, attempt, died) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (track) DO UPDATE SET step = excluded.step, reason = excluded.reason,
		attempt = excluded.attempt, died = excluded.died`,
		string(w.track), string(w.step), reason, w.attempt, database.Millis(s.c.Now()))
	if err == nil && w.step != melodyud.StepCollect {
		err = s.set(ctx, tx, w.track, `stage = ?, percent = 0`, string(melodyud.StageHeld))
	}
	if err != nil {
		return err
	}
	return s.settled(ctx, tx, w.track)
}

// settled ends all work on a track.
func (s *Service) settled(ctx context.Context, tx database.Tx, id melodyud.TrackID) error {
	_, err := tx.Exec(ctx, `DELETE FROM claims WHERE track = ?`, string(id))
	return err
}

// Lapse ends the leases of all holders whose names begin with place and a slash:
// their process is known to be dead. It returns how many there were; the work is
// due at once, the attempts stay counted.
func (s *Service) Lapse(ctx context.Context, place string) (int64, error) {
	prefix := place + "/"
	n, err := s.c.Database.Exec(ctx, `UPDATE claims SET holder = '', fence = 0, expires = 0
		WHERE substr(holder, 1, ?) = ?`, len(prefix), prefix)
	if err != nil {
		return 0, fmt.Errorf("end the leases of %s: %w", place, err)
	}
	return n, nil
}

// Refuse ends a claim for good because of what the creator sent, and tells it as
// TrackRefused. The row and its reason stay, the objects are owed to the
// collector. A track that was published before keeps its release: that is told as
// TrackReplacementRefused. A lease that was lost is ErrConflict.
func (s *Service) Refuse(ctx context.Context, c melodyud.Claim, refusal *melodyud.Refusal) error {
	err := s.fenced(ctx, c, func(tx database.Tx, w work) error {
		track, err := load(ctx, tx, w.track)
		if err != nil {
			return err
		}
		if track.Release != nil {
			return s.refuseReplacement(ctx, tx, track, refusal)
		}
		err = s.set(ctx, tx, w.track, `state = ?, stage = ?, percent = 100, refusal_code = ?, refusal_text = ?`,
			string(melodyud.StateRefused), string(melodyud.StageDone), keepable(refusal.Code), keepable(refusal.Text))
		if err != nil {
			return err
		}
		now := database.Millis(s.c.Now())
		if err := owe(ctx, tx, w.track, melodyud.StepCollect, now, now); err != nil {
			return err
		}
		r, err := load(ctx, tx, w.track)
		if err != nil {
			return err
		}
		return s.tell(ctx, tx, melodyud.TrackRefused, r, melodyud.TrackFact{RefusalCode: refusal.Code})
	})
	if err == nil {
		s.ring(ctx, c.Track.ID, melodyud.StepCollect)
	}
	return err
}

// Storing notes, before the first object is written, that the folder
// media/<renderHash>/ is made of the claim's master, so that it is found when the
// last track of that master goes. A lease that was lost is ErrConflict.
func (s *Service) Storing(ctx context.Context, c melodyud.Claim, renderHash string) error {
	return s.fenced(ctx, c, func(tx database.Tx, _ work) error {
		_, err := tx.Exec(ctx, `INSERT INTO renders (render_hash, master_sha256) VALUES (?, ?)
			ON CONFLICT (render_hash) DO NOTHING`, renderHash, c.Track.Master.SHA256)
		return err
	})
}

// Rendered ends a render step whose objects are all stored: publishing is owed
// next, under a release id that is reserved now. Names the creator left empty are
// filled from the file. A lease that was lost is ErrConflict.
func (s *Service) Rendered(ctx context.Context, c melodyud.Claim, r melodyud.Rendering) error {
	err := s.fenced(ctx, c, func(tx database.Tx, w work) error {
		track, err := load(ctx, tx, w.track)
		if err != nil {
			return err
		}
		release := track.nextRelease
		if release == "" {
			release = melodyud.NewReleaseID(s.c.Now())
		}
		title, artist, album := named(track, r.Tags)
		err = s.set(ctx, tx, w.track, `render_hash = ?, features_hash = ?, next_release = ?, title = ?, artist = ?, album = ?, disc = ?, number = ?,
			stage = ?, percent = 0`, r.Hash, r.FeaturesHash, string(release), title, artist, album,
			cmp.Or(track.Disc, numbered(r.Tags.Disc)), cmp.Or(track.Number, numbered(r.Tags.Number)), string(melodyud.StagePublishing))
		if err == nil {
			err = s.ensureAlbum(ctx, tx, track.Owner, album)
		}
		if err != nil {
			return err
		}
		// The attempt goes on: publishing claims, and so counts, the same one again.
		_, err = tx.Exec(ctx, `UPDATE claims SET step = ?, holder = '', fence = 0, expires = 0, due = ?, attempt = ?, waits = 0
			WHERE track = ?`, string(melodyud.StepPublish), database.Millis(s.c.Now()), max(w.attempt-1, 0), string(w.track))
		return err
	})
	if err == nil {
		s.ring(ctx, c.Track.ID, melodyud.StepPublish)
	}
	return err
}

func named(r *row, tags melodyud.Tags) (title, artist, album string) {
	first := func(texts ...string) string {
		for _, t := range texts {
			if t != "" {
				return t
			}
		}
		return ""
	}
	return first(r.Title, plain.Line(tags.Title), plain.Stem(r.FileName), "Untitled"), first(r.Artist, plain.Line(tags.Artist)), first(r.Album, plain.Line(tags.Album))
}

// Publish lets listeners hear what the claim's render made: release row, number
// and the fact TrackPublished in one transaction. The caller has read every object
// back. Publishing the same release again changes nothing and returns the track.
// A lease that was lost is ErrConflict.
func (s *Service) Publish(ctx context.Context, c melodyud.Claim, rel melodyud.Release) (melodyud.Track, error) {
	var track melodyud.Track
	err := s.c.Database.InTx(ctx, func(tx database.Tx) error {
		r, err := load(ctx, tx, c.Track.ID)
		if err != nil {
			return err
		}
		if r.State == melodyud.StatePublished && r.Release != nil && r.Release.ID == rel.ID {
			track = r.Track
			return nil
		}
		if _, err := held(ctx, tx, c); err != nil {
			return err
		}
		if rel.ID != r.nextRelease || rel.RenderHash != r.renderHash || rel.FeaturesHash != r.featuresHash {
			return fmt.Errorf("%w: release %s is not what was rendered", melodyud.ErrConflict, rel.ID)
		}
		track, err = s.publish(ctx, tx, r, rel)
		return err
	})
	if err != nil {
		return melodyud.Track{}, fmt.Errorf("publish track %s: %w", c.Track.ID, err)
	}
	s.feed.Poke()
	return track, nil
}

func (s *Service) publish(ctx context.Context, tx database.Tx, r *row, rel melodyud.Release) (melodyud.Track, error) {
	var last int64
	err := tx.QueryRow(ctx, `SELECT COALESCE(MAX(number), 0) FROM releases WHERE track = ?`, []any{string(r.ID)}, &last)
	if err != nil {
		return melodyud.Track{}, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO releases (id, track, number, render_hash, features_hash, duration_ns, has_cover, published,
		master_sha256, master_size, file_name) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, string(rel.ID), string(r.ID), last+1,
		rel.RenderHash, rel.FeaturesHash,
		int64(rel.Duration), truth(rel.HasCover), database.Millis(s.c.Now()), r.Master.SHA256, r.Master.Size, r.FileName)
	if err != nil {
		return melodyud.Track{}, err
	}
	rel.Master, rel.FileName = r.Master, r.FileName
	if err := s.keepCurrent(ctx, tx, r.ID, rel, "", ""); err != nil {
		return melodyud.Track{}, err
	}
	if err := s.rest(ctx, tx, r.ID); err != nil {
		return melodyud.Track{}, err
	}
	fresh, err := load(ctx, tx, r.ID)
	if err != nil {
		return melodyud.Track{}, err
	}
	fact := melodyud.TrackFact{Release: rel.ID, RenderHash: rel.RenderHash, FeaturesHash: rel.FeaturesHash}
	return fresh.Track, s.tell(ctx, tx, melodyud.TrackPublished, fresh, fact)
}

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
