package decode_test

import (
	"io"
	"os"
	"testing"

	"github.com/melodyud/melodyud/fixtures"
	"github.com/melodyud/melodyud/transcode/decode"
)

const benchSeconds = 60

// BenchmarkDecode measures a minute of stereo through the child: seconds of sound
// per second.
func BenchmarkDecode(b *testing.B) {
	spec := fixtures.Spec{Samples: benchSeconds * 44100, Wave: fixtures.Music()}
	flac, err := os.Create(b.TempDir() + "/x.flac")
	if err != nil {
		b.Fatal(err)
	}
	if err := fixtures.FLAC(flac, spec); err != nil {
		b.Fatal(err)
	}
	for name, f := range map[string]*os.File{
		"wav": masterFile(b, bytesOf(b, fixtures.WAV, spec)), "flac": openFile(b, flac.Name()),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				s, err := decode.Start(b.Context(), decode.Config{FFmpeg: "-"}, f)
				if err != nil {
					b.Fatal(err)
				}
				for err == nil {
					_, err = s.Read()
				}
				if err != io.EOF {
					b.Fatal(err)
				}
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(benchSeconds*float64(b.N)/b.Elapsed().Seconds(), "x-realtime")
		})
	}
}
