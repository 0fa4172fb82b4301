package melodyud

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"
)

// Typed identifiers: a prefix that names the noun, then a ULID (48-bit
// millisecond time, 80 random bits, Crockford base 32), so that ids sort by
// age and cannot be guessed.
type (
	TrackID   string // trk_…
	ReleaseID string // rel_…
	UploadID  string // upl_…
	UserID    string // usr_…
	EventID   string // evt_…
	AlbumID   string // alb_…
)

// NewTrackID returns a fresh track id made at now.
func NewTrackID(now time.Time) TrackID { return TrackID("trk_" + newULID(now)) }

// NewReleaseID returns a fresh release id made at now.
func NewReleaseID(now time.Time) ReleaseID { return ReleaseID("rel_" + newULID(now)) }

// NewUploadID returns a fresh upload id made at now.
func NewUploadID(now time.Time) UploadID { return UploadID("upl_" + newULID(now)) }

// NewUserID returns a fresh account id made at now.
func NewUserID(now time.Time) UserID { return UserID("usr_" + newULID(now)) }

// NewEventID returns a fresh event id made at now.
func NewEventID(now time.Time) EventID { return EventID("evt_" + newULID(now)) }

// FirstEventID returns the id that sorts before those of all events made at t or
// later.
func FirstEventID(t time.Time) EventID {
	return EventID("evt_" + encodeULID(stamp(t)))
}

// NewAlbumID returns a fresh album id made at now.
func NewAlbumID(now time.Time) AlbumID { return AlbumID("alb_" + newULID(now)) }

// ParseTrackID checks that s has the shape of a track id.
func ParseTrackID(s string) (TrackID, error) {
	if err := checkID("trk_", s); err != nil {
		return "", err
	}
	return TrackID(s), nil
}

// ParseReleaseID checks that s has the shape of a release id.
func ParseReleaseID(s string) (ReleaseID, error) {
	if err := checkID("rel_", s); err != nil {
		return "", err
	}
	return ReleaseID(s), nil
}

// ParseUploadID checks that s has the shape of an upload id.
func ParseUploadID(s string) (UploadID, error) {
	if err := checkID("upl_", s); err != nil {
		return "", err
	}
	return UploadID(s), nil
}

// ParseAlbumID checks that s has the shape of an album id.
func ParseAlbumID(s string) (AlbumID, error) {
	if err := checkID("alb_", s); err != nil {
		return "", err
	}
	return AlbumID(s), nil
}

const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

const ulidLen = 26

func checkID(prefix, s string) error {
	rest, ok := strings.CutPrefix(s, prefix)
	if !ok || len(rest) != ulidLen || rest[0] > '7' {
		return fmt.Errorf("%w: not an id of the form %s…", ErrInvalid, prefix)
	}
	for i := range len(rest) {
		if strings.IndexByte(crockford, rest[i]) < 0 {
			return fmt.Errorf("%w: not an id of the form %s…", ErrInvalid, prefix)
		}
	}
	return nil
}

func newULID(now time.Time) string {
	b := stamp(now)
	_, _ = rand.Read(b[6:]) // crypto/rand never fails: it aborts the process instead.
	return encodeULID(b)
}

// stamp returns the 128 bits of the first id made at t.
func stamp(t time.Time) (b [16]byte) {
	ms := uint64(max(0, t.UnixMilli()))
	for i := range 6 {
		b[i] = byte(ms >> (40 - 8*i))
	}
	return b
}

// encodeULID writes 128 bits as 26 base-32 digits, two leading bits padded.
func encodeULID(b [16]byte) string {
	var out [ulidLen]byte
	var acc uint64
	bits, n := uint(2), 0 // 130 = 26*5 bits: the first digit holds only three.
	for _, c := range b {
		acc = acc<<8 | uint64(c)
		bits += 8
		for bits >= 5 {
			bits -= 5
			out[n] = crockford[acc>>bits&31]
			n++
		}
	}
	return string(out[:])
}
