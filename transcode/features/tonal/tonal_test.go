package tonal_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/features/spectrum"
	"github.com/melodyud/melodyud/transcode/features/tonal"
)

const rate = spectrum.RateT

// hear returns what a Listener says of mono sound at rate.
func hear(x []float32) tonal.Result {
	l := tonal.New()
	s := spectrum.NewSTFT(spectrum.SizeT, spectrum.HopT)
	s.Write(x, l.Frame)
	s.Close(l.Frame)
	return l.Result()
}

// tone adds a tone of five partials that fades, semitones above middle C.
func tone(x []float32, semitone, cents float64) {
	hz := 261.6256 * math.Exp2((semitone+cents/100)/12)
	for i := range x {
		t := float64(i) / rate
		v := 0.0
		for h := 1.0; h <= 5; h++ {
			v += math.Sin(2*math.Pi*hz*h*t) / h
		}
		x[i] += float32(0.06 * v * math.Exp(-t))
	}
}

// Degrees of chords, from the tonic.
var (
	major = [][]int{{0, 4, 7}, {5, 9, 12}, {7, 11, 14}, {0, 4, 7}, {9, 12, 16}, {5, 9, 12}, {7, 11, 17}, {0, 4, 7}}
	minor = [][]int{{0, 3, 7}, {5, 8, 12}, {7, 11, 14}, {0, 3, 7}, {8, 12, 15}, {5, 8, 12}, {7, 11, 17}, {0, 3, 7}}
)

// song is a cadence of chords, a second each.
func song(chords [][]int, tonic int, cents float64) []float32 {
	x := make([]float32, len(chords)*rate)
	for i, chord := range chords {
		for _, degree := range append([]int{chord[0] - 12}, chord...) {
			tone(x[i*rate:(i+1)*rate], float64(degree+tonic), cents)
		}
	}
	return x
}

func sine(seconds int, hz func(t float64) float64) []float32 {
	x := make([]float32, seconds*rate)
	phase := 0.0
	for i := range x {
		x[i] = float32(0.5 * math.Sin(phase))
		phase += 2 * math.Pi * hz(float64(i)/rate) / rate
	}
	return x
}

func noise(n int) []float32 {
	rng := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.Float64() - 0.5)
	}
	return x
}

func TestCadencesHaveTheirKey(t *testing.T) {
	t.Parallel()
	for tonic := 0; tonic < 12; tonic += 3 {
		for mode, chords := range [][][]int{minor, major} {
			got := hear(song(chords, tonic, 0)).Tonal
			if got.Key == nil || *got.Key != tonic || *got.Mode != mode || *got.KeyConfidence < 0.15 {
				t.Errorf("key %d mode %d: %s", tonic, mode, text(got))
				continue
			}
			if *got.KeyAlt == (melodyud.KeyGuess{Key: tonic, Mode: mode}) || got.Camelot != tonal.Camelot(melodyud.KeyGuess{Key: tonic, Mode: mode}) {
				t.Errorf("key %d mode %d: %s", tonic, mode, text(got))
			}
		}
	}
}

func TestTransposingASongRotatesItsChroma(t *testing.T) {
	t.Parallel()
	c := hear(song(minor, 0, 0)).Tonal.Chroma
	for by := 1; by < 12; by += 3 {
		moved := hear(song(minor, by, 0)).Tonal.Chroma
		for k := range c {
			if off := math.Abs(moved[(k+by)%12] - c[k]); off > 0.15 {
				t.Errorf("by %d semitones: pitch class %d has %.2f, want %.2f", by, k, moved[(k+by)%12], c[k])
			}
		}
	}
}

func TestTheTuningIsHeardWithinThreeCents(t *testing.T) {
	t.Parallel()
	for cents := -48.0; cents <= 48; cents += 16 {
		got := hear(song(major, 2, cents)).Tonal
		if got.TuningCents == nil || math.Abs(*got.TuningCents-cents) > 3 {
			t.Errorf("detuned by %.0f cents: %s", cents, text(got))
		}
		if math.Abs(cents) < 45 && (got.Key == nil || *got.Key != 2) {
			t.Errorf("detuned by %.0f cents, key: %s", cents, text(got))
		}
	}
}

func TestWhatHasNoKeySaysWhy(t *testing.T) {
	t.Parallel()
	click := make([]float32, 20*rate)
	for i := range click {
		click[i] = float32(math.Exp(-float64(i%5512) / 60))
	}
	constant := make([]float32, 10*rate)
	for i := range constant {
		constant[i] = 0.4
	}
	late := make([]float32, 20*rate)
	copy(late[18*rate:], song(major, 0, 0)[:rate])
	for name, c := range map[string]struct {
		sound  []float32
		reason string
	}{
		"nothing":        {nil, "silent"},
		"silence":        {make([]float32, 10*rate), "silent"},
		"DC":             {constant, "silent"},
		"one sample":     {[]float32{1}, "too_short"},
		"half a second":  {song(major, 0, 0)[:rate/2], "too_short"},
		"one late chord": {late, "too_short"},
		"noise":          {noise(20 * rate), "atonal"},
		"clicks":         {click, "atonal"},
		"a sweep":        {sine(20, func(t float64) float64 { return 80 * math.Exp2(t/5) }), "atonal"},
		"one tone":       {sine(10, func(float64) float64 { return 440 }), "atonal"},
	} {
		got := hear(c.sound).Tonal
		if got.Reason != c.reason || got.Key != nil || got.Mode != nil || got.KeyAlt != nil || got.KeyConfidence != nil || got.Camelot != "" {
			t.Errorf("%s: %s, want the reason %q", name, text(got), c.reason)
		}
	}
}

func TestASoundThatStandsHasNoSureKey(t *testing.T) {
	t.Parallel()
	one, chord := make([]float32, 12*rate), make([]float32, 12*rate)
	for i := range one {
		for h := 1.0; h <= 5; h++ {
			one[i] += float32(0.1 * math.Sin(2*math.Pi*220*h*float64(i)/rate))
		}
		for _, hz := range []float64{130.8, 164.8, 196} {
			chord[i] += float32(0.1 * math.Sin(2*math.Pi*hz*float64(i)/rate))
		}
	}
	for name, x := range map[string][]float32{"a tone with overtones": one, "a chord": chord} {
		if got := hear(x).Tonal; got.KeyConfidence != nil && *got.KeyConfidence > 0.1 {
			t.Errorf("%s: %s", name, text(got))
		}
	}
}

func TestDrumsDoNotHideTheKey(t *testing.T) {
	t.Parallel()
	x := song(minor, 9, 0)
	beat := noise(rate / 2)
	for i := range x {
		at := i % len(beat)
		x[i] += beat[at] * float32(math.Exp(-float64(at)/600))
	}
	got := hear(x).Tonal
	if got.Key == nil || *got.Key != 9 || *got.Mode != 0 {
		t.Errorf("A minor with drums: %s", text(got))
	}
}

func TestRandomSpectraGiveFiniteNumbers(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(9, 9))
	odd := []float32{0, float32(math.NaN()), float32(math.Inf(1)), -1, math.MaxFloat32, math.SmallestNonzeroFloat32, 1e-30, 1, 1e6}
	for range 60 {
		l := tonal.New()
		power := make([]float32, spectrum.SizeT/2+1)
		kind := rng.IntN(4)
		for range rng.IntN(60) {
			for i := range power {
				switch kind {
				case 0:
					power[i] = odd[rng.IntN(len(odd))]
				case 1:
					power[i] = rng.Float32()
				case 2:
					power[i] = float32(math.Exp(40 * (rng.Float64() - 0.8)))
				default:
					power[i] = odd[rng.IntN(len(odd))] * float32(rng.IntN(2))
				}
			}
			l.Frame(power)
		}
		r := l.Result()
		if _, err := json.Marshal(r.Tonal); err != nil {
			t.Fatal(err) // JSON has no NaN and no infinity
		}
		for i, c := range r.Chroma {
			for _, v := range c {
				if !(v >= 0 && v <= 1) {
					t.Fatalf("chroma %d: %v", i, c)
				}
			}
		}
	}
}

func TestALongTrackIsBounded(t *testing.T) {
	t.Parallel()
	power := make([]float32, spectrum.SizeT/2+1)
	for _, bin := range []int{97, 122, 146} { // C, E, G
		power[bin] = 0.01
	}
	l := tonal.New()
	const frames = 2*8192 + 100
	for range frames {
		l.Frame(power)
	}
	r := l.Result()
	length := float64(len(r.Chroma)) * r.Step
	if want := frames * float64(spectrum.HopT) / rate; len(r.Chroma) > 8192 || math.Abs(length-want) > r.Step {
		t.Errorf("%d frames of %.2f s, want %.0f s in 8192 at most", len(r.Chroma), r.Step, want)
	}
	if r.Tonal.Key == nil || *r.Tonal.Key != 0 || *r.Tonal.Mode != 1 {
		t.Errorf("C major: %s", text(r.Tonal))
	}
}

func TestFramesAllocateNothing(t *testing.T) {
	power := make([]float32, spectrum.SizeT/2+1)
	for i, v := range noise(len(power)) {
		power[i] = v * v
	}
	l := tonal.New()
	for range 9000 { // until no more room is made
		l.Frame(power)
	}
	if n := testing.AllocsPerRun(500, func() { l.Frame(power) }); n > 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

func TestKeysHaveTheirCamelotCode(t *testing.T) {
	t.Parallel()
	for key, want := range map[melodyud.KeyGuess]string{
		{Key: 0, Mode: 1}: "8B", {Key: 9, Mode: 0}: "8A", {Key: 7, Mode: 1}: "9B", {Key: 4, Mode: 0}: "9A",
		{Key: 5, Mode: 1}: "7B", {Key: 8, Mode: 0}: "1A", {Key: 11, Mode: 1}: "1B", {Key: 1, Mode: 0}: "12A", {Key: 4, Mode: 1}: "12B",
	} {
		if got := tonal.Camelot(key); got != want {
			t.Errorf("%+v is %s, want %s", key, got, want)
		}
	}
}

func text(t melodyud.Tonal) string {
	b, err := json.Marshal(t)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func BenchmarkListener(b *testing.B) {
	x := song(minor, 3, 5)
	var frames [][]float32
	s := spectrum.NewSTFT(spectrum.SizeT, spectrum.HopT)
	s.Write(x, func(p []float32) { frames = append(frames, append([]float32(nil), p...)) })
	l := tonal.New()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l.Frame(frames[i%len(frames)])
	}
	b.ReportMetric(float64(b.N)*spectrum.HopT/rate/b.Elapsed().Seconds(), "xRT")
}
