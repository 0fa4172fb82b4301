package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
)

// Due returns up to limit steps that nobody holds a live lease on and that could
// be done by now, oldest first: what the sweep rings for.
func (s *Service) Due(ctx context.Context, now time.Time, limit int) ([]melodyud.Owed, error) {
	var all []melodyud.Owed
	ms := database.Millis(now)
	err := each(ctx, s.c.Database, `SELECT track, step, due, expires FROM claims
		WHERE due <= ? AND expires <= ? ORDER BY due, track LIMIT ?`, []any{ms, ms, limit}, func(rows *sql.Rows) error {
		var o melodyud.Owed
		var due, expires int64
		if err := rows.Scan(&o.Track, &o.Step, &due, &expires); err != nil {
			return err
		}
		o.Due = database.Time(max(due, expires))
		all = append(all, o)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what is due: %w", err)
	}
	return all, nil
}

// Backlog counts what is owed now, and the dead letters.
func (s *Service) Backlog(ctx context.Context) (melodyud.Backlog, error) {
	var b melodyud.Backlog
	now := database.Millis(s.c.Now())
	err := each(ctx, s.c.Database, `SELECT step, COUNT(*),
		SUM(CASE WHEN due <= ? AND expires <= ? THEN 1 ELSE 0 END),
		SUM(CASE WHEN expires > ? THEN 1 ELSE 0 END), MIN(since)
		FROM claims GROUP BY step ORDER BY step`, []any{now, now, now}, func(rows *sql.Rows) error {
		var one melodyud.StepBacklog
		var since int64
		if err := rows.Scan(&one.Step, &one.Owed, &one.Due, &one.Held, &since); err != nil {
			return err
		}
		one.Oldest = time.Duration(max(0, now-since)) * time.Millisecond
		b.Steps = append(b.Steps, one)
		return nil
	})
	if err == nil {
		err = s.c.Database.QueryRow(ctx, `SELECT COUNT(*) FROM dead_letters`, nil, &b.Dead)
	}
	if err != nil {
		return melodyud.Backlog{}, fmt.Errorf("count what is owed: %w", err)
	}
	return b, nil
}

// Dead returns up to limit dead letters, the latest first.
func (s *Service) Dead(ctx context.Context, limit int) ([]melodyud.DeadLetter, error) {
	var all []melodyud.DeadLetter
	err := each(ctx, s.c.Database, `SELECT d.track, t.owner, t.title, d.step, d.reason, d.attempt, d.died
		FROM dead_letters d JOIN tracks t ON t.id = d.track ORDER BY d.died DESC, d.track LIMIT ?`,
		[]any{limit}, func(rows *sql.Rows) error {
			var l melodyud.DeadLetter
			var died int64
			if err := rows.Scan(&l.Track, &l.Owner, &l.Title, &l.Step, &l.Reason, &l.Attempt, &died); err != nil {
				return err
			}
			l.Died = database.Time(died)
			all = append(all, l)
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("read dead letters: %w", err)
	}
	return all, nil
}

var errNothingToRetry = melodyud.Refuse(melodyud.ErrConflict, "track.not-retryable",
	"Nothing is owed to this track: it is published, refused or gone, or a worker has it in hand right now.")

// Retry makes a step that was given up, or that waits for its next try, due at
// once with all its attempts back, and rings for it. Errors: ErrNotFound,
// ErrConflict when there is nothing to try or a worker is at it.
func (s *Service) Retry(ctx context.Context, id melodyud.TrackID) error {
	if _, err := melodyud.ParseTrackID(string(id)); err != nil {
		return errNoTrack
	}
	var step melodyud.Step
	err := s.c.Database.InTx(ctx, func(tx database.Tx) error {
		_, err := load(ctx, tx, id)
		if errors.Is(err, melodyud.ErrNotFound) {
			return errNoTrack
		}
		if err != nil {
			return err
		}
		step, err = s.revive(ctx, tx, id)
		return err
	})
	if err != nil {
		return err
	}
	s.ring(ctx, id, step)
	return nil
}

func (s *Service) revive(ctx context.Context, tx database.Tx, id melodyud.TrackID) (melodyud.Step, error) {
	now := database.Millis(s.c.Now())
	w, err := loadWork(ctx, tx, id)
	if errors.Is(err, melodyud.ErrNotFound) {
		err = tx.QueryRow(ctx, `DELETE FROM dead_letters WHERE track = ? RETURNING step`, []any{string(id)}, &w.step)
	}
	if errors.Is(err, melodyud.ErrNotFound) || w.expires > now {
		return "", errNothingToRetry
	}
	if err != nil {
		return "", err
	}
	if w.step != melodyud.StepCollect {
		if err := s.set(ctx, tx, id, `stage = ?, percent = 0`, string(melodyud.StageQueued)); err != nil {
			return "", err
		}
	}
	return w.step, owe(ctx, tx, id, w.step, now, now)
}
