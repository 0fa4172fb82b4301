package packager_test

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"
	"pgregory.net/rapid"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/media"
	"github.com/melodyud/melodyud/packager"
	"github.com/melodyud/melodyud/packager/hls"
	"github.com/melodyud/melodyud/packager/packagertest"
)

var rates = []int{
	44100, 48000, 88200, 96000, 176400, 192000,
	8000, 11025, 16000, 22050, 24000, 32000, 37800, 50000, 64000, 128000, 352800,
}

// drawTrack favours lengths around boundaries and around the runt limit.
func drawTrack(t *rapid.T) packagertest.Track {
	rate := rapid.OneOf(
		rapid.SampledFrom(rates),
		rapid.Map(rapid.IntRange(8000/25, 192_000/25), func(n int) int { return 25 * n }),
		rapid.IntRange(8000, 192_000),
	).Draw(t, "rate")
	line := media.NewGrid(rate).Lossless
	segments := rapid.Int64Range(0, 9).Draw(t, "segments")
	tail := rapid.OneOf(
		rapid.SampledFrom([]int64{0, 1, 2, 3, 1023, 1024, 1025}),
		rapid.Int64Range(-3, 3),
		rapid.Map(rapid.Int64Range(-3, 3), func(d int64) int64 { return line.RuntSamples() + d }),
		rapid.Map(rapid.Int64Range(-3, 3), func(d int64) int64 { // the longest tail that may be merged
			return int64(line.Rate)*9/2 - line.Segment + d
		}),
		rapid.Int64Range(0, line.Segment),
	).Draw(t, "tail")
	own := max(1, tail)
	if segments > 0 {
		own = max(1, line.End(int(segments)-1)+tail)
	}
	ladders := []string{"aac-64,aac-128,flac", "aac-96", "flac", "aac-320,flac"}
	ladder, err := melodyud.ParseLadder(rapid.SampledFrom(ladders).Draw(t, "ladder"))
	if err != nil {
		t.Fatal(err)
	}
	return packagertest.Track{
		Rate:     rate,
		Samples:  max(1, own*int64(rate)/int64(line.Rate)),
		Channels: rapid.IntRange(1, 2).Draw(t, "channels"),
		Ladder:   ladder,
		Priming:  rapid.SampledFrom([]int64{-1, 1024, 2048, 3072}).Draw(t, "priming"),
		Stray:    rapid.IntRange(0, 3).Draw(t, "stray"),
	}
}

func TestPackagesOfEveryLengthAndRateKeepTheRules(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(root, "")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		m, err := packagertest.TryBuild(dir, drawTrack(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := packager.Verify(context.Background(), opener(dir), &m); err != nil {
			t.Fatal(err)
		}
		checkSegments(t, &m)
		checkPlaylists(t, dir, &m)
		for i := range m.Renditions {
			checkTrackFile(t, dir, &m, &m.Renditions[i])
		}
		left, err := filepath.Glob(filepath.Join(dir, ".*"))
		if err != nil || len(left) != 0 {
			t.Fatalf("left behind: %v %v", left, err)
		}
	})
}

// checkSegments holds the division into segments to HLS-51, HLS-72 and HLS-73.
func checkSegments(t *rapid.T, m *melodyud.Manifest) {
	line := media.NewGrid(m.SampleRate).Lossless
	last := len(m.Segments) - 1
	end := int64(0)
	for i, n := range m.Segments {
		if end += n; i < last-1 && end != line.End(i) {
			t.Fatalf("HLS-72: segment %d of %d ends at %d instead of %d", i, last, end, line.End(i))
		}
		if i < last && (end%line.Step != 0 || end > line.End(i)) {
			t.Fatalf("ALIGN-4: segment %d ends at %d, a step has %d", i, end, line.Step)
		}
		if seconds := float64(n) / float64(m.SampleRate); math.Round(seconds) > float64(m.TargetDuration) || n <= 0 {
			t.Fatalf("HLS-51: segment %d lasts %f s", i, seconds)
		}
		if last > 0 && n < line.RuntSamples() {
			t.Fatalf("HLS-73: segment %d of %d has %d samples", i, last, n)
		}
	}
	if over := m.Segments[last] - line.Length(last); over >= line.RuntSamples() {
		t.Fatalf("HLS-73: a tail of %d samples was merged", over)
	}
	if merged := m.Samples - line.End(max(0, last-1)); last > 0 && m.Samples-end == 0 && end-m.Segments[last] < line.End(last-1) {
		if float64(merged+line.Length(last-1))/float64(line.Rate) < float64(m.TargetDuration)+0.5 {
			t.Fatalf("HLS-73: a tail of %d samples took from the segment before", merged)
		}
	}
}

func checkPlaylists(t *rapid.T, dir string, m *melodyud.Manifest) {
	var first []string
	for i := range m.Renditions {
		b, err := os.ReadFile(filepath.Join(dir, hls.PlaylistFile(m.Renditions[i].Name)))
		if err != nil {
			t.Fatal(err)
		}
		var durations []string
		sum := 0.0
		for line := range strings.Lines(string(b)) {
			if d, ok := strings.CutPrefix(strings.TrimSpace(line), "#EXTINF:"); ok {
				durations = append(durations, d)
				seconds, err := strconv.ParseFloat(strings.TrimSuffix(d, ","), 64)
				if err != nil || len(d)-strings.IndexByte(d, '.') < 7 {
					t.Fatalf("HLS-52: EXTINF %q", d)
				}
				sum += seconds
			}
		}
		if want := float64(m.Samples) / float64(m.SampleRate); math.Abs(sum-want) > 1e-6*float64(len(durations)) {
			t.Fatalf("HLS-52: EXTINF sum %f, the track lasts %f", sum, want)
		}
		if first == nil {
			first = durations
		}
		if strings.Join(first, "") != strings.Join(durations, "") {
			t.Fatalf("HLS-55: %v and %v", first, durations)
		}
		if s := string(b); !strings.HasSuffix(s, "#EXT-X-ENDLIST\n") || !strings.Contains(s, "#EXT-X-PLAYLIST-TYPE:VOD\n") {
			t.Fatalf("HLS-54: %s", s)
		}
		if s := string(b); !strings.Contains(s, "@0\"\n") {
			t.Fatalf("HLS-53: EXT-X-MAP without offset: %s", s)
		}
	}
}

// checkTrackFile reads the file with mp4ff, which shares no reading code with ours.
func checkTrackFile(t *rapid.T, dir string, m *melodyud.Manifest, r *melodyud.Rendition) {
	b, err := os.ReadFile(filepath.Join(dir, r.File))
	if err != nil {
		t.Fatal(err)
	}
	f, err := mp4.DecodeFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	trex := f.Init.Moov.Mvex.Trex
	next, start := uint64(0), int64(0)
	if len(f.Segments) != len(m.Segments) {
		t.Fatalf("%s has %d segments of %d", r.Name, len(f.Segments), len(m.Segments))
	}
	for i, s := range f.Segments {
		traf := s.Fragments[0].Moof.Traf
		if got := traf.Tfdt.BaseMediaDecodeTime(); got != next {
			t.Fatalf("%s segment %d: tfdt %d instead of %d", r.Name, i, got, next)
		}
		if want := uint64(start*int64(r.SampleRate)/int64(m.SampleRate) + r.EncoderDelay); i > 0 && next != want {
			t.Fatalf("ALIGN-1, ALIGN-2: %s segment %d: tfdt %d instead of %d", r.Name, i, next, want)
		}
		start += m.Segments[i]
		next += traf.Trun.AddSampleDefaultValues(traf.Tfhd, trex)
		if traf.Trun.SampleCount() == 0 {
			t.Fatalf("HLS-73: %s segment %d is empty", r.Name, i)
		}
		frame := int64(traf.Tfhd.DefaultSampleDuration)
		want := m.Segments[i] * int64(r.SampleRate) / int64(m.SampleRate) / frame
		if i == 0 {
			want += r.EncoderDelay / frame
		}
		if got := int64(traf.Trun.SampleCount()); i < len(m.Segments)-1 && got != want {
			t.Fatalf("ALIGN-1, ALIGN-2: %s segment %d has %d packets instead of %d", r.Name, i, got, want)
		}
	}
	if r.Bandwidth < r.AverageBandwidth {
		t.Fatalf("HLS-40: %s peaks at %d below its average %d", r.Name, r.Bandwidth, r.AverageBandwidth)
	}
	if next != uint64(r.EncoderDelay+r.Samples) {
		t.Fatalf("GAP-3: %s ends at %d instead of %d", r.Name, next, r.EncoderDelay+r.Samples)
	}
	edits := f.Init.Moov.Trak.Edts
	if (edits != nil) != (r.EncoderDelay > 0) || edits != nil && edits.Elst[0].Entries[0].MediaTime != r.EncoderDelay {
		t.Fatalf("GAP-2: %s has the edit %+v for %d priming samples", r.Name, edits, r.EncoderDelay)
	}
}
