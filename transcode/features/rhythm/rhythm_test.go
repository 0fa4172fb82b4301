package rhythm_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/melodyud/melodyud/transcode/features/rhythm"
	"github.com/melodyud/melodyud/transcode/features/spectrum"
)

// hear returns the pulse of mono sound at spectrum.RateR.
func hear(x []float32) rhythm.Result {
	t, s := rhythm.New(), spectrum.NewSTFT(spectrum.SizeR, spectrum.HopR)
	s.Write(x, t.Frame)
	s.Close(t.Frame)
	return t.Result()
}

func seconds(s float64) []float32 { return make([]float32, int(s*spectrum.RateR)) }

// clicks adds a short noise every period seconds from start.
func clicks(x []float32, start, period, amplitude float64) []float32 {
	rng := rand.New(rand.NewPCG(1, 2))
	for at := start; ; at += period {
		first := int(math.Round(at * spectrum.RateR))
		if first >= len(x) {
			return x
		}
		for i := range min(400, len(x)-first) {
			x[first+i] += float32(amplitude * math.Exp(-float64(i)/80) * (rng.Float64()*2 - 1))
		}
	}
}

func TestClicksHaveTheirTempo(t *testing.T) {
	t.Parallel()
	for _, bpm := range []float64{40, 60, 77.7, 100, 120, 144.4, 180, 220} {
		r := hear(clicks(seconds(20), 0.1, 60/bpm, 0.5))
		if r.Tempo == nil {
			t.Errorf("clicks at %g BPM: no tempo, %s", bpm, r.Reason)
			continue
		}
		octave := math.Round(math.Log2(*r.Tempo / bpm))
		if bpm >= 60 && bpm <= 180 && octave != 0 || math.Abs(*r.Tempo/math.Exp2(octave)-bpm) > 0.05 {
			t.Errorf("clicks at %g BPM: found %g", bpm, *r.Tempo)
		}
	}
}
