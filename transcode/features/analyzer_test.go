package features_test

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/features"
	"github.com/melodyud/melodyud/transcode/pcm"
	"github.com/melodyud/melodyud/transcode/pcm/pcmtest"
)

// hear analyses sound in blocks of n samples, as a render does.
func hear(t testing.TB, f pcm.Format, sound [][]float32, n int) (melodyud.Features, melodyud.Analysis) {
	t.Helper()
	a, err := features.New(f, features.Source{Lossless: true, BitDepth: f.BitDepth}, features.Config{})
	if err != nil {
		t.Fatal(err)
	}
	m := pcm.NewMeter(f)
	for rest := (pcm.Block{Samples: sound}); rest.Len() > 0; {
		var head pcm.Block
		head, rest = rest.Cut(n)
		m.Write(head)
		a.Write(head)
	}
	return a.Close(features.Measured{Loudness: m.Loudness(), Blocks: m.Blocks(), ShortTerm: m.ShortTerm()})
}

// document is what is stored of an analysis.
func document(t testing.TB, f melodyud.Features, d melodyud.Analysis) []byte {
	t.Helper()
	raw, err := json.Marshal([]any{f, d})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// times returns n copies of a channel.
func times(n int, x []float32) [][]float32 {
	all := make([][]float32, n)
	for i := range all {
		all[i] = x
	}
	return all
}

func noise(n int, level float32) []float32 {
	random := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, n)
	for i := range x {
		x[i] = level * float32(random.Float64()*2-1)
	}
	return x
}

// constant is direct current.
func constant(n int, v float32) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = v
	}
	return x
}

// clipped is a sine far beyond full scale.
func clipped(rate, n int) []float32 {
	x := pcmtest.Sine(rate, 220, 5, 0, n)
	for i, v := range x {
		x[i] = min(max(v, -1), 1)
	}
	return x
}

// song is music of a kind: drums at 120 BPM, a bass and chords of C major.
func song(rate, seconds int) []float32 {
	x := make([]float32, rate*seconds)
	random := rand.New(rand.NewPCG(3, 4))
	chords := [][]float64{{130.81, 261.63, 329.63, 392}, {174.61, 349.23, 440, 523.25}, {196, 392, 493.88, 587.33}, {130.81, 261.63, 329.63, 392}}
	for i := range x {
		at := float64(i) / float64(rate)
		beat, bar := math.Mod(at, 0.5), int(at/2)%len(chords)
		v := 0.0
		for k, hz := range chords[bar] {
			v += 0.08 / float64(k+1) * (math.Sin(2*math.Pi*hz*at) + 0.4*math.Sin(4*math.Pi*hz*at)) * math.Exp(-1.5*math.Mod(at, 2))
		}
		v += 0.5 * math.Exp(-20*beat) * math.Sin(2*math.Pi*60*beat)
		if int(at/0.5)%2 == 1 {
			v += 0.2 * math.Exp(-25*beat) * (random.Float64()*2 - 1)
		}
		x[i] = float32(v)
	}
	return x
}

// odd are sounds that break analyzers.
func odd() map[string]struct {
	format pcm.Format
	sound  [][]float32
} {
	type input = struct {
		format pcm.Format
		sound  [][]float32
	}
	stereo, mono := pcm.Format{Rate: 44100, Channels: 2, BitDepth: 16}, pcm.Format{Rate: 44100, Channels: 1, BitDepth: 16}
	return map[string]input{
		"nothing":        {stereo, [][]float32{{}, {}}},
		"one sample":     {mono, [][]float32{{0.5}}},
		"half a second":  {stereo, times(2, song(44100, 1)[:22050])},
		"silence":        {stereo, times(2, make([]float32, 4*44100))},
		"almost silence": {mono, times(1, noise(3*44100, 1e-7))},
		"noise":          {stereo, times(2, noise(6*44100, 0.5))},
		"mono":           {mono, times(1, song(44100, 3))},
		"8 kHz":          {pcm.Format{Rate: 8000, Channels: 1, BitDepth: 16}, times(1, song(8000, 8))},
		"192 kHz":        {pcm.Format{Rate: 192000, Channels: 2, BitDepth: 24}, times(2, song(192000, 1))},
		"direct current": {stereo, times(2, constant(3*44100, 0.7))},
		"full scale":     {mono, times(1, constant(3*44100, 1))},
		"clipped":        {stereo, times(2, clipped(44100, 3*44100))},
		"eight channels": {pcm.Format{Rate: 48000, Channels: 8, BitDepth: 24}, times(8, song(48000, 1))},
		"click":          {mono, [][]float32{append(make([]float32, 44100), append([]float32{1}, make([]float32, 44100)...)...)}},
		"far too loud":   {mono, times(1, noise(1*44100, 1e30))},
		"denormal":       {mono, times(1, constant(3*44100, 1e-42))},
		"out of phase":   {stereo, [][]float32{constant(44100, 0.5), constant(44100, -0.5)}},
	}
}

func TestNoSoundMakesNumbersThatAreNone(t *testing.T) {
	t.Parallel()
	for name, in := range odd() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, d := hear(t, in.format, in.sound, 8192)
			for part, v := range map[string]any{"features": f, "analysis": d} {
				walk(t, part, reflect.ValueOf(v))
			}
			document(t, f, d) // JSON has no NaN
			if !musical[name] {
				saysNothing(t, &f)
			}
		})
	}
}

// musical are the odd sounds that have a pulse or a key.
var musical = map[string]bool{"mono": true, "8 kHz": true, "192 kHz": true, "eight channels": true, "clipped": true, "far too loud": true}

// saysNothing expects no confident tempo or key, and a reason for each that is missing.
func saysNothing(t *testing.T, f *melodyud.Features) {
	t.Helper()
	const sure = 0.5
	if f.Rhythm.Tempo != nil && *f.Rhythm.TempoConfidence > sure {
		t.Errorf("a tempo of %v, by %v", *f.Rhythm.Tempo, *f.Rhythm.TempoConfidence)
	}
	if f.Tonal.Key != nil && *f.Tonal.KeyConfidence > sure {
		t.Errorf("key %d, by %v", *f.Tonal.Key, *f.Tonal.KeyConfidence)
	}
	if f.Rhythm.Tempo == nil && f.Rhythm.Reason == "" || f.Tonal.Key == nil && f.Tonal.Reason == "" ||
		f.Timbre.Centroid == nil && f.Timbre.Reason == "" {
		t.Errorf("nothing is said, and not why: %+v %+v %+v", f.Rhythm, f.Tonal, f.Timbre)
	}
}

// walk reports every number below v that is none.
func walk(t *testing.T, path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Float64, reflect.Float32:
		if x := v.Float(); math.IsNaN(x) || math.IsInf(x, 0) {
			t.Errorf("%s is %v", path, x)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			walk(t, path, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			walk(t, path+"."+v.Type().Field(i).Name, v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			walk(t, path+"[]", v.Index(i))
		}
	}
}

func TestTheDocumentDoesNotDependOnBlocks(t *testing.T) {
	t.Parallel()
	format := pcm.Format{Rate: 44100, Channels: 2, BitDepth: 16}
	sound := [][]float32{song(44100, 5), noise(5*44100, 0.1)}
	f, d := hear(t, format, sound, 1<<20)
	want := document(t, f, d)
	for _, n := range []int{8192, 333} {
		f, d := hear(t, format, sound, n)
		if got := document(t, f, d); !bytes.Equal(got, want) {
			t.Errorf("blocks of %d samples give another document:\n%s\n%s", n, got, want)
		}
	}
}

func TestASongIsHeardForWhatItIs(t *testing.T) {
	t.Parallel()
	f, d := hear(t, pcm.Format{Rate: 44100, Channels: 2, BitDepth: 16}, times(2, song(44100, 12)), 8192)
	if f.Schema != melodyud.FeaturesSchema || f.Version == "" || len(f.ParamsHash) != 16 || f.Duration != 12 || f.SampleRate != 44100 || f.Channels != 2 || f.BitDepth != 16 {
		t.Errorf("%+v", f)
	}
	if f.Rhythm.Tempo == nil || math.Abs(math.Mod(*f.Rhythm.Tempo+0.25, 60)-0.25) > 0.25 || len(f.Rhythm.Beats) < 10 {
		t.Errorf("rhythm %+v", f.Rhythm)
	}
	if f.Loudness.Integrated == nil || f.Timbre.Centroid == nil || len(d.Tatums) < len(f.Rhythm.Beats) {
		t.Errorf("loudness %+v, timbre %+v, %d tatums", f.Loudness, f.Timbre, len(d.Tatums))
	}
}

func TestTidyKeepsNumbersShortAndReal(t *testing.T) {
	t.Parallel()
	doc := struct {
		A, B, C float64
		D, E    *float64
		F       []float64
	}{A: 1234.56789, B: 0.000123456, C: math.NaN(), D: new(math.Inf(1)), E: new(-0.123456), F: []float64{math.Inf(-1), 1.0 / 3}}
	features.Tidy(&doc)
	raw, err := json.Marshal(doc)
	if want := `{"A":1234.5679,"B":0.0001235,"C":0,"D":null,"E":-0.1235,"F":[0,0.3333]}`; err != nil || string(raw) != want {
		t.Errorf("got %s, %v, want %s", raw, err, want)
	}
}
