package quality_test

import (
	"encoding/binary"
	"math"
	"math/cmplx"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/features/quality"
	"github.com/melodyud/melodyud/transcode/pcm"
	"github.com/melodyud/melodyud/transcode/pcm/pcmtest"
)

const rate = 44100

var cd = quality.Source{Lossless: true, BitDepth: 16}

// inspect hears sound of 16 bits, cut into blocks of odd lengths.
func inspect(t *testing.T, hz int, s quality.Source, channels ...[]float32) melodyud.Quality {
	t.Helper()
	f := pcm.Format{Rate: hz, Channels: len(channels)}
	in, meter := quality.New(f, s), pcm.NewMeter(f)
	for rest, n := (pcm.Block{Samples: channels}), 1; rest.Len() > 0; n = n*7%8191 + 1 {
		var head pcm.Block
		head, rest = rest.Cut(n)
		in.Write(head)
		meter.Write(head)
	}
	return in.Close(meter.Loudness())
}

func round16(x []float32) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(math.Round(float64(min(max(v, -1), 32767.0/32768))*32768)) / 32768
	}
	return out
}

func tone(hz, amplitude, seconds float64) []float32 {
	return round16(pcmtest.Sine(rate, hz, amplitude, 0, int(seconds*rate)))
}

func silent(seconds float64) []float32 { return make([]float32, int(seconds*rate)) }

func codes(q melodyud.Quality) []string {
	var all []string
	for _, r := range q.Remarks {
		all = append(all, r.Code)
	}
	return all
}

func TestGoodSoundGetsNoRemark(t *testing.T) {
	t.Parallel()
	left, right := music(10, 1), music(10, 2)
	q := inspect(t, rate, cd, left, right)
	if got := codes(q); got != nil {
		t.Errorf("remarks %v", got)
	}
	if *q.ClippedRatio != 0 || *q.Overs != 0 || *q.FakeLossless || *q.MonoAsStereo || *q.PhaseInverted || *q.EffectiveBits != 16 {
		t.Errorf("quality %+v", q)
	}
	if *q.Bandwidth < 20_000 || math.Abs(*q.StereoCorrelation) > 0.3 || *q.PLR < 5 {
		t.Errorf("bandwidth %v, correlation %v, PLR %v", *q.Bandwidth, *q.StereoCorrelation, *q.PLR)
	}
}

func TestEveryFlawIsRemarkedWithItsPlace(t *testing.T) {
	t.Parallel()
	inverted := music(5, 1)
	for i := range inverted {
		inverted[i] = -inverted[i]
	}
	offset := music(5, 1)
	for i := range offset {
		offset[i] += 0.02
	}
	late := append(silent(3), music(5, 1)...)
	early := append(music(5, 1), silent(6)...)
	clipped := append(tone(440, 0.5, 2), round16(pcmtest.Sine(rate, 440, 1.5, 0, rate/10))...)
	quarter := round16(pcmtest.Sine(rate, rate/4, 1.2, math.Pi/4, rate)) // no sample over full scale
	for name, c := range map[string]struct {
		source quality.Source
		hz     int
		sound  [][]float32
		want   string
		at     []melodyud.Range
	}{
		"clipped":        {cd, rate, [][]float32{clipped}, "quality.clipping", []melodyud.Range{{Start: 2, End: 2.1}}},
		"overs":          {cd, rate, [][]float32{quarter}, "quality.overs", []melodyud.Range{{Start: 0, End: 1}}},
		"late":           {cd, rate, [][]float32{late}, "quality.silence-head", []melodyud.Range{{Start: 0, End: 3}}},
		"early":          {cd, rate, [][]float32{early}, "quality.silence-tail", []melodyud.Range{{Start: 5, End: 11}}},
		"off centre":     {cd, rate, [][]float32{offset}, "quality.dc-offset", nil},
		"inverted":       {cd, rate, [][]float32{music(5, 1), inverted}, "quality.phase-inverted", nil},
		"mono":           {cd, rate, [][]float32{music(5, 1), music(5, 1)}, "quality.mono-as-stereo", nil},
		"one side":       {cd, rate, [][]float32{music(5, 1), silent(5)}, "quality.one-sided", nil},
		"padded":         {quality.Source{Lossless: true, BitDepth: 24}, rate, [][]float32{music(5, 1)}, "quality.padded-bits", nil},
		"upsampled":      {quality.Source{Lossless: true, BitDepth: 24}, 96000, [][]float32{doubled(music(5, 1))}, "quality.upsampled", nil},
		"quiet":          {cd, rate, [][]float32{tone(440, 0.01, 5)}, "quality.quiet", nil},
		"nothing at all": {cd, rate, [][]float32{silent(5)}, "quality.silent", nil},
	} {
		q := inspect(t, c.hz, c.source, c.sound...)
		i := slices.Index(codes(q), c.want)
		if i < 0 {
			t.Errorf("%s: remarks %v", name, codes(q))
			continue
		}
		got := q.Remarks[i].At
		if len(got) != len(c.at) {
			t.Errorf("%s: at %v, want %v", name, got, c.at)
			continue
		}
		for k, r := range c.at {
			if math.Abs(got[k].Start-r.Start) > 0.01 || math.Abs(got[k].End-r.End) > 0.01 {
				t.Errorf("%s: at %v, want %v", name, got, c.at)
			}
		}
	}
}

// doubled puts a sample between every two, as a poor converter would.
func doubled(x []float32) []float32 {
	out := make([]float32, 2*len(x))
	up, err := pcm.NewResampler(48000, 96000, 1)
	if err != nil {
		panic(err)
	}
	return append(out[:0], up.Process(pcm.Block{Samples: [][]float32{x}}).Samples[0]...)
}

func TestARoundTopIsNotAFlatOne(t *testing.T) {
	t.Parallel()
	for _, hz := range []float64{20, 50, 100, 1000} {
		if q := inspect(t, rate, cd, tone(hz, 0.95, 5)); *q.ClippedRatio != 0 {
			t.Errorf("%g Hz: %g of it is clipped", hz, *q.ClippedRatio)
		}
	}
}

func TestExactMeasuresOfConstructedSound(t *testing.T) {
	t.Parallel()
	x := append(append(silent(1.5), tone(1000, 0.5, 4)...), silent(0.25)...)
	q := inspect(t, rate, cd, x)
	if math.Abs(*q.SilenceHead-1.5) > 1.0/1000 || math.Abs(*q.SilenceTail-0.25) > 1.0/1000 || math.Abs(*q.DCOffset) > 1e-4 {
		t.Errorf("head %v, tail %v, offset %v", *q.SilenceHead, *q.SilenceTail, *q.DCOffset)
	}
	square := make([]float32, rate)
	for i := range square {
		square[i] = 0.5
		if i%100 >= 90 { // nine tenths above
			square[i] = -0.95
		}
		if i%100 >= 95 {
			square[i] = 0.95
		}
	}
	q = inspect(t, rate, cd, square)
	if math.Abs(*q.ClippedRatio-0.10) > 0.001 {
		t.Errorf("clipped ratio %v, want 0.1", *q.ClippedRatio)
	}
}

func TestVeryLittleSoundIsNoTrouble(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 100} {
		q := inspect(t, 8000, cd, make([]float32, n), make([]float32, n))
		if n == 0 && q.Reason != "too_short" || n > 0 && q.Reason != "silent" {
			t.Errorf("%d samples of silence: %q", n, q.Reason)
		}
		one := make([]float32, n)
		if n > 0 {
			one[0] = 1
		}
		inspect(t, 192000, quality.Source{}, one)
	}
}

// TestTracesOfLossyCodersAreFound sends music through real coders and back.
func TestTracesOfLossyCodersAreFound(t *testing.T) {
	t.Parallel()
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil || testing.Short() {
		t.Skip("needs ffmpeg, and is long")
	}
	original := [][]float32{music(30, 1), music(30, 2)}
	if q := inspect(t, rate, cd, original...); *q.FakeLossless {
		t.Error("the original is taken for a copy")
	}
	wav := filepath.Join(t.TempDir(), "original.raw")
	if err := os.WriteFile(wav, raw16(original), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, coder := range [][]string{
		{"mp3", "-c:a", "libmp3lame", "-b:a", "128k"}, {"mp3", "-c:a", "libmp3lame", "-b:a", "320k"},
		{"m4a", "-c:a", "aac", "-b:a", "128k"}, {"ogg", "-c:a", "libvorbis", "-q:a", "4"},
	} {
		coded := filepath.Join(t.TempDir(), "coded."+coder[0])
		run(t, ffmpeg, append([]string{"-f", "s16le", "-ar", "44100", "-ac", "2", "-i", wav}, append(coder[1:], coded)...)...)
		back := filepath.Join(t.TempDir(), "back.raw")
		run(t, ffmpeg, "-i", coded, "-f", "s16le", back)
		data, err := os.ReadFile(back)
		if err != nil {
			t.Fatal(err)
		}
		if q := inspect(t, rate, cd, split16(data)...); !*q.FakeLossless || !slices.Contains(codes(q), "quality.fake-lossless") {
			t.Errorf("%v leaves no trace", coder)
		}
		if q := inspect(t, rate, quality.Source{}, split16(data)...); q.FakeLossless != nil {
			t.Errorf("%v: a lossy file is no fake", coder)
		}
	}
}

func run(t *testing.T, ffmpeg string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), ffmpeg, append([]string{"-v", "error"}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// music is seconds of notes with overtones over noise that falls with frequency, up
// to the highest: something coders have to think about.
func music(seconds int, seed uint64) []float32 {
	random := rand.New(rand.NewPCG(seed, 7))
	x := make([]float32, seconds*rate)
	low := 0.0
	for i := range x {
		white := random.Float64() - 0.5
		low += 0.2 * (white - low)
		x[i] = float32(0.05*low + 0.01*white)
	}
	for from := 0; from < len(x); from += rate / 4 {
		hz := 110 * math.Exp2(float64(random.IntN(36))/12)
		for k := 1; k < 30 && float64(k)*hz < 20_000; k++ {
			turn := cmplx.Rect(math.Exp(-4*math.Sqrt(float64(k))/rate), 2*math.Pi*hz*float64(k)/rate)
			now := cmplx.Rect(0.12/float64(k), random.Float64()*2*math.Pi)
			for i := range min(rate/2, len(x)-from) {
				x[from+i] += float32(imag(now))
				now *= turn
			}
		}
	}
	return round16(x)
}

func raw16(channels [][]float32) []byte {
	var out []byte
	for i := range channels[0] {
		for _, c := range channels {
			out = binary.LittleEndian.AppendUint16(out, uint16(int16(c[i]*32768)))
		}
	}
	return out
}

func split16(data []byte) [][]float32 {
	out := make([][]float32, 2)
	for i := 0; i+4 <= len(data); i += 4 {
		for c := range out {
			out[c] = append(out[c], float32(int16(binary.LittleEndian.Uint16(data[i+2*c:])))/32768)
		}
	}
	return out
}

func BenchmarkInspector(b *testing.B) {
	const seconds = 210
	sound := pcm.Block{Samples: [][]float32{music(seconds, 1), music(seconds, 2)}}
	f := pcm.Format{Rate: rate, Channels: 2}
	for b.Loop() {
		in := quality.New(f, cd)
		for rest := sound; rest.Len() > 0; {
			var head pcm.Block
			head, rest = rest.Cut(8192)
			in.Write(head)
		}
		in.Close(melodyud.Loudness{})
	}
	b.ReportMetric(float64(b.N)*seconds/b.Elapsed().Seconds(), "x-realtime")
}
