package offline_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/offline"
)

var secret = bytes.Repeat([]byte{9}, offline.KeySize)

// sound returns n bytes that look like nothing.
func sound(n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(i*i>>7 ^ i)
	}
	return out
}

func seal(t rapid.TB, clear, key []byte) []byte {
	t.Helper()
	s, err := offline.Seal(bytes.NewReader(clear), int64(len(clear)), key)
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func open(sealed, key []byte) ([]byte, error) {
	clear, err := offline.Open(bytes.NewReader(sealed), key)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(clear)
}

func TestWhatIsSealedOpensAgain(t *testing.T) { // HLS-94
	t.Parallel()
	for _, n := range []int{1, 16, 65535, 65536, 65537, 3*65536 + 5} {
		clear := sound(n)
		sealed := seal(t, clear, secret)
		if int64(len(sealed)) != offline.Size(int64(n)) {
			t.Errorf("%d bytes: %d sealed, announced %d", n, len(sealed), offline.Size(int64(n)))
		}
		if got, err := open(sealed, secret); err != nil || !bytes.Equal(got, clear) {
			t.Errorf("%d bytes: %d came back, %v", n, len(got), err)
		}
		if bytes.Contains(sealed, clear[:min(n, 16)]) && n > 4 {
			t.Errorf("%d bytes: the clear bytes are in it", n)
		}
	}
}

// TestTheFormIsWhatItAlwaysWas guards files that listeners have already.
func TestTheFormIsWhatItAlwaysWas(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256(seal(t, sound(70_000), secret))
	if got := hex.EncodeToString(sum[:8]); got != "8dcae08238e9bdb6" {
		t.Errorf("SHA-256 begins with %s", got)
	}
}

func TestAnyPartCanBeFetchedAndPlayedAlone(t *testing.T) { // EDGE-6
	t.Parallel()
	clear := sound(3*65536 + 777)
	whole := seal(t, clear, secret)
	plain, err := offline.Open(bytes.NewReader(whole), secret)
	if err != nil {
		t.Fatal(err)
	}
	s, err := offline.Seal(bytes.NewReader(clear), int64(len(clear)), secret)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.IntRange(0, len(whole)).Draw(t, "from")
		n := rapid.IntRange(0, len(whole)-from).Draw(t, "length")
		if _, err := s.Seek(int64(from), io.SeekStart); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, n)
		if _, err := io.ReadFull(s, got); err != nil || !bytes.Equal(got, whole[from:from+n]) {
			t.Fatalf("sealed bytes %d+%d: %v", from, n, err)
		}
		at := min(from, len(clear)-1)
		part := make([]byte, min(n, len(clear)-at))
		if _, err := plain.ReadAt(part, int64(at)); err != nil || !bytes.Equal(part, clear[at:at+len(part)]) {
			t.Fatalf("clear bytes %d+%d: %v", at, len(part), err)
		}
	})
	if err := iotest.TestReader(plain, clear); err != nil {
		t.Error(err)
	}
}

func TestNoDamageGoesUnnoticed(t *testing.T) {
	t.Parallel()
	whole := seal(t, sound(65536+100), secret)
	refused := func(what string, sealed, key []byte) {
		t.Helper()
		got, err := open(sealed, key)
		if _, ok := melodyud.AsRefusal(err); !ok || !errors.Is(err, melodyud.ErrInvalid) {
			t.Errorf("%s: %d bytes, %v", what, len(got), err)
		}
	}
	for _, at := range []int{0, 7, 8, 12, 16, 23, 24, 24 + 65536, 24 + 65552, len(whole) - 1} {
		bad := bytes.Clone(whole)
		bad[at] ^= 1
		refused("one bit", bad, secret)
	}
	for _, n := range []int{0, 5, 24, 25, len(whole) - 1, len(whole) - 116} {
		refused("a cut file", whole[:n], secret)
	}
	other := bytes.Clone(secret)
	other[31]++
	refused("another device's key", whole, other)
	swapped := bytes.Clone(seal(t, sound(2*65536), secret))
	a, b := bytes.Clone(swapped[24:24+65552]), swapped[24+65552:]
	copy(swapped[24:], b)
	copy(swapped[24+65552:], a)
	refused("chunks in another order", swapped, secret)
	if _, err := open(whole, secret[:16]); !errors.Is(err, melodyud.ErrInvalid) {
		t.Errorf("a short key: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(seal(f, sound(100), secret))
	f.Add([]byte("MUDOFF1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := open(b, secret); err == nil && !bytes.Equal(seal(t, got, secret), b[:offline.Size(int64(len(got)))]) {
			t.Fatal("something else was opened than sealed")
		}
	})
}
