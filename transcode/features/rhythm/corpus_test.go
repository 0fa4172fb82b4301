package rhythm_test

import (
	"bufio"
	"io"
	"math"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/melodyud/melodyud/transcode/decode"
	"github.com/melodyud/melodyud/transcode/features/rhythm"
	"github.com/melodyud/melodyud/transcode/features/spectrum"
)

// TestMain lets the test binary play the decoder child, as the real one does.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "child" {
		os.Exit(decode.ChildMain(os.Args[2:]))
	}
	os.Exit(m.Run())
}

func corpus(t *testing.T, name string) *os.File {
	t.Helper()
	dir := os.Getenv("MELODYUD_CORPUS")
	if dir == "" {
		dir = "../../../../shared/corpus"
	}
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		t.Skipf("corpus file is not here: %v", err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// hearFile returns the pulse of a file of the corpus.
func hearFile(t *testing.T, name string) rhythm.Result {
	t.Helper()
	source, err := decode.Start(t.Context(), decode.Config{}, corpus(t, name))
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	front, err := spectrum.NewFront(source.Format())
	if err != nil {
		t.Fatal(err)
	}
	tracker, frames := rhythm.New(), spectrum.NewSTFT(spectrum.SizeR, spectrum.HopR)
	r := func(x []float32) { frames.Write(x, tracker.Frame) }
	for {
		b, err := source.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		front.Write(b, r, func([]float32) {})
	}
	front.Close(r, func([]float32) {})
	frames.Close(tracker.Frame)
	return tracker.Result()
}

// bpm reads the corpus's table of tempi that are known for sure.
func bpm(t *testing.T) map[string]float64 {
	t.Helper()
	known := map[string]float64{}
	for lines := bufio.NewScanner(corpus(t, "expected/tempo-key.tsv")); lines.Scan(); {
		f := strings.Split(lines.Text(), "\t")
		if v, err := strconv.ParseFloat(f[3], 64); err == nil && f[4] == "high" {
			known[f[0]] = v
		}
	}
	return known
}

func TestRealMusicHasTheTempoItsMakersWrote(t *testing.T) {
	if testing.Short() {
		t.Skip("decodes minutes of music; left out by -short")
	}
	t.Parallel()
	known := bpm(t)
	for _, name := range []string{
		"drums/hydrogen-gm_kit_demo1.mp3", "drums/hydrogen-gm_kit_demo2.flac", "drums/hydrogen-gm_kit_diddley.ogg",
		"charted/muldjord-mutilated_mime.mp3", "charted/sectoid-feelings.mp3",
		"sequenced/lmms-oglsdl-dr8v2.ogg", "sequenced/lmms-skiessi-c64.mp3", "folk/jigs3-Dmajor.ogg",
		"synthetic/beat-click-174bpm.ogg", "synthetic/beat-rock-85bpm.mp3", "synthetic/beat-waltz-105bpm.ogg", "synthetic/beat-swing-112bpm.ogg",
	} {
		t.Run(path.Base(name), func(t *testing.T) {
			t.Parallel()
			want, r := known["tempo-key/"+name], hearFile(t, "tempo-key/"+name)
			if r.Tempo == nil || math.Abs(*r.Tempo-want) > 0.01*want {
				t.Errorf("tempo %v %s, want %g", r.Tempo, r.Reason, want)
			}
		})
	}
}

func TestSpeechAndDronesHaveNoTempo(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"real-music/speech-librispeech-198-209.ogg", "tempo-key/synthetic/drone-Cmajor.ogg"} {
		if r := hearFile(t, name); r.Tempo != nil || r.Reason != "arrhythmic" {
			t.Errorf("%s: tempo %v, reason %q", name, r.Tempo, r.Reason)
		}
	}
}

func TestAWaltzIsCountedInThrees(t *testing.T) {
	t.Parallel()
	r := hearFile(t, "tempo-key/synthetic/beat-waltz-105bpm.ogg")
	if r.Meter == nil || *r.Meter != 3 {
		t.Errorf("meter %v, want 3", r.Meter)
	}
}
