package decode_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/melodyud/melodyud/fixtures"
	"github.com/melodyud/melodyud/transcode/decode"
)

func checkExact(t *testing.T, r result, s fixtures.Spec, depth int) {
	t.Helper()
	if r.err != nil {
		t.Fatal(r.err)
	}
	want := fixtures.Planar(s.Wave, s.Rate, s.Channels, s.Samples)
	if len(r.planes) != s.Channels || r.facts.Samples != int64(s.Samples) {
		t.Fatalf("got %d channels, %d samples", len(r.planes), r.facts.Samples)
	}
	for c := range want {
		for i, v := range want[c] {
			w := float32(v)
			if depth > 0 {
				w = fixtures.Quantize(v, depth)
			}
			if r.planes[c][i] != w {
				t.Fatalf("channel %d sample %d: got %g, want %g", c, i, r.planes[c][i], w)
			}
		}
	}
}

func TestWAVOfEveryWidthDecodesExactly(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spec   fixtures.Spec
		depth  int // to quantize the expectation with; 0 none
		format int // BitDepth of the format
	}{
		"8 bit":            {fixtures.Spec{Encoding: fixtures.U8}, 8, 8},
		"16 bit":           {fixtures.Spec{}, 16, 16},
		"16 bit mono":      {fixtures.Spec{Channels: 1}, 16, 16},
		"24 bit":           {fixtures.Spec{Encoding: fixtures.S24}, 24, 24},
		"32 bit":           {fixtures.Spec{Encoding: fixtures.S32}, 32, 0},
		"float":            {fixtures.Spec{Encoding: fixtures.Float32}, 0, 0},
		"double":           {fixtures.Spec{Encoding: fixtures.Float64}, 0, 0},
		"extensible":       {fixtures.Spec{Encoding: fixtures.S24, ValidBits: 24}, 24, 24},
		"20 of 24 bits":    {fixtures.Spec{Encoding: fixtures.S24, ValidBits: 20}, 24, 24},
		"extensible float": {fixtures.Spec{Encoding: fixtures.Float32, ValidBits: 32}, 0, 0},
		"RF64":             {fixtures.Spec{RF64: true}, 16, 16},
		"streamed":         {fixtures.Spec{Streamed: true}, 16, 16},
		"eight channels":   {fixtures.Spec{Channels: 8}, 16, 16},
		"192 kHz":          {fixtures.Spec{Rate: 192000}, 16, 16},
		"odd chunks":       {fixtures.Spec{Chunks: []fixtures.Chunk{{ID: "junk", Body: []byte("odd")}}}, 16, 16},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := withDefaults(tc.spec)
			r := decodeAll(t, decode.Config{FFmpeg: "-"}, masterFile(t, bytesOf(t, fixtures.WAV, s)))
			checkExact(t, r, s, tc.depth)
			if r.facts.BitDepth != tc.format {
				t.Errorf("format of %d bits, want %d", r.facts.BitDepth, tc.format)
			}
		})
	}
}

func withDefaults(s fixtures.Spec) fixtures.Spec {
	if s.Rate == 0 {
		s.Rate = 44100
	}
	if s.Channels == 0 {
		s.Channels = 2
	}
	s.Samples, s.Wave = 20001, fixtures.Sines(440)
	return s
}

func TestFLACDecodesExactly(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]fixtures.Spec{
		"16 bit":       {Encoding: fixtures.S16, Channels: 2},
		"24 bit mono":  {Encoding: fixtures.S24, Channels: 1, Rate: 96000},
		"six channels": {Encoding: fixtures.S16, Channels: 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := withDefaults(tc)
			f, err := os.Create(t.TempDir() + "/x.flac")
			if err != nil {
				t.Fatal(err)
			}
			if err := fixtures.FLAC(f, s); err != nil {
				t.Fatal(err)
			}
			r := decodeAll(t, decode.Config{FFmpeg: "-"}, openFile(t, f.Name()))
			checkExact(t, r, s, 8*s.Encoding.Bytes())
			if len(r.facts.Warnings) != 0 {
				t.Errorf("warnings %q", r.facts.Warnings)
			}
		})
	}
}

func TestBW64DecodesAsRF64Does(t *testing.T) { // ITU-R BS.2088
	t.Parallel()
	s := withDefaults(fixtures.Spec{RF64: true, Encoding: fixtures.S24})
	body := bytes.Replace(bytesOf(t, fixtures.WAV, s), []byte("RF64"), []byte("BW64"), 1)
	checkExact(t, decodeAll(t, decode.Config{FFmpeg: "-"}, masterFile(t, body)), s, 24)
}
