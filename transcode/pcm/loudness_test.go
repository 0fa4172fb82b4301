package pcm_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/pcm"
	"github.com/melodyud/melodyud/transcode/pcm/pcmtest"
)

func measure(rate int, channels ...[]float32) melodyud.Loudness {
	m := pcm.NewMeter(pcm.Format{Rate: rate, Channels: len(channels)})
	m.Write(pcm.Block{Samples: channels})
	return m.Loudness()
}

func amplitude(db float64) float64 { return math.Pow(10, db/20) }

// steps is a 1 kHz tone in stereo of successive levels (dBFS) and seconds.
func steps(rate int, levels ...[2]float64) [][]float32 {
	var tone []float32
	for _, l := range levels {
		tone = append(tone, pcmtest.Sine(rate, 1000, amplitude(l[0]), 0, int(l[1]*float64(rate)))...)
	}
	return [][]float32{tone, tone}
}

func near(t *testing.T, what string, got *float64, want, below, above float64) {
	t.Helper()
	if got == nil {
		t.Errorf("%s is undefined, want %.1f", what, want)
		return
	}
	if *got < want-below || *got > want+above {
		t.Errorf("%s: %.2f, want %.2f -%.2f +%.2f", what, *got, want, below, above)
	}
}

func TestLoudnessOfTheReferenceSignals(t *testing.T) { // LOUD-1, LOUD-2: vectors of standards section 8
	t.Parallel()
	for _, rate := range []int{8000, 22050, 44100, 48000, 96000, 192000} {
		for _, c := range []struct {
			name   string
			levels [][2]float64
			want   float64
		}{
			{"-23 dBFS", [][2]float64{{-23, 20}}, -23},
			{"-33 dBFS", [][2]float64{{-33, 20}}, -33},
			{"relative gate", [][2]float64{{-36, 10}, {-23, 60}, {-36, 10}}, -23},
			{"absolute gate", [][2]float64{{-72, 10}, {-36, 10}, {-23, 60}, {-36, 10}, {-72, 10}}, -23},
		} {
			if rate != 48000 && c.name != "-23 dBFS" {
				continue
			}
			got := measure(rate, steps(rate, c.levels...)...)
			near(t, c.name, got.Integrated, c.want, 0.1, 0.1)
		}
	}
	mono := pcmtest.Sine(48000, 997, 1, 0, 20*48000)
	near(t, "997 Hz in one channel", measure(48000, mono).Integrated, -3.01, 0.1, 0.1)
	near(t, "997 Hz in one of two", measure(48000, mono, make([]float32, len(mono))).Integrated, -3.01, 0.1, 0.1)
}

func TestLoudnessRangeOfTheReferenceSignals(t *testing.T) { // LOUD-3
	t.Parallel()
	near(t, "steady", measure(48000, steps(48000, [2]float64{-23, 20})...).Range, 0, 0.1, 0.1)
	near(t, "one step", measure(48000, steps(48000, [2]float64{-20, 20}, [2]float64{-30, 20})...).Range, 10, 1, 1)
	near(t, "EBU 3342-4", measure(48000, steps(48000, [2]float64{-50, 20}, [2]float64{-35, 20}, [2]float64{-20, 20}, [2]float64{-35, 20}, [2]float64{-50, 20})...).Range, 15, 1, 1)
}

func TestSurroundsCountForMoreAndLFEForNothing(t *testing.T) {
	t.Parallel()
	tone := func(db float64) []float32 { return pcmtest.Sine(48000, 1000, amplitude(db), 0, 6*48000) }
	loud := tone(0)
	near(t, "EBU 3341-6, 5.0", measure(48000, tone(-28), tone(-28), tone(-24), tone(-30), tone(-30)).Integrated, -23, 0.1, 0.1)
	near(t, "EBU 3341-6 with LFE", measure(48000, tone(-28), tone(-28), tone(-24), loud, tone(-30), tone(-30)).Integrated, -23, 0.1, 0.1)
}

func TestTruePeakIsFoundBetweenSamples(t *testing.T) { // LOUD-4; EBU 3341 cases 15 to 19
	t.Parallel()
	fade := func(x []float32, rate int) []float32 {
		n := rate / 20
		for i := range n {
			g := float32(0.5 - 0.5*math.Cos(math.Pi*float64(i)/float64(n)))
			x[i] *= g
			x[len(x)-1-i] *= g
		}
		return x
	}
	for _, c := range []struct {
		divisor, phase, amplitude, want float64
	}{{4, 0, 0.5, -6}, {4, 45, 0.5, -6}, {6, 60, 0.5, -6}, {8, 67.5, 0.5, -6}, {4, 45, 1.41, 3}, {2.5, 20, 0.5, -6}} {
		for _, rate := range []int{44100, 48000, 96000} {
			x := fade(pcmtest.Sine(rate, float64(rate)/c.divisor, c.amplitude, c.phase*math.Pi/180, rate), rate)
			got := measure(rate, x, x)
			near(t, "true peak", got.TruePeak, c.want, 0.4, 0.2)
		}
	}
	x := fade(pcmtest.Sine(48000, 12000, 0.5, math.Pi/4, 48000), 48000)
	near(t, "sample peak", measure(48000, x, x).SamplePeak, -9.03, 0.05, 0.05)
}

func TestAPeakAtTheVeryEndIsNotMissed(t *testing.T) {
	t.Parallel()
	x := make([]float32, 5000)
	x[4998], x[4999] = 0.9, 0.9
	got := measure(48000, x)
	if got.TruePeak == nil || *got.TruePeak <= *got.SamplePeak+0.5 {
		t.Errorf("true peak %v beside sample peak %v", *got.TruePeak, *got.SamplePeak)
	}
}

func TestSilenceAndSnippetsHaveNoLoudness(t *testing.T) { // LOUD-6
	t.Parallel()
	silent := measure(48000, make([]float32, 480000))
	if silent.Integrated != nil || silent.Range != nil || silent.TruePeak != nil || silent.SamplePeak != nil {
		t.Errorf("silence measures %+v", silent)
	}
	short := measure(48000, pcmtest.Sine(48000, 1000, 0.5, 0, 19199))
	if short.Integrated != nil || short.SamplePeak == nil {
		t.Errorf("399 ms measure %+v", short)
	}
	if measure(48000, pcmtest.Sine(48000, 1000, 0.5, 0, 19200)).Integrated == nil {
		t.Error("400 ms have no loudness")
	}
}

func TestMeasuresDoNotDependOnHowBlocksAreCut(t *testing.T) {
	t.Parallel()
	x := pcmtest.Sine(11025, 440, 0.7, 0, 60000)
	y := pcmtest.Sine(11025, 1234, 0.3, 1, 60000)
	want := measure(11025, x, y)
	rapid.Check(t, func(t *rapid.T) {
		m := pcm.NewMeter(pcm.Format{Rate: 11025, Channels: 2})
		for rest := (pcm.Block{Samples: [][]float32{x, y}}); rest.Len() > 0; {
			var head pcm.Block
			head, rest = rest.Cut(rapid.IntRange(1, 20000).Draw(t, "cut"))
			m.Write(head)
		}
		got := m.Loudness()
		for _, pair := range [][2]*float64{{got.Integrated, want.Integrated}, {got.Range, want.Range}, {got.TruePeak, want.TruePeak}, {got.SamplePeak, want.SamplePeak}} {
			if *pair[0] != *pair[1] {
				t.Fatalf("got %v, want %v", *pair[0], *pair[1])
			}
		}
	})
}

func BenchmarkMeter(b *testing.B) {
	const rate, seconds = 44100, 10
	x := steps(rate, [2]float64{-20, seconds / 2}, [2]float64{-12, seconds / 2})
	for b.Loop() {
		m := pcm.NewMeter(pcm.Format{Rate: rate, Channels: 2})
		m.Write(pcm.Block{Samples: x})
		m.Loudness()
	}
	b.ReportMetric(float64(b.N)*seconds/b.Elapsed().Seconds(), "x-realtime")
}

func TestTheLoudestMomentIsFoundWhereverItBegins(t *testing.T) { // EBU 3341 cases 9, 10 and 13
	t.Parallel()
	const rate = 48000
	near(t, "case 9, short-term", measure(rate, steps(rate,
		[2]float64{-20, 1.34}, [2]float64{-30, 1.66}, [2]float64{-20, 1.34}, [2]float64{-30, 1.66})...).MaxShortTerm, -23, 0.1, 0.1)
	for i := range 20 {
		late := 0.15 * float64(i)
		near(t, "case 10, short-term", measure(rate, steps(rate, [2]float64{-200, late}, [2]float64{-23, 3}, [2]float64{-200, 1})...).MaxShortTerm, -23, 0.1, 0.1)
		late = 0.02 * float64(i)
		near(t, "case 13, momentary", measure(rate, steps(rate, [2]float64{-200, late}, [2]float64{-23, 0.4}, [2]float64{-200, 1})...).MaxMomentary, -23, 0.1, 0.1)
	}
	if m := measure(rate, make([]float32, 5*rate)); m.MaxMomentary != nil || m.MaxShortTerm != nil {
		t.Errorf("silence has maxima %+v", m)
	}
}

func TestAnAlbumIsGatedOverTheBlocksOfAllTracks(t *testing.T) { // LOUD-5
	t.Parallel()
	const rate = 48000
	quiet, loud := steps(rate, [2]float64{-36, 20}), steps(rate, [2]float64{-23, 60})
	one, two, all := blocks(rate, quiet), blocks(rate, loud), blocks(rate, quiet, loud)
	var album melodyud.LoudnessBlocks
	album.Join(one)
	album.Join(two)
	near(t, "album", album.Integrated(), -23, 0.1, 0.1)
	near(t, "in one go", all.Integrated(), *album.Integrated(), 0.05, 0.05)
	near(t, "one track", one.Integrated(), -36, 0.06, 0.06)
	if (melodyud.LoudnessBlocks{}).Integrated() != nil || blocks(rate, [][]float32{make([]float32, 5*rate)}).Integrated() != nil {
		t.Error("silence has a loudness")
	}
}

func blocks(rate int, parts ...[][]float32) melodyud.LoudnessBlocks {
	m := pcm.NewMeter(pcm.Format{Rate: rate, Channels: len(parts[0])})
	for _, p := range parts {
		m.Write(pcm.Block{Samples: p})
	}
	return m.Blocks()
}
