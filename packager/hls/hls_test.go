package hls_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/packager/hls"
	"github.com/melodyud/melodyud/packager/packagertest"
)

func rendition(name string, codec melodyud.Codec, codecs string, rate int) melodyud.Rendition {
	return melodyud.Rendition{
		Name: name, Codec: codec, Codecs: codecs, File: name + ".mp4", SampleRate: 44100, Channels: 2,
		InitSize: 636, IndexSize: 68, Sizes: []int64{int64(rate) / 2, int64(rate) / 2, int64(rate) / 7},
		Durations: []int64{176128, 176128, 53126}, Bandwidth: rate + 5000, AverageBandwidth: rate + 1000,
	}
}

func manifest() *melodyud.Manifest {
	return &melodyud.Manifest{
		Version: 1, SampleRate: 44100, Samples: 405382, Segments: []int64{176128, 176128, 53126}, TargetDuration: 4,
		Renditions: []melodyud.Rendition{
			rendition("aac-64", melodyud.CodecAAC, "mp4a.40.2", 64000),
			rendition("aac-96", melodyud.CodecAAC, "mp4a.40.2", 96000),
			rendition("aac-160", melodyud.CodecAAC, "mp4a.40.2", 160000),
			rendition("aac-256", melodyud.CodecAAC, "mp4a.40.2", 256000),
			rendition("flac", melodyud.CodecFLAC, "fLaC", 900000),
		},
		Loudness: melodyud.Loudness{Integrated: new(-9.314), Range: new(5.2), TruePeak: new(-0.41), SamplePeak: new(-0.9)},
	}
}

func steering() *hls.Steering {
	return &hls.Steering{Server: "/steering?track=trk_1", Pathways: []hls.Pathway{{ID: "home"}, {ID: "cdn-a.eu", Base: "https://a.example/p/"}}}
}

func print(t *testing.T, b []byte, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPlaylistsReadAsTheyAlwaysDid(t *testing.T) { // HLS-10..20, HLS-50..56
	t.Parallel()
	m := manifest()
	for name, o := range map[string]hls.Options{
		"standard.m3u8":           {Track: "trk_01JABCDEFGHJKMNPQRSTVWXYZ0"},
		"hifi.m3u8":               {Flavour: hls.Hifi},
		"steered.m3u8":            {Steering: steering()},
		"standard-byterange.m3u8": {Style: hls.ByteRange},
		"hifi-byterange.m3u8":     {Style: hls.ByteRange, Flavour: hls.Hifi},
	} {
		b, err := hls.Multivariant(m, o)
		packagertest.Golden(t, name, print(t, b, err))
	}
	for name, o := range map[string]hls.Options{
		"media.m3u8": {}, "media-byterange.m3u8": {Style: hls.ByteRange},
	} {
		b, err := hls.Media(m, "flac", o)
		packagertest.Golden(t, name, print(t, b, err))
	}
}

func TestSteeringNamesEveryVariantOnEveryPathway(t *testing.T) { // HLS-18, HLS-22
	t.Parallel()
	p := hls.NewMultivariant(manifest(), hls.Options{Flavour: hls.Hifi, Steering: steering()})
	pathways := map[string][]string{}
	for _, v := range p.Variants {
		pathways[v.Name] = append(pathways[v.Name], v.Pathway+" "+v.URI)
	}
	if want := []string{"home flac/index.m3u8", "cdn-a.eu https://a.example/p/flac/index.m3u8"}; len(pathways) != 5 || !cmp.Equal(pathways["flac"], want) {
		t.Errorf("%v", pathways)
	}
	if p.Steering.Pathway != p.Variants[0].Pathway {
		t.Errorf("players start on %s, the first variant is on %s", p.Steering.Pathway, p.Variants[0].Pathway)
	}
	for name, bad := range map[string]*hls.Steering{
		"no server":        {Pathways: steering().Pathways},
		"no pathways":      {Server: "s"},
		"quotes":           {Server: "s\"", Pathways: steering().Pathways},
		"name with spaces": {Server: "s", Pathways: []hls.Pathway{{ID: "a b"}}},
		"name twice":       {Server: "s", Pathways: []hls.Pathway{{ID: "a"}, {ID: "a"}}},
		"base with lines":  {Server: "s", Pathways: []hls.Pathway{{ID: "a", Base: "a\nb"}}},
	} {
		if _, err := hls.Multivariant(manifest(), hls.Options{Steering: bad}); !errors.Is(err, melodyud.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStandardNeverListsLossless(t *testing.T) { // HLS-34
	t.Parallel()
	b, err := hls.Multivariant(manifest(), hls.Options{})
	if s := string(print(t, b, err)); strings.Contains(s, "fLaC") || strings.Contains(s, "SCORE") {
		t.Error(s)
	}
}

func TestHifiScoresEveryVariantAndLosslessHighest(t *testing.T) { // HLS-17, HLS-34
	t.Parallel()
	p := hls.NewMultivariant(manifest(), hls.Options{Flavour: hls.Hifi})
	seen := map[int]bool{}
	for _, v := range p.Variants {
		if v.Score < 1 || seen[v.Score] || (v.Score == len(p.Variants)) != (v.Codecs == "fLaC") {
			t.Errorf("%+v", v)
		}
		seen[v.Score] = true
	}
}

func TestFirstVariantIsTheAACNearest128(t *testing.T) { // HLS-15
	t.Parallel()
	for ladder, want := range map[string]string{
		"aac-64,aac-96,aac-160,aac-256": "aac-96",
		"aac-64,aac-128,aac-256":        "aac-128",
		"aac-32":                        "aac-32",
		"aac-192,aac-256":               "aac-192",
		"aac-96,aac-160,flac":           "aac-96",
		"flac":                          "flac",
	} {
		parsed, err := melodyud.ParseLadder(ladder)
		if err != nil {
			t.Fatal(err)
		}
		m := manifest()
		m.Renditions = nil
		for _, r := range parsed {
			codecs := "mp4a.40.2"
			if r.Codec == melodyud.CodecFLAC {
				codecs = "fLaC"
			}
			silent := rendition(r.Name(), r.Codec, codecs, 2000) // the measured rate must not matter
			m.Renditions = append(m.Renditions, silent)
		}
		p := hls.NewMultivariant(m, hls.Options{Flavour: hls.Hifi})
		if p.Variants[0].Name != want || len(p.Variants) != len(parsed) {
			t.Errorf("%s starts with %s", ladder, p.Variants[0].Name)
		}
	}
}

func TestQuotedStringsHoldNoQuotesOrLineEnds(t *testing.T) { // HLS-1, HLS-2
	t.Parallel()
	b, err := hls.Multivariant(manifest(), hls.Options{Track: "a\"b\nc\r\x00\uFEFFd\xff"})
	s := string(print(t, b, err))
	if !strings.Contains(s, `DATA-ID="com.melodyud.track",VALUE="abcd"`+"\n") {
		t.Error(s)
	}
	if strings.Contains(s, "\r") || strings.Count(s, "\"")%2 != 0 {
		t.Error(s)
	}
}

func TestUndefinedLoudnessIsNotPrinted(t *testing.T) { // HLS-20, LOUD-6
	t.Parallel()
	m := manifest()
	m.Loudness = melodyud.Loudness{}
	b, err := hls.Multivariant(m, hls.Options{})
	if s := string(print(t, b, err)); strings.Contains(s, "SESSION-DATA") {
		t.Error(s)
	}
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	t.Parallel()
	m := manifest()
	if _, err := hls.Media(m, "aac-320", hls.Options{}); !errors.Is(err, melodyud.ErrNotFound) {
		t.Error(err)
	}
	m.Renditions = m.Renditions[4:]
	if _, err := hls.Multivariant(m, hls.Options{}); !errors.Is(err, melodyud.ErrNotFound) {
		t.Error(err)
	}
	m.Renditions[0].Sizes = nil
	if _, err := hls.Media(m, "flac", hls.Options{}); !errors.Is(err, melodyud.ErrInvalid) {
		t.Error(err)
	}
}

func drawManifest(t *rapid.T) *melodyud.Manifest {
	m := manifest()
	m.SampleRate = rapid.SampledFrom([]int{44100, 48000, 96000, 176400}).Draw(t, "rate")
	n := rapid.IntRange(1, 40).Draw(t, "segments")
	m.Segments = rapid.SliceOfN(rapid.Int64Range(1, 4*int64(m.SampleRate)), n, n).Draw(t, "samples")
	for i := range m.Renditions {
		r := &m.Renditions[i]
		r.Sizes = rapid.SliceOfN(rapid.Int64Range(1, 1<<31-1), n, n).Draw(t, "sizes")
		r.Bandwidth = rapid.IntRange(1, 1<<31-1).Draw(t, "peak")
		r.AverageBandwidth = rapid.IntRange(1, 1<<31-1).Draw(t, "average")
		r.InitSize = rapid.Int64Range(1, 1000).Draw(t, "init")
	}
	return m
}

func TestParseReadsWhatWasPrinted(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := drawManifest(t)
		o := hls.Options{
			Flavour: rapid.SampledFrom([]hls.Flavour{hls.Standard, hls.Hifi}).Draw(t, "flavour"),
			Style:   rapid.SampledFrom([]hls.Style{hls.Virtual, hls.ByteRange}).Draw(t, "style"),
			Track:   "trk_x",
		}
		if rapid.Bool().Draw(t, "steered") {
			o.Steering = steering()
		}
		b, err := hls.Multivariant(m, o)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := hls.ParseMultivariant(b); err != nil || !cmp.Equal(got, hls.NewMultivariant(m, o)) {
			t.Fatalf("%v\n%s", err, b)
		}
		want, err := hls.NewMedia(m, "flac", o)
		if err != nil {
			t.Fatal(err)
		}
		b, err = hls.Media(m, "flac", o)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := hls.ParseMedia(b); err != nil || !cmp.Equal(got, want) {
			t.Fatalf("%v\n%s\n%s", err, b, cmp.Diff(want, got))
		}
	})
}

func TestParseRefusesWhatPlayersCannotRelyOn(t *testing.T) { // HLS-1, HLS-50..54
	t.Parallel()
	b, err := hls.Media(manifest(), "flac", hls.Options{})
	good := string(print(t, b, err))
	for name, bad := range map[string]string{
		"byte order mark":   "\uFEFF" + good,
		"carriage return":   strings.Replace(good, "\n", "\r\n", 2),
		"no UTF-8":          good + "#\xff\n",
		"no map":            strings.Replace(good, "#EXT-X-MAP:URI=\"init.mp4\"\n", "", 1),
		"no end":            strings.Replace(good, "#EXT-X-ENDLIST\n", "", 1),
		"live":              strings.Replace(good, "#EXT-X-PLAYLIST-TYPE:VOD\n", "", 1),
		"old version":       strings.Replace(good, "VERSION:6", "VERSION:5", 1),
		"long segment":      strings.Replace(good, "EXTINF:3.993832", "EXTINF:4.500000", 1),
		"negative segment":  strings.Replace(good, "EXTINF:3.993832", "EXTINF:-3.993832", 1),
		"endless segment":   strings.Replace(good, "EXTINF:3.993832", "EXTINF:NaN", 1),
		"no target":         strings.Replace(good, "#EXT-X-TARGETDURATION:4\n", "", 1),
		"no segments":       good[:strings.Index(good, "#EXTINF")] + "#EXT-X-ENDLIST\n",
		"nothing":           "",
		"multivariant tags": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na\n",
	} {
		if p, err := hls.ParseMedia([]byte(bad)); err == nil {
			t.Errorf("%s is accepted: %+v", name, p)
		}
	}
}

func FuzzParse(f *testing.F) {
	m := manifest()
	for _, o := range []hls.Options{{}, {Style: hls.ByteRange, Flavour: hls.Hifi}, {Interstitials: breaks()}} {
		a, err := hls.Multivariant(m, o)
		if err != nil {
			f.Fatal(err)
		}
		b, err := hls.Media(m, "flac", o)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(a)
		f.Add(b)
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _ = hls.ParseMedia(b)
		_, _ = hls.ParseMultivariant(b)
	})
}
