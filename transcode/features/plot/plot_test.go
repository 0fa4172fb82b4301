package plot_test

import (
	"bytes"
	"image"
	"image/png"
	"math"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/features"
	"github.com/melodyud/melodyud/transcode/features/plot"
	"github.com/melodyud/melodyud/transcode/pcm"
	"github.com/melodyud/melodyud/transcode/pcm/pcmtest"
)

// draw draws a sheet of sound at 44.1 kHz.
func draw(t *testing.T, f melodyud.Features, sound []float32) image.Image {
	t.Helper()
	format := pcm.Format{Rate: 44100, Channels: 1}
	s, err := plot.NewSpectrogram(format)
	if err != nil {
		t.Fatal(err)
	}
	w := features.NewWaveform(format)
	for rest := (pcm.Block{Samples: [][]float32{sound}}); rest.Len() > 0; {
		var head pcm.Block
		head, rest = rest.Cut(8192)
		s.Write(head)
		w.Write(head)
	}
	s.Close()
	f.Duration = float64(len(sound)) / 44100
	var out bytes.Buffer
	if err := plot.Draw(&out, plot.Sheet{Title: "A song", Subtitle: "test", Features: f, Waveform: w.Encode(), Sound: s}); err != nil {
		t.Fatal(err)
	}
	m, err := png.Decode(&out)
	if err != nil {
		t.Fatal(err)
	}
	if m.Bounds() != image.Rect(0, 0, plot.Width, plot.Height) {
		t.Errorf("the sheet is %v", m.Bounds())
	}
	return m
}

func full() melodyud.Features {
	f := melodyud.Features{
		Loudness: melodyud.Loudness{Integrated: new(-9.5), Range: new(6.0), TruePeak: new(-0.1)},
		Rhythm: melodyud.Rhythm{Tempo: new(120.0), TempoAlt: new(60.0), TempoConfidence: new(0.9), Meter: new(4), OnsetRate: new(3.0),
			Beats: []float64{0.5, 1, 1.5, 2}, Downbeats: []int{0, 17}},
		Tonal: melodyud.Tonal{Key: new(9), Mode: new(0), Camelot: "8A", KeyConfidence: new(0.5), TuningCents: new(-3.0),
			Chroma: []float64{1, .1, .2, .3, .8, .1, .2, .3, .1, .9, 0, math.Pi}},
		Perceptual: melodyud.Perceptual{Energy: melodyud.Score{Value: new(0.9)}, Valence: melodyud.Score{Value: new(0.0)}},
		Structure:  melodyud.Structure{Sections: []melodyud.Section{{Duration: 1, Loudness: new(-9.0), Key: new(0), Mode: new(1)}, {Start: 1, Duration: 1}}},
	}
	return f
}

func TestATonesLineIsAtItsHeight(t *testing.T) {
	t.Parallel()
	m := draw(t, melodyud.Features{}, pcmtest.Sine(44100, 1000, 0.5, 0, 88200))
	bright := func(y int) uint32 {
		r, g, b, _ := m.At(700, y).RGBA()
		return r + g + b
	}
	brightest := 0
	for y := 412; y < 900; y++ {
		if bright(y) > bright(brightest) || brightest == 0 {
			brightest = y
		}
	}
	const want = 900 - 149 // 0.3045 of the way up the mel scale from 30 to 11,025 Hz
	if brightest < want-8 || brightest > want+8 {
		t.Errorf("1 kHz is drawn at %d, want %d", brightest, want)
	}
}

func TestASheetIsDrawnOfWhateverIsKnown(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("pictures of a million points each")
	}
	long := full()
	for i := range 9000 {
		long.Rhythm.Beats = append(long.Rhythm.Beats, float64(i)/4500)
	}
	for name, c := range map[string]struct {
		features melodyud.Features
		sound    []float32
	}{
		"everything": {full(), pcmtest.Sine(44100, 200, 1, 0, 88200)},
		"nothing":    {melodyud.Features{}, nil},
		"one sample": {melodyud.Features{Rhythm: melodyud.Rhythm{Reason: "too_short"}}, []float32{1}},
		"silence":    {melodyud.Features{}, make([]float32, 44100)},
		"many beats": {long, make([]float32, 88200)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			draw(t, c.features, c.sound)
		})
	}
}

func TestTheSpectrogramOfALongTrackStaysSmall(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a minute of sound")
	}
	s, err := plot.NewSpectrogram(pcm.Format{Rate: 8000, Channels: 1})
	if err != nil {
		t.Fatal(err)
	}
	block := pcm.Block{Samples: [][]float32{pcmtest.Sine(8000, 440, 0.5, 0, 8000)}}
	for range 60 { // seconds: more than fits at the finest
		s.Write(block)
	}
	s.Close()
	if n := s.Columns(); n > 4096 || n < 2048 {
		t.Errorf("%d columns", n)
	}
}
