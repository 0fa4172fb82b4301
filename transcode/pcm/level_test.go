package pcm_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/melodyud/melodyud/transcode/pcm"
)

func levelled(f pcm.Format, gain int, sound [][]float32, blocks []int) [][]float32 {
	l := pcm.NewLevel(f, gain)
	out := make([][]float32, len(sound))
	take := func(b pcm.Block) {
		for c := range out {
			out[c] = append(out[c], b.Samples[c]...)
		}
	}
	rest := pcm.Block{Samples: sound}
	for i := 0; rest.Len() > 0; i++ {
		var head pcm.Block
		head, rest = rest.Cut(blocks[i%len(blocks)])
		take(l.Process(head))
	}
	take(l.Flush())
	return out
}

func tone(rate, n int, loud float64) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(loud * math.Sin(2*math.Pi*440*float64(i)/float64(rate)))
	}
	return s
}

func TestALevelledSoundIsTheSoundTimesItsGain(t *testing.T) { // NORM-1, AD-12
	t.Parallel()
	f := pcm.Format{Rate: 44100, Channels: 2}
	sound := [][]float32{tone(44100, 30000, 0.5), tone(44100, 30000, 0.25)}
	for _, gain := range []int{-1200, -3, 0, 400} {
		factor := math.Pow(10, float64(gain)/2000)
		for c, s := range levelled(f, gain, sound, []int{4096, 1, 700}) {
			if len(s) != len(sound[c]) {
				t.Fatalf("%d samples of %d", len(s), len(sound[c]))
			}
			for i, v := range s {
				if want := float64(sound[c][i]) * factor; math.Abs(float64(v)-want) > 2e-6 {
					t.Fatalf("gain %d, channel %d: sample %d is %g, not %g", gain, c, i, v, want)
				}
			}
		}
	}
}

func TestNoSampleOfALevelledSoundIsAboveTheCeiling(t *testing.T) { // NORM-3
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := pcm.Format{Rate: rapid.SampledFrom([]int{8000, 44100}).Draw(t, "rate"), Channels: rapid.IntRange(1, 2).Draw(t, "channels")}
		n := rapid.IntRange(0, 3000).Draw(t, "samples")
		sound := make([][]float32, f.Channels)
		for c := range sound {
			sound[c] = tone(f.Rate, n, rapid.Float64Range(0, 1).Draw(t, "loud"))
			for range rapid.IntRange(0, 8).Draw(t, "clicks") {
				if n > 0 {
					sound[c][rapid.IntRange(0, n-1).Draw(t, "at")] = rapid.Float32Range(-1, 1).Draw(t, "click")
				}
			}
		}
		out := levelled(f, rapid.IntRange(-2000, 2000).Draw(t, "gain"), sound, []int{rapid.IntRange(1, 900).Draw(t, "block")})
		for c, s := range out {
			if len(s) != n {
				t.Fatalf("%d samples of %d", len(s), n)
			}
			for i, v := range s {
				if math.Abs(float64(v)) > pcm.LevelCeiling+1e-6 {
					t.Fatalf("channel %d, sample %d is %g", c, i, v)
				}
			}
		}
	})
}

func TestALimitedSoundReturnsToItsGainBehindAPeak(t *testing.T) { // NORM-3
	t.Parallel()
	f := pcm.Format{Rate: 44100, Channels: 1}
	sound := tone(44100, 44100, 0.25)
	sound[10000] = 1
	out := levelled(f, 600, [][]float32{sound}, []int{4096})[0]
	loudest := func(s []float32) (most float64) {
		for _, v := range s {
			most = max(most, math.Abs(float64(v)))
		}
		return most
	}
	before, after := loudest(out[5000:9000]), loudest(out[40000:])
	if want := 0.25 * math.Pow(10, 0.3); math.Abs(before-want) > 1e-3 || math.Abs(after-want) > 2e-3 {
		t.Errorf("before the peak %g, long after it %g, want %g", before, after, want)
	}
}
