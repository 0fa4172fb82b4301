package ticket

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"

	melodyud "github.com/melodyud/melodyud"
)

// MediaKeys derives the keys of encrypted sound from the secrets of a deployment,
// so that every edge knows them without asking anybody (HLS-91, HLS-94). A secret
// is named by its id in every address that depends on it: a new one may be put in
// front at any time, and an old one removed once nothing made with it is in use.
// It is immutable and safe for concurrent use.
type MediaKeys struct {
	keys []Key
}

// NewMediaKeys returns the keys of one or more secrets, newest first. Secrets that
// are too short, unnamed or named alike are ErrInvalid.
func NewMediaKeys(keys ...Key) (*MediaKeys, error) {
	if err := checkKeys(keys); err != nil {
		return nil, err
	}
	return &MediaKeys{keys: keys}, nil
}

// Newest returns the id of the secret that new addresses should name.
func (m *MediaKeys) Newest() string { return m.keys[0].ID }

// Stream identifies what is encrypted: one release of a track under one secret.
type Stream struct {
	KeyID   string // of the secret
	Track   melodyud.TrackID
	Release melodyud.ReleaseID
}

// SegmentKey returns the 16-byte AES-128 key of a run of segments, which all
// renditions share; run counts from 0. It reports false for an unknown secret.
func (m *MediaKeys) SegmentKey(s Stream, run int) ([]byte, bool) {
	return m.derive(s, 16, "segment key", strconv.Itoa(run))
}

// SegmentIV returns the 16 bytes a rendition's run of segments begins with. They
// are no secret, but nobody can tell them in advance.
func (m *MediaKeys) SegmentIV(s Stream, rendition string, run int) ([]byte, bool) {
	return m.derive(s, 16, "segment iv", rendition, strconv.Itoa(run))
}

// Binding names an account's device towards the edge without telling either.
func (m *MediaKeys) Binding(keyID string, user melodyud.UserID, device string) (string, bool) {
	raw, ok := m.derive(Stream{KeyID: keyID}, 16, "binding", string(user), device)
	return b64.EncodeToString(raw), ok
}

// OfflineKey returns the 32-byte AES-256 key of a rendition's track file on the
// device that binding names.
func (m *MediaKeys) OfflineKey(s Stream, binding, rendition string) ([]byte, bool) {
	return m.derive(s, 32, "offline key", binding, rendition)
}

// derive expands a secret into n bytes for one purpose (RFC 5869). The parts come
// from addresses and names without line ends, so that no two purposes look alike.
func (m *MediaKeys) derive(s Stream, n int, purpose string, parts ...string) ([]byte, bool) {
	info := strings.Join(append([]string{"melodyud", "v1", purpose, string(s.Track), string(s.Release)}, parts...), "\n")
	for _, k := range m.keys {
		if k.ID == s.KeyID {
			out, err := hkdf.Key(sha256.New, k.Secret, nil, info, n)
			return out, err == nil
		}
	}
	return nil, false
}

// Device reports whether s can name a device: up to 64 letters, digits, "-" and "_".
func Device(s string) bool { return plain(s) }

// ReleasePrefix is what a ticket for all of a release opens.
func ReleasePrefix(track melodyud.TrackID, release melodyud.ReleaseID) string {
	return fmt.Sprintf("/%s/%s/", track, release)
}

// EncryptedPrefix is what a ticket for the encrypted form of a release opens: not
// its clear segments.
func EncryptedPrefix(s Stream) string {
	return ReleasePrefix(s.Track, s.Release) + "encrypted/aes-128/" + s.KeyID + "/"
}

// EncryptedList is List for the encrypted form of the releases.
func EncryptedList(keyID string, releases []melodyud.ReleaseID) (path, prefix string) {
	path, prefix = List(releases)
	const form = "/encrypted/aes-128/"
	return form + keyID + path, form + keyID + prefix
}

// PreviewPrefix is what a ticket for segments from to to-1 of a release opens.
func PreviewPrefix(track melodyud.TrackID, release melodyud.ReleaseID, from, to int) string {
	return fmt.Sprintf("%spreview/segments/%d-%d/", ReleasePrefix(track, release), from, to)
}

// OfflinePrefix is what a ticket for the files of one device opens.
func OfflinePrefix(s Stream, binding string) string {
	return ReleasePrefix(s.Track, s.Release) + "offline/v1/" + s.KeyID + "/" + binding + "/"
}

// ErrOfflineTier refuses listening offline to those who have not paid for it
// (HLS-94).
var ErrOfflineTier = melodyud.Refuse(melodyud.ErrForbidden, "offline.premium-only",
	"Listening offline is part of the premium plan.")

// Cut cuts the path of a playback address into the ticket's token and what is below it,
// with its slash.
func Cut(path string) (token, below string, ok bool) {
	rest, ok := strings.CutPrefix(path, "/p/")
	i := strings.IndexByte(rest, '/')
	if !ok || i < 0 {
		return "", "", false
	}
	return rest[:i], rest[i:], true
}
