package media_test

import (
	"testing"

	"github.com/melodyud/melodyud/internal/media"
)

func TestGridMatchesTheStandardTable(t *testing.T) { // ALIGN table of section 2.5
	t.Parallel()
	for rate, want := range map[int]media.Grid{
		44100:  {Lossless: media.Timeline{Rate: 44100, Segment: 176128}, AAC: media.Timeline{Rate: 44100, Segment: 176128}},
		48000:  {Lossless: media.Timeline{Rate: 48000, Segment: 192512}, AAC: media.Timeline{Rate: 48000, Segment: 192512}},
		88200:  {Lossless: media.Timeline{Rate: 88200, Segment: 352256}, AAC: media.Timeline{Rate: 44100, Segment: 176128}},
		96000:  {Lossless: media.Timeline{Rate: 96000, Segment: 385024}, AAC: media.Timeline{Rate: 48000, Segment: 192512}},
		176400: {Lossless: media.Timeline{Rate: 176400, Segment: 704512}, AAC: media.Timeline{Rate: 44100, Segment: 176128}},
		192000: {Lossless: media.Timeline{Rate: 192000, Segment: 770048}, AAC: media.Timeline{Rate: 48000, Segment: 192512}},
	} {
		got := media.NewGrid(rate)
		if got.Lossless != want.Lossless || got.AAC != want.AAC || got.FLACBlock != media.FLACBlock {
			t.Errorf("%d Hz: got %+v", rate, got)
		}
	}
}

func TestGridBoundariesNameTheSameInstantInEveryStream(t *testing.T) { // ALIGN-1..4
	t.Parallel()
	for rate := 4000; rate <= 384_000; rate += 25 {
		g := media.NewGrid(rate)
		a, l := g.AAC, g.Lossless
		if a.Segment*int64(l.Rate) != l.Segment*int64(a.Rate) {
			t.Fatalf("%d Hz: segments of %d/%d and %d/%d", rate, a.Segment, a.Rate, l.Segment, l.Rate)
		}
		if a.Segment%media.AACFrame != 0 || l.Segment%int64(g.FLACBlock) != 0 {
			t.Fatalf("%d Hz: segments hold no whole frames: %+v", rate, g)
		}
		longest := float64(a.Segment)/float64(a.Rate) + 0.5
		if longest >= media.TargetDuration+0.75 {
			t.Fatalf("%d Hz: segments of %.3f s", rate, longest)
		}
	}
}
