package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/fault"
	"github.com/melodyud/melodyud/internal/objectstore"
)

const (
	inlineTimeout = 20 * time.Second
	copyRate      = 20 << 20 // bytes per second, a low guess
	maxBackoff    = 5 * time.Minute
	maxDamaged    = 8 // tries to read parts that are damaged or missing
	masterTries   = 3
)

var (
	errDamaged   = errors.New("stored parts do not have the hash of what arrived")
	errDamagedIs = melodyud.Refuse(melodyud.ErrInvalid, "upload.damaged",
		"Our stored copy of this upload was damaged. Please upload the file again.")
)

// lease is how long nobody else tries to hand over an upload of so many bytes.
func lease(length int64) time.Duration {
	return inlineTimeout + 10*time.Second + time.Duration(length/copyRate)*time.Second
}

// finishSoon hands a complete upload over: here if that is quick, else by waking
// Run. Whatever happens here, Run does it again once the lease is over.
func (s *Service) finishSoon(ctx context.Context, u upload) {
	if u.Length > s.config.InlineSize {
		s.wake(ctx, u)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), inlineTimeout)
	defer cancel()
	s.finish(ctx, u)
}

// wake makes the upload due and Run look for it.
func (s *Service) wake(ctx context.Context, u upload) {
	s.postpone(context.WithoutCancel(ctx), u, 0)
	select {
	case s.nudge <- struct{}{}:
	default:
	}
}

// finish hands a complete upload over, or notes when to try again.
func (s *Service) finish(ctx context.Context, u upload) {
	err := s.handOver(ctx, u)
	if err == nil {
		return
	}
	if now, lookErr := s.load(ctx, u.ID); lookErr == nil && now.State != StateComplete {
		return // another process was faster and has tidied up
	}
	refusal, refused := melodyud.AsRefusal(err)
	if damaged := errors.Is(err, errDamaged) || errors.Is(err, melodyud.ErrNotFound); damaged && u.Attempt >= maxDamaged {
		refusal, refused = errDamagedIs, true
	}
	if refused && final(refusal) {
		s.config.Logger.Info("upload refused", "upload", string(u.ID), "code", refusal.Code, "error", err)
		err = s.close(ctx, u, StateRefused, refusal)
	}
	if err != nil {
		s.config.Logger.Warn("upload not handed over yet", "upload", string(u.ID), "attempt", u.Attempt, "error", err)
		s.postpone(context.WithoutCancel(ctx), u, min(maxBackoff, time.Second<<min(u.Attempt, 10)))
	}
}

// final reports whether trying again could not change the catalog's mind.
func final(r *melodyud.Refusal) bool {
	switch r.Kind {
	case melodyud.ErrInvalid, melodyud.ErrForbidden, melodyud.ErrTooLarge, melodyud.ErrConflict, melodyud.ErrNotFound:
		return true
	}
	return false
}

func (s *Service) postpone(ctx context.Context, u upload, wait time.Duration) {
	_, err := s.config.DB.Exec(ctx, `UPDATE uploads SET due = ? WHERE id = ? AND state = ?`,
		database.Millis(s.config.Now().Add(wait)), string(u.ID), string(StateComplete))
	if err != nil {
		s.config.Logger.Warn("upload waits for the end of its lease", "upload", string(u.ID), "error", err)
	}
}

// handOver makes the master and gives the track to the catalog. Every step may be
// repeated, by any process.
func (s *Service) handOver(ctx context.Context, u upload) error {
	u, err := s.summed(ctx, u)
	if err != nil {
		return err
	}
	if held, err := s.heldBack(ctx, u); held || err != nil {
		return err
	}
	said, err := parseMetadata(u.Metadata.raw)
	if err != nil {
		return err
	}
	receipt := melodyud.Receipt{
		Replaces: said.replaces != "",
		Track:    u.Track, Owner: u.Owner, Upload: u.ID, FileName: u.Metadata.fileName, Tags: u.Metadata.tags,
		Master: melodyud.Master{SHA256: u.SHA256, Size: u.Length},
	}
	for try := 1; ; try++ {
		if err := s.storeMaster(ctx, u); err != nil {
			return err
		}
		_, err := s.config.Tracks.Receive(ctx, receipt)
		if err == nil {
			return s.close(ctx, u, StateReceived, &melodyud.Refusal{})
		}
		// The same master may have been collected, as a leftover of another track,
		// between our look and the catalog's: then it is stored again.
		if !errors.Is(err, melodyud.ErrUnavailable) || try == masterTries {
			return fmt.Errorf("hand over upload %s: %w", u.ID, err)
		}
	}
}

// storeMaster copies the parts to masters/<sha256>, unless those bytes are there
// already: names of masters say what is in them.
func (s *Service) storeMaster(ctx context.Context, u upload) error {
	key := "masters/" + u.SHA256
	info, err := s.config.Store.Stat(ctx, key)
	if err == nil && info.Size == u.Length {
		return nil
	}
	if err != nil && !errors.Is(err, melodyud.ErrNotFound) {
		return fmt.Errorf("look for master of %s: %w", u.ID, err)
	}
	parts, err := s.whole(ctx, u)
	if err != nil {
		return err
	}
	if err := fault.Point("upload.part"); err != nil {
		return err
	}
	r := &verified{from: &joined{ctx: ctx, store: s.config.Store, parts: parts}, hash: sha256.New(), left: u.Length, want: u.SHA256}
	defer r.from.Close()
	if s.grower != nil {
		err = s.joinMaster(ctx, key, r, parts)
	} else {
		_, err = s.config.Store.Put(ctx, key, r, u.Length, objectstore.PutOptions{})
	}
	if err != nil {
		return fmt.Errorf("store master of %s: %w", u.ID, errors.Join(r.err, err))
	}
	return fault.Point("upload.compose")
}

// close ends a complete upload in state; its parts are not needed any more.
func (s *Service) close(ctx context.Context, u upload, state State, why *melodyud.Refusal) error {
	now := database.Millis(s.config.Now())
	n, err := s.config.DB.Exec(ctx, `UPDATE uploads SET state = ?, code = ?, reason = ?, due = ?, updated = ?, version = version + 1
		WHERE id = ? AND state = ?`, string(state), why.Code, why.Text, now, now, string(u.ID), string(StateComplete))
	if err != nil {
		return fmt.Errorf("close upload %s: %w", u.ID, err)
	}
	if n == 1 {
		s.metrics.uploads.WithLabelValues(string(state)).Inc()
		s.tidy(ctx, u)
		s.release(ctx, u)
	}
	return nil
}

// joined reads parts one behind the other, opening each when it is its turn.
type joined struct {
	ctx   context.Context //nolint:containedctx // io.Reader has no place for it; lives for one Put
	store objectstore.Store
	parts []part
	open  io.ReadCloser
}

// Read implements io.Reader.
func (j *joined) Read(p []byte) (int, error) {
	for {
		if j.open == nil {
			if len(j.parts) == 0 {
				return 0, io.EOF
			}
			r, _, err := j.store.Open(j.ctx, j.parts[0].Name, 0, j.parts[0].Size)
			if err != nil {
				return 0, fmt.Errorf("open part %s: %w", j.parts[0].Name, err)
			}
			j.open, j.parts = r, j.parts[1:]
		}
		n, err := j.open.Read(p)
		if err != io.EOF {
			return n, err
		}
		if err := j.Close(); err != nil {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
	}
}

// Close closes the part being read.
func (j *joined) Close() error {
	if j.open == nil {
		return nil
	}
	err := j.open.Close()
	j.open = nil
	return err
}

// verified passes bytes on and fails instead of giving the last of them when they
// are not what the name promises: a Put that reads it leaves nothing behind then.
type verified struct {
	from *joined
	hash hash.Hash
	left int64
	want string
	err  error
}

// Read implements io.Reader.
func (v *verified) Read(p []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	n, err := v.from.Read(p)
	v.hash.Write(p[:n])
	v.left -= int64(n)
	short := err == io.EOF && v.left > 0
	if v.left < 0 || short || v.left == 0 && n > 0 && hex.EncodeToString(v.hash.Sum(nil)) != v.want {
		v.err = errDamaged
		return 0, v.err
	}
	if err != nil && err != io.EOF {
		v.err = err
	}
	return n, err
}
