package transcode_test

import (
	"encoding/csv"
	"path"
	"strconv"
	"strings"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/media"
	"github.com/melodyud/melodyud/transcode"
)

// TestLoudnessAgreesWithTheReferences compares with what the signals were made
// for, or with libebur128 and ffmpeg where nothing is specified.
func TestLoudnessAgreesWithTheReferences(t *testing.T) { // standards section 8, differential test
	t.Parallel()
	table := csv.NewReader(corpus(t, "expected/loudness.tsv"))
	table.Comma, table.LazyQuotes = '\t', true
	rows, err := table.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	e := engine(t, nil, transcode.Config{})
	for _, row := range rows[1:] {
		t.Run(path.Base(row[0]), func(t *testing.T) {
			rep, err := e.Examine(t.Context(), corpus(t, row[0]))
			if err != nil {
				t.Skipf("not decoded: %v", err)
			}
			want := func(name string) float64 {
				v, err := strconv.ParseFloat(row[column[name]], 64)
				if err != nil {
					t.Fatal(err)
				}
				return v
			}
			within(t, "integrated", rep.Loudness.Integrated, want("libebur128_I"), 0.1, 0.1)
			within(t, "true peak", rep.Loudness.TruePeak, want("libebur128_true_peak"), 0.2, 0.2)
			within(t, "sample peak", rep.Loudness.SamplePeak, want("ffmpeg_sample_peak"), 0.1, 0.1)
			if strings.Contains(row[column["specified"]], "LRA") {
				within(t, "range", rep.Loudness.Range, want("libebur128_LRA"), 1, 1)
			}
		})
	}
}

func within(t *testing.T, what string, got *float64, want, below, above float64) {
	t.Helper()
	if got == nil {
		t.Errorf("%s is undefined, want %.2f", what, want)
		return
	}
	if *got < want-below-1e-9 || *got > want+above+1e-9 {
		t.Errorf("%s: %.2f, want %.2f", what, *got, want)
	}
}

// BenchmarkRender is the whole way of a real track, decoder child included.
func BenchmarkRender(b *testing.B) {
	for _, encoder := range []string{transcode.EncoderBuiltin, transcode.EncoderFFmpeg} {
		b.Run(encoder, func(b *testing.B) {
			e, f := engine(b, nil, transcode.Config{Encoder: encoder}), corpus(b, "music/03-wesnoth-elvish-theme.flac")
			seconds := 0.0
			for b.Loop() {
				if _, err := f.Seek(0, 0); err != nil {
					b.Fatal(err)
				}
				rep, err := e.Render(b.Context(), f, transcode.Job{
					Ladder: melodyud.DefaultLadder(),
					Open:   func(media.Stream) (media.Sink, error) { return void{}, nil },
				})
				if err != nil {
					b.Fatal(err)
				}
				seconds += rep.Features.Duration
			}
			b.ReportMetric(seconds/b.Elapsed().Seconds(), "x-realtime")
		})
	}
}
