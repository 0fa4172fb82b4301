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
	e := engine(t, nil, transcode.Config{})
	for _, name := range []string{"expected/loudness.tsv", "expected/music.tsv"} {
		for file, want := range tableOf(t, name) {
			t.Run(path.Base(file), func(t *testing.T) {
				rep, err := e.Examine(t.Context(), corpus(t, file))
				if err != nil {
					t.Skipf("not decoded: %v", err)
				}
				got := rep.Loudness
				within(t, "integrated", got.Integrated, number(t, want["libebur128_I"]), 0.1, 0.1)
				specified := want["specified"]
				if specified == "" { // where libebur128 was given clipped samples
					within(t, "true peak", got.TruePeak, number(t, want["ffmpeg_true_peak"]), 0.2, 0.2)
					within(t, "maximum momentary", got.MaxMomentary, number(t, want["ffmpeg_max_M"]), 0.1, 0.3)
					within(t, "maximum short-term", got.MaxShortTerm, number(t, want["ffmpeg_max_S"]), 0.1, 0.3)
					return
				}
				within(t, "true peak", got.TruePeak, number(t, want["libebur128_true_peak"]), 0.2, 0.2)
				within(t, "sample peak", got.SamplePeak, number(t, want["ffmpeg_sample_peak"]), 0.1, 0.1)
				if strings.Contains(specified, "LRA") {
					within(t, "range", got.Range, number(t, want["libebur128_LRA"]), 1, 1)
				}
				if strings.HasPrefix(specified, "max S=-23.0") {
					within(t, "maximum short-term", got.MaxShortTerm, -23, 0.1, 0.1)
				}
				if strings.HasPrefix(specified, "max M=-23.0") {
					within(t, "maximum momentary", got.MaxMomentary, -23, 0.1, 0.1)
				}
			})
		}
	}
}

// tableOf reads a table of expectations: by file, then by column.
func tableOf(t *testing.T, name string) map[string]map[string]string {
	t.Helper()
	table := csv.NewReader(corpus(t, name))
	table.Comma, table.LazyQuotes = '\t', true
	rows, err := table.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]string{}
	for _, row := range rows[1:] {
		all[row[0]] = map[string]string{}
		for i, column := range rows[0] {
			all[row[0]][column] = row[i]
		}
	}
	return all
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
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
