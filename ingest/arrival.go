package ingest

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/plain"
)

// Arrival announces a file whose bytes come to us on another way than in requests:
// through a bucket of its own, or an inbox.
type Arrival struct {
	Via      string // the way; requests that send bytes to such an upload are refused
	Owner    melodyud.UserID
	Size     int64  // bytes
	SHA256   string // of the whole file, in hexadecimal; empty: not known
	FileName string // never used as a path
	Tags     melodyud.Tags
	KeepBoth bool // though the owner has published this very file already
}

// Expect opens the upload that an arrival will be, as one that is created by tus:
// with the same limits, quotas and expiry. Refusals are those of a creation.
func (s *Service) Expect(ctx context.Context, a Arrival) (View, error) {
	if raw, err := hex.DecodeString(a.SHA256); err != nil || len(raw) != 0 && len(raw) != 32 {
		return View{}, errSHA256Form
	}
	c := creation{Owner: a.Owner, Length: a.Size, Via: a.Via, SHA256: a.SHA256}
	c.Metadata.tags = melodyud.Tags{
		Title: plain.Line(a.Tags.Title), Artist: plain.Line(a.Tags.Artist), Album: plain.Line(a.Tags.Album),
		Disc: a.Tags.Disc, Number: a.Tags.Number,
	}
	c.Metadata.set("filename", a.FileName)
	if a.KeepBoth {
		c.Metadata.duplicates = keepBoth
	}
	u, err := s.create(ctx, c)
	return viewOf(u), err
}

// Fetch stores the bytes of an expected upload that are still missing and hands it
// over, as the last request of any other upload does. open reads from an offset to
// the end. It may be called again after any failure and goes on where it was. Errors:
// ErrNotFound for an upload that has ended or expired; a Refusal of kind ErrInvalid or
// ErrTooLarge says that no repetition will help.
func (s *Service) Fetch(ctx context.Context, id melodyud.UploadID, open func(ctx context.Context, offset int64) (io.ReadCloser, error)) (View, error) {
	u, err := s.load(ctx, id)
	if err != nil || u.State != StateOpen {
		return viewOf(u), err
	}
	body, err := open(ctx, u.Offset)
	if err != nil {
		return viewOf(u), fmt.Errorf("fetch upload %s: %w", id, err)
	}
	defer body.Close()
	u, err = s.write(ctx, u, chunk{Offset: u.Offset, Length: unknown, Size: u.Length - u.Offset, Body: body, Via: u.Via})
	if err == nil {
		u, err = s.load(ctx, id) // the hand-over has moved it on
	}
	return viewOf(u), err
}

// TTL is how long an upload lives without news.
func (s *Service) TTL() time.Duration { return s.config.TTL }

// Find returns the owner's upload. Others' uploads are as unknown as none; one that
// expired or was cancelled is ErrNotFound too.
func (s *Service) Find(ctx context.Context, owner melodyud.UserID, id string) (View, error) {
	u, err := s.find(ctx, owner, id)
	return viewOf(u), err
}

// Stands returns where an upload stands, whosever it is and however it ended. One
// that is forgotten is ErrNotFound.
func (s *Service) Stands(ctx context.Context, id melodyud.UploadID) (View, error) {
	u, err := s.load(ctx, id)
	return viewOf(u), err
}

// Keep puts the expiry of an open upload off until then.
func (s *Service) Keep(ctx context.Context, id melodyud.UploadID, until time.Time) error {
	now := database.Millis(s.config.Now())
	_, err := s.config.DB.Exec(ctx, `UPDATE uploads SET due = ?, updated = ? WHERE id = ? AND state = ? AND due > ? AND due < ?`,
		database.Millis(until), now, string(id), string(StateOpen), now, database.Millis(until))
	if err != nil {
		return fmt.Errorf("keep upload %s: %w", id, err)
	}
	return nil
}

// Cancel ends the owner's upload, as DELETE does.
func (s *Service) Cancel(ctx context.Context, owner melodyud.UserID, id string) error {
	u, err := s.settle(ctx, owner, id)
	if err != nil {
		return err
	}
	return s.end(ctx, u)
}

// Reject ends an open upload that cannot become a track and says why.
func (s *Service) Reject(ctx context.Context, id melodyud.UploadID, why *melodyud.Refusal) error {
	now := database.Millis(s.config.Now())
	n, err := s.config.DB.Exec(ctx, `UPDATE uploads SET state = ?, code = ?, reason = ?, due = ?, updated = ?, version = version + 1
		WHERE id = ? AND state = ?`, string(StateRefused), why.Code, why.Text, now, now, string(id), string(StateOpen))
	if err != nil {
		return fmt.Errorf("reject upload %s: %w", id, err)
	}
	if n == 1 {
		s.metrics.uploads.WithLabelValues(string(StateRefused)).Inc()
	}
	return nil
}
