package packager_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/media"
	"github.com/melodyud/melodyud/packager"
	"github.com/melodyud/melodyud/packager/packagertest"
)

// opener reads a package's files from a directory.
func opener(dir string) func(string, int64, int64) (io.ReadCloser, error) {
	return func(name string, offset, length int64) (io.ReadCloser, error) {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		if _, err := f.Seek(offset, io.SeekStart); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if length < 0 {
			return f, nil
		}
		return struct {
			io.Reader
			io.Closer
		}{io.LimitReader(f, length), f}, nil
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestSealedPackageHasTheAgreedFilesAndNoOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ladder := melodyud.Ladder{{Codec: melodyud.CodecAAC, Bitrate: 96000}, {Codec: melodyud.CodecFLAC}}
	m := packagertest.Build(t, dir, packagertest.Track{Ladder: ladder})
	want := []string{
		"aac-96.m3u8", "aac-96.mp4", "flac.m3u8", "flac.mp4", "hifi.m3u8", "index.m3u8", "manifest.json", "manifest.mpd",
	}
	if got := names(t, dir); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if err := packager.Verify(context.Background(), opener(dir), &m); err != nil {
		t.Error(err)
	}

	dir = t.TempDir()
	packagertest.Build(t, dir, packagertest.Track{Ladder: ladder[:1]})
	if got := names(t, dir); slices.Contains(got, "hifi.m3u8") {
		t.Errorf("HLS-34: a hifi playlist without a lossless rendition: %v", got)
	}
}

func TestSamePacketsGiveTheSameBytes(t *testing.T) {
	t.Parallel()
	a, b := t.TempDir(), t.TempDir()
	packagertest.Build(t, a, packagertest.Track{Rate: 96000, Samples: 960_001})
	packagertest.Build(t, b, packagertest.Track{Rate: 96000, Samples: 960_001})
	for _, name := range names(t, a) {
		first, err := os.ReadFile(filepath.Join(a, name))
		if err != nil {
			t.Fatal(err)
		}
		second, err := os.ReadFile(filepath.Join(b, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, second) {
			t.Errorf("%s differs", name)
		}
	}
}

func TestManifestListsTheLadderFromLowToLossless(t *testing.T) {
	t.Parallel()
	ladder, err := melodyud.ParseLadder("flac,aac-256,aac-64,aac-128")
	if err != nil {
		t.Fatal(err)
	}
	m := packagertest.Build(t, t.TempDir(), packagertest.Track{Ladder: ladder})
	var got []string
	for _, r := range m.Renditions {
		got = append(got, r.Name)
	}
	if want := "aac-64 aac-128 aac-256 flac"; strings.Join(got, " ") != want {
		t.Errorf("got %v", got)
	}
}

func TestManifestCountsPrimingAndPadding(t *testing.T) { // GAP-9
	t.Parallel()
	m := packagertest.Build(t, t.TempDir(), packagertest.Track{Samples: 10*1024 + 24, Priming: 2048, Stray: 2})
	if r := m.Renditions[0]; r.EncoderDelay != 2048 || r.EndPadding != 1000 || r.Samples != 10*1024+24 {
		t.Errorf("delay %d, padding %d, samples %d", r.EncoderDelay, r.EndPadding, r.Samples)
	}
	if r := m.Renditions[4]; r.EncoderDelay != 0 || r.EndPadding != 0 || r.PCMMD5 == "" || r.BitDepth != 16 {
		t.Errorf("%+v", r)
	}
}

func stream(g media.Grid) media.Stream {
	return media.Stream{
		Name: "aac-96", Codec: melodyud.CodecAAC, SampleRate: g.AAC.Rate, Channels: 2,
		FrameSize: 1024, Priming: 1024, Bitrate: 96000, Timeline: g.AAC,
	}
}

func create(t *testing.T) (*packager.Package, media.Grid, string) {
	t.Helper()
	g, dir := media.NewGrid(44100), filepath.Join(t.TempDir(), "new")
	p, err := packager.Create(dir, g)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p, g, dir
}

func TestOpenRefusesStreamsOffTheGrid(t *testing.T) {
	t.Parallel()
	p, g, dir := create(t)
	for _, c := range []struct {
		name   string
		change func(*media.Stream)
		want   string
	}{
		{"a path as name", func(s *media.Stream) { s.Name = "../aac" }, "name"},
		{"no name", func(s *media.Stream) { s.Name = "" }, "name"},
		{"a playlist's name", func(s *media.Stream) { s.Name = "index" }, "belongs to a playlist"},
		{"other timeline", func(s *media.Stream) { s.Timeline.Segment = 1024 }, "ALIGN-4"},
		{"other rate", func(s *media.Stream) { s.SampleRate = 48000 }, "48000 Hz on a timeline of 44100"},
		{"other frames", func(s *media.Stream) { s.FrameSize = 2048 }, "frame size"},
		{"odd priming", func(s *media.Stream) { s.Priming = 2112 }, "GAP-1"},
		{"six channels of AAC", func(s *media.Stream) { s.Channels = 6 }, "6 channels"},
		{"unknown codec", func(s *media.Stream) { s.Codec = "opus" }, "opus"},
	} {
		s := stream(g)
		c.change(&s)
		if _, err := p.Open(s); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := p.Open(stream(g)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Open(stream(g)); err == nil || !strings.Contains(err.Error(), "open already") {
		t.Errorf("the same name twice: %v", err)
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("refused streams left files: %v", got)
	}
}

func TestSealRefusesWhatIsNotWhole(t *testing.T) {
	t.Parallel()
	finish := func(samples int64) func(*testing.T, *packager.Package, media.Grid) {
		return func(t *testing.T, p *packager.Package, g media.Grid) {
			s := stream(g)
			sink, err := p.Open(s)
			if err != nil {
				t.Fatal(err)
			}
			e := media.Ending{Samples: samples, Config: packagertest.ASC(44100, 2)}
			for _, packet := range packagertest.Packets(s, e, 0, 1) {
				if err := sink.WritePacket(packet); err != nil {
					t.Fatal(err)
				}
			}
			if err := sink.Finish(e); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name string
		fill func(*testing.T, *packager.Package, media.Grid)
		rate int
		want string
	}{
		{"nothing", func(*testing.T, *packager.Package, media.Grid) {}, 44100, "no rendition"},
		{"unfinished", func(t *testing.T, p *packager.Package, g media.Grid) {
			if _, err := p.Open(stream(g)); err != nil {
				t.Fatal(err)
			}
		}, 44100, "rendition aac-96: it is not finished"},
		{"too short", finish(9_999), 44100, "it presents 9999 samples, the track has 10000"},
		{"other rate", finish(10_000), 48000, "the rate is 48000 Hz, the grid's 44100 Hz"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, g, dir := create(t)
			c.fill(t, p, g)
			if _, err := p.Seal(packager.Meta{SampleRate: c.rate, Samples: 10_000}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
			if slices.Contains(names(t, dir), packager.ManifestFile) {
				t.Error("a manifest was written")
			}
		})
	}
}

func TestClosingTwiceIsFineAndLeavesNothing(t *testing.T) {
	t.Parallel()
	p, g, dir := create(t)
	if _, err := p.Open(stream(g)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("left behind: %v", got)
	}
}

func TestFailedSealLeavesNoTemporaryFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, packager.StandardFile, "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := packagertest.TryBuild(dir, packagertest.Track{}); err == nil || !strings.Contains(err.Error(), packager.StandardFile) {
		t.Errorf("got %v", err)
	}
	for _, name := range names(t, dir) {
		if strings.HasPrefix(name, ".") {
			t.Errorf("left behind: %s", name)
		}
	}
}

func TestWhatAKillLeavesIsGoneWithTheNextPackage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{".aac-64.123.tmp", ".flac.mp4.456.tmp", ".manifest.json.7.tmp", ".mine.txt.8.tmp", "song.tmp"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err := packager.Create(dir, media.NewGrid(44100))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Open(stream(media.NewGrid(44100))); err != nil {
		t.Fatal(err)
	}
	if got, want := names(t, dir), []string{".mine.txt.8.tmp", "song.tmp"}; !slices.Equal(got, want) {
		t.Errorf("in the directory while rendering: %v, want %v: a kill now would leave the rest", got, want)
	}
}

func TestAFailedSealTakesTheOldManifestAlong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	packagertest.Build(t, dir, packagertest.Track{})
	other := packagertest.Track{Samples: 44100, Ladder: melodyud.Ladder{{Codec: melodyud.CodecAAC, Bitrate: 64000}, {Codec: melodyud.CodecAAC, Bitrate: 320000}}}
	if err := os.Mkdir(filepath.Join(dir, packager.TrackFile("aac-320")), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := packagertest.TryBuild(dir, other); err == nil {
		t.Fatal("sealed over a directory")
	}
	if slices.Contains(names(t, dir), packager.ManifestFile) {
		t.Error("the manifest of files that are no more is still there")
	}
}

func TestSinksOfOnePackageRunSideBySide(t *testing.T) {
	t.Parallel()
	p, g, dir := create(t)
	var wait sync.WaitGroup
	for _, kbps := range []int{64, 96, 128, 160} {
		wait.Go(func() {
			s := stream(g)
			s.Name = melodyud.Rung{Codec: melodyud.CodecAAC, Bitrate: kbps * 1000}.Name()
			sink, err := p.Open(s)
			if err != nil {
				t.Error(err)
				return
			}
			e := media.Ending{Samples: 500_000, Config: packagertest.ASC(44100, 2)}
			for _, packet := range packagertest.Packets(s, e, 0, uint64(kbps)) {
				if err := sink.WritePacket(packet); err != nil {
					t.Error(err)
				}
			}
			if err := sink.Finish(e); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	m, err := p.Seal(packager.Meta{SampleRate: 44100, Samples: 500_000})
	if err != nil {
		t.Fatal(err)
	}
	if err := packager.Verify(context.Background(), opener(dir), &m); err != nil {
		t.Error(err)
	}
}

// peakOf computes HLS-40 the long way: every run, from scratch.
func peakOf(sizes, samples []int64, rate, target int) float64 {
	highest := 0.0
	for i := range sizes {
		for j := i + 1; j <= len(sizes); j++ {
			bits, seconds := 0.0, 0.0
			for k := i; k < j; k++ {
				bits, seconds = bits+8*float64(sizes[k]), seconds+float64(samples[k])/float64(rate)
			}
			if seconds >= 0.5*float64(target) && seconds <= 1.5*float64(target)+0.5 {
				highest = max(highest, bits/seconds)
			}
		}
	}
	return highest
}

func TestBandwidthIsThatOfTheBusiestRun(t *testing.T) { // HLS-40, HLS-41
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "segments")
		sizes := rapid.SliceOfN(rapid.Int64Range(100, 900_000), n, n).Draw(t, "sizes")
		samples := rapid.SliceOfN(rapid.Int64Range(22050, 198000), n, n).Draw(t, "samples")
		peak, average := packager.Bandwidth(sizes, samples, 44100, 4)
		if want := peakOf(sizes, samples, 44100, 4); want > 0 && (math.Abs(float64(peak)-want) > 1.001 || float64(peak) < want-1e-3) {
			t.Fatalf("peak %d instead of %f", peak, want)
		}
		var bytes, length int64
		for i := range sizes {
			bytes, length = bytes+sizes[i], length+samples[i]
		}
		if want := 8 * float64(bytes) * 44100 / float64(length); math.Abs(float64(average)-want) > 1.001 {
			t.Fatalf("average %d instead of %f", average, want)
		}
	})
}

func TestBandwidthOfLessThanHalfATargetIsTheAverage(t *testing.T) {
	t.Parallel()
	if peak, average := packager.Bandwidth([]int64{1000}, []int64{44100}, 44100, 4); peak != 8000 || average != 8000 {
		t.Errorf("peak %d, average %d", peak, average)
	}
}
