package rhythm_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
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

// strike adds a sound that begins at once and fades: a tone, or noise at 0 Hz.
func strike(x []float32, at, hz, amplitude, fade float64) {
	rng := rand.New(rand.NewPCG(1, uint64(at*1000)))
	first := int(math.Round(at * spectrum.RateR))
	for i := range min(int(fade*5*spectrum.RateR), max(0, len(x)-first)) {
		t := float64(i) / spectrum.RateR
		v := rng.Float64()*2 - 1
		if hz > 0 {
			v = math.Sin(2 * math.Pi * hz * t)
		}
		x[first+i] += float32(amplitude * math.Exp(-t/fade) * v)
	}
}

const noise = 0

// clicks are short noises, one a beat.
func clicks(x []float32, start, bpm float64) []float32 {
	for at := start; at < float64(len(x))/spectrum.RateR; at += 60 / bpm {
		strike(x, at, noise, 0.5, 0.004)
	}
	return x
}

// band is a rock pattern, of so many beats a bar: bass drum on the first, snare drum
// on the others, hats twice a beat, a chord that changes with the bar.
func band(x []float32, start, bpm float64, bar int) []float32 {
	beat := 60 / bpm
	chord := []float64{220, 293.7, 246.9, 329.6}
	for k := 0; start+float64(k)*beat < float64(len(x))/spectrum.RateR; k++ {
		at := start + float64(k)*beat
		strike(x, at, noise, 0.1, 0.01)
		strike(x, at+beat/2, noise, 0.07, 0.01)
		root := chord[k/bar%len(chord)]
		strike(x, at, root, 0.1, 0.3)
		strike(x, at, root*1.5, 0.1, 0.3)
		if k%bar == 0 {
			strike(x, at, 60, 0.6, 0.06)
		} else {
			strike(x, at, noise, 0.2, 0.05)
			strike(x, at, 190, 0.2, 0.05)
		}
	}
	return x
}

func TestClicksHaveTheirTempo(t *testing.T) {
	t.Parallel()
	tempi := []float64{40, 60, 77.7, 100, 120, 144.4, 180, 220}
	if testing.Short() {
		tempi = []float64{60, 144.4, 180}
	}
	for _, bpm := range tempi {
		r := hear(clicks(seconds(20), 0.1, bpm))
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

func TestABandHasTempoBeatsAndBars(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		bpm float64
		bar int
	}{{96, 4}, {128, 4}, {105, 3}} {
		const start = 0.3
		r := hear(band(seconds(14), start, c.bpm, c.bar))
		if r.Tempo == nil {
			t.Errorf("%g BPM: no tempo, %s", c.bpm, r.Reason)
			continue
		}
		if math.Abs(*r.Tempo-c.bpm) > 0.1 {
			t.Errorf("%g BPM: found %g", c.bpm, *r.Tempo)
		}
		if *r.Meter != c.bar {
			t.Errorf("%g BPM: %d beats in a bar, want %d", c.bpm, *r.Meter, c.bar)
		}
		late := 0
		for _, b := range r.Beats {
			k := math.Round((b - start) * c.bpm / 60)
			if math.Abs(b-start-k*60/c.bpm) > 0.02 {
				late++
			}
		}
		if late > 1 {
			t.Errorf("%g BPM: %d of %d beats are more than 20 ms off", c.bpm, late, len(r.Beats))
		}
		wrong := 0
		for _, i := range r.Downbeats {
			if k := math.Round((r.Beats[i] - start) * c.bpm / 60); int(k)%c.bar != 0 {
				wrong++
			}
		}
		if len(r.Downbeats) == 0 || wrong > 0 {
			t.Errorf("%g BPM: %d of %d bars begin elsewhere", c.bpm, wrong, len(r.Downbeats))
		}
		if *r.TempoStability < 0.97 || *r.TempoConfidence < 0.3 || *r.BeatStrength < 0.5 {
			t.Errorf("%g BPM: stability %g, confidence %g, beat strength %g", c.bpm, *r.TempoStability, *r.TempoConfidence, *r.BeatStrength)
		}
		if n := float64(len(r.Tatums)) / float64(len(r.Beats)); n < 1.9 || n > 2.1 {
			t.Errorf("%g BPM: %g tatums a beat, want 2", c.bpm, n)
		}
	}
}

func TestOnsetsAreWhereSoundsBegin(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(8, 8))
	x := seconds(30)
	var truth []float64
	for at := 0.5; at < 29; at += 0.12 + rng.Float64()*0.6 {
		strike(x, at, []float64{noise, 110, 440, 1200}[rng.IntN(4)], 0.1+rng.Float64()*0.3, 0.05)
		truth = append(truth, at)
	}
	r := hear(x)
	hits := 0
	for _, at := range truth {
		if slices.ContainsFunc(r.Onsets, func(o rhythm.Onset) bool { return math.Abs(o.Time-at) <= 0.025 }) {
			hits++
		}
	}
	if f := 2 * float64(hits) / float64(len(truth)+len(r.Onsets)); f < 0.98 {
		t.Errorf("F %.3f: %d of %d onsets found among %d", f, hits, len(truth), len(r.Onsets))
	}
	if got, want := *r.OnsetRate, float64(len(r.Onsets))/30; math.Abs(got-want) > 0.01 {
		t.Errorf("%g onsets a second, want %g", got, want)
	}
}

func TestWhatHasNoPulseGetsNoTempo(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 7))
	sound := func(length float64, at func(i int) float64) []float32 {
		x := seconds(length)
		for i := range x {
			x[i] = float32(at(i))
		}
		return x
	}
	white := func(int) float64 { return rng.Float64() - 0.5 }
	tone := func(hz float64) func(int) float64 {
		return func(i int) float64 { return 0.3 * math.Sin(2*math.Pi*hz*float64(i)/spectrum.RateR) }
	}
	for name, c := range map[string]struct {
		x      []float32
		reason string
	}{
		"nothing":         {nil, "silent"},
		"silence":         {seconds(10), "silent"},
		"DC":              {sound(10, func(int) float64 { return 0.5 }), "arrhythmic"},
		"one sample":      {[]float32{1}, "too_short"},
		"half a second":   {clicks(seconds(0.5), 0.1, 400), "too_short"},
		"noise":           {sound(30, white), "arrhythmic"},
		"short noise":     {sound(4, white), "arrhythmic"},
		"a standing tone": {sound(20, tone(440)), "arrhythmic"},
	} {
		r := hear(c.x)
		if r.Tempo != nil || r.TempoConfidence != nil || r.Meter != nil || len(r.Beats) > 0 {
			t.Errorf("%s has a tempo", name)
		}
		if r.Reason != c.reason {
			t.Errorf("%s: reason %q, want %q", name, r.Reason, c.reason)
		}
	}
}

func TestNoSoundMakesNumbersThatAreNone(t *testing.T) {
	t.Parallel()
	for name, x := range map[string][]float32{
		"clipped noise": slices.Repeat([]float32{1, -1, 1, 1, -1, -1}, 20_000),
		"one impulse":   append(append(seconds(5), 1), seconds(5)...),
		"no number":     append(append(band(seconds(5), 0.1, 120, 4), float32(math.NaN())), band(seconds(5), 0.1, 120, 4)...),
		"infinite":      append(append(band(seconds(5), 0.1, 120, 4), float32(math.Inf(1))), band(seconds(5), 0.1, 120, 4)...),
		"beyond all":    slices.Repeat([]float32{3e38, -3e38, 1e38}, 50_000),
		"tiny":          slices.Repeat([]float32{1e-20, -1e-20}, 50_000),
		"huge":          slices.Repeat([]float32{1e15, -1e15, 0}, 50_000),
	} {
		if _, err := json.Marshal(hear(x)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheSameSoundHasTheSamePulse(t *testing.T) {
	t.Parallel()
	x := band(seconds(6), 0.2, 118, 4)
	a, _ := json.Marshal(hear(x))
	b, _ := json.Marshal(hear(x))
	if string(a) != string(b) {
		t.Error("two hearings differ")
	}
}

func TestAQuieterTrackHasTheSameTempo(t *testing.T) {
	t.Parallel()
	x := band(seconds(10), 0.2, 110, 4)
	loud := hear(x)
	for i := range x {
		x[i] *= 0.003
	}
	if quiet := hear(x); quiet.Tempo == nil || math.Abs(*quiet.Tempo-*loud.Tempo) > 0.02 || len(quiet.Beats) != len(loud.Beats) {
		t.Errorf("50 dB down the tempo is %v", quiet.Tempo)
	}
}

// BenchmarkMinute is a minute of rhythm: spectra, and what is made of them.
func BenchmarkMinute(b *testing.B) {
	x := band(seconds(60), 0.2, 110, 4)
	for b.Loop() {
		hear(x)
	}
}
