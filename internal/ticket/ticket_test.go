package ticket_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/ticket"
)

var (
	oldKey = ticket.Key{ID: "k1", Secret: []byte("0123456789abcdef0123456789abcdef")}
	newKey = ticket.Key{ID: "k2", Secret: bytes.Repeat([]byte{7}, 32)}
	claims = ticket.Claims{
		Expires: time.Unix(1767225600, 0), Prefix: "/a/trk_01/", Session: "sess_42", Tier: ticket.Premium,
	}
	before = time.Unix(1767225000, 0)
)

func ring(t *testing.T, keys ...ticket.Key) *ticket.Keyring {
	t.Helper()
	r, err := ticket.NewKeyring(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func sign(t *testing.T, r *ticket.Keyring, c ticket.Claims) string {
	t.Helper()
	token, err := r.Sign(c)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestSignatureMatchesTheTestVector(t *testing.T) { // TOK-2
	t.Parallel()
	token := sign(t, ring(t, oldKey), claims)
	msg, mac, _ := strings.Cut(token, ".")
	if raw, _ := base64.RawURLEncoding.DecodeString(msg); string(raw) != "v1\nk1\n1767225600\n/a/trk_01/\nsess_42\npremium\n" {
		t.Errorf("message %q", raw)
	}
	if mac != "CXYVxlkV7pm54kk6RqrGt43RzeDoHXjE8zVk9Xk8Pj8" {
		t.Errorf("mac %s", mac)
	}
}

func TestTicketOpensItsPrefixOnly(t *testing.T) { // TOK-3
	t.Parallel()
	r := ring(t, oldKey)
	token := sign(t, r, claims)
	got, err := r.Verify(token, "/a/trk_01/aac-64/s/0.m4s", before)
	if err != nil || got.Session != "sess_42" || got.Tier != ticket.Premium || got.KeyID != "k1" {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, path := range []string{
		"/a/trk_02/x", "/a/trk_01", "/a/trk_012/x", "a/trk_01/x", "/a/trk_01/../trk_02/x", "/a/trk_01//x",
		"/a/trk_01/%2e%2e/x", "/a/trk_01/..", "/a/trk_01/\\x", "/a/trk_01/\x00", "/a/trk_01/./x", "",
	} {
		if _, err := r.Verify(token, path, before); !errors.Is(err, melodyud.ErrForbidden) {
			t.Errorf("%q was opened: %v", path, err)
		}
	}
}

func TestTicketExpiresAfterTheSkewAllowance(t *testing.T) { // TOK-4
	t.Parallel()
	r := ring(t, oldKey)
	token := sign(t, r, claims)
	if _, err := r.Verify(token, "/a/trk_01/x", claims.Expires.Add(ticket.Skew)); err != nil {
		t.Errorf("within the allowance: %v", err)
	}
	_, err := r.Verify(token, "/a/trk_01/x", claims.Expires.Add(ticket.Skew+time.Second))
	if ref, ok := melodyud.AsRefusal(err); !ok || ref.Code != "ticket.expired" {
		t.Errorf("after it: %v", err)
	}
}

func TestRotatedKeyStaysGoodUntilRemoved(t *testing.T) { // TOK-5
	t.Parallel()
	token := sign(t, ring(t, oldKey), claims)
	if _, err := ring(t, newKey, oldKey).Verify(token, "/a/trk_01/x", before); err != nil {
		t.Errorf("both keys: %v", err)
	}
	if _, err := ring(t, newKey).Verify(token, "/a/trk_01/x", before); err == nil {
		t.Error("an unknown key id was accepted")
	}
	if !strings.HasPrefix(mustDecode(t, sign(t, ring(t, newKey, oldKey), claims)), "v1\nk2\n") {
		t.Error("the newest key does not sign")
	}
}

func mustDecode(t *testing.T, token string) string {
	t.Helper()
	head, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestEveryChangedByteIsRefused(t *testing.T) { // faults.md C5
	t.Parallel()
	r := ring(t, oldKey)
	token := sign(t, r, claims)
	for i := range len(token) {
		for _, c := range []byte("AZaz09-_.\x00=") {
			forged := []byte(token)
			if forged[i] == c {
				continue
			}
			forged[i] = c
			if _, err := r.Verify(string(forged), "/a/trk_01/x", before); err == nil {
				t.Fatalf("byte %d as %q was accepted", i, c)
			}
		}
	}
	for _, bad := range []string{"", ".", token + "A", token[1:], token + "." + token, strings.Repeat("A", 5000)} {
		if _, err := r.Verify(bad, "/a/trk_01/x", before); err == nil {
			t.Errorf("%.20q was accepted", bad)
		}
	}
}

func TestAmbiguousClaimsAreNotSigned(t *testing.T) {
	t.Parallel()
	r := ring(t, oldKey)
	for _, change := range []func(*ticket.Claims){
		func(c *ticket.Claims) { c.Prefix = "/a" },
		func(c *ticket.Claims) { c.Prefix = "/a/../b/" },
		func(c *ticket.Claims) { c.Session = "x\npremium" },
		func(c *ticket.Claims) { c.Session = "" },
		func(c *ticket.Claims) { c.Tier = "" },
	} {
		c := claims
		change(&c)
		if _, err := r.Sign(c); !errors.Is(err, melodyud.ErrInvalid) {
			t.Errorf("%+v was signed", c)
		}
	}
}

func TestWeakOrAmbiguousKeysAreRefused(t *testing.T) {
	t.Parallel()
	for _, keys := range [][]ticket.Key{
		{}, {{ID: "k", Secret: []byte("short")}}, {{ID: "", Secret: newKey.Secret}},
		{{ID: "a\nb", Secret: newKey.Secret}}, {newKey, newKey},
	} {
		if _, err := ticket.NewKeyring(keys...); !errors.Is(err, melodyud.ErrInvalid) {
			t.Errorf("%v was accepted", keys)
		}
	}
}

func FuzzVerifyNeverAcceptsAForgery(f *testing.F) {
	r, err := ticket.NewKeyring(oldKey)
	if err != nil {
		f.Fatal(err)
	}
	real, err := r.Sign(claims)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(real, "/a/trk_01/x")
	f.Add("a.b", "/")
	f.Fuzz(func(t *testing.T, token, path string) {
		c, err := r.Verify(token, path, before)
		if err == nil && (token != real || !strings.HasPrefix(path, c.Prefix)) {
			t.Fatalf("%q opened %q", token, path)
		}
	})
}
