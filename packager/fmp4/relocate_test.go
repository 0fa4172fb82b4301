package fmp4_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/packager/fmp4"
	"github.com/melodyud/melodyud/packager/packagertest"
)

// firstSegment is the first segment of an AAC track that has a second.
func firstSegment(t *testing.T) (init, segment []byte) {
	t.Helper()
	dir := t.TempDir()
	m := packagertest.Build(t, dir, packagertest.Track{Samples: 100_000, Ladder: melodyud.Ladder{{Codec: melodyud.CodecAAC, Bitrate: 96_000}}})
	raw, err := os.ReadFile(filepath.Join(dir, m.Renditions[0].File))
	if err != nil {
		t.Fatal(err)
	}
	from, n, _ := m.Renditions[0].SegmentRange(0)
	return raw[:m.Renditions[0].InitSize], raw[from : from+n]
}

func relocated(t *testing.T, segment []byte, p fmp4.Place) []byte {
	t.Helper()
	head, rest, err := fmp4.Relocate(segment, p)
	if err != nil {
		t.Fatal(err)
	}
	return append(head, segment[rest:]...)
}

func TestARelocatedSegmentIsASegmentOfOurs(t *testing.T) { // HLS-57, GAP-2
	t.Parallel()
	_, segment := firstSegment(t)
	before, err := fmp4.ReadSegment(segment, melodyud.CodecAAC)
	if err != nil {
		t.Fatal(err)
	}
	if got := relocated(t, segment, fmp4.Place{Number: 1}); !bytes.Equal(got, segment) {
		t.Error("a segment that stays where it is comes out changed")
	}
	after, err := fmp4.ReadSegment(relocated(t, segment, fmp4.Place{Shift: 1 << 40, Number: 77, Skip: 1024}), melodyud.CodecAAC)
	if err != nil {
		t.Fatal(err)
	}
	if after.Number != 77 || after.DecodeTime != 1<<40+1024 || after.Packets != before.Packets-1 || after.End() != before.End()+1<<40 {
		t.Errorf("before %+v, after %+v", before, after)
	}
	if _, _, err := fmp4.Relocate(segment, fmp4.Place{Skip: before.Duration}); err == nil {
		t.Error("a segment is left without packets")
	}
}

func TestRelocatingRefusesEverythingElse(t *testing.T) {
	t.Parallel()
	init, segment := firstSegment(t)
	head := bytes.Index(segment, []byte("mdat")) + 4
	for n := range head { // also where boxes end in the middle
		if _, _, err := fmp4.Relocate(segment[:n], fmp4.Place{Skip: 1024}); err == nil {
			t.Fatalf("%d of %d bytes are taken for a head", n, head)
		}
	}
	for i := range head {
		odd := bytes.Clone(segment)
		odd[i] ^= 0x80
		_, _, _ = fmp4.Relocate(odd, fmp4.Place{Skip: 1024, Whole: true}) // must not panic
	}
	if _, _, err := fmp4.Relocate(init, fmp4.Place{}); err == nil {
		t.Error("an init segment is taken for a media segment")
	}
	if _, err := fmp4.SequenceInit(segment); err == nil {
		t.Error("a media segment is taken for an init segment")
	}
}
