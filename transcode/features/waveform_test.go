package features_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/melodyud/melodyud/transcode/features"
	"github.com/melodyud/melodyud/transcode/pcm"
	"github.com/melodyud/melodyud/transcode/pcm/pcmtest"
)

type outline struct {
	Version, Flags, Rate, Zoom, Length, Channels int32
	pairs                                        []int8
}

func parse(t *testing.T, data []byte) outline {
	t.Helper()
	var o outline
	r := bytes.NewReader(data)
	for _, field := range []*int32{&o.Version, &o.Flags, &o.Rate, &o.Zoom, &o.Length, &o.Channels} {
		if err := binary.Read(r, binary.LittleEndian, field); err != nil {
			t.Fatal(err)
		}
	}
	o.pairs = make([]int8, r.Len())
	if err := binary.Read(r, binary.LittleEndian, o.pairs); err != nil {
		t.Fatal(err)
	}
	if len(o.pairs) != int(2*o.Length*o.Channels) {
		t.Fatalf("%d values for %d pixels", len(o.pairs), o.Length)
	}
	return o
}

func TestOutlineOfKnownSamples(t *testing.T) {
	t.Parallel()
	x := make([]float32, 1100)
	x[0], x[511], x[512], x[1099] = 1, -1, 0.5, -0.25
	w := features.NewWaveform(pcm.Format{Rate: 48000, Channels: 1})
	w.Write(pcm.Block{Samples: [][]float32{x}})
	got := parse(t, w.Encode())
	want := outline{Version: 2, Flags: 1, Rate: 48000, Zoom: 512, Length: 3, Channels: 1, pairs: []int8{-127, 127, 0, 63, -31, 0}}
	if got.Version != want.Version || got.Flags != want.Flags || got.Rate != want.Rate || got.Zoom != want.Zoom || got.Length != want.Length || got.Channels != want.Channels {
		t.Errorf("header %+v", got)
	}
	for i, v := range want.pairs {
		if got.pairs[i] != v {
			t.Errorf("value %d is %d, want %d", i, got.pairs[i], v)
		}
	}
}

func TestOutlineIsOfTheMeanOfAllChannels(t *testing.T) {
	t.Parallel()
	w := features.NewWaveform(pcm.Format{Rate: 48000, Channels: 2})
	w.Write(pcm.Block{Samples: [][]float32{{1, 0.5}, {-1, 0.5}}})
	if got := parse(t, w.Encode()).pairs; got[0] != 0 || got[1] != 63 {
		t.Errorf("got %v", got)
	}
}

func TestOutlineStaysSmallHoweverLongTheTrack(t *testing.T) {
	t.Parallel()
	w := features.NewWaveform(pcm.Format{Rate: 8000, Channels: 1})
	x := make([]float32, 8000)
	const seconds = 6 * 3600
	for second := range seconds {
		x[5] = 0
		if second == seconds/2 {
			x[5] = 1
		}
		w.Write(pcm.Block{Samples: [][]float32{x}})
	}
	data := w.Encode()
	got := parse(t, data)
	if len(data) > 1<<17+24 {
		t.Errorf("%d bytes", len(data))
	}
	if total := int64(got.Length) * int64(got.Zoom); total < seconds*8000 || total >= seconds*8000+int64(got.Zoom) {
		t.Errorf("%d pixels of %d samples for %d", got.Length, got.Zoom, seconds*8000)
	}
	click := seconds / 2 * 8000 / int(got.Zoom)
	for i := range int(got.Length) {
		if high := got.pairs[2*i+1]; (high == 127) != (i == click) {
			t.Errorf("pixel %d reaches %d; the click is in pixel %d", i, high, click)
		}
	}
}

func TestTheOverviewHasAThousandPixelsOfTheWholeTrack(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 700, 16_000, 100_003, 5_000_000} {
		x := make([]float32, n)
		click := n * 2 / 3
		x[click] = 1
		w := features.NewWaveform(pcm.Format{Rate: 48000, Channels: 1})
		w.Write(pcm.Block{Samples: [][]float32{x}})
		got := parse(t, w.Overview())
		if got.Length != 1000 || int(got.Zoom) != max(1, (n+500)/1000) {
			t.Errorf("%d samples: %d pixels of %d", n, got.Length, got.Zoom)
		}
		heard := false
		for i := range 1000 {
			high := got.pairs[2*i+1] == 127
			if at := float64(click) / float64(n) * 1000; high && math.Abs(at-float64(i)-0.5) > 0.5+16000/float64(n) {
				t.Errorf("%d samples: the click at %.1f is in pixel %d", n, at, i)
			}
			heard = heard || high
		}
		if !heard {
			t.Errorf("%d samples: the click is nowhere", n)
		}
	}
	if got := parse(t, features.NewWaveform(pcm.Format{Rate: 48000, Channels: 1}).Overview()); got.Length != 0 {
		t.Errorf("no sound has %d pixels", got.Length)
	}
}

func TestOutlineDoesNotDependOnBlocks(t *testing.T) {
	t.Parallel()
	f := pcm.Format{Rate: 48000, Channels: 2}
	x := [][]float32{pcmtest.Sine(48000, 3, 0.9, 0, 100_001), pcmtest.Sine(48000, 5, 0.9, 0, 100_001)}
	var want []byte
	for _, cut := range []int{1 << 20, 4096, 255, 257, 1} {
		w := features.NewWaveform(f)
		for rest := (pcm.Block{Samples: x}); rest.Len() > 0; {
			var head pcm.Block
			head, rest = rest.Cut(cut)
			w.Write(head)
		}
		if want == nil {
			want = w.Encode()
		}
		if !bytes.Equal(w.Encode(), want) {
			t.Errorf("blocks of %d give another outline", cut)
		}
	}
}

// TestOutlineAgreesWithAudiowaveform compares with a file made by that program:
// 16 kHz mono, 64 samples a pixel, of which we join eight.
func TestOutlineAgreesWithAudiowaveform(t *testing.T) {
	t.Parallel()
	reference := parseV1(t, corpus(t, "waveform/test_file_mono_float32_8bit_64spp.dat"))
	sound := wavFloat(corpus(t, "waveform/test_file_mono_float32.wav"))
	w := features.NewWaveform(pcm.Format{Rate: 16000, Channels: 1})
	w.Write(pcm.Block{Samples: [][]float32{sound}})
	got := parse(t, w.Encode())
	if want := (len(reference)/2 + 7) / 8; int(got.Length) != want {
		t.Fatalf("%d pixels, want %d", got.Length, want)
	}
	for i := range int(got.Length) {
		low, high := int8(127), int8(-128)
		for k := 8 * i; k < min(8*i+8, len(reference)/2); k++ {
			low, high = min(low, reference[2*k]), max(high, reference[2*k+1])
		}
		if diff(got.pairs[2*i], low) > 1 || diff(got.pairs[2*i+1], high) > 1 {
			t.Errorf("pixel %d: %d..%d, audiowaveform has %d..%d", i, got.pairs[2*i], got.pairs[2*i+1], low, high)
		}
	}
}

func diff(a, b int8) int { return max(int(a)-int(b), int(b)-int(a)) }

func corpus(t *testing.T, name string) []byte {
	t.Helper()
	dir := os.Getenv("MELODYUD_CORPUS")
	if dir == "" {
		dir = "../../../shared/corpus"
	}
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Skipf("corpus file is not here: %v", err)
	}
	return data
}

// parseV1 returns the pairs of a version 1 file, which has no channels field.
func parseV1(t *testing.T, data []byte) []int8 {
	t.Helper()
	if data[0] != 1 || data[4] != 1 {
		t.Fatalf("header % x", data[:20])
	}
	var out []int8
	for _, v := range data[20:] {
		out = append(out, int8(v))
	}
	return out
}

func wavFloat(data []byte) []float32 {
	at := bytes.Index(data, []byte("data"))
	n := int(binary.LittleEndian.Uint32(data[at+4:]))
	var out []float32
	for i := at + 8; i+4 <= min(len(data), at+8+n); i += 4 {
		out = append(out, math.Float32frombits(binary.LittleEndian.Uint32(data[i:])))
	}
	return out
}
