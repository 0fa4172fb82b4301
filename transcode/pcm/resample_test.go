package pcm_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/melodyud/melodyud/transcode/pcm"
	"github.com/melodyud/melodyud/transcode/pcm/pcmtest"
)

func resample(t testing.TB, from, to int, x []float32) []float32 {
	t.Helper()
	r, err := pcm.NewResampler(from, to, 1)
	if err != nil {
		t.Fatal(err)
	}
	out := slices.Clone(r.Process(pcm.Block{Samples: [][]float32{x}}).Samples[0])
	return append(out, r.Flush().Samples[0]...)
}

var ratios = [][2]int{
	{8000, 48000}, {11025, 44100}, {16000, 48000}, {22050, 44100}, {32000, 48000}, {37800, 48000}, {44056, 48000},
	{88200, 44100}, {96000, 48000}, {176400, 44100}, {192000, 48000}, {48000, 44100}, {44100, 48000}, {191999, 48000},
}

// inside drops what the ends of a signal disturb.
func inside(x []float32, edge int) []float32 { return x[edge : len(x)-edge] }

func rms(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	return math.Sqrt(sum / float64(len(x)))
}

func TestATonePassesUnchangedAndInTime(t *testing.T) { // flat to 0.45, linear phase, lag 0
	t.Parallel()
	for _, c := range ratios {
		for _, share := range []float64{0.001, 0.1, 0.3, 0.449} {
			hz := share * float64(min(c[0], c[1]))
			x := pcmtest.Sine(c[0], hz, 0.5, 0.3, c[0])
			got := resample(t, c[0], c[1], x)
			want := pcmtest.Sine(c[1], hz, 0.5, 0.3, len(got))
			edge := c[1] / 20
			var diff []float64
			for i, v := range inside(got, edge) {
				diff = append(diff, float64(v-want[i+edge]))
			}
			if snr := 20 * math.Log10(0.5/math.Sqrt2/rms(diff)); snr < 100 {
				t.Errorf("%d -> %d Hz: %.0f Hz comes through with SNR %.1f dB", c[0], c[1], hz, snr)
			}
		}
	}
}

func TestNothingAliases(t *testing.T) { // stop band
	t.Parallel()
	for _, c := range ratios {
		if c[1] > c[0] {
			continue
		}
		for _, hz := range []float64{0.5001 * float64(c[1]), 0.6 * float64(c[1]), 0.49 * float64(c[0])} {
			if hz >= float64(c[0])/2 {
				continue
			}
			x := pcmtest.Sine(c[0], hz, 1, 0, c[0])
			got := resample(t, c[0], c[1], x)
			var left []float64
			for _, v := range inside(got, c[1]/20) {
				left = append(left, float64(v))
			}
			if level := 20 * math.Log10(rms(left)*math.Sqrt2+1e-12); level > -110 {
				t.Errorf("%d -> %d Hz: %.0f Hz leaves an alias of %.1f dB", c[0], c[1], hz, level)
			}
		}
	}
}

func TestNoImagesAppear(t *testing.T) {
	t.Parallel()
	const from, to = 8000, 48000
	got := inside(resample(t, from, to, pcmtest.Sine(from, 3000, 1, 0, 4*from)), 4800)
	for _, image := range []float64{5000, 11000, 13000, 19000, 21000} {
		re, im := 0.0, 0.0
		for i, v := range got {
			w := 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(len(got)))
			sin, cos := math.Sincos(2 * math.Pi * image * float64(i) / to)
			re, im = re+w*float64(v)*cos, im+w*float64(v)*sin
		}
		if level := 20 * math.Log10(math.Hypot(re, im)*4/float64(len(got))+1e-12); level > -110 {
			t.Errorf("image of %.1f dB at %.0f Hz", level, image)
		}
	}
}

func TestLengthIsExactAndBlocksDoNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(ratios).Draw(t, "ratio")
		n := rapid.IntRange(1, 5000).Draw(t, "samples")
		x := pcmtest.Sine(c[0], float64(c[0])/10, 0.5, 0, n)
		one, err := pcm.NewResampler(c[0], c[1], 1)
		if err != nil {
			t.Fatal(err)
		}
		want := slices.Clone(one.Process(pcm.Block{Samples: [][]float32{x}}).Samples[0])
		want = append(want, one.Flush().Samples[0]...)
		if exact := (n*c[1] + c[0] - 1) / c[0]; len(want) != exact {
			t.Fatalf("%d samples from %d to %d Hz became %d, want %d", n, c[0], c[1], len(want), exact)
		}
		many, _ := pcm.NewResampler(c[0], c[1], 1)
		var got []float32
		for rest := (pcm.Block{Samples: [][]float32{x}}); rest.Len() > 0; {
			var head pcm.Block
			head, rest = rest.Cut(rapid.IntRange(1, 700).Draw(t, "cut"))
			got = append(got, many.Process(head).Samples[0]...)
		}
		if got = append(got, many.Flush().Samples[0]...); !slices.Equal(got, want) {
			t.Fatal("cutting the input changes the output")
		}
	})
}

func TestResampledSourceKeepsTheContract(t *testing.T) {
	t.Parallel()
	x := pcmtest.Quantise(pcmtest.Sine(8000, 440, 0.5, 0, 100_000), 16)
	f := pcm.Format{Rate: 8000, Channels: 2, BitDepth: 16}
	src, err := pcm.Resample(pcmtest.FromSamples(f, [][]float32{x, x}, pcm.MaxBlock), 48000)
	if err != nil {
		t.Fatal(err)
	}
	if got := pcmtest.Check(t, src); len(got) != 2 || len(got[0]) != 600_000 {
		t.Errorf("%d channels of %d samples", len(got), len(got[0]))
	}
	same, err := pcm.Resample(pcmtest.FromSamples(f, [][]float32{x, x}, 777), 8000)
	if err != nil {
		t.Fatal(err)
	}
	if got := pcmtest.Check(t, same); !slices.Equal(got[1], x) {
		t.Error("an equal rate changes samples")
	}
}

func TestImpossibleRatesAreErrors(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]int{{0, 48000, 1}, {48000, 0, 1}, {48000, 44100, 0}} {
		if _, err := pcm.NewResampler(c[0], c[1], c[2]); err == nil {
			t.Errorf("%v is accepted", c)
		}
	}
}

func TestDownmixKeepsMonoAndStereoAndNeverClips(t *testing.T) { // ITU-R BS.775
	t.Parallel()
	for channels := 1; channels <= 8; channels++ {
		var in [][]float32
		for range channels {
			in = append(in, []float32{1, -1, 0.25})
		}
		d := pcm.NewDownmix(channels)
		got := d.Process(pcm.Block{Samples: in})
		if len(got.Samples) != min(channels, 2) || d.Channels(channels) != min(channels, 2) {
			t.Fatalf("%d channels became %d", channels, len(got.Samples))
		}
		for _, side := range got.Samples {
			for i, want := range []float32{1, -1, 0.25} {
				if math.Abs(float64(side[i]-want)) > 1e-6 {
					t.Errorf("%d channels of the same: got %v, want %v", channels, side[i], want)
				}
			}
		}
	}
}

func TestDownmixPutsEachChannelInItsPlace(t *testing.T) {
	t.Parallel()
	const r = math.Sqrt2 / 2
	layouts := map[int][][2]float64{
		3: {{1, 0}, {0, 1}, {r, r}},
		4: {{1, 0}, {0, 1}, {r, 0}, {0, r}},
		5: {{1, 0}, {0, 1}, {r, r}, {r, 0}, {0, r}},
		6: {{1, 0}, {0, 1}, {r, r}, {0, 0}, {r, 0}, {0, r}},
		7: {{1, 0}, {0, 1}, {r, r}, {0, 0}, {0.5, 0.5}, {r, 0}, {0, r}},
		8: {{1, 0}, {0, 1}, {r, r}, {0, 0}, {r, 0}, {0, r}, {r, 0}, {0, r}},
	}
	for channels, want := range layouts {
		left := fold(channels, 0)[0] // the scale: left stays left at gain 1 before it
		for c := range channels {
			got := fold(channels, c)
			for side := range 2 {
				if math.Abs(got[side]/left-want[c][side]) > 1e-6 {
					t.Errorf("%d channels, channel %d: %v, want %v", channels, c, got, want[c])
				}
			}
		}
	}
}

// fold returns what a one in channel c becomes.
func fold(channels, c int) [2]float64 {
	in := make([][]float32, channels)
	for i := range in {
		in[i] = []float32{0}
	}
	in[c][0] = 1
	out := pcm.NewDownmix(channels).Process(pcm.Block{Samples: in})
	return [2]float64{float64(out.Samples[0][0]), float64(out.Samples[1][0])}
}

func BenchmarkResampler(b *testing.B) {
	for _, c := range [][2]int{{96000, 48000}, {192000, 48000}, {22050, 44100}, {44056, 48000}} {
		b.Run(fmt.Sprintf("%d-%d", c[0], c[1]), func(b *testing.B) {
			x := pcmtest.Sine(c[0], 997, 0.5, 0, c[0]/10)
			r, err := pcm.NewResampler(c[0], c[1], 2)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				r.Process(pcm.Block{Samples: [][]float32{x, x}})
			}
			b.ReportMetric(float64(b.N)*0.1/b.Elapsed().Seconds(), "x-realtime")
		})
	}
}
