package dash_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/Eyevinn/dash-mpd/mpd"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/packager/dash"
	"github.com/melodyud/melodyud/packager/packagertest"
)

// manifest is of a 96 kHz track: AAC at 48 kHz, FLAC at 96 kHz.
func manifest() *melodyud.Manifest {
	m := &melodyud.Manifest{
		Version: 1, SampleRate: 96000, Samples: 3*385024 + 96001, Segments: []int64{385024, 385024, 385024, 96001}, TargetDuration: 4,
	}
	for _, name := range []string{"aac-64", "aac-128", "flac"} {
		r := melodyud.Rendition{
			Name: name, Codec: melodyud.CodecAAC, Codecs: "mp4a.40.2", File: name + ".mp4", SampleRate: 48000, Channels: 2,
			InitSize: 636, IndexSize: 80, Bandwidth: 70000, Durations: []int64{192512, 192512, 192512, 48001},
		}
		if name == "flac" {
			r.Codec, r.Codecs, r.SampleRate, r.Durations = melodyud.CodecFLAC, "fLaC", 96000, m.Segments
		}
		m.Renditions = append(m.Renditions, r)
	}
	return m
}

func print(t *testing.T, b []byte, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMPDsReadAsTheyAlwaysDid(t *testing.T) { // DASH-1..5
	t.Parallel()
	m := manifest()
	for name, f := range map[string]func(*melodyud.Manifest) ([]byte, error){
		"all.mpd": dash.MPD, "standard.mpd": dash.Standard, "ondemand.mpd": dash.OnDemand,
	} {
		b, err := f(m)
		packagertest.Golden(t, name, print(t, b, err))
	}
}

func TestStandardNeverListsLossless(t *testing.T) { // HLS-34
	t.Parallel()
	b, err := dash.Standard(manifest())
	if s := string(print(t, b, err)); strings.Contains(s, "fLaC") || strings.Contains(s, "switching") {
		t.Error(s)
	}
	m := manifest()
	m.Renditions = m.Renditions[2:]
	if _, err := dash.Standard(m); !errors.Is(err, melodyud.ErrNotFound) {
		t.Error(err)
	}
}

func TestFamiliesHaveSetsOfTheirOwn(t *testing.T) { // DASH-2, DASH-4
	t.Parallel()
	b, err := dash.MPD(manifest())
	doc, err := mpd.MPDFromBytes(print(t, b, err))
	if err != nil {
		t.Fatal(err)
	}
	sets := doc.Periods[0].AdaptationSets
	if len(sets) != 2 || len(sets[0].Representations) != 2 || len(sets[1].Representations) != 1 {
		t.Fatalf("%d sets", len(sets))
	}
	for i, a := range sets {
		if got, want := a.SupplementalProperties[0].Value, []string{"2", "1"}[i]; got != want {
			t.Errorf("set %d switches to %s", i+1, got)
		}
	}
}

func TestChannelConfigurationNamesTheLoudspeakers(t *testing.T) { // DASH-2
	t.Parallel()
	for channels, want := range map[int]string{1: "1", 2: "2", 3: "3", 4: "10", 5: "5", 6: "6", 7: "11", 8: "12"} {
		m := manifest()
		m.Renditions[0].Channels = channels
		b, err := dash.MPD(m)
		doc, err := mpd.MPDFromBytes(print(t, b, err))
		if err != nil {
			t.Fatal(err)
		}
		if got := doc.Periods[0].AdaptationSets[0].Representations[0].AudioChannelConfigurations[0].Value; got != want {
			t.Errorf("%d channels: %s, want %s", channels, got, want)
		}
	}
}

func TestTimelineNamesEverySegment(t *testing.T) { // DASH-3
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := manifest()
		m.Renditions = m.Renditions[2:]
		n := rapid.IntRange(1, 30).Draw(t, "segments")
		lengths := rapid.SampledFrom([]int64{385024, 385024, 1000})
		m.Renditions[0].Durations = rapid.SliceOfN(lengths, n, n).Draw(t, "durations")
		b, err := dash.MPD(m)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := mpd.MPDFromBytes(b)
		if err != nil {
			t.Fatal(err)
		}
		var got []int64
		for _, s := range doc.Periods[0].AdaptationSets[0].SegmentTemplate.SegmentTimeline.S {
			for range s.R + 1 {
				got = append(got, int64(s.D))
			}
		}
		if diff := cmp.Diff(m.Renditions[0].Durations, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestPresentationIsNeverShorterThanTheTrack(t *testing.T) {
	t.Parallel()
	duration := regexp.MustCompile(`mediaPresentationDuration="([^"]+)"`)
	rapid.Check(t, func(t *rapid.T) {
		m := manifest()
		m.Samples = rapid.Int64Range(1, 96000*7200).Draw(t, "samples")
		b, err := dash.MPD(m)
		if err != nil {
			t.Fatal(err)
		}
		printed, err := mpd.ParseDuration(string(duration.FindSubmatch(b)[1]))
		if err != nil {
			t.Fatal(err)
		}
		if over := printed - m.Duration(); over < 0 || over > 1_001_000 {
			t.Fatalf("%d samples last %v, the MPD says %v", m.Samples, m.Duration(), printed)
		}
	})
}

func TestCheckNoticesWhatIsMissing(t *testing.T) {
	t.Parallel()
	m := manifest()
	b, err := dash.OnDemand(m)
	good := string(print(t, b, err))
	if err := dash.Check([]byte(good), m); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string]string{
		"no XML":          "<",
		"other id":        strings.Replace(good, `id="flac"`, `id="wave"`, 1),
		"other bandwidth": strings.Replace(good, `bandwidth="70000"`, `bandwidth="7"`, 1),
		"other codec":     strings.Replace(good, `codecs="fLaC"`, `codecs="flac"`, 1),
		"one twice":       strings.Replace(good, `id="aac-64"`, `id="aac-128"`, 1),
	} {
		if err := dash.Check([]byte(bad), m); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func FuzzCheck(f *testing.F) {
	m := manifest()
	for _, print := range []func(*melodyud.Manifest) ([]byte, error){dash.MPD, dash.OnDemand} {
		b, err := print(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(_ *testing.T, b []byte) { _ = dash.Check(b, m) })
}
