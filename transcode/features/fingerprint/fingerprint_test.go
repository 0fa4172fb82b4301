package fingerprint_test

import (
	"encoding/base64"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/features/fingerprint"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// TestThePrintOfAKnownSongIsFpcalcs compares with what fpcalc made of a song in
// the corpus of Chromaprint's own tests, without needing it.
func TestThePrintOfAKnownSongIsFpcalcs(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(corpus(t), "fingerprint")
	said, err := os.ReadFile(filepath.Join(dir, "test.mp3.fpcalc.out"))
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(said), "FINGERPRINT=")
	want := numbers(t, strings.Fields(list)[0])
	samples := decoded(t, filepath.Join(dir, "test.mp3"), 44100, 2)
	if samples == nil {
		t.Skip("needs ffmpeg")
	}
	got := printed(t, samples, pcm.Format{Rate: 44100, Channels: 2, BitDepth: 16}).Items
	if d := distance(got, want); len(got) != len(want) || d > 0.01 {
		t.Errorf("%d items of %d, bit error %.4f", len(got), len(want), d)
	}
}

// song returns n samples of something that changes like music does.
func song(n, rate int, seed uint64) []float32 {
	random := rand.New(rand.NewPCG(seed, 1))
	x := make([]float32, n)
	var notes [3]float64
	for i := range x {
		if i%(rate/3) == 0 {
			for v := range notes {
				notes[v] = 110 * math.Pow(2, float64(random.IntN(36))/12)
			}
		}
		for _, hz := range notes {
			x[i] += float32(0.2 * math.Sin(2*math.Pi*hz*float64(i)/float64(rate)))
		}
	}
	return x
}

func result(t *testing.T, f pcm.Format, block int, channels ...[]float32) fingerprint.Result {
	t.Helper()
	p, err := fingerprint.New(f)
	if err != nil {
		t.Fatal(err)
	}
	for rest := (pcm.Block{Samples: channels}); rest.Len() > 0; {
		var head pcm.Block
		head, rest = rest.Cut(block)
		p.Write(head)
	}
	return p.Result()
}

func TestBlocksDoNotMatter(t *testing.T) {
	t.Parallel()
	x := song(48000*8, 48000, 1)
	f := pcm.Format{Rate: 48000, Channels: 2}
	want := result(t, f, len(x), x, x)
	if len(want.Items) < 20 {
		t.Fatalf("%d items", len(want.Items))
	}
	for _, block := range []int{1, 37, 4096, 65536} {
		if got := result(t, f, block, x, x); !slices.Equal(got.Items, want.Items) || got.Fingerprint != want.Fingerprint {
			t.Errorf("in blocks of %d the print is another", block)
		}
	}
}

func TestTheSameSoundAtAnotherRateHasTheSamePrint(t *testing.T) {
	t.Parallel()
	want := result(t, pcm.Format{Rate: 11025, Channels: 1}, 4096, song(11025*8, 11025, 2)).Items
	for _, rate := range []int{8000, 22050, 44100, 96000} {
		got := result(t, pcm.Format{Rate: rate, Channels: 1}, 4096, song(rate*8, rate, 2)).Items
		if d := distance(got, want); d > 0.02 || len(got) < len(want)-1 {
			t.Errorf("%d Hz: %d items of %d, bit error %.4f", rate, len(got), len(want), d)
		}
	}
}

func TestWhatCannotBeRecognisedHasNoPrintAndAReason(t *testing.T) {
	t.Parallel()
	mono := pcm.Format{Rate: 11025, Channels: 1}
	quiet := make([]float32, 11025*5)
	for i := range quiet {
		quiet[i] = float32(i%2) / (1 << 16)
	}
	for reason, x := range map[string][]float32{
		fingerprint.TooShort: song(30030, 11025, 3), fingerprint.Silent: quiet,
	} {
		got := result(t, mono, 1000, x)
		if got.Items != nil || got.Fingerprint != (melodyud.Fingerprint{Reason: reason}) {
			t.Errorf("%s: %+v with %d items", reason, got.Fingerprint, len(got.Items))
		}
	}
	if got := result(t, mono, 1000, song(30031, 11025, 3)); len(got.Items) != 1 {
		t.Errorf("30,031 samples give %d items, want 1", len(got.Items))
	}
	if got := result(t, pcm.Format{Rate: 44100, Channels: 2}, 1); got.Fingerprint.Reason != fingerprint.TooShort {
		t.Errorf("nothing at all: %+v", got.Fingerprint)
	}
}

func TestOddSoundDoesNoHarm(t *testing.T) {
	t.Parallel()
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	x := song(8000*4, 8000, 4)
	for i := range x {
		switch i % 5 {
		case 0:
			x[i] = inf
		case 1:
			x[i] = nan
		case 2:
			x[i] = -1e30
		}
	}
	for channels := 1; channels <= 8; channels++ {
		planes := make([][]float32, channels)
		for c := range planes {
			planes[c] = x
		}
		result(t, pcm.Format{Rate: 8000, Channels: channels}, 777, planes...)
	}
	for _, f := range []pcm.Format{{}, {Rate: 8000}, {Rate: 8000, Channels: 9}, {Rate: -1, Channels: 1}} {
		if _, err := fingerprint.New(f); !errors.Is(err, melodyud.ErrInvalid) {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

func TestACompressedPrintComesBackWhole(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 5))
	for _, n := range []int{0, 1, 2, 7, 948} {
		items := make([]uint32, n)
		for i := range items {
			items[i] = random.Uint32() >> random.IntN(32) << random.IntN(32)
		}
		got, err := fingerprint.Decode(fingerprint.Encode(items))
		if err != nil || !slices.Equal(got, items) {
			t.Errorf("%d items: %v, %v", n, got, err)
		}
	}
}

func TestTheCompressedFormIsChromaprints(t *testing.T) { // the cases of its own test of the form
	t.Parallel()
	for _, c := range []struct {
		items []uint32
		want  []byte
	}{
		{nil, []byte{1, 0, 0, 0}},
		{[]uint32{1}, []byte{1, 0, 0, 1, 1}},
		{[]uint32{7}, []byte{1, 0, 0, 1, 73, 0}},
		{[]uint32{1 << 6}, []byte{1, 0, 0, 1, 7, 0}},
		{[]uint32{1 << 8}, []byte{1, 0, 0, 1, 7, 2}},
		{[]uint32{1, 0}, []byte{1, 0, 0, 2, 65, 0}},
		{[]uint32{1, 1}, []byte{1, 0, 0, 2, 1, 0}},
	} {
		if got := fingerprint.Encode(c.items); got != base64.RawURLEncoding.EncodeToString(c.want) {
			t.Errorf("%v: %s, want %v", c.items, got, c.want)
		}
	}
}

func TestBrokenPrintsAreRefused(t *testing.T) {
	t.Parallel()
	for _, print := range []string{"", "AQ", "AgAAAA", "AQAAAQ", "AQAAAQc", "A+AA", "AQAAAf8A_w", "AQ____" + strings.Repeat("A", 100)} {
		if items, err := fingerprint.Decode(print); !errors.Is(err, melodyud.ErrInvalid) {
			t.Errorf("%q: %v, %v", print, items, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("AQAAAQkA")
	f.Add(fingerprint.Encode([]uint32{1, 0x80000000, 0xffffffff}))
	f.Fuzz(func(t *testing.T, print string) {
		items, err := fingerprint.Decode(print)
		if err != nil {
			return
		}
		again, err := fingerprint.Decode(fingerprint.Encode(items))
		if err != nil || !slices.Equal(items, again) {
			t.Errorf("%q does not come back", print)
		}
	})
}

func TestSimHashTakesWhatMostItemsHave(t *testing.T) {
	t.Parallel()
	if got := fingerprint.SimHash([]uint32{0b0111, 0b0011, 0b0101}); got != 0b0111 {
		t.Errorf("%b", got)
	}
	if got := fingerprint.SimHash([]uint32{1, 2}); got != 0 { // a draw is a 0
		t.Errorf("%b", got)
	}
}

func BenchmarkPrinter(b *testing.B) {
	for name, f := range map[string]pcm.Format{
		"11025-mono": {Rate: 11025, Channels: 1, BitDepth: 16}, "44100-stereo": {Rate: 44100, Channels: 2, BitDepth: 16},
	} {
		b.Run(name, func(b *testing.B) {
			x := song(f.Rate*60, f.Rate, 1)
			block := pcm.Block{Samples: [][]float32{x, x}[:f.Channels]}
			for b.Loop() {
				p, err := fingerprint.New(f)
				if err != nil {
					b.Fatal(err)
				}
				for rest := block; rest.Len() > 0; {
					var head pcm.Block
					head, rest = rest.Cut(4096)
					p.Write(head)
				}
				p.Result()
			}
			b.ReportMetric(60*float64(b.N)/b.Elapsed().Seconds(), "x-realtime")
		})
	}
}
