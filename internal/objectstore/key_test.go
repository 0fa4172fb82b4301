package objectstore_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/melodyud/melodyud/internal/objectstore"
)

func TestEveryPrefixOfAKeyMayBeginOne(t *testing.T) {
	t.Parallel()
	key := rapid.StringMatching(`[A-Za-z0-9._/-]{1,200}`).Filter(func(s string) bool { return objectstore.CheckKey(s) == nil })
	rapid.Check(t, func(t *rapid.T) {
		k := key.Draw(t, "key")
		if cut := rapid.IntRange(0, len(k)).Draw(t, "cut"); !objectstore.MayBegin(k[:cut]) {
			t.Fatalf("MayBegin(%q) is false, but %q is a key", k[:cut], k)
		}
	})
}

func TestAPrefixThatMayBeginAKeyDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.StringMatching(`[A-Za-z./~ \x00-]{0,8}|[a/]{195,205}`).Draw(t, "prefix")
		begins := objectstore.CheckKey(p) == nil || objectstore.CheckKey(p+"x") == nil
		if objectstore.MayBegin(p) != begins {
			t.Fatalf("MayBegin(%q) = %t, want %t", p, !begins, begins)
		}
	})
}

func TestAKeyHasAtMost200Bytes(t *testing.T) {
	t.Parallel()
	if err := objectstore.CheckKey(strings.Repeat("k", 200)); err != nil {
		t.Error(err)
	}
	if err := objectstore.CheckKey(strings.Repeat("k", 201)); err == nil {
		t.Error("a key of 201 bytes is allowed")
	}
}
