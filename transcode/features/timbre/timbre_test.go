package timbre_test

import (
	"encoding/json"
	"math"
	"math/cmplx"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/features/spectrum"
	"github.com/melodyud/melodyud/transcode/features/timbre"
)

// measure hears x, at spectrum.RateR, in blocks of n samples.
func measure(x []float32, n int) timbre.Result {
	m, s := timbre.New(), spectrum.NewSTFT(spectrum.SizeR, spectrum.HopR)
	for block := range slices.Chunk(x, n) {
		m.Samples(block)
		s.Write(block, m.Frame)
	}
	s.Close(m.Frame)
	return m.Result()
}

// medley is a little of everything: chords that decay, noise that comes and goes,
// a click, and a pause.
func medley(seconds float64) []float32 {
	random := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, int(seconds*spectrum.RateR))
	for i := range x {
		t := float64(i) / spectrum.RateR
		decay := math.Exp(-3 * math.Mod(t, 0.5))
		v := 0.2*decay*(math.Sin(2*math.Pi*220*t)+math.Sin(2*math.Pi*277*t)) + 0.05*math.Sin(2*math.Pi*3000*t)
		v += 0.1 * random.NormFloat64() * max(0, math.Sin(2*math.Pi*2*t))
		if math.Mod(t, 1) > 0.9 {
			v = 0
		}
		x[i] = float32(v)
	}
	x[5000] += 0.5
	return x
}

func TestTimbreEqualsASlowComputation(t *testing.T) {
	t.Parallel()
	x := medley(1.2)
	got, want := measure(x, 1000).Timbre, oracle(x)
	near(t, "mfcc_mean", got.MFCCMean, want.MFCCMean)
	near(t, "mfcc_std", got.MFCCStd, want.MFCCStd)
	near(t, "contrast", got.Contrast, want.Contrast)
	near(t, "centroid", []float64{*got.Centroid}, []float64{*want.Centroid})
	near(t, "rolloff", []float64{*got.Rolloff85}, []float64{*want.Rolloff85})
	near(t, "flatness", []float64{*got.Flatness}, []float64{*want.Flatness})
	near(t, "zcr", []float64{*got.ZCR}, []float64{*want.ZCR})
	near(t, "flux", []float64{*got.Flux}, []float64{*want.Flux})
}

func near(t *testing.T, what string, got, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-3*max(1e-2, math.Abs(want[i])) && math.Abs(got[i]-want[i]) > 1e-3 {
			t.Errorf("%s[%d]: %.6f, want %.6f", what, i, got[i], want[i])
		}
	}
}

func TestATrackCutAnywhereSoundsTheSame(t *testing.T) {
	t.Parallel()
	x := medley(3)
	want := measure(x, len(x))
	for _, n := range []int{1, 255, 4096} {
		if got := measure(x, n); !reflect.DeepEqual(got, want) {
			t.Errorf("blocks of %d samples: %+v, want %+v", n, got.Timbre, want.Timbre)
		}
	}
}

func TestWhatHasNoTimbreSaysWhy(t *testing.T) {
	t.Parallel()
	nan := medley(1)
	for i := range nan {
		nan[i] = float32(math.NaN())
	}
	faint := medley(1)
	for i := range faint {
		faint[i] *= 1e-5
	}
	dc := make([]float32, spectrum.RateR)
	for i := range dc {
		dc[i] = 0.5
	}
	for name, c := range map[string]struct {
		sound  []float32
		reason string
	}{
		"nothing":       {nil, timbre.ReasonSilent},
		"silence":       {make([]float32, 30000), timbre.ReasonSilent},
		"faint":         {faint, timbre.ReasonSilent},
		"not a number":  {nan, timbre.ReasonSilent},
		"one sample":    {[]float32{1}, timbre.ReasonTooShort},
		"half a second": {medley(0.5), ""},
		"DC":            {dc, ""},
	} {
		r := measure(c.sound, 1024)
		if r.Timbre.Reason != c.reason || (r.Timbre.MFCCMean == nil) != (c.reason != "") {
			t.Errorf("%s: %+v, want the reason %q", name, r.Timbre, c.reason)
		}
		if _, err := json.Marshal(r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTimbreDoesNotDependOnTheLevel(t *testing.T) {
	t.Parallel()
	x := medley(3)
	loud := measure(x, 4096).Timbre
	for i := range x {
		x[i] /= 8
	}
	quiet := measure(x, 4096).Timbre
	for i := 1; i < timbre.Cepstra; i++ {
		if math.Abs(loud.MFCCMean[i]-quiet.MFCCMean[i]) > 1 {
			t.Errorf("cepstrum %d moves from %.3f to %.3f with the level", i, loud.MFCCMean[i], quiet.MFCCMean[i])
		}
	}
	if math.Abs(*loud.Centroid / *quiet.Centroid - 1) > 0.01 || math.Abs(*loud.Flux / *quiet.Flux - 1) > 0.01 {
		t.Errorf("centroid %.1f and %.1f, flux %.4f and %.4f", *loud.Centroid, *quiet.Centroid, *loud.Flux, *quiet.Flux)
	}
}

func TestSwingsAreFoundAtTheirRate(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	for octave, hz := range []float64{0.7, 1.4, 2.8, 5.6, 11.2} {
		x := make([]float32, 14*spectrum.RateR)
		for i := range x {
			db := 10 * math.Sin(2*math.Pi*hz*float64(i)/spectrum.RateR)
			x[i] = float32(0.05 * random.NormFloat64() * math.Pow(10, db/20))
		}
		s := measure(x, 4096).Statistics
		for g := range s.Swing {
			if got, want := s.Swing[g][octave], 10/math.Sqrt2; math.Abs(got-want) > 2 {
				t.Errorf("%.1f Hz, group %d: %.2f dB, want %.2f of %.2f", hz, g, got, want, s.Swing[g])
			}
		}
	}
}

func TestTheCourseOfALongTrackIsBounded(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("half an hour of sound")
	}
	m, power := timbre.New(), make([]float32, spectrum.SizeR/2+1)
	const seconds = 1800
	for i := range seconds * spectrum.RateR / spectrum.HopR {
		power[20] = 0.1 + 0.1*float32(i%7)
		m.Frame(power)
	}
	r := m.Result()
	if n := len(r.Cepstra); n > 1<<14 || math.Abs(float64(n)*r.Period-seconds) > 2 {
		t.Errorf("%d stretches of %.3f s", n, r.Period)
	}
	for i, c := range r.Cepstra {
		if math.Abs(float64(c[0])-r.Statistics.MFCC[0]) > 10 {
			t.Fatalf("stretch %d is at %.2f dB, all of it at %.2f", i, c[0], r.Statistics.MFCC[0])
		}
	}
}

func TestFramesAllocateNothing(t *testing.T) {
	m, power, mono := timbre.New(), make([]float32, spectrum.SizeR/2+1), make([]float32, 4*spectrum.HopR)
	power[30] = 0.5
	hear := func() {
		m.Samples(mono)
		for range 4 {
			m.Frame(power)
		}
	}
	if n := testing.AllocsPerRun(1000, hear); n > 0.1 {
		t.Errorf("%.2f allocations for four frames", n)
	}
}

func BenchmarkTimbre(b *testing.B) {
	x := medley(20)
	var frames [][]float32
	s := spectrum.NewSTFT(spectrum.SizeR, spectrum.HopR)
	s.Write(x, func(p []float32) { frames = append(frames, slices.Clone(p)) })
	for b.Loop() {
		m := timbre.New()
		m.Samples(x)
		for _, f := range frames {
			m.Frame(f)
		}
		m.Result()
	}
	b.ReportMetric(20*float64(b.N)/b.Elapsed().Seconds(), "x-realtime")
}

// oracle computes the timbre of x from its definition: frames of 1,024 samples
// 512 apart by a textbook transform, everything in float64, as librosa does it
// where librosa has it (HTK mel bands, orthonormal DCT of decibels, magnitudes for
// centroid, roll-off and flux).
func oracle(x []float32) melodyud.Timbre {
	var cepstra [][]float64
	var centroid, rolloff, flatness, flux, zcr []float64
	contrast := make([][]float64, 6)
	var before []float64
	for at, heard := 0, 0; at < len(x); at += 512 {
		power := spectrumAt(x, at)
		total := sum(power)
		if total <= 1e-7 {
			before = nil
			continue
		}
		cepstra = append(cepstra, cepstrum(power))
		magnitudes := each(power, math.Sqrt)
		all, moment, below := sum(magnitudes), 0.0, 0.0
		for k, m := range magnitudes {
			moment += m * hertz(k)
			if below < 0.85*all && below+m >= 0.85*all {
				rolloff = append(rolloff, hertz(k))
			}
			below += m
		}
		centroid = append(centroid, moment/all)
		logs := each(power, func(p float64) float64 { return math.Log(max(p, 1e-4*total/513)) })
		flatness = append(flatness, math.Exp(sum(logs)/513)/(total/513))
		unit := each(magnitudes, func(m float64) float64 { return m / math.Sqrt(total) })
		if before != nil {
			d := 0.0
			for k := range unit {
				d += (unit[k] - before[k]) * (unit[k] - before[k])
			}
			flux = append(flux, math.Sqrt(d))
		}
		before = unit
		if heard%4 == 0 {
			for i, c := range contrasts(power) {
				contrast[i] = append(contrast[i], c)
			}
		}
		heard++
	}
	for at := 0; at+512 <= len(x); at += 512 {
		if rate, ok := crossings(x, at); ok {
			zcr = append(zcr, rate)
		}
	}
	t := melodyud.Timbre{Centroid: mean(centroid), Rolloff85: mean(rolloff), Flatness: mean(flatness), Flux: mean(flux), ZCR: mean(zcr)}
	for c := range 20 {
		column := make([]float64, len(cepstra))
		for i := range cepstra {
			column[i] = cepstra[i][c]
		}
		m := *mean(column)
		t.MFCCMean = append(t.MFCCMean, m)
		t.MFCCStd = append(t.MFCCStd, math.Sqrt(*mean(each(column, func(v float64) float64 { return (v - m) * (v - m) }))))
	}
	for _, c := range contrast {
		t.Contrast = append(t.Contrast, *mean(c))
	}
	return t
}

func hertz(bin int) float64 { return float64(bin) * 22050 / 1024 }

func sum(x []float64) (s float64) {
	for _, v := range x {
		s += v
	}
	return s
}

func mean(x []float64) *float64 {
	m := sum(x) / float64(len(x))
	return &m
}

func each(x []float64, f func(float64) float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = f(v)
	}
	return y
}

// spectrumAt is the power spectrum around sample at.
func spectrumAt(x []float32, at int) []float64 {
	frame := make([]complex128, 1024)
	for i := range frame {
		if j := at - 512 + i; j >= 0 && j < len(x) {
			hann := 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/1024)
			frame[i] = complex(float64(x[j])*hann/256, 0)
		}
	}
	power := make([]float64, 513)
	for k, v := range transform(frame)[:513] {
		power[k] = real(v)*real(v) + imag(v)*imag(v)
	}
	return power
}

func transform(x []complex128) []complex128 {
	n := len(x)
	if n == 1 {
		return x
	}
	even, odd := make([]complex128, n/2), make([]complex128, n/2)
	for i := range even {
		even[i], odd[i] = x[2*i], x[2*i+1]
	}
	even, odd = transform(even), transform(odd)
	y := make([]complex128, n)
	for k := range even {
		turned := odd[k] * cmplx.Rect(1, -2*math.Pi*float64(k)/float64(n))
		y[k], y[k+n/2] = even[k]+turned, even[k]-turned
	}
	return y
}

func cepstrum(power []float64) []float64 {
	bands := melBands(power)
	c := make([]float64, 20)
	for b, v := range bands {
		v = max(v, slices.Max(bands)-60)
		for i := range c {
			scale := math.Sqrt(2.0 / 40)
			if i == 0 {
				scale = math.Sqrt(1.0 / 40)
			}
			c[i] += scale * v * math.Cos(math.Pi*float64(i)*(float64(b)+0.5)/40)
		}
	}
	return c
}

func melBands(power []float64) []float64 {
	mel := func(hz float64) float64 { return 2595 * math.Log10(1+hz/700) }
	low, high := mel(30), mel(11025)
	bands := make([]float64, 40)
	for b := range bands {
		corner := func(i int) float64 { return 700 * (math.Pow(10, (low+(high-low)*float64(b+i)/41)/2595) - 1) }
		left, middle, right := corner(0), corner(1), corner(2)
		band := 0.0
		for k, p := range power {
			rise := (hertz(k) - left) / (middle - left)
			fall := (right - hertz(k)) / (right - middle)
			band += p * max(0, min(rise, fall))
		}
		bands[b] = 10 * math.Log10(max(band, 1e-10))
	}
	return bands
}

func contrasts(power []float64) []float64 {
	edges := []int{9, 19, 37, 74, 149, 297, 513}
	c := make([]float64, 6)
	for i := range c {
		band := slices.Sorted(slices.Values(power[edges[i]:edges[i+1]]))
		n := int(math.Round(0.2 * float64(len(band))))
		db := func(x []float64) float64 { return 10 * math.Log10(max(*mean(x), 1e-10)) }
		c[i] = db(band[len(band)-n:]) - db(band[:n])
	}
	return c
}

func crossings(x []float32, at int) (rate float64, sounding bool) {
	power := 0.0
	for i, v := range x[at : at+512] {
		last := float32(0)
		if at+i > 0 {
			last = x[at+i-1]
		}
		if (v < 0) != (last < 0) {
			rate++
		}
		power += float64(v) * float64(v)
	}
	return rate / 512, power/512 > 1e-7
}
