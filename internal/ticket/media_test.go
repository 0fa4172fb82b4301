package ticket_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/ticket"
)

func mediaKeys(t *testing.T, keys ...ticket.Key) *ticket.MediaKeys {
	t.Helper()
	m, err := ticket.NewMediaKeys(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var stream = ticket.Stream{KeyID: "k1", Track: "trk_A", Release: "rel_A"}

func key(t *testing.T, raw []byte, ok bool) string {
	t.Helper()
	if !ok {
		t.Fatal("no key")
	}
	return hex.EncodeToString(raw)
}

// TestKeysAreWhatTheyAlwaysWere holds derived keys to fixed values: another
// derivation would make every encrypted segment and offline file unreadable.
func TestKeysAreWhatTheyAlwaysWere(t *testing.T) { // HLS-91
	t.Parallel()
	m := mediaKeys(t, oldKey)
	raw, ok := m.SegmentKey(stream, 3)
	if got := key(t, raw, ok); got != "293ca133863954d909ef247719b9d1d4" {
		t.Errorf("segment key %s", got)
	}
	raw, ok = m.SegmentIV(stream, "aac-96", 3)
	if got := key(t, raw, ok); got != "798d0751cb346e82e478d80a44d04f27" {
		t.Errorf("segment IV %s", got)
	}
	binding, ok := m.Binding("k1", "usr_A", "phone")
	if !ok || binding != "lLm4x1f4Xf6kd-5SEo1bgA" {
		t.Errorf("binding %s", binding)
	}
	raw, ok = m.OfflineKey(stream, binding, "aac-96")
	if got := key(t, raw, ok); got != "88659ed93764eb97962fcf9051d0c9b60e88a005880492135f5b75bc70058142" {
		t.Errorf("offline key %s", got)
	}
}

func TestEveryChangeMakesAnotherKey(t *testing.T) { // HLS-91, HLS-94
	t.Parallel()
	m := mediaKeys(t, newKey, oldKey)
	seen := map[string]string{}
	add := func(what string, raw []byte, ok bool) {
		k := key(t, raw, ok)[:32]
		if other, twice := seen[k]; twice {
			t.Errorf("%s has the key of %s", what, other)
		}
		seen[k] = what
	}
	for _, s := range []ticket.Stream{
		stream, {KeyID: "k2", Track: "trk_A", Release: "rel_A"},
		{KeyID: "k1", Track: "trk_B", Release: "rel_A"}, {KeyID: "k1", Track: "trk_A", Release: "rel_B"},
	} {
		for run := range 3 {
			raw, ok := m.SegmentKey(s, run)
			add("a run", raw, ok)
			for _, rendition := range []string{"aac-96", "flac"} {
				raw, ok = m.SegmentIV(s, rendition, run)
				add("an IV", raw, ok)
			}
		}
		for _, user := range []melodyud.UserID{"usr_A", "usr_B"} {
			for _, device := range []string{"phone", "desk"} {
				binding, _ := m.Binding(s.KeyID, user, device)
				raw, ok := m.OfflineKey(s, binding, "flac")
				add("a file", raw, ok)
			}
		}
	}
}

func TestMediaSecretsRotateByTheirID(t *testing.T) {
	t.Parallel()
	both := mediaKeys(t, newKey, oldKey)
	if both.Newest() != "k2" {
		t.Errorf("newest is %s", both.Newest())
	}
	was, _ := mediaKeys(t, oldKey).SegmentKey(stream, 0)
	if is, ok := both.SegmentKey(stream, 0); !ok || !bytes.Equal(is, was) {
		t.Error("an address made with the old secret has another key now")
	}
	if _, ok := mediaKeys(t, newKey).SegmentKey(stream, 0); ok {
		t.Error("a removed secret still has keys")
	}
	if _, err := ticket.NewMediaKeys(ticket.Key{ID: "k", Secret: []byte("short")}); !errors.Is(err, melodyud.ErrInvalid) {
		t.Error("a weak secret is accepted")
	}
}

func TestPrefixesOpenOnlyWhatTheyName(t *testing.T) { // TOK-3
	t.Parallel()
	r := ring(t, oldKey)
	whole := ticket.ReleasePrefix("trk_A", "rel_A")
	all := []string{
		ticket.EncryptedPrefix(stream), ticket.PreviewPrefix("trk_A", "rel_A", 3, 10),
		ticket.PreviewPrefix("trk_A", "rel_A", 3, 1), ticket.OfflinePrefix(stream, "b1"), ticket.OfflinePrefix(stream, "b2"),
	}
	for _, prefix := range all {
		c := claims
		c.Prefix = prefix
		token := sign(t, r, c)
		for _, other := range append(all, whole) {
			_, err := r.Verify(token, other+"aac-96/s/3.m4s", before)
			if (err == nil) != (other == prefix) {
				t.Errorf("a ticket for %s at %s: %v", prefix, other, err)
			}
		}
	}
}
