package ingest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/fault"
)

// What Upload-Concat says of an upload (TUS-5). A final upload has no parts of its
// own: it names partial ones, whose bytes stay until it has been handed over.
const (
	partialUpload = "partial"
	finalUpload   = "final;"
)

// keepJoined is how long partial uploads are kept once what they were joined to has
// been handed over: their client may have lost the answer and join them again.
const keepJoined = time.Hour

// errRepeated rolls back a join that was made before.
var errRepeated = errors.New("joined before")

func (u upload) final() bool { return strings.HasPrefix(u.Concat, finalUpload) }

// sources returns the partial uploads that a final one is made of, in order.
func (u upload) sources() ([]melodyud.UploadID, error) {
	list, ok := strings.CutPrefix(u.Concat, finalUpload)
	var ids []melodyud.UploadID
	for address := range strings.FieldsSeq(list) {
		_, name, found := strings.Cut(address, uploadsPath+"/")
		id, err := melodyud.ParseUploadID(name)
		if !found || err != nil {
			return nil, errConcat
		}
		ids = append(ids, id)
	}
	if !ok || len(ids) == 0 {
		return nil, errConcat
	}
	return ids, nil
}

// join makes a complete upload of the stored partial ones that concat, an
// Upload-Concat header, names; one may occur more than once.
func (s *Service) join(ctx context.Context, c creation, concat string) (upload, error) {
	u := s.newUpload(c)
	u.State, u.Concat, u.SHA256 = StateComplete, concat, ""
	ids, err := u.sources()
	if err != nil {
		return upload{}, err
	}
	err = s.config.DB.InTx(ctx, func(tx database.Tx) error {
		if u.Length, err = s.holdAll(ctx, tx, u, ids); err != nil {
			return err
		}
		if id, err := s.joinedBefore(ctx, tx, u); err != nil || id != "" {
			u.ID = id
			return cmp.Or(err, errRepeated)
		}
		u.Offset, u.Due = u.Length, u.Created.Add(lease(u.Length))
		if err := s.checkLength(u.Length, false); err != nil {
			return err
		}
		if err := s.config.Quotas.Reserve(ctx, tx, u.Owner, 0, 1); err != nil {
			return err
		}
		return insert(ctx, tx, u)
	})
	if errors.Is(err, errRepeated) {
		return s.load(ctx, u.ID)
	}
	if err != nil {
		return upload{}, fmt.Errorf("join uploads: %w", err)
	}
	s.metrics.uploads.WithLabelValues("created").Inc()
	if err := fault.Point("upload.created"); err != nil {
		return upload{}, err
	}
	s.finishSoon(ctx, u)
	return u, nil
}

// joinedBefore finds the upload that the same request has made before, if its client
// lost the answer; a second one would be the same track twice. None is empty.
func (s *Service) joinedBefore(ctx context.Context, tx database.Tx, u upload) (melodyud.UploadID, error) {
	var id melodyud.UploadID
	err := tx.QueryRow(ctx, `SELECT id FROM uploads WHERE owner = ? AND state IN (?, ?, ?) AND concat = ? AND metadata = ? AND created > ?
		ORDER BY created LIMIT 1`, []any{string(u.Owner), string(StateComplete), string(StateReceived), string(StateDuplicate), u.Concat, u.Metadata.raw,
		database.Millis(u.Created.Add(-keepJoined))}, &id)
	if errors.Is(err, melodyud.ErrNotFound) {
		return "", nil
	}
	return id, err
}

// holdAll holds all pieces of a final upload and returns its length.
func (s *Service) holdAll(ctx context.Context, tx database.Tx, u upload, ids []melodyud.UploadID) (int64, error) {
	var total int64
	for _, id := range ids {
		n, err := s.hold(ctx, tx, u, id)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// hold returns the length of a stored partial upload and keeps it from ending
// before the transaction does. What is unknown, foreign or no partial upload is
// refused alike.
func (s *Service) hold(ctx context.Context, tx database.Tx, u upload, id melodyud.UploadID) (int64, error) {
	due := database.Millis(u.Created.Add(s.config.TTL))
	n, err := tx.Exec(ctx, `UPDATE uploads SET due = ?, version = version + 1 WHERE id = ? AND owner = ? AND concat = ? AND state = ? AND due > ?`,
		due, string(id), string(u.Owner), partialUpload, string(StateStored), database.Millis(u.Created))
	if err != nil {
		return 0, err
	}
	var length int64
	var state State
	err = tx.QueryRow(ctx, `SELECT length, state FROM uploads WHERE id = ? AND owner = ? AND concat = ?`,
		[]any{string(id), string(u.Owner), partialUpload}, &length, &state)
	switch {
	case n == 1:
		return length, err
	case err == nil && state == StateOpen:
		return 0, errUnfinished
	case err == nil || errors.Is(err, melodyud.ErrNotFound):
		return 0, errConcat
	}
	return 0, err
}

// whole returns all parts of an upload in order.
func (s *Service) whole(ctx context.Context, u upload) ([]part, error) {
	if !u.final() {
		return s.parts(ctx, u.ID, int(u.Length)) // no part is empty
	}
	ids, err := u.sources()
	if err != nil {
		return nil, err
	}
	var all []part
	for _, id := range ids {
		parts, err := s.parts(ctx, id, int(u.Length))
		if err != nil {
			return nil, err
		}
		all = append(all, parts...)
	}
	return all, nil
}

// summed returns u with its SHA-256. That of a final upload is taken only now, while
// the bytes of each partial one are checked against what arrived.
func (s *Service) summed(ctx context.Context, u upload) (upload, error) {
	if u.SHA256 != "" {
		return u, nil
	}
	ids, err := u.sources()
	if err != nil {
		return u, err
	}
	sum := sha256.New()
	for _, id := range ids {
		if err := s.addTo(ctx, sum, id); err != nil {
			return u, fmt.Errorf("join %s to %s: %w", id, u.ID, err)
		}
	}
	u.SHA256 = hex.EncodeToString(sum.Sum(nil))
	_, err = s.config.DB.Exec(ctx, `UPDATE uploads SET sha256 = ? WHERE id = ? AND state = ?`, u.SHA256, string(u.ID), string(StateComplete))
	if err != nil {
		return u, fmt.Errorf("note hash of upload %s: %w", u.ID, err)
	}
	return u, nil
}

// addTo writes the bytes of a partial upload to sum and checks them.
func (s *Service) addTo(ctx context.Context, sum io.Writer, id melodyud.UploadID) error {
	partial, err := s.load(ctx, id)
	if err != nil {
		return err
	}
	parts, err := s.parts(ctx, id, int(partial.Length))
	if err != nil {
		return err
	}
	r := &joined{ctx: ctx, store: s.config.Store, parts: parts}
	defer r.Close()
	own := sha256.New()
	if _, err := io.Copy(io.MultiWriter(sum, own), r); err != nil {
		return err
	}
	if hex.EncodeToString(own.Sum(nil)) != partial.SHA256 {
		return errDamaged
	}
	return nil
}

// awaited reports whether a final upload that has not been handed over yet needs
// the bytes of u.
func (s *Service) awaited(ctx context.Context, u upload) (bool, error) {
	if u.Concat != partialUpload {
		return false, nil
	}
	var finals int
	err := s.config.DB.QueryRow(ctx, `SELECT COUNT(*) FROM uploads WHERE owner = ? AND state IN (?, ?) AND concat LIKE ?`,
		[]any{string(u.Owner), string(StateComplete), string(StateDuplicate), finalUpload + "%" + string(u.ID) + "%"}, &finals)
	if err != nil {
		return false, fmt.Errorf("look for uploads joined from %s: %w", u.ID, err)
	}
	return finals > 0, nil
}

// release lets the partial uploads of a final one end soon. They end anyway: what
// fails here costs room for a day.
func (s *Service) release(ctx context.Context, u upload) {
	if !u.final() {
		return
	}
	ids, err := u.sources()
	due := database.Millis(s.config.Now().Add(keepJoined))
	for _, id := range ids {
		_, one := s.config.DB.Exec(ctx, `UPDATE uploads SET due = ? WHERE id = ? AND state = ? AND due > ?`, due, string(id), string(StateStored), due)
		err = errors.Join(err, one)
	}
	if err != nil {
		s.config.Logger.Info("partial uploads are kept for longer", "upload", string(u.ID), "error", err)
	}
}
