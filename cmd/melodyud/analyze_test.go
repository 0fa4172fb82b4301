package main

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	melodyud "github.com/melodyud/melodyud"
)

func TestAnalyzeSaysPrintsAndDrawsWhatItHears(t *testing.T) {
	t.Parallel()
	p := &program{t: t, data: t.TempDir()}
	file := tone(t, 6)
	text := p.must("analyze", file)
	for _, want := range []string{"0:06, pcm_s16le", "loudness ", "LUFS", "tempo ", "key ", "fingerprint  AQ", "analyzer "} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	picture := filepath.Join(t.TempDir(), "tone.png")
	got := decode[struct {
		Features melodyud.Features
		Analysis melodyud.Analysis
		Realtime float64 `json:"x_realtime"`
	}](t, p.must("analyze", file, "--json", "--plot", picture))
	if got.Features.Duration != 6 || len(got.Features.SourceSHA256) != 64 || len(got.Analysis.Print) == 0 || got.Realtime <= 0 {
		t.Errorf("%+v", got)
	}
	raw, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := png.Decode(bytes.NewReader(raw)); err != nil || m.Bounds().Dx() < 1000 {
		t.Errorf("the plot: %v", err)
	}
	none := filepath.Join(t.TempDir(), "none.png")
	if r := p.run("analyze", words(t), "--plot", none, "--ffmpeg", "-"); r.code != exitRefused || !strings.Contains(r.err, "audio.unknown-format: ") {
		t.Errorf("words: exit %d, %s", r.code, r.err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(none), "*")); len(left) != 0 {
		t.Errorf("a plot of nothing: %v", left)
	}
}

func TestOperatorsHaveTracksHeardAgainAndExportThem(t *testing.T) {
	t.Parallel()
	p := serving(t)
	if text := p.must("reanalyze", "--status"); !strings.Contains(text, "Nothing was ever reanalyzed") {
		t.Errorf("status: %s", text)
	}
	p.must("upload", tone(t, 3), "--wait")
	if text := p.must("reanalyze", "--where", "all", "--rate", "0"); !strings.Contains(text, "of 1 tracks") || !strings.Contains(text, "where all") {
		t.Errorf("start: %s", text)
	}
	list := decode[struct{ Reanalyses []reanalysis }](t, p.must("reanalyze", "--status", "--json"))
	if len(list.Reanalyses) != 1 || list.Reanalyses[0].Total != 1 {
		t.Fatalf("%+v", list)
	}
	if text := p.must("reanalyze", "--cancel", list.Reanalyses[0].ID); !strings.Contains(text, "cancelled") && !strings.Contains(text, "done") {
		t.Errorf("cancel: %s", text)
	}
	if r := p.run("reanalyze", "--where", "mood = sad"); r.code != exitFailed || !strings.Contains(r.err, "reanalysis.where: ") {
		t.Errorf("a wrong condition: exit %d, %s", r.code, r.err)
	}
	out := filepath.Join(t.TempDir(), "features.parquet")
	p.must("features", "export", "--out", out)
	if raw, err := os.ReadFile(out); err != nil || !bytes.HasPrefix(raw, []byte("PAR1")) || !bytes.HasSuffix(raw, []byte("PAR1")) {
		t.Errorf("export: %d bytes, %v", len(raw), err)
	}
}

func TestWhatIsNotKnownIsSaidWithItsReason(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		tempoLine(melodyud.Rhythm{Reason: "too_short"}):                                             "- (too short)",
		keyLine(melodyud.Tonal{Reason: "atonal"}):                                                   "- (atonal)",
		keyLine(melodyud.Tonal{Key: new(10), Mode: new(0), Camelot: "3A", KeyConfidence: new(0.5)}): "Bb minor, 3A, confidence 0.50",
		beatsLine(melodyud.Rhythm{Beats: []float64{0.25}, Meter: new(3)}):                           "1, 3 in a bar, the first at 0.25 s",
		loudnessLine(melodyud.Loudness{}):                                                           "- (silent)",
		scoresLine(melodyud.Perceptual{}):                                                           "-",
		printLine(melodyud.Fingerprint{Chromaprint: "AQ"}):                                          "AQ",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
