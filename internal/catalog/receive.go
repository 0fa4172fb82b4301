package catalog

import (
	"context"
	"errors"
	"fmt"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/fault"
	"github.com/melodyud/melodyud/internal/plain"
)

// Receive takes over a track whose master is stored and hashed: it writes the row
// and the fact TrackReceived in one transaction and rings for a renderer. Calling
// it again for the same track changes nothing and returns the track as it is now.
// With Replaces it gives a track that exists another master instead, once for each
// upload; a track that cannot be replaced is a Refusal.
//
// A master that is not in the store is ErrUnavailable: it was collected as another
// track's leftover at the same moment, so the caller stores it again and repeats.
// A receipt that makes no sense is ErrInvalid; a track id of another owner ErrConflict.
func (s *Service) Receive(ctx context.Context, r melodyud.Receipt) (melodyud.Track, error) {
	if err := checkReceipt(r); err != nil {
		return melodyud.Track{}, err
	}
	track, err := s.receive(ctx, r)
	if err != nil {
		return melodyud.Track{}, fmt.Errorf("receive track %s: %w", r.Track, err)
	}
	if err := fault.Point("track.received"); err != nil {
		return melodyud.Track{}, err
	}
	if track.Progress.Stage != melodyud.StageDone {
		s.feed.Poke()
		s.ring(ctx, track.ID, melodyud.StepRender)
	}
	if err := fault.Point("queue.rung"); err != nil {
		return melodyud.Track{}, err
	}
	return track, nil
}

func checkReceipt(r melodyud.Receipt) error {
	if _, err := melodyud.ParseTrackID(string(r.Track)); err != nil {
		return fmt.Errorf("receipt of track %q: %w", r.Track, err)
	}
	if r.Owner == "" || r.Master.Size <= 0 || !isSHA256(r.Master.SHA256) {
		return fmt.Errorf("%w: receipt of track %s has no owner or no master", melodyud.ErrInvalid, r.Track)
	}
	return nil
}

func isSHA256(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == 64
}

func (s *Service) receive(ctx context.Context, r melodyud.Receipt) (melodyud.Track, error) {
	var track melodyud.Track
	err := s.c.Database.InTx(ctx, func(tx database.Tx) error {
		old, err := load(ctx, tx, r.Track)
		if err != nil && !errors.Is(err, melodyud.ErrNotFound) {
			return err
		}
		if err == nil {
			track = old.Track
			if again, err := s.taken(ctx, tx, r); err != nil || again || !r.Replaces {
				return errors.Join(err, sameOwner(old, r))
			}
		}
		if err := s.masterIsSafe(ctx, tx, r.Master); err != nil {
			return err
		}
		if r.Replaces {
			track, err = s.replace(ctx, tx, r)
		} else {
			track, err = s.insert(ctx, tx, r)
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO track_uploads (upload, track) VALUES (?, ?) ON CONFLICT (upload) DO NOTHING`,
			string(r.Upload), string(r.Track))
		return err
	})
	return track, err
}

// Twin returns another track of owner that is made, or being made, of the bytes with
// this SHA-256; "" if there is none.
func (s *Service) Twin(ctx context.Context, owner melodyud.UserID, sha256 string, than melodyud.TrackID) (melodyud.TrackID, error) {
	rows, err := loadAll(ctx, s.c.Database, `WHERE t.owner = ? AND t.master_sha256 = ? AND t.state IN (?, ?) AND t.id <> ? ORDER BY t.id LIMIT 1`,
		string(owner), sha256, string(melodyud.StateReceived), string(melodyud.StatePublished), string(than))
	if err != nil || len(rows) == 0 {
		return "", err
	}
	return rows[0].ID, nil
}

// taken reports whether r's upload was taken over before.
func (s *Service) taken(ctx context.Context, tx database.Tx, r melodyud.Receipt) (bool, error) {
	var n int64
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM track_uploads WHERE upload = ? AND track = ?`,
		[]any{string(r.Upload), string(r.Track)}, &n)
	return n > 0, err
}

func sameOwner(old *row, r melodyud.Receipt) error {
	if old.Owner != r.Owner {
		return fmt.Errorf("%w: the id belongs to another owner's track", melodyud.ErrConflict)
	}
	return nil
}

// masterIsSafe makes sure that the collector is not deleting these very bytes, and
// has not done so since the caller saw them. It runs in the transaction that adds
// the row: a collector that starts later finds the row and keeps the master.
func (s *Service) masterIsSafe(ctx context.Context, tx database.Tx, m melodyud.Master) error {
	var busy int64
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM collecting WHERE master_sha256 = ?`, []any{m.SHA256}, &busy)
	if err != nil {
		return err
	}
	if busy > 0 {
		return fmt.Errorf("%w: master %s is being collected", melodyud.ErrUnavailable, m.SHA256)
	}
	info, err := s.c.Store.Stat(ctx, "masters/"+m.SHA256)
	if errors.Is(err, melodyud.ErrNotFound) {
		return fmt.Errorf("%w: master %s is not in the store", melodyud.ErrUnavailable, m.SHA256)
	}
	if err == nil && info.Size != m.Size {
		err = fmt.Errorf("master %s has %d bytes in the store, not %d", m.SHA256, info.Size, m.Size)
	}
	return err
}

func (s *Service) insert(ctx context.Context, tx database.Tx, r melodyud.Receipt) (melodyud.Track, error) {
	now := database.Millis(s.c.Now())
	_, err := tx.Exec(ctx, `INSERT INTO tracks (id, owner, upload, state, title, artist, album, disc, number, file_name,
		master_sha256, master_size, stage, created, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		string(r.Track), string(r.Owner), string(r.Upload), string(melodyud.StateReceived),
		plain.Line(r.Tags.Title), plain.Line(r.Tags.Artist), plain.Line(r.Tags.Album), numbered(r.Tags.Disc), numbered(r.Tags.Number), plain.Line(r.FileName),
		r.Master.SHA256, r.Master.Size, string(melodyud.StageQueued), now, now)
	if err != nil {
		return melodyud.Track{}, err
	}
	if err := owe(ctx, tx, r.Track, melodyud.StepRender, now, now); err != nil {
		return melodyud.Track{}, err
	}
	if err := s.ensureAlbum(ctx, tx, r.Owner, plain.Line(r.Tags.Album)); err != nil {
		return melodyud.Track{}, err
	}
	row, err := load(ctx, tx, r.Track)
	if err != nil {
		return melodyud.Track{}, err
	}
	return row.Track, s.tell(ctx, tx, melodyud.TrackReceived, row, melodyud.TrackFact{})
}

// owe notes that a track needs step from due on (unix ms). It replaces whatever
// was owed before and ends the lease on it.
func owe(ctx context.Context, tx database.Tx, id melodyud.TrackID, step melodyud.Step, now, due int64) error {
	_, err := tx.Exec(ctx, `INSERT INTO claims (track, step, due, since) VALUES (?, ?, ?, ?)
		ON CONFLICT (track) DO UPDATE SET step = excluded.step, due = excluded.due, since = excluded.since,
		holder = '', fence = 0, expires = 0, attempt = 0, waits = 0`, string(id), string(step), due, now)
	return err
}
