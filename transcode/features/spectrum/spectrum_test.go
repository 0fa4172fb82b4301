package spectrum_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/dsp/fourier"

	"github.com/melodyud/melodyud/transcode/features/spectrum"
	"github.com/melodyud/melodyud/transcode/pcm"
)

func noise(n int, seed uint64) []float32 {
	rng := rand.New(rand.NewPCG(seed, 1))
	x := make([]float32, n)
	for i := range x {
		x[i] = rng.Float32()*2 - 1
	}
	return x
}

func sine(n, rate int, hz, amplitude float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(amplitude * math.Sin(2*math.Pi*hz*float64(i)/float64(rate)))
	}
	return x
}

func TestPowerIsThatOfAnotherTransform(t *testing.T) {
	t.Parallel()
	for size := 8; size <= 16384; size *= 2 {
		x := noise(size, uint64(size))
		wide := make([]float64, size)
		mean := 0.0
		for i, v := range x {
			wide[i] = float64(v)
		}
		got := make([]float32, size/2+1)
		spectrum.NewFFT(size).Power(got, x)
		want := fourier.NewFFT(size).Coefficients(nil, wide)
		for _, c := range want {
			mean += (real(c)*real(c) + imag(c)*imag(c)) / float64(len(want))
		}
		for k, c := range want {
			w := real(c)*real(c) + imag(c)*imag(c)
			if math.Abs(float64(got[k])-w) > 1e-4*w+1e-9*mean {
				t.Errorf("size %d, bin %d: %g, want %g", size, k, got[k], w)
			}
		}
	}
}

func TestTheAutocorrelationIsThatOfTheDefinition(t *testing.T) {
	t.Parallel()
	const size = 256
	x := noise(size, 4)
	clear(x[size/2:])
	got := make([]float32, size/2+1)
	spectrum.NewFFT(size).Autocorrelate(got, x)
	for lag, v := range got {
		want := 0.0
		for i := range size / 2 {
			want += float64(x[i]) * float64(x[(i+lag)%size])
		}
		if math.Abs(float64(v)-want) > 1e-4 {
			t.Errorf("lag %d: %g, want %g", lag, v, want)
		}
	}
}

func TestSizesThatAreNoPowerOfTwoPanic(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 4, 1000, -8} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("an FFT of %d samples was planned", size)
				}
			}()
			spectrum.NewFFT(size)
		}()
	}
}

// frames returns the spectra of x, written in pieces.
func frames(x []float32, size, hop, piece int) [][]float32 {
	var all [][]float32
	keep := func(power []float32) { all = append(all, slices.Clone(power)) }
	s := spectrum.NewSTFT(size, hop)
	for chunk := range slices.Chunk(x, piece) {
		s.Write(chunk, keep)
	}
	s.Close(keep)
	return all
}

func TestFramesAreTheSameHoweverTheSoundIsCut(t *testing.T) {
	t.Parallel()
	x := noise(10_000, 3)
	want := frames(x, 1024, 256, len(x))
	for _, piece := range []int{1, 255, 256, 1000, 5000} {
		if !slices.EqualFunc(frames(x, 1024, 256, piece), want, slices.Equal) {
			t.Errorf("in pieces of %d the spectra differ", piece)
		}
	}
}

func TestFramesAreCentredOnMultiplesOfTheHop(t *testing.T) {
	t.Parallel()
	for _, at := range []int{0, 256, 2560, 9984} {
		x := make([]float32, 10_000)
		x[at] = 1
		all := frames(x, 1024, 256, 777)
		if len(all) != 40 {
			t.Fatalf("10,000 samples gave %d frames, want 40", len(all))
		}
		loudest := 0
		for i, f := range all {
			if f[100] > all[loudest][100] {
				loudest = i
			}
		}
		if loudest != at/256 {
			t.Errorf("an impulse at %d is loudest in frame %d", at, loudest)
		}
	}
}

func TestEveryNumberOfSamplesHasItsFrames(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{0: 0, 1: 1, 256: 1, 257: 2, 1024: 4, 5000: 20} {
		if got := len(frames(noise(n, 5), 1024, 256, max(n, 1))); got != want {
			t.Errorf("%d samples: %d frames, want %d", n, got, want)
		}
	}
}

func TestASineOfAmplitudeOneHasThePowerOneOnItsBin(t *testing.T) {
	t.Parallel()
	x := sine(8192, 1024, 100, 1)
	got := frames(x, 1024, 256, 512)[16][100]
	if math.Abs(float64(got)-1) > 1e-4 {
		t.Errorf("power %g, want 1", got)
	}
}

func TestMelBandsShareEveryBinBetweenTwoNeighbours(t *testing.T) {
	t.Parallel()
	const bands = 40
	m := spectrum.NewMel(22050, 1024, bands, 30, 10_000)
	power, got := make([]float32, 513), make([]float32, bands)
	middle := func(i int) float64 { // in Hz; 0 and bands+1 are the ends
		lo, hi := 2595*math.Log10(1+30/700.), 2595*math.Log10(1+10_000/700.)
		return 700 * (math.Pow(10, (lo+(hi-lo)*float64(i)/(bands+1))/2595) - 1)
	}
	for k := range power {
		clear(power)
		power[k] = 1
		m.Bands(got, power)
		hz := float64(k) * 22050 / 1024
		for b, v := range got {
			l, c, r := middle(b), middle(b+1), middle(b+2)
			want := max(0, min((hz-l)/(c-l), (r-hz)/(r-c)))
			if math.Abs(float64(v)-want) > 1e-4 {
				t.Errorf("%.0f Hz, band %d: %g, want %g", hz, b, v, want)
			}
		}
	}
}

func TestLogIsTheNaturalLogarithm(t *testing.T) {
	t.Parallel()
	for x := float32(1e-37); x < 1e37; x *= 1.00137 {
		got, want := float64(spectrum.Log(x)), math.Log(float64(x))
		if math.Abs(got-want) > 2e-6+2e-7*math.Abs(want) {
			t.Errorf("Log(%g) = %g, want %g", x, got, want)
		}
	}
	for _, x := range []float32{0, -1, float32(math.NaN()), float32(math.Inf(-1))} {
		if got := spectrum.Log(x); math.Abs(float64(got)+126*math.Ln2) > 1e-5 {
			t.Errorf("Log(%g) = %g, want that of 2^-126", x, got)
		}
	}
}

// listen sends x through a Front and returns what comes out.
func listen(t *testing.T, rate, channels, piece int, x []float32) (r, tonal []float32) {
	t.Helper()
	f, err := spectrum.NewFront(pcm.Format{Rate: rate, Channels: channels})
	if err != nil {
		t.Fatal(err)
	}
	toR := func(m []float32) { r = append(r, m...) }
	toT := func(m []float32) { tonal = append(tonal, m...) }
	for chunk := range slices.Chunk(x, piece) {
		b := pcm.Block{}
		for range channels {
			b.Samples = append(b.Samples, chunk)
		}
		f.Write(b, toR, toT)
	}
	f.Close(toR, toT)
	return r, tonal
}

func TestTheFrontKeepsTimeAndLevelAtEveryRate(t *testing.T) {
	t.Parallel()
	for _, rate := range []int{8000, 11025, 16000, 22050, 32000, 44100, 48000, 88200, 96000, 192000} {
		r, tonal := listen(t, rate, 2, 1000, sine(rate, rate, 1000, 0.5))
		if d := len(r) - spectrum.RateR; d < 0 || d > 1 {
			t.Errorf("%d Hz: one second became %d samples at RateR", rate, len(r))
		}
		if d := len(tonal) - spectrum.RateT; d < 0 || d > 1 {
			t.Errorf("%d Hz: one second became %d samples at RateT", rate, len(tonal))
		}
		for name, got := range map[string]struct {
			x    []float32
			rate int
		}{"RateR": {r, spectrum.RateR}, "RateT": {tonal, spectrum.RateT}} {
			want := sine(len(got.x), got.rate, 1000, 0.5)
			for i := 1000; i < 10_000; i++ {
				if math.Abs(float64(got.x[i]-want[i])) > 2e-3 {
					t.Fatalf("%d Hz, sample %d at %s: %g, want %g", rate, i, name, got.x[i], want[i])
				}
			}
		}
	}
}

func TestWhatTheLowerRateCannotHoldIsGone(t *testing.T) {
	t.Parallel()
	for hz, limit := range map[float64]float64{13_300: 1e-3, 17_000: 1e-3, 21_000: 1e-3} {
		r, _ := listen(t, 44100, 1, 4096, sine(44100, 44100, hz, 1))
		for i := 100; i < len(r)-100; i++ {
			if math.Abs(float64(r[i])) > limit {
				t.Fatalf("%.0f Hz folds down with amplitude %g", hz, r[i])
			}
		}
	}
	r, _ := listen(t, 44100, 1, 4096, sine(44100, 44100, 8700, 1))
	if top := slices.Max(r[100:20_000]); math.Abs(float64(top)-1) > 0.02 {
		t.Errorf("8,700 Hz passes with amplitude %g", top)
	}
}

func TestTheFrontIsTheSameHoweverTheSoundIsCut(t *testing.T) {
	t.Parallel()
	x := noise(20_000, 9)
	for _, rate := range []int{44100, 48000} {
		wantR, wantT := listen(t, rate, 2, len(x), x)
		for _, piece := range []int{1, 3, 1152, 4096} {
			gotR, gotT := listen(t, rate, 2, piece, x)
			if !slices.Equal(gotR, wantR) || !slices.Equal(gotT, wantT) {
				t.Errorf("%d Hz in pieces of %d: differs", rate, piece)
			}
		}
	}
}

func TestMonoIsTheMeanOfAllChannels(t *testing.T) {
	t.Parallel()
	f, err := spectrum.NewFront(pcm.Format{Rate: 22050, Channels: 6})
	if err != nil {
		t.Fatal(err)
	}
	b := pcm.Block{}
	for c := range 6 {
		b.Samples = append(b.Samples, slices.Repeat([]float32{float32(c) / 8}, 10))
	}
	var got []float32
	f.Write(b, func(m []float32) { got = append(got, m...) }, func([]float32) {})
	if len(got) != 10 || math.Abs(float64(got[5])-2.5/8) > 1e-6 {
		t.Errorf("mono is %v, want ten of %g", got, 2.5/8)
	}
}

func TestAFrontForImpossibleSoundIsRefused(t *testing.T) {
	t.Parallel()
	for _, f := range []pcm.Format{{Rate: 0, Channels: 2}, {Rate: 44100}} {
		if _, err := spectrum.NewFront(f); err == nil {
			t.Errorf("%+v was taken", f)
		}
	}
}

func TestFramesAllocateNothing(t *testing.T) {
	s, x, sum := spectrum.NewSTFT(1024, 256), noise(256*100, 7), float32(0)
	frame := func(power []float32) { sum += power[9] }
	s.Write(x, frame)
	if n := testing.AllocsPerRun(3, func() { s.Write(x, frame) }); n > 0 {
		t.Errorf("100 frames made %.0f allocations", n)
	}
}

func BenchmarkPower(b *testing.B) {
	for _, size := range []int{1024, 4096} {
		b.Run(map[int]string{1024: "1024", 4096: "4096"}[size], func(b *testing.B) {
			f, x, dst := spectrum.NewFFT(size), noise(size, 1), make([]float32, size/2+1)
			for b.Loop() {
				f.Power(dst, x)
			}
		})
	}
}

// BenchmarkSecond is one second of stereo sound at 44,100 Hz: the front end alone,
// and with both transforms.
func BenchmarkSecond(b *testing.B) {
	for _, rate := range []int{44100, 48000} {
		b.Run(map[int]string{44100: "front", 48000: "front48k"}[rate], func(b *testing.B) {
			f, _ := spectrum.NewFront(pcm.Format{Rate: rate, Channels: 2})
			x := pcm.Block{Samples: [][]float32{noise(rate, 1), noise(rate, 2)}}
			for b.Loop() {
				f.Write(x, func([]float32) {}, func([]float32) {})
			}
		})
	}
	b.Run("R", func(b *testing.B) { benchSTFT(b, spectrum.SizeR, spectrum.HopR, spectrum.RateR) })
	b.Run("T", func(b *testing.B) { benchSTFT(b, spectrum.SizeT, spectrum.HopT, spectrum.RateT) })
	b.Run("mel", func(b *testing.B) {
		m, p, dst := spectrum.NewMel(22050, 1024, 40, 30, 10000), noise(513, 1), make([]float32, 40)
		for b.Loop() {
			for range 86 {
				m.Bands(dst, p)
				for i, v := range dst {
					dst[i] = spectrum.Log(1 + v)
				}
			}
		}
	})
}

func benchSTFT(b *testing.B, size, hop, rate int) {
	s, x := spectrum.NewSTFT(size, hop), noise(rate, 1)
	for b.Loop() {
		s.Write(x, func([]float32) {})
	}
}
