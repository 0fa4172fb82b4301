package transcode_test

import (
	"math"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// loudnessOf measures decoded sound.
func loudnessOf(t *testing.T, rate int, sound [][]float32) float64 {
	t.Helper()
	m := pcm.NewMeter(pcm.Format{Rate: rate, Channels: len(sound)})
	m.Write(pcm.Block{Samples: sound})
	l := m.Loudness()
	if l.Integrated == nil {
		t.Fatal("nothing to measure")
	}
	return *l.Integrated
}

func TestAGainIsHeardInEveryRendition(t *testing.T) { // NORM-1, AD-12
	t.Parallel()
	const rate, n = 44100, 3*44100 + 17
	sound := [][]float32{chord(rate, n, 0), chord(rate, n, 0.3)}
	f := pcm.Format{Rate: rate, Channels: 2, BitDepth: 24}
	ladder := melodyud.Ladder{{Codec: melodyud.CodecAAC, Bitrate: 64_000}, {Codec: melodyud.CodecFLAC}}
	before := loudnessOf(t, rate, sound)
	for _, target := range []float64{-14, -30} {
		s := &shelf{}
		gain := int(math.Round((target - before) * 100))
		rep, err := engine(t, play(f, sound, 5000), transcode.Config{}).
			Render(t.Context(), nil, transcode.Job{Ladder: ladder, Open: s.open, Gain: gain})
		if err != nil {
			t.Fatal(err)
		}
		if got := *rep.Loudness.Integrated; math.Abs(got-target) > 0.1 || rep.Samples != n || s.tapes["flac"].samples != n {
			t.Errorf("gain %d: %g LUFS, %d samples, %d of FLAC", gain, got, rep.Samples, s.tapes["flac"].samples)
		}
		for decoder, left := range decodeAAC(t, s.tapes["aac-64"]) {
			if got := loudnessOf(t, rate, [][]float32{left, left}); math.Abs(got-target) > melodyud.AdTolerance {
				t.Errorf("gain %d: AAC of %g LUFS, by %s", gain, got, decoder)
			}
		}
	}
}
