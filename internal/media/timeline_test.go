package media_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/melodyud/melodyud/internal/media"
)

func TestGridMatchesTheStandardTable(t *testing.T) { // ALIGN table of section 2.5
	t.Parallel()
	for rate, want := range map[int]struct{ lossless, aac media.Timeline }{
		44100:  {media.Timeline{44100, 43 * 4096, 4096}, media.Timeline{44100, 43 * 4096, 4096}},
		48000:  {media.Timeline{48000, 47 * 4096, 4096}, media.Timeline{48000, 47 * 4096, 4096}},
		88200:  {media.Timeline{88200, 86 * 4096, 8192}, media.Timeline{44100, 43 * 4096, 4096}},
		96000:  {media.Timeline{96000, 94 * 4096, 8192}, media.Timeline{48000, 47 * 4096, 4096}},
		176400: {media.Timeline{176400, 172 * 4096, 16384}, media.Timeline{44100, 43 * 4096, 4096}},
		192000: {media.Timeline{192000, 188 * 4096, 16384}, media.Timeline{48000, 47 * 4096, 4096}},
	} {
		got := media.NewGrid(rate)
		if got.Lossless != want.lossless || got.AAC != want.aac || got.FLACBlock != media.FLACBlock {
			t.Errorf("%d Hz: got %+v", rate, got)
		}
	}
}

func TestFirstSegmentsAreShort(t *testing.T) { // about 1, 1 and 2 s, then 4 s (HLS-71)
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rate := drawRate(t)
		for _, line := range []media.Timeline{media.NewGrid(rate).Lossless, media.NewGrid(rate).AAC} {
			for i, want := range []struct{ least, most float64 }{{0.7, 1.3}, {0.7, 1.3}, {1.25, 2.75}, {3.5, 4.25}, {3.5, 4.25}} {
				if s := float64(line.Length(i)) / float64(line.Rate); s < want.least || s > want.most {
					t.Fatalf("%d Hz: segment %d of %+v lasts %.3f s", rate, i, line, s)
				}
			}
		}
	})
	line := media.NewGrid(44100).AAC
	for i, want := range []int64{11, 22, 43, 86, 129, 172} {
		if got := line.End(i); got != want*4096 {
			t.Errorf("segment %d ends at %d instead of %d", i, got, want*4096)
		}
	}
}

func TestTimelineWithoutStepsHasNoRamp(t *testing.T) {
	t.Parallel()
	for _, line := range []media.Timeline{{48000, 1000, 0}, {48000, 192512, 96256}, {48000, 192512, 192512}} {
		for i := range 5 {
			if got := line.End(i); got != int64(i+1)*line.Segment {
				t.Errorf("segment %d of %+v ends at %d", i, line, got)
			}
		}
	}
}

func TestRatesInUseKeepBlocksAndBoundariesOf4096(t *testing.T) { // HLS-72, FLAC-1
	t.Parallel()
	for _, rate := range []int{8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000, 128000, 176400, 192000} {
		g := media.NewGrid(rate)
		if g.FLACBlock != media.FLACBlock || g.AAC.Step%4096 != 0 || g.Lossless.Step%4096 != 0 || g.Resampled {
			t.Errorf("%d Hz: %+v", rate, g)
		}
	}
}

func TestGridBoundariesNameTheSameInstantInEveryStream(t *testing.T) { // ALIGN-1..4
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rate := drawRate(t)
		g := media.NewGrid(rate)
		a, l := g.AAC, g.Lossless
		if a.Segment*int64(l.Rate) != l.Segment*int64(a.Rate) {
			t.Fatalf("%d Hz: segments of %d/%d and %d/%d", rate, a.Segment, a.Rate, l.Segment, l.Rate)
		}
		for i := range 6 {
			if a.End(i)*int64(l.Rate) != l.End(i)*int64(a.Rate) {
				t.Fatalf("%d Hz: segment %d ends at %d/%d and %d/%d", rate, i, a.End(i), a.Rate, l.End(i), l.Rate)
			}
			if a.End(i)%media.AACFrame != 0 || l.End(i)%int64(g.FLACBlock) != 0 || a.End(i)%a.Step != 0 || l.End(i)%l.Step != 0 {
				t.Fatalf("%d Hz: segment %d holds no whole frames or steps: %+v", rate, i, g)
			}
		}
		longest := float64(a.Segment)/float64(a.Rate) + 0.5
		if longest >= media.TargetDuration+0.75 {
			t.Fatalf("%d Hz: segments of %.3f s", rate, longest)
		}
	})
}

// drawRate favours rates that share much with 44.1 or 48 kHz, which most rates
// do not.
func drawRate(t *rapid.T) int {
	return rapid.OneOf(
		rapid.SampledFrom([]int{8000, 11025, 16000, 22050, 32000, 44100, 48000, 64000, 88200, 96000, 176400, 192000}),
		rapid.Map(rapid.IntRange(4000/25, 384_000/25), func(n int) int { return 25 * n }),
		rapid.Map(rapid.IntRange(4000/375, 384_000/375), func(n int) int { return 375 * n }),
		rapid.IntRange(4000, 384_000),
	).Draw(t, "rate")
}
