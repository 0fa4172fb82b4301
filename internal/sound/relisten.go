package sound

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/plain"
)

const (
	mostAttempts = 3
	retryPause   = 30 * time.Second
)

// Next hands out the next track that is to be listened to, with a lease on it:
// first those whose worker died. If there is none now, it is ErrNotFound, and wait
// says when there may be one; 0 that nothing is known of.
func (s *Service) Next(ctx context.Context) (item melodyud.Relisten, wait time.Duration, err error) {
	jobs, err := s.load(ctx, s.c.Database, `WHERE state = ? ORDER BY created, id`, running)
	if err != nil {
		return item, 0, err
	}
	now := database.Millis(s.c.Now())
	for _, r := range jobs {
		item, err := s.takeOver(ctx, r, now)
		if errors.Is(err, melodyud.ErrNotFound) && !r.drained && r.next <= now {
			item, err = s.begin(ctx, r, now)
		}
		if !errors.Is(err, melodyud.ErrNotFound) {
			return item, 0, err
		}
		if left := time.Duration(r.next-now) * time.Millisecond; !r.drained && left > 0 && (wait == 0 || left < wait) {
			wait = left
		}
	}
	return item, wait, fmt.Errorf("%w: nothing to listen to", melodyud.ErrNotFound)
}

// takeOver takes a track whose lease has expired.
func (s *Service) takeOver(ctx context.Context, r Reanalysis, now int64) (item melodyud.Relisten, err error) {
	var old string
	err = s.c.Database.QueryRow(ctx, `SELECT track, fence, attempt FROM reanalysis_leases WHERE reanalysis = ? AND expires <= ?
		ORDER BY expires, track LIMIT 1`, []any{r.ID, now}, &item.Track.ID, &old, &item.Attempt)
	if err != nil {
		return item, err
	}
	s.lease(&item, r)
	item.Attempt++
	n, err := s.c.Database.Exec(ctx, `UPDATE reanalysis_leases SET fence = ?, expires = ?, attempt = ?
		WHERE reanalysis = ? AND track = ? AND fence = ?`, item.Fence, database.Millis(item.Expires), item.Attempt, r.ID, string(item.Track.ID), old)
	if err == nil && n == 0 {
		err = fmt.Errorf("%w: another worker took it", melodyud.ErrNotFound)
	}
	if err != nil {
		return item, err
	}
	if item.Attempt > mostAttempts {
		return item, s.drop(ctx, item, errors.New("the worker died at every attempt without saying why"))
	}
	tracks, err := s.c.Library.Heard(ctx, melodyud.Hearing{Track: item.Track.ID}, "", 1)
	if err != nil {
		return item, err
	}
	if len(tracks) == 0 {
		return item, s.drop(ctx, item, melodyud.ErrConflict)
	}
	item.Track = tracks[0]
	return item, nil
}

// drop settles an item that nobody need work on, and says that there is none.
func (s *Service) drop(ctx context.Context, item melodyud.Relisten, outcome error) error {
	if err := s.Settle(ctx, item, outcome); err != nil {
		return err
	}
	return fmt.Errorf("%w: given up", melodyud.ErrNotFound)
}

func (s *Service) lease(item *melodyud.Relisten, r Reanalysis) {
	item.Reanalysis, item.Fence, item.Expires = r.ID, rand.Text(), s.c.Now().Add(s.c.Lease)
}

// begin hands out the first track behind the last one.
func (s *Service) begin(ctx context.Context, r Reanalysis, now int64) (item melodyud.Relisten, err error) {
	tracks, err := s.c.Library.Heard(ctx, r.which, r.after, 1)
	if err != nil {
		return item, err
	}
	if len(tracks) == 0 {
		return item, s.drain(ctx, r)
	}
	item.Track, item.Attempt = tracks[0], 1
	s.lease(&item, r)
	next := int64(0)
	if r.PerHour > 0 {
		next = max(r.next, now-1000) + int64(time.Hour/time.Millisecond)/r.PerHour
	}
	err = s.c.Database.InTx(ctx, func(tx database.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE reanalyses SET after = ?, next = ? WHERE id = ? AND after = ? AND state = ?`,
			string(item.Track.ID), next, r.ID, string(r.after), running)
		if err == nil && n == 0 {
			err = fmt.Errorf("%w: another worker took it", melodyud.ErrNotFound)
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO reanalysis_leases (reanalysis, track, fence, expires, attempt) VALUES (?, ?, ?, ?, 1)`,
			r.ID, string(item.Track.ID), item.Fence, database.Millis(item.Expires))
		return err
	})
	return item, err
}

// drain notes that no track is left to hand out.
func (s *Service) drain(ctx context.Context, r Reanalysis) error {
	err := s.c.Database.InTx(ctx, func(tx database.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE reanalyses SET drained = 1 WHERE id = ? AND after = ?`, r.ID, string(r.after)); err != nil {
			return err
		}
		return s.finish(ctx, tx, r.ID)
	})
	if err != nil {
		return fmt.Errorf("end reanalysis %s: %w", r.ID, err)
	}
	return fmt.Errorf("%w: nothing is left", melodyud.ErrNotFound)
}

// finish ends a back-fill that has handed out everything and got it back.
func (s *Service) finish(ctx context.Context, tx database.Tx, id string) error {
	_, err := tx.Exec(ctx, `UPDATE reanalyses SET state = ?, updated = ? WHERE id = ? AND state = ? AND drained = 1
		AND NOT EXISTS (SELECT 1 FROM reanalysis_leases l WHERE l.reanalysis = reanalyses.id)`,
		done, database.Millis(s.c.Now()), id, running)
	return err
}

// Keep renews the lease on an item and returns its new end. ErrConflict means that
// it was lost or its back-fill cancelled: stop.
func (s *Service) Keep(ctx context.Context, item melodyud.Relisten) (time.Time, error) {
	expires := s.c.Now().Add(s.c.Lease)
	n, err := s.c.Database.Exec(ctx, `UPDATE reanalysis_leases SET expires = ? WHERE reanalysis = ? AND track = ? AND fence = ?`,
		database.Millis(expires), item.Reanalysis, string(item.Track.ID), item.Fence)
	if err == nil && n == 0 {
		err = fmt.Errorf("%w: the lease was lost", melodyud.ErrConflict)
	}
	return expires, err
}

// Settle gives an item back. outcome nil means that it is done; ErrConflict that its
// track is not heard any more; an outage or a stop that somebody should try again,
// uncounted; anything else is tried three times. A lease that was lost is ErrConflict.
func (s *Service) Settle(ctx context.Context, item melodyud.Relisten, outcome error) error {
	err := s.c.Database.InTx(ctx, func(tx database.Tx) error {
		column, again := "done", false
		switch {
		case outcome == nil:
		case errors.Is(outcome, context.Canceled):
			return s.giveBack(ctx, tx, item, item.Attempt-1, 0)
		case errors.Is(outcome, melodyud.ErrUnavailable), errors.Is(outcome, melodyud.ErrLimited):
			return s.giveBack(ctx, tx, item, item.Attempt-1, retryPause)
		case errors.Is(outcome, melodyud.ErrConflict), errors.Is(outcome, melodyud.ErrNotFound):
			column = "skipped"
		default:
			column, again = "failed", item.Attempt < mostAttempts
		}
		if again {
			return s.giveBack(ctx, tx, item, item.Attempt, retryPause)
		}
		return s.count(ctx, tx, item, column, outcome)
	})
	if err != nil {
		return fmt.Errorf("settle track %s of reanalysis %s: %w", item.Track.ID, item.Reanalysis, err)
	}
	return nil
}

// giveBack lets somebody take the item after a pause.
func (s *Service) giveBack(ctx context.Context, tx database.Tx, item melodyud.Relisten, attempt int, pause time.Duration) error {
	n, err := tx.Exec(ctx, `UPDATE reanalysis_leases SET expires = ?, attempt = ? WHERE reanalysis = ? AND track = ? AND fence = ?`,
		database.Millis(s.c.Now().Add(pause)), attempt, item.Reanalysis, string(item.Track.ID), item.Fence)
	return lostUnless(n, err)
}

func lostUnless(n int64, err error) error {
	if err == nil && n == 0 {
		return fmt.Errorf("%w: the lease was lost", melodyud.ErrConflict)
	}
	return err
}

// count ends the item's lease under one of the columns.
func (s *Service) count(ctx context.Context, tx database.Tx, item melodyud.Relisten, column string, outcome error) error {
	n, err := tx.Exec(ctx, `DELETE FROM reanalysis_leases WHERE reanalysis = ? AND track = ? AND fence = ?`,
		item.Reanalysis, string(item.Track.ID), item.Fence)
	if err := lostUnless(n, err); err != nil {
		return err
	}
	set, args := column+` = `+column+` + 1, updated = ?`, []any{database.Millis(s.c.Now())}
	if column == "failed" {
		set, args = set+`, reason = ?`, append(args, plain.Line(fmt.Sprintf("%s: %v", item.Track.ID, outcome)))
	}
	if _, err := tx.Exec(ctx, `UPDATE reanalyses SET `+set+` WHERE id = ?`, append(args, item.Reanalysis)...); err != nil {
		return err
	}
	return s.finish(ctx, tx, item.Reanalysis)
}
