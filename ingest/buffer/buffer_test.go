package buffer_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/melodyud/melodyud/ingest/buffer"
)

func TestBufferHoldsWhatWasReadUpToAPart(t *testing.T) {
	t.Parallel()
	pool := buffer.NewPool(10)
	for _, hint := range []int64{-1, 0, 3, 100, 1 << 20} {
		b := pool.Lend(hint)
		if err := b.Fill(iotest.OneByteReader(strings.NewReader("0123456789abc")), 100); err != nil || string(b.Bytes()) != "0123456789" {
			t.Errorf("hint %d: %q, %v", hint, b.Bytes(), err)
		}
		b.Reset()
		if err := b.Fill(strings.NewReader("xyz"), 2); err != nil || string(b.Bytes()) != "xy" || b.Len() != 2 {
			t.Errorf("hint %d: %q, %v", hint, b.Bytes(), err)
		}
		if err := b.Fill(strings.NewReader("z"), 5); err != io.EOF || string(b.Bytes()) != "xyz" {
			t.Errorf("hint %d: %q, %v", hint, b.Bytes(), err)
		}
		b.Release()
	}
}

func TestWhatCameBeforeAFailureIsHeld(t *testing.T) {
	t.Parallel()
	b := buffer.NewPool(10).Lend(-1)
	defer b.Release()
	cut := errors.New("cut")
	if err := b.Fill(io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(cut)), 10); err != cut || string(b.Bytes()) != "abc" {
		t.Errorf("%q, %v", b.Bytes(), err)
	}
}

func TestRoomIsMadeInFront(t *testing.T) {
	t.Parallel()
	b := buffer.NewPool(10).Lend(3)
	defer b.Release()
	_ = b.Fill(strings.NewReader("def"), 3)
	copy(b.Prepend(3), "abc")
	if !bytes.Equal(b.Bytes(), []byte("abcdef")) {
		t.Errorf("%q", b.Bytes())
	}
}
