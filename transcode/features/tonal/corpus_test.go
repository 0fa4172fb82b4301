package tonal_test

import (
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/decode/format"
	"github.com/melodyud/melodyud/transcode/features/spectrum"
	"github.com/melodyud/melodyud/transcode/features/tonal"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// corpusSeconds is how much of a file is listened to.
const corpusSeconds = 120

// hearFile returns what is heard in the beginning of a file of the corpus.
func hearFile(t *testing.T, name string) melodyud.Tonal {
	t.Helper()
	dir := os.Getenv("MELODYUD_CORPUS")
	if dir == "" {
		dir = "../../../../shared/corpus"
	}
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		t.Skipf("corpus file is not here: %v", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	facts, sound, err := format.Open(&format.Input{At: f, Size: info.Size(), Limits: format.Limits{}.Filled(info.Size())})
	if err != nil {
		t.Fatal(err)
	}
	front, err := spectrum.NewFront(pcm.Format{Rate: facts.SampleRate, Channels: facts.Channels})
	if err != nil {
		t.Fatal(err)
	}
	l, s := tonal.New(), spectrum.NewSTFT(spectrum.SizeT, spectrum.HopT)
	write := func(x []float32) { s.Write(x, l.Frame) }
	for n := 0; n < corpusSeconds*facts.SampleRate; {
		b, err := sound.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		n += b.Len()
		front.Write(b, func([]float32) {}, write)
	}
	front.Close(func([]float32) {}, write)
	s.Close(l.Frame)
	return l.Result().Tonal
}

func TestMusicOfTheCorpusHasItsKey(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes long; left out by -short")
	}
	none := math.NaN()
	for name, want := range map[string]struct {
		key    melodyud.KeyGuess
		tuning float64 // cents
	}{
		"synthetic/chords-Cmajor.ogg":           {melodyud.KeyGuess{Key: 0, Mode: 1}, 0},
		"synthetic/chords-Aminor.ogg":           {melodyud.KeyGuess{Key: 9, Mode: 0}, 0},
		"synthetic/chords-Fsharpmajor-A432.ogg": {melodyud.KeyGuess{Key: 6, Mode: 1}, -31.77},
		"synthetic/chords-Gminor-A445.ogg":      {melodyud.KeyGuess{Key: 7, Mode: 0}, 19.56},
		"bach/BWV772-invention-Cmajor.ogg":      {melodyud.KeyGuess{Key: 0, Mode: 1}, none},
		"bach/BWV784-invention-Aminor.ogg":      {melodyud.KeyGuess{Key: 9, Mode: 0}, none},
		"folk/jigs3-Dmajor.ogg":                 {melodyud.KeyGuess{Key: 2, Mode: 1}, none},
		"folk/jigs10-Eminor.ogg":                {melodyud.KeyGuess{Key: 4, Mode: 0}, none},
	} {
		t.Run(filepath.Base(name), func(t *testing.T) {
			got := hearFile(t, "tempo-key/"+name)
			if got.Key == nil || *got.Key != want.key.Key || *got.Mode != want.key.Mode {
				t.Errorf("got %s, want %+v", text(got), want.key)
			}
			if got.TuningCents == nil || math.Abs(*got.TuningCents-want.tuning) > 3 {
				t.Errorf("got %s, want %.2f cents", text(got), want.tuning)
			}
		})
	}
}

func TestWhatHasNoKeyInTheCorpusGetsNone(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes long; left out by -short")
	}
	for _, name := range []string{
		"real-music/speech-librispeech-198-209.ogg",
		"tempo-key/drums/hydrogen-gm_kit_demo2.flac",
		"tempo-key/drums/hydrogen-gm_kit_diddley.ogg",
		"tempo-key/synthetic/beat-rock-128bpm.ogg",
		"tempo-key/synthetic/beat-waltz-105bpm.ogg",
		"tempo-key/impulses/impulses_1second_44100.flac",
	} {
		t.Run(filepath.Base(name), func(t *testing.T) {
			if got := hearFile(t, name); got.Key != nil || got.Reason != "atonal" {
				t.Errorf("got %s", text(got))
			}
		})
	}
}
