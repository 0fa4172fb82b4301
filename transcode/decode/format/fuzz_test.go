package format_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/melodyud/melodyud/fixtures"
	"github.com/melodyud/melodyud/transcode/decode/format"
)

// seed adds the odd files and the beginnings of the good ones.
func seed(f *testing.F) {
	for _, o := range fixtures.OddFiles() {
		f.Add(o.Body[:min(len(o.Body), 4096)])
	}
	for _, name := range []string{fixtures.MP3, fixtures.OggVorbis, fixtures.AAC, fixtures.ALAC} {
		b := fixtures.Media(name)
		f.Add(b[:min(len(b), 4096)])
		f.Add(b[max(0, len(b)-4096):])
	}
	for _, write := range []func(io.Writer, fixtures.Spec) error{fixtures.WAV, fixtures.AIFF, fixtures.AIFFSowt} {
		var b bytes.Buffer
		if err := write(&b, fixtures.Spec{Samples: 100}); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
}

func FuzzPlainSamplesNeverPanic(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, _ := format.ReadPlain(b); n > int64(len(b)) {
			t.Fatalf("%d samples out of %d bytes", n, len(b))
		}
	})
}

func FuzzSniffing(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if name, err := format.Sniff(b); (name == "") == (err == nil) {
			t.Fatalf("container %q, error %v", name, err)
		}
	})
}

func FuzzMPEGFramesFeedNoMoreThanTheFile(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, _ := format.ScanFrames(b); n > int64(len(b)) {
			t.Fatalf("fed %d bytes out of %d", n, len(b))
		}
	})
}
