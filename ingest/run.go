package ingest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
)

const (
	sweepBatch   = 100
	sweepers     = 4
	orphanSweep  = time.Hour
	deleteBatch  = 500
	sweepMaximum = 10 * time.Minute // of one visit
)

// Run finishes what crashed or waited, expires what was abandoned and deletes
// what nobody refers to, until ctx ends; then it returns nil. Any number of
// processes may run it.
func (s *Service) Run(ctx context.Context) error {
	ticker := time.NewTicker(s.config.Sweep)
	defer ticker.Stop()
	var orphans time.Time
	for {
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.config.Logger.Warn("sweep of uploads failed", "error", err)
		}
		if now := s.config.Now(); now.Sub(orphans) >= orphanSweep {
			orphans = now
			if err := s.sweepOrphans(ctx); err != nil && ctx.Err() == nil {
				s.config.Logger.Warn("sweep of orphaned parts failed", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-s.nudge:
		}
	}
}

// Drain turns new bytes away and asks running requests to store what they have
// and end, so that a server can stop within seconds; their clients go on later.
func (s *Service) Drain() { s.writers.drain() }

// sweep visits the uploads that are due.
func (s *Service) sweep(ctx context.Context) error {
	ids, err := s.due(ctx)
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	slots := make(chan struct{}, sweepers)
	for _, id := range ids {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(ctx, sweepMaximum)
			defer cancel()
			if err := s.visit(ctx, id); err != nil && !errors.Is(err, errUnknown) && ctx.Err() == nil {
				s.config.Logger.Warn("visit of upload failed", "upload", string(id), "error", err)
			}
		})
	}
	group.Wait()
	return nil
}

func (s *Service) due(ctx context.Context) ([]melodyud.UploadID, error) {
	rows, err := s.config.DB.Query(ctx, `SELECT id FROM uploads WHERE due <= ? ORDER BY due LIMIT ?`,
		database.Millis(s.config.Now()), sweepBatch)
	if err != nil {
		return nil, fmt.Errorf("look for due uploads: %w", err)
	}
	defer rows.Close()
	var ids []melodyud.UploadID
	for rows.Next() {
		var id melodyud.UploadID
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("read due upload: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// visit does what is due with one upload, unless another process does.
func (s *Service) visit(ctx context.Context, id melodyud.UploadID) error {
	u, err := s.load(ctx, id)
	if err != nil || s.config.Now().Before(u.Due) {
		return err
	}
	switch u.State {
	case StateOpen, StateStored, StateDuplicate:
		return s.expire(ctx, u)
	case StateComplete:
		return s.resume(ctx, u)
	}
	if s.config.Now().Sub(u.Updated) >= s.config.Remember {
		return s.forget(ctx, u)
	}
	return s.clean(ctx, u)
}

func (s *Service) expire(ctx context.Context, u upload) error {
	now := database.Millis(s.config.Now())
	n, err := s.config.DB.Exec(ctx, `UPDATE uploads SET state = ?, due = ?, updated = ?, version = version + 1 WHERE id = ? AND version = ?`,
		string(StateExpired), now, now, string(u.ID), u.Version)
	if err != nil {
		return fmt.Errorf("expire upload %s: %w", u.ID, err)
	}
	if n == 0 {
		return nil
	}
	s.metrics.uploads.WithLabelValues(string(StateExpired)).Inc()
	return s.clean(ctx, u)
}

// resume hands over a complete upload that whoever completed it did not.
func (s *Service) resume(ctx context.Context, u upload) error {
	u.Attempt++
	n, err := s.config.DB.Exec(ctx, `UPDATE uploads SET due = ?, attempt = ?, version = version + 1 WHERE id = ? AND version = ?`,
		database.Millis(s.config.Now().Add(lease(u.Length))), u.Attempt, string(u.ID), u.Version)
	if err != nil {
		return fmt.Errorf("claim upload %s: %w", u.ID, err)
	}
	if n == 1 {
		s.finish(ctx, u)
	}
	return nil
}

func (s *Service) forget(ctx context.Context, u upload) error {
	if awaited, err := s.awaited(ctx, u); err != nil || awaited {
		return err
	}
	if err := s.clean(ctx, u); err != nil {
		return err
	}
	if _, err := s.config.DB.Exec(ctx, `DELETE FROM uploads WHERE id = ? AND updated = ?`, string(u.ID), database.Millis(u.Updated)); err != nil {
		return fmt.Errorf("forget upload %s: %w", u.ID, err)
	}
	return nil
}

// tidy is clean where Run will repeat what fails.
func (s *Service) tidy(ctx context.Context, u upload) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putTimeout)
	defer cancel()
	if err := s.clean(ctx, u); err != nil {
		s.config.Logger.Info("parts are left to the janitor", "upload", string(u.ID), "error", err)
	}
}

// clean deletes the parts of an upload that needs none, and notes that it did.
func (s *Service) clean(ctx context.Context, u upload) error {
	id := u.ID
	if awaited, err := s.awaited(ctx, u); err != nil || awaited {
		return err
	}
	if err := s.deleteFolder(ctx, id); err != nil {
		return fmt.Errorf("delete parts of %s: %w", id, err)
	}
	err := s.config.DB.InTx(ctx, func(tx database.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM upload_parts WHERE upload = ?`, string(id)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE uploads SET due = updated + ? WHERE id = ? AND state NOT IN (?, ?, ?)`,
			s.config.Remember.Milliseconds(), string(id), string(StateOpen), string(StateStored), string(StateComplete))
		return err
	})
	if err != nil {
		return fmt.Errorf("forget parts of %s: %w", id, err)
	}
	return nil
}

func (s *Service) deleteFolder(ctx context.Context, id melodyud.UploadID) error {
	var keys []string
	for info, err := range s.config.Store.List(ctx, folder(id)) {
		if err != nil {
			return err
		}
		keys = append(keys, info.Key)
	}
	if len(keys) == 0 {
		return nil
	}
	return s.config.Store.Delete(ctx, keys...)
}

// sweepOrphans deletes objects below uploads/ that no row refers to: what a crash
// left between storing a part and acknowledging it. Younger ones than an upload
// may live could still be acknowledged.
func (s *Service) sweepOrphans(ctx context.Context) error {
	var keys []string
	for info, err := range s.config.Store.List(ctx, "uploads/") {
		if err != nil {
			return fmt.Errorf("list parts: %w", err)
		}
		if s.config.Now().Sub(info.Modified) < s.config.TTL {
			continue
		}
		needed, err := s.needs(ctx, info.Key)
		if err != nil {
			return err
		}
		if !needed {
			keys = append(keys, info.Key)
		}
		if len(keys) == deleteBatch {
			break // the rest waits for the next sweep
		}
	}
	if len(keys) == 0 {
		return nil
	}
	s.config.Logger.Info("deleting orphaned parts", "count", len(keys))
	if err := s.config.Store.Delete(ctx, keys...); err != nil {
		return fmt.Errorf("delete orphaned parts: %w", err)
	}
	return nil
}

// needs reports whether a row refers to the object.
func (s *Service) needs(ctx context.Context, key string) (bool, error) {
	id, name, _ := strings.Cut(strings.TrimPrefix(key, "uploads/"), "/")
	start, err := strconv.ParseInt(name[:max(0, strings.IndexByte(name, '-'))], 10, 64)
	if err != nil {
		return false, nil
	}
	var found string
	err = s.config.DB.QueryRow(ctx, `SELECT name FROM upload_parts WHERE upload = ? AND start = ?`, []any{id, start}, &found)
	if errors.Is(err, melodyud.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for part %s: %w", key, err)
	}
	return found == key, nil
}
