package ingest

import (
	"context"
	"crypto/sha256"
	"encoding"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/fault"
)

// State is where an upload stands.
type State string

// The states. Only open uploads take bytes; complete ones wait to be handed over.
const (
	StateOpen     State = "open"
	StateComplete State = "complete"
	StateStored   State = "stored" // a partial upload with all its bytes, to be joined with others
	StateReceived State = "received"
	StateRefused  State = "refused"
	StateExpired  State = "expired"
	StateEnded    State = "ended"
)

const unknown = -1 // a length that was not declared

// upload is one row.
type upload struct {
	ID       melodyud.UploadID
	Owner    melodyud.UserID
	Track    melodyud.TrackID
	State    State
	Length   int64 // bytes, or unknown
	Offset   int64 // bytes that are durable
	Hash     string
	Metadata metadata
	Concat   string // partialUpload, finalUpload and the addresses of its parts, or empty
	Via      string // how its bytes come; empty: in requests
	SHA256   string // of all bytes; while they are not there, what was declared or empty
	Code     string
	Reason   string
	Version  int64
	Attempt  int64
	Due      time.Time // while open or stored: when it expires
	Created  time.Time
	Updated  time.Time
}

func (u upload) gone(now time.Time) bool {
	return u.State == StateExpired || u.State == StateEnded || u.expires() && !now.Before(u.Due)
}

// expires reports whether the upload is given up at its Due.
func (u upload) expires() bool {
	return u.State == StateOpen || u.State == StateStored || u.State == StateDuplicate
}

// room is how many bytes the upload can still take.
func (u upload) room(limit int64) int64 {
	if u.Length != unknown {
		limit = u.Length
	}
	return limit - u.Offset
}

// reserved is how many bytes the upload takes of its owner's quota.
func (u upload) reserved() int64 { return max(u.Length, u.Offset) }

// creation is what a dialect asks for.
type creation struct {
	Owner    melodyud.UserID
	Length   int64 // or unknown
	Metadata metadata
	Partial  bool // a piece of a file, for join
	Via      string
	SHA256   string // declared; or empty
}

// create opens an upload and reserves its track.
func (s *Service) create(ctx context.Context, c creation) (upload, error) {
	if err := s.checkLength(c.Length, c.Partial); err != nil {
		return upload{}, err
	}
	if err := s.declared(ctx, &c); err != nil {
		return upload{}, err
	}
	if err := s.replaceable(ctx, c); err != nil {
		return upload{}, err
	}
	u := s.newUpload(c)
	err := s.config.DB.InTx(ctx, func(tx database.Tx) error {
		var open int
		err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM uploads WHERE owner = ? AND (state = ? OR state = ? AND due > ?)`,
			[]any{string(u.Owner), string(StateOpen), string(StateStored), database.Millis(u.Created.Add(keepJoined))}, &open)
		if err != nil {
			return err
		}
		if open >= s.config.MaxOpen {
			return errTooMany
		}
		if err := s.config.Quotas.Reserve(ctx, tx, u.Owner, u.reserved(), 1); err != nil {
			return err
		}
		return insert(ctx, tx, u)
	})
	if err != nil {
		return upload{}, fmt.Errorf("create upload: %w", err)
	}
	s.metrics.uploads.WithLabelValues("created").Inc()
	return u, fault.Point("upload.created")
}

// replaceable refuses what could not replace the audio of the track it names.
func (s *Service) replaceable(ctx context.Context, c creation) error {
	if c.Metadata.replaces == "" || c.Partial {
		return nil
	}
	if s.config.Library == nil {
		return errUnknownTrack
	}
	return s.config.Library.Replaceable(ctx, c.Owner, c.Metadata.replaces)
}

func (s *Service) newUpload(c creation) upload {
	now := s.config.Now()
	u := upload{
		ID: melodyud.NewUploadID(now), Owner: c.Owner, Track: melodyud.NewTrackID(now), State: StateOpen,
		Length: c.Length, Hash: saveHash(sha256.New()), Metadata: c.Metadata, Version: 1,
		Due: now.Add(s.config.TTL), Created: now, Updated: now,
	}
	u.Via, u.SHA256 = c.Via, c.SHA256
	if c.Metadata.replaces != "" && !c.Partial {
		u.Track = c.Metadata.replaces
	}
	if c.Partial {
		u.Concat = partialUpload
	}
	if c.Length == 0 {
		u.State, u.SHA256 = StateStored, hex.EncodeToString(sha256.New().Sum(nil))
	}
	return u
}

// checkLength refuses what could never be finished. An empty file is complete when
// it is created (TUS-4), and no music: it is refused right there. An empty piece of
// a file is allowed.
func (s *Service) checkLength(n int64, partial bool) error {
	switch {
	case n == 0 && !partial:
		return errEmpty
	case n > s.config.MaxSize:
		return errTooLarge
	}
	return nil
}

func insert(ctx context.Context, tx database.Tx, u upload) error {
	_, err := tx.Exec(ctx, `INSERT INTO uploads (id, owner, track, state, length, progress, hash, metadata,
		file_name, title, artist, album, disc, number, concat, via, sha256, version, due, created, updated)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		string(u.ID), string(u.Owner), string(u.Track), string(u.State), u.Length, u.Offset, u.Hash, u.Metadata.raw,
		u.Metadata.fileName, u.Metadata.tags.Title, u.Metadata.tags.Artist, u.Metadata.tags.Album,
		u.Metadata.tags.Disc, u.Metadata.tags.Number, u.Concat, u.Via, u.SHA256, u.Version, database.Millis(u.Due), database.Millis(u.Created), database.Millis(u.Updated))
	return err
}

// load reads an upload's row; none is errUnknown.
func (s *Service) load(ctx context.Context, id melodyud.UploadID) (upload, error) {
	u := upload{ID: id}
	var due, created, updated int64
	err := s.config.DB.QueryRow(ctx, `SELECT owner, track, state, length, progress, hash, metadata, file_name, title, artist, album,
		disc, number, concat, via, sha256, code, reason, version, attempt, due, created, updated FROM uploads WHERE id = ?`, []any{string(id)},
		&u.Owner, &u.Track, &u.State, &u.Length, &u.Offset, &u.Hash, &u.Metadata.raw, &u.Metadata.fileName,
		&u.Metadata.tags.Title, &u.Metadata.tags.Artist, &u.Metadata.tags.Album,
		&u.Metadata.tags.Disc, &u.Metadata.tags.Number, &u.Concat, &u.Via, &u.SHA256, &u.Code, &u.Reason, &u.Version, &u.Attempt, &due, &created, &updated)
	if errors.Is(err, melodyud.ErrNotFound) {
		return upload{}, errUnknown
	}
	if err != nil {
		return upload{}, fmt.Errorf("read upload %s: %w", id, err)
	}
	u.Due, u.Created, u.Updated = database.Time(due), database.Time(created), database.Time(updated)
	return u, nil
}

// find returns owner's upload. Another creator's is as unknown as none (TUS-6).
func (s *Service) find(ctx context.Context, owner melodyud.UserID, id string) (upload, error) {
	parsed, err := melodyud.ParseUploadID(id)
	if err != nil {
		return upload{}, errUnknown
	}
	u, err := s.load(ctx, parsed)
	if err != nil {
		return upload{}, err
	}
	if u.Owner != owner {
		return upload{}, errUnknown
	}
	if u.gone(s.config.Now()) {
		return upload{}, errGone
	}
	return u, nil
}

// settle is find after whoever still writes has stopped and stored what arrived
// (TUS-2).
func (s *Service) settle(ctx context.Context, owner melodyud.UserID, id string) (upload, error) {
	u, err := s.find(ctx, owner, id)
	if err != nil || !s.writers.stop(ctx, u.ID) {
		return u, err
	}
	return s.find(ctx, owner, id)
}

// end forgets an upload at its creator's wish. A track that came of it stays.
func (s *Service) end(ctx context.Context, u upload) error {
	now := s.config.Now()
	n, err := s.config.DB.Exec(ctx, `UPDATE uploads SET state = ?, due = ?, updated = ?, version = version + 1
		WHERE id = ? AND state NOT IN (?, ?)`, string(StateEnded), database.Millis(now), database.Millis(now),
		string(u.ID), string(StateEnded), string(StateExpired))
	if err != nil {
		return fmt.Errorf("end upload %s: %w", u.ID, err)
	}
	if n == 0 {
		return errGone
	}
	s.metrics.uploads.WithLabelValues(string(StateEnded)).Inc()
	s.tidy(ctx, u)
	return nil
}

// The running hash is kept in the row, so that any process can go on with it.

func saveHash(h hash.Hash) string {
	state, err := h.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		panic("ingest: SHA-256 state: " + err.Error()) // crypto/sha256 documents that it can
	}
	return base64.StdEncoding.EncodeToString(state)
}

func loadHash(text string) (hash.Hash, error) {
	state, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("read hash state: %w", err)
	}
	h := sha256.New()
	if err := h.(encoding.BinaryUnmarshaler).UnmarshalBinary(state); err != nil {
		return nil, fmt.Errorf("read hash state: %w", err)
	}
	return h, nil
}
