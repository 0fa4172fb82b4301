package table_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/sound/table"
)

var told = time.Date(2026, 5, 1, 12, 0, 0, 123e6, time.UTC)

func song() melodyud.Features {
	return melodyud.Features{
		Schema: melodyud.FeaturesSchema, Version: "7", ParamsHash: "0123456789abcdef", SourceSHA256: "aa", Duration: 200.5, SampleRate: 44100, Channels: 2, BitDepth: 16,
		Loudness:    melodyud.Loudness{Integrated: new(-9.5), TruePeak: new(-1.0)},
		Quality:     melodyud.Quality{FakeLossless: new(false), Remarks: []melodyud.Remark{{Code: "quality.clipping", Text: "x"}}},
		Rhythm:      melodyud.Rhythm{Tempo: new(120.5), Beats: []float64{1, 2, 3}, Meter: new(4)},
		Tonal:       melodyud.Tonal{Key: new(0), Mode: new(1), Camelot: "8B", Chroma: []float64{1, 0, .5, 0, .5, 0, 0, .75, 0, 0, 0, 0}},
		Timbre:      melodyud.Timbre{MFCCMean: []float64{-1, 2}, Centroid: new(1500.0)},
		Perceptual:  melodyud.Perceptual{Energy: melodyud.Score{Value: new(0.0)}},
		Structure:   melodyud.Structure{Sections: []melodyud.Section{{Start: 1, Duration: 2, Confidence: .5, Key: new(3)}}},
		Fingerprint: melodyud.Fingerprint{Chromaprint: "AQAA", SimHash: 1 << 31},
		Embedding:   []melodyud.Embedding{{Model: "hand-v1", Licence: "Apache-2.0", Vector: []float32{.6, -.8}}, {Model: "other-1", Reason: "silent"}},
	}
}

func file(t *testing.T, rows []table.Row) []byte {
	t.Helper()
	var out bytes.Buffer
	w := table.NewWriter(&out)
	for _, r := range rows {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	t.Parallel()
	f := song()
	rows := []table.Row{table.Of(table.Subject{Track: "trk_1", Release: "rel_1", Owner: "usr_1", Title: "Grün ♫", FeaturesHash: "ff", Told: told}, &f)}
	for i := range 2500 { // more than a group
		rows = append(rows, table.Of(table.Subject{Track: melodyud.TrackID(fmt.Sprint("trk_", i)), Told: told}, &melodyud.Features{Duration: float64(i)}))
	}
	raw := file(t, rows)
	got, err := table.Read(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(rows, got, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if r := got[0]; r.Key == nil || *r.Key != 0 || *r.Energy != 0 || r.Danceability != nil || r.AnalyzerVersion != 7 || r.SimHash != 1<<31 {
		t.Errorf("zero and null are not told apart: %+v", r)
	}
	if again := file(t, rows); !bytes.Equal(again, raw) {
		t.Error("the same rows give other bytes")
	}
}

func TestAnotherProgramReadsTheFile(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil || exec.Command(python, "-c", "import pyarrow").Run() != nil {
		t.Skip("pyarrow is not installed")
	}
	f := song()
	raw := file(t, []table.Row{table.Of(table.Subject{Track: "trk_1", Told: told}, &f)})
	cmd := exec.Command(python, "-c", `import sys,io,json,pyarrow.parquet as p
r=p.read_table(io.BytesIO(sys.stdin.buffer.read())).to_pylist()[0]
print(json.dumps([r["track"],r["told"].isoformat(),r["tempo_bpm"],r["key"],r["danceability"],r["remarks"],r["embeddings"][0]["model_id"],len(r["chroma_mean"])]))`)
	cmd.Stdin = bytes.NewReader(raw)
	out, err := cmd.Output()
	var got []any
	if err != nil || json.Unmarshal(out, &got) != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if want := fmt.Sprint([]any{"trk_1", "2026-05-01T12:00:00.123000", 120.5, 0, nil, []any{"quality.clipping"}, "hand-v1", 12}); fmt.Sprint(got) != want &&
		fmt.Sprint(got) != fmt.Sprint([]any{"trk_1", "2026-05-01T12:00:00.123000+00:00", 120.5, 0, nil, []any{"quality.clipping"}, "hand-v1", 12}) {
		t.Errorf("got %v, want %v", got, want)
	}
}
