package decode_test

import (
	"bytes"
	"io"
	"testing"
	"unicode/utf8"

	"github.com/melodyud/melodyud/fixtures"
	"github.com/melodyud/melodyud/transcode/decode"
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
		if n, _ := decode.ReadPlain(b); n > int64(len(b)) {
			t.Fatalf("%d samples out of %d bytes", n, len(b))
		}
	})
}

func FuzzSniffing(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if name, err := decode.Sniff(b); (name == "") == (err == nil) {
			t.Fatalf("container %q, error %v", name, err)
		}
	})
}

func FuzzLabelsAreClean(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		facts := decode.ReadLabels(b)
		for _, s := range []string{facts.Tags.Title, facts.Tags.Artist, facts.Tags.Album} {
			if !utf8.ValidString(s) || utf8.RuneCountInString(s) > 300 || bytes.ContainsAny([]byte(s), "\x00\r\n\x1b") {
				t.Fatalf("label %q", s)
			}
		}
		if len(facts.Cover.Data) > decode.MaxCover || (facts.Cover.MIME == "") != (len(facts.Cover.Data) == 0) {
			t.Fatalf("cover %q of %d bytes", facts.Cover.MIME, len(facts.Cover.Data))
		}
	})
}

func FuzzMPEGFramesFeedNoMoreThanTheFile(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, _ := decode.ScanFrames(b); n > int64(len(b)) {
			t.Fatalf("fed %d bytes out of %d", n, len(b))
		}
	})
}

func FuzzProtocol(f *testing.F) {
	f.Add([]byte("B\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), uint8(2))
	f.Add([]byte("F\xff\xff\xff\xff"), uint8(1))
	f.Add([]byte("E\x02\x00\x00\x00{}"), uint8(0))
	f.Fuzz(func(t *testing.T, b []byte, channels uint8) {
		if n, err := decode.Listen(b, int(channels%9)); n > len(b)/5 || err == nil {
			t.Fatalf("%d words out of %d bytes, %v", n, len(b), err)
		}
	})
}
