// Package ticket signs and checks the right to play: a short string in the URL
// path that carries what a listener may do, so that the edge needs no row and no
// other service to serve a segment (TOK-1..7).
//
// A ticket is base64url(claims) "." base64url(HMAC-SHA-256(key, claims)), where
// the claims are LF-terminated lines: those of TOK-1 in the first version, and more
// of them in the second (see Claims). Both are accepted for ever.
package ticket

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	melodyud "github.com/melodyud/melodyud"
)

// Tier is what a listener has paid for.
type Tier string

// The tiers. Free listeners hear ads and get no lossless rendition.
const (
	Free    Tier = "free"
	Premium Tier = "premium"
)

// The refusals of Verify. Both say nothing about why (TOK-6).
var (
	errBad = melodyud.Refuse(melodyud.ErrForbidden, "ticket.invalid",
		"This playback link is not valid. Ask for a new one.")
	errExpired = melodyud.Refuse(melodyud.ErrForbidden, "ticket.expired",
		"This playback link has expired. Ask for a new one.")
)

// Skew is how long after its expiry a ticket still plays, for clocks that
// disagree (TOK-4).
const Skew = 60 * time.Second

const (
	maxToken = 2048 // bytes; a real ticket has about 300, with a long list of countries 1,000
	minKey   = 32   // bytes: the hash's own size, RFC 2104 §3
)

var b64 = base64.RawURLEncoding.Strict()

// Key is a named signing key.
type Key struct {
	ID     string // letters, digits, "-" and "_"; named in every ticket
	Secret []byte // at least 32 bytes
}

// Keyring signs with its first key and accepts tickets of all (TOK-5). Its keys may
// be replaced at any time. It is safe for concurrent use.
type Keyring struct {
	keys atomic.Pointer[[]Key] // the slice is replaced, never changed
}

// NewKeyring returns a keyring of one or more keys, newest first. Keys that are
// too short, unnamed or named alike are ErrInvalid.
func NewKeyring(keys ...Key) (*Keyring, error) {
	if err := checkKeys(keys); err != nil {
		return nil, err
	}
	r := &Keyring{}
	r.keys.Store(&keys)
	return r, nil
}

// Replace puts other keys in the place of all there are, the one to sign with first.
// Tickets of keys that are not among them are refused from now on. Errors are those
// of NewKeyring, and change nothing.
func (r *Keyring) Replace(keys ...Key) error {
	if err := checkKeys(keys); err != nil {
		return err
	}
	r.keys.Store(&keys)
	return nil
}

func (r *Keyring) all() []Key { return *r.keys.Load() }

func checkKeys(keys []Key) error {
	if len(keys) == 0 {
		return fmt.Errorf("%w: a keyring needs a key", melodyud.ErrInvalid)
	}
	seen := map[string]bool{}
	for _, k := range keys {
		if !plain(k.ID) || seen[k.ID] || len(k.Secret) < minKey {
			return fmt.Errorf("%w: key %q: needs a name of its own and %d bytes or more", melodyud.ErrInvalid, k.ID, minKey)
		}
		seen[k.ID] = true
	}
	return nil
}

// ParseKeys reads "id:base64,id:base64", newest first, as configuration has it.
func ParseKeys(s string) ([]Key, error) {
	var keys []Key
	for one := range strings.SplitSeq(s, ",") {
		id, secret, ok := strings.Cut(strings.TrimSpace(one), ":")
		raw, err := base64.StdEncoding.DecodeString(secret)
		if !ok || err != nil {
			return nil, fmt.Errorf("%w: ticket keys are written id:base64,id:base64", melodyud.ErrInvalid)
		}
		keys = append(keys, Key{ID: id, Secret: raw})
	}
	return keys, nil
}

// Sign returns the ticket for c, signed with the newest key: of the first version
// if Issued is zero, of the second otherwise. Claims that could not be read back
// unambiguously are ErrInvalid.
func (r *Keyring) Sign(c Claims) (string, error) {
	k := r.all()[0]
	c.KeyID = k.ID
	if !c.sound() {
		return "", fmt.Errorf("%w: ticket claims for %q", melodyud.ErrInvalid, c.Prefix)
	}
	msg := c.message()
	token := b64.EncodeToString(msg) + "." + b64.EncodeToString(k.mac(msg))
	if len(token) > maxToken {
		return "", fmt.Errorf("%w: a ticket of %d bytes", melodyud.ErrInvalid, len(token))
	}
	return token, nil
}

// Verify returns the claims of a ticket that one of the keys signed, that has not
// expired at now and whose prefix covers path. It never says which test failed.
func (r *Keyring) Verify(token, path string, now time.Time) (Claims, error) {
	c, err := r.Read(token)
	if err != nil {
		return Claims{}, err
	}
	if err := c.Opens(path, now); err != nil {
		return Claims{}, err
	}
	return c, nil
}

// Read returns the claims of a ticket that one of the keys signed, whatever it
// opens and however old it is: ask Claims.Opens. What it says of a token never
// changes while Knows(claims.KeyID), so it may be remembered.
func (r *Keyring) Read(token string) (Claims, error) {
	msg, mac, ok := split(token)
	if !ok {
		return Claims{}, errBad
	}
	c, ok := parse(msg)
	if !ok {
		return Claims{}, errBad
	}
	k, ok := r.key(c.KeyID)
	if !ok || !hmac.Equal(mac, k.mac(msg)) {
		return Claims{}, errBad
	}
	return c, nil
}

// Knows reports whether tickets of the key are accepted (TOK-5).
func (r *Keyring) Knows(keyID string) bool {
	_, ok := r.key(keyID)
	return ok
}

func (r *Keyring) key(id string) (Key, bool) {
	for _, k := range r.all() {
		if k.ID == id {
			return k, true
		}
	}
	return Key{}, false
}

func (k Key) mac(msg []byte) []byte {
	h := hmac.New(sha256.New, k.Secret)
	h.Write(msg)
	return h.Sum(nil)
}

func split(token string) (msg, mac []byte, ok bool) {
	if len(token) > maxToken {
		return nil, nil, false
	}
	head, tail, ok := strings.Cut(token, ".")
	if !ok {
		return nil, nil, false
	}
	msg, err1 := b64.DecodeString(head)
	mac, err2 := b64.DecodeString(tail)
	return msg, mac, err1 == nil && err2 == nil
}

// cleanPrefix reports whether p is a normalised directory path (TOK-3).
func cleanPrefix(p string) bool {
	return cleanPath(p) && strings.HasSuffix(p, "/")
}

// cleanPath refuses everything two readers could normalise in two ways (TOK-3).
func cleanPath(p string) bool {
	if p == "" || p[0] != '/' {
		return false
	}
	step := 1 // where it begins
	for i := 1; i < len(p); i++ {
		switch c := p[i]; {
		case c <= ' ' || c >= 0x7f || c == '\\' || c == '%':
			return false
		case c == '/' && (i == step || dots(p[step:i])):
			return false
		case c == '/':
			step = i + 1
		}
	}
	return !dots(p[step:])
}

// dots reports whether a step of a path leads nowhere or up.
func dots(step string) bool { return step == "." || step == ".." }

func plain(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_')
	})
}
