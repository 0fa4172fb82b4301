package direct

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/ingest"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/fault"
	"github.com/melodyud/melodyud/internal/objectstore"
)

const (
	glance   = 15 * time.Minute // between looks at an upload that is still open
	kept     = 365 * 24 * time.Hour
	batchRun = 100
	runners  = 4
	longest  = 10 * time.Minute // of one visit
	lease    = 30 * time.Second // nobody else visits an upload for so long after a beat
	beat     = lease / 3
	pauses   = 5 * time.Minute // longest between two tries
	mostLost = 8               // looks for an object that is not there
)

// Run brings what is complete into the store, and frees the parts and objects of
// what is over, until ctx ends; then it returns nil. Any number of processes may run
// it.
func (s *Service) Run(ctx context.Context) error {
	ticker := time.NewTicker(s.config.Sweep)
	defer ticker.Stop()
	for {
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.config.Logger.Warn("sweep of direct uploads failed", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-s.nudge:
		}
	}
}

func (s *Service) sweep(ctx context.Context) error {
	ids, err := s.due(ctx)
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	slots := make(chan struct{}, runners)
	for _, id := range ids {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(ctx, longest)
			defer cancel()
			if err := s.visit(ctx, id); err != nil && ctx.Err() == nil {
				s.config.Logger.Warn("direct upload not brought in yet", "upload", string(id), "error", err)
			}
		})
	}
	group.Wait()
	return nil
}

func (s *Service) due(ctx context.Context) ([]melodyud.UploadID, error) {
	rows, err := s.config.DB.Query(ctx, `SELECT upload FROM direct_uploads WHERE due <= ? ORDER BY due LIMIT ?`,
		database.Millis(s.config.Now()), batchRun)
	if err != nil {
		return nil, fmt.Errorf("look for direct uploads: %w", err)
	}
	defer rows.Close()
	var ids []melodyud.UploadID
	for rows.Next() {
		var id melodyud.UploadID
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("read direct upload: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// visit does what is due with one upload, unless another process does. Its lease is
// the due time, renewed while it works; what failed is due again after a growing pause.
func (s *Service) visit(ctx context.Context, id melodyud.UploadID) error {
	r, err := s.load(ctx, id)
	if errors.Is(err, melodyud.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	now := s.config.Now()
	n, err := s.config.DB.Exec(ctx, `UPDATE direct_uploads SET due = ?, attempt = attempt + 1 WHERE upload = ? AND attempt = ? AND due <= ?`,
		database.Millis(now.Add(lease)), string(id), r.Attempt, database.Millis(now))
	if err != nil || n == 0 {
		return err
	}
	release := s.hold(ctx, r)
	next, err := s.step(ctx, r)
	release()
	if next >= 0 {
		err = errors.Join(err, s.again(ctx, r, next))
	}
	return err
}

// hold renews the lease until the returned function is called. If it fails for long
// two may work at once, which the upload's row stands.
func (s *Service) hold(ctx context.Context, r row) (release func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(beat)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				if err := s.again(ctx, r, lease); err != nil && ctx.Err() == nil {
					s.config.Logger.Info("lease of a direct upload not renewed", "upload", string(r.Upload), "error", err)
				}
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

const never = time.Duration(-1)

// step brings an upload on and says when to look at it again.
func (s *Service) step(ctx context.Context, r row) (time.Duration, error) {
	v, err := s.config.Uploads.Stands(ctx, r.Upload)
	switch {
	case err != nil && !errors.Is(err, melodyud.ErrNotFound):
		return backoff(r), err
	case err != nil || v.State != ingest.StateOpen:
		if err := s.free(ctx, r); err != nil {
			return backoff(r), err
		}
		return never, nil
	case r.State == open:
		return s.next(v), nil
	}
	if r.State == joining {
		if err := s.join(ctx, r); err != nil {
			return s.failed(ctx, r, err)
		}
	}
	if err := s.fetch(ctx, r); err != nil {
		return s.failed(ctx, r, err)
	}
	if err := s.free(ctx, r); err != nil {
		return backoff(r), err
	}
	return never, nil
}

// next is when an open upload may have been cancelled or have expired.
func (s *Service) next(v ingest.View) time.Duration {
	if v.Expires == nil {
		return glance
	}
	return min(glance, max(0, v.Expires.Sub(s.config.Now()))+s.config.Sweep)
}

// failed decides whether trying again can help.
func (s *Service) failed(ctx context.Context, r row, err error) (time.Duration, error) {
	refusal, refused := melodyud.AsRefusal(err)
	lost := errors.Is(err, melodyud.ErrNotFound) && r.Attempt >= mostLost
	switch {
	case lost:
		refusal = errLost
	case !refused || refusal.Kind != melodyud.ErrInvalid && refusal.Kind != melodyud.ErrTooLarge:
		return backoff(r), err
	}
	s.config.Logger.Info("direct upload refused", "upload", string(r.Upload), "code", refusal.Code, "error", err)
	return 0, s.config.Uploads.Reject(ctx, r.Upload, refusal)
}

func backoff(r row) time.Duration { return min(pauses, time.Second<<min(r.Attempt, 10)) }

func (s *Service) again(ctx context.Context, r row, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_, err := s.config.DB.Exec(ctx, `UPDATE direct_uploads SET due = ? WHERE upload = ? AND attempt = ?`,
		database.Millis(s.config.Now().Add(wait)), string(r.Upload), r.Attempt+1)
	if err == nil && wait == 0 {
		s.wake()
	}
	return err
}

// join makes the parts one object. The answer to an earlier try may have been lost:
// an object of the right size is the one.
func (s *Service) join(ctx context.Context, r row) error {
	info, err := s.config.Bucket.Stat(ctx, r.Object)
	if errors.Is(err, melodyud.ErrNotFound) {
		var parts []objectstore.Part
		if parts, err = s.config.Bucket.Parts(ctx, r.Object, r.Multipart); err == nil {
			info, err = s.config.Bucket.JoinParts(ctx, r.Object, r.Multipart, parts)
		}
	}
	if err != nil {
		return fmt.Errorf("join parts of %s: %w", r.Upload, err)
	}
	if info.Size != r.Size {
		return errLost.Because(fmt.Errorf("the object of %s has %d bytes, not %d", r.Upload, info.Size, r.Size))
	}
	if err := fault.Point("direct.joined"); err != nil {
		return err
	}
	_, err = s.config.DB.Exec(ctx, `UPDATE direct_uploads SET state = ? WHERE upload = ? AND state = ?`, string(joined), string(r.Upload), string(joining))
	return err
}

// fetch brings the object's bytes into the store and hands them over.
func (s *Service) fetch(ctx context.Context, r row) error {
	v, err := s.config.Uploads.Fetch(ctx, r.Upload, func(ctx context.Context, offset int64) (io.ReadCloser, error) {
		body, _, err := s.config.Bucket.Open(ctx, r.Object, offset, r.Size-offset)
		return body, err
	})
	if err == nil && v.State == ingest.StateOpen {
		err = fmt.Errorf("%w: upload %s has %d of %d bytes", melodyud.ErrUnavailable, r.Upload, v.Offset, r.Size)
	}
	if err != nil {
		return err
	}
	return fault.Point("direct.fetched")
}

// free gives back what the bucket holds, and forgets the upload here.
func (s *Service) free(ctx context.Context, r row) error {
	err := s.config.Bucket.DropParts(ctx, r.Object, r.Multipart)
	if err = errors.Join(err, s.config.Bucket.Delete(ctx, r.Object)); err != nil {
		return fmt.Errorf("free parts of %s: %w", r.Upload, err)
	}
	if _, err := s.config.DB.Exec(ctx, `DELETE FROM direct_uploads WHERE upload = ?`, string(r.Upload)); err != nil {
		return fmt.Errorf("forget direct upload %s: %w", r.Upload, err)
	}
	return nil
}
