package fmp4_test

import (
	"bytes"
	"io"
	"runtime"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/packager/fmp4"
)

// FuzzReader gives hostile bytes to everything that reads boxes: it must return,
// with an error or without, and hold no more than a few times its input.
func FuzzReader(f *testing.F) {
	for _, p := range []parts{cut(f, aac(44100), 3000, 0), cut(f, flac(96000), 9000, 0)} {
		f.Add(p.init)
		f.Add(p.index)
		f.Add(p.segments[0])
		f.Add(p.file())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = fmp4.ReadInit(b)
		_, _, _ = fmp4.ReadIndex(b)
		_, _ = fmp4.ReadSegment(b, melodyud.CodecAAC)
		_, _ = fmp4.ReadSegment(b, melodyud.CodecFLAC)
		_, _, _ = fmp4.Relocate(b, fmp4.Place{Shift: 1, Number: 2, Skip: 1024, Whole: true})
		_, _ = fmp4.SequenceInit(b)
		_ = fmp4.Dump(io.Discard, bytes.NewReader(b))
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20+200*uint64(len(b)) {
			t.Errorf("%d bytes of input took %d bytes of memory", len(b), used)
		}
	})
}

func TestEveryCutAndEveryChangedSizeIsNoticed(t *testing.T) {
	t.Parallel()
	p := cut(t, aac(44100), 3000, 0)
	for i := range p.init {
		if _, err := fmp4.ReadInit(p.init[:i]); err == nil {
			t.Errorf("init segment cut to %d bytes is accepted", i)
		}
	}
	for i := range p.segments[0] {
		if _, err := fmp4.ReadSegment(p.segments[0][:i], melodyud.CodecAAC); err == nil {
			t.Errorf("segment cut to %d bytes is accepted", i)
		}
	}
	for i := range p.index {
		if _, _, err := fmp4.ReadIndex(p.index[:i]); err == nil {
			t.Errorf("index cut to %d bytes is accepted", i)
		}
	}
	for _, extra := range [][]byte{{0}, {0, 0, 0, 8, 'f', 'r', 'e', 'e'}} {
		if _, err := fmp4.ReadInit(append(bytes.Clone(p.init), extra...)); err == nil {
			t.Errorf("init segment with %d bytes more is accepted", len(extra))
		}
		if _, err := fmp4.ReadSegment(append(bytes.Clone(p.segments[0]), extra...), melodyud.CodecAAC); err == nil {
			t.Errorf("segment with %d bytes more is accepted", len(extra))
		}
	}
}

func TestFlippedBitsOfAnInitSegmentAreNoticed(t *testing.T) {
	t.Parallel()
	p := cut(t, aac(44100), 3000, 0)
	want, err := fmp4.ReadInit(p.init)
	if err != nil {
		t.Fatal(err)
	}
	unnoticed := 0
	for i := range p.init {
		b := bytes.Clone(p.init)
		b[i] ^= 1
		got, err := fmp4.ReadInit(b)
		if err == nil && got.Priming == want.Priming && got.SampleRate == want.SampleRate && bytes.Equal(got.Config, want.Config) {
			unnoticed++
		}
	}
	// The handler's name, the brand caac, the rates in esds and the loudness are free.
	if free := 12 + 4 + 11 + 4; unnoticed > free {
		t.Errorf("%d of %d changed bytes go unnoticed, only %d are free", unnoticed, len(p.init), free)
	}
}
