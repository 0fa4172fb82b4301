package fmp4_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/media"
	"github.com/melodyud/melodyud/packager/fmp4"
)

func TestSequencesForgetWhatOnlyTheirFirstTrackKnows(t *testing.T) {
	t.Parallel()
	for _, s := range []media.Stream{aac(44100), flac(96000)} {
		init, err := fmp4.SequenceInit(cut(t, s, 100_000, 0).init)
		if err != nil {
			t.Fatal(err)
		}
		h, err := fmp4.ReadInit(init)
		if err != nil {
			t.Fatal(err)
		}
		if h.Loudness.Integrated != nil || h.Samples != 0 || strings.Trim(h.MD5, "0") != "" {
			t.Errorf("%s: %+v", s.Name, h)
		}
		if h.SampleRate != s.SampleRate || h.Channels != s.Channels || h.BitDepth != s.BitDepth || h.Priming != s.Priming {
			t.Errorf("%s: %+v", s.Name, h.Track)
		}
	}
}

func TestRelocatedSegmentsKeepTheirPackets(t *testing.T) {
	t.Parallel()
	for _, s := range []media.Stream{aac(48000), flac(48000)} {
		p := cut(t, s, 3*s.Timeline.Segment+777, 0)
		for i, b := range p.segments {
			was, err := fmp4.ReadSegment(b, s.Codec)
			if err != nil {
				t.Fatal(err)
			}
			place := fmp4.Place{Shift: 12_345_678_901, Number: 7 + i}
			if i == 0 {
				place.Skip = s.Priming
			}
			head := b[:bytes.Index(b, []byte("mdat"))+4]
			moved, rest, err := fmp4.Relocate(head, place)
			if err != nil {
				t.Fatal(err)
			}
			got, err := fmp4.ReadSegment(slices.Concat(moved, b[rest:]), s.Codec)
			if err != nil {
				t.Fatalf("%s segment %d: %v", s.Name, i, err)
			}
			want := was
			want.Number, want.DecodeTime = place.Number, was.DecodeTime+place.Shift+place.Skip
			want.Duration -= place.Skip
			want.Packets -= int(place.Skip / int64(s.FrameSize))
			want.Data = was.Data[len(was.Data)-len(got.Data):]
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s segment %d:\n%s", s.Name, i, diff)
			}
		}
	}
}

func TestWholeSegmentsGetTheirPaddingBack(t *testing.T) { // GAP-3
	t.Parallel()
	s := aac(44100)
	p := cut(t, s, 10_000, 0)
	moved, rest, err := fmp4.Relocate(p.segments[0], fmp4.Place{Number: 1, Whole: true})
	if err != nil {
		t.Fatal(err)
	}
	got, err := fmp4.ReadSegment(slices.Concat(moved, p.segments[0][rest:]), melodyud.CodecAAC)
	if err != nil || got.Duration%media.AACFrame != 0 || got.Duration != s.Priming+10_000+p.cut.Padding() {
		t.Errorf("%d samples, %v", got.Duration, err)
	}
}

func TestRelocateRefusesWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	b := cut(t, aac(44100), 3000, 0).segments[0]
	head := bytes.Index(b, []byte("mdat")) + 4
	for i := range head {
		if _, _, err := fmp4.Relocate(b[:i], fmp4.Place{Number: 1}); err == nil {
			t.Errorf("a head of %d bytes is accepted", i)
		}
	}
	if _, _, err := fmp4.Relocate(b, fmp4.Place{Number: 1, Skip: 1 << 20}); err == nil {
		t.Error("all packets were skipped")
	}
}
