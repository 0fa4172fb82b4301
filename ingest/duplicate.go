package ingest

import (
	"context"
	"encoding/hex"
	"fmt"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
)

// StateDuplicate is that of an upload whose very bytes its owner has sent
// already: they are kept until the owner decides, or the upload expires.
const StateDuplicate State = "duplicate"

// library knows what creators have published.
type library interface {
	// Replaceable says whether owner may give the track other audio.
	Replaceable(ctx context.Context, owner melodyud.UserID, track melodyud.TrackID) error
	// Twin returns another track of owner made of the bytes with this SHA-256, or "".
	Twin(ctx context.Context, owner melodyud.UserID, sha256 string, than melodyud.TrackID) (melodyud.TrackID, error)
}

// What a creator may say of an upload that is a duplicate.
const (
	keepBoth     = "keep"
	discardIt    = "discard"
	codeTwin     = "upload.duplicate"
	codeKeepBoth = "upload.duplicate-kept"
)

var errUndecidable = melodyud.Refuse(melodyud.ErrConflict, "upload.undecidable",
	"This upload does not wait for a decision: it is no duplicate, or it was decided before.")

func errTwin(t melodyud.TrackID) *melodyud.Refusal {
	return melodyud.Refuse(melodyud.ErrConflict, "upload.duplicate",
		"You have sent this very file already: it is your track "+string(t)+". To have it twice, say so: keep both.")
}

// declared takes the hash that the metadata declares and refuses the creation of
// what its owner has already.
func (s *Service) declared(ctx context.Context, c *creation) error {
	if sum := c.Metadata.sha256; sum != "" && !c.Partial {
		if raw, err := hex.DecodeString(sum); err != nil || len(raw) != 32 {
			return errSHA256Form
		}
		c.SHA256 = sum
	}
	if c.SHA256 == "" || c.Metadata.duplicates == keepBoth || c.Metadata.replaces != "" {
		return nil
	}
	twin, err := s.twin(ctx, upload{Owner: c.Owner, SHA256: c.SHA256})
	if err == nil && twin != "" {
		err = errTwin(twin)
	}
	return err
}

// twin returns another track of the owner with the bytes of u, or "".
func (s *Service) twin(ctx context.Context, u upload) (melodyud.TrackID, error) {
	if s.config.Library == nil {
		return "", nil
	}
	return s.config.Library.Twin(ctx, u.Owner, u.SHA256, u.Track)
}

// heldBack keeps a complete upload from becoming a second track of the same bytes
// unless its owner wants that. What comes on other ways than requests has nobody to
// ask and is kept.
func (s *Service) heldBack(ctx context.Context, u upload) (bool, error) {
	said, err := parseMetadata(u.Metadata.raw)
	if err != nil || u.Via != "" || u.Code == codeKeepBoth || said.replaces != "" || said.duplicates == keepBoth {
		return false, nil
	}
	twin, err := s.twin(ctx, u)
	if err != nil || twin == "" {
		return false, err
	}
	if said.duplicates == discardIt {
		return true, s.close(ctx, u, StateRefused, errTwin(twin))
	}
	now := s.config.Now()
	_, err = s.config.DB.Exec(ctx, `UPDATE uploads SET state = ?, code = ?, reason = ?, due = ?, updated = ?, version = version + 1 WHERE id = ? AND state = ?`,
		string(StateDuplicate), codeTwin, string(twin), database.Millis(now.Add(s.config.TTL)), database.Millis(now), string(u.ID), string(StateComplete))
	return true, err
}

// Decide settles the owner's upload that is a duplicate: it becomes a track of its
// own, or is given up. It is ErrConflict for any other upload.
func (s *Service) Decide(ctx context.Context, owner melodyud.UserID, id string, keep bool) (View, error) {
	u, err := s.find(ctx, owner, id)
	if err == nil && !keep && u.State == StateDuplicate {
		u.State, err = StateEnded, s.end(ctx, u)
		return viewOf(u), err
	}
	if err != nil {
		return View{}, err
	}
	now := database.Millis(s.config.Now())
	n, err := s.config.DB.Exec(ctx, `UPDATE uploads SET state = ?, code = ?, reason = '', due = ?, updated = ?, version = version + 1 WHERE id = ? AND state = ?`,
		string(StateComplete), codeKeepBoth, now, now, string(u.ID), string(StateDuplicate))
	if err == nil && n == 0 {
		err = errUndecidable
	}
	if err != nil {
		return View{}, fmt.Errorf("decide upload %s: %w", id, err)
	}
	u.State, u.Code = StateComplete, codeKeepBoth
	s.wake(ctx, u)
	return viewOf(u), nil
}
