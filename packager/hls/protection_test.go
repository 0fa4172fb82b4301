package hls_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/packager/hls"
	"github.com/melodyud/melodyud/packager/packagertest"
)

const zeroIV = "0x00000000000000000000000000000000"

// protection has a new key every so many segments.
func protection(every int) *hls.Protection {
	return &hls.Protection{
		Every: every,
		Keys: func(rendition string, run int) []hls.Key {
			return []hls.Key{{Method: hls.AES128, URI: fmt.Sprintf("../%d.key", run), IV: fmt.Sprintf("0x%028x%02x%02x", 0, len(rendition), run)}}
		},
		Session: func(run int) []hls.Key { return []hls.Key{{Method: hls.AES128, URI: fmt.Sprintf("%d.key", run)}} },
	}
}

// drm has two systems for the same segments.
func drm(every int) *hls.Protection {
	keys := func(_ string, run int) []hls.Key {
		return []hls.Key{
			{Method: hls.SampleAES, URI: fmt.Sprintf("skd://%d", run), Format: "com.apple.streamingkeydelivery", Versions: "1"},
			{Method: hls.SampleAES, URI: fmt.Sprintf("data:text/plain;base64,%d", run), IV: zeroIV, Format: "urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed"},
		}
	}
	return &hls.Protection{Every: every, Keys: keys, Session: func(run int) []hls.Key { return keys("", run) }}
}

func TestEncryptedPlaylistsReadAsTheyAlwaysDid(t *testing.T) { // HLS-21, HLS-90, HLS-91, HLS-94
	t.Parallel()
	m := manifest()
	for name, p := range map[string]*hls.Protection{"aes": protection(2), "drm": drm(3)} {
		b, err := hls.Media(m, "flac", hls.Options{Protection: p})
		packagertest.Golden(t, "media-"+name+".m3u8", print(t, b, err))
		b, err = hls.Multivariant(m, hls.Options{Protection: p})
		packagertest.Golden(t, "standard-"+name+".m3u8", print(t, b, err))
	}
}

func TestTheInitSegmentStaysInTheClear(t *testing.T) { // HLS-91
	t.Parallel()
	b, err := hls.Media(manifest(), "flac", hls.Options{Protection: protection(1)})
	s := string(print(t, b, err))
	if m, k := strings.Index(s, "#EXT-X-MAP"), strings.Index(s, "#EXT-X-KEY"); m < 0 || k < m || strings.Count(s, "#EXT-X-MAP") != 1 {
		t.Error(s)
	}
	if strings.Count(s, "#EXT-X-KEY") != 3 {
		t.Errorf("three segments, a key each:\n%s", s)
	}
}

func TestParseReadsTheKeysThatWerePrinted(t *testing.T) { // HLS-91, HLS-94
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := drawManifest(t)
		first := rapid.IntRange(0, 50).Draw(t, "first")
		every := rapid.IntRange(1, 20).Draw(t, "every")
		o := hls.Options{First: first, Protection: rapid.SampledFrom([]func(int) *hls.Protection{protection, drm}).Draw(t, "kind")(every)}
		want, err := hls.NewMedia(m, "flac", o)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range want.Segments {
			if n := first + i; (len(s.Keys) > 0) != (i == 0 || n%every == 0) || s.URI != fmt.Sprintf("s/%d.m4s", n) {
				t.Fatalf("segment %d, a key every %d: %+v", n, every, s)
			}
		}
		b, err := hls.Media(m, "flac", o)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := hls.ParseMedia(b); err != nil || !cmp.Equal(got, want) {
			t.Fatalf("%v\n%s\n%s", err, b, cmp.Diff(want, got))
		}
		if _, err := hls.Read(b); err != nil {
			t.Fatalf("the strict reader: %v\n%s", err, b)
		}
		b, err = hls.Multivariant(m, o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := hls.Read(b); err != nil {
			t.Fatalf("the strict reader: %v\n%s", err, b)
		}
		if got, err := hls.ParseMultivariant(b); err != nil || !cmp.Equal(got, hls.NewMultivariant(m, o)) {
			t.Fatalf("%v\n%s", err, b)
		}
	})
}

func TestKeysThatPlayersCannotUseAreNotPrinted(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]hls.Key{
		"no method":    {URI: "k"},
		"NONE":         {Method: "NONE", URI: "k"},
		"no URI":       {Method: hls.AES128, IV: zeroIV},
		"a quote":      {Method: hls.AES128, URI: `k"`, IV: zeroIV},
		"a line end":   {Method: hls.SampleAES, URI: "k", Format: "a\nb"},
		"a short IV":   {Method: hls.AES128, URI: "k", IV: "0x00"},
		"upper case":   {Method: hls.AES128, URI: "k", IV: strings.ToUpper(zeroIV)},
		"decimal IV":   {Method: hls.AES128, URI: "k", IV: strings.Repeat("0", 34)},
		"AES-CTR":      {Method: "SAMPLE-AES-CTR", URI: "k"},
		"a version \"": {Method: hls.SampleAES, URI: "k", Versions: `"`},
	} {
		p := &hls.Protection{Every: 1, Keys: func(string, int) []hls.Key { return []hls.Key{k} }}
		if b, err := hls.Media(manifest(), "flac", hls.Options{Protection: p}); !errors.Is(err, melodyud.ErrInvalid) {
			t.Errorf("%s: %v\n%s", name, err, b)
		}
	}
}

func TestAClipHasTheLengthsAndRatesOfItsOwnSegments(t *testing.T) { // HLS-40, HLS-41
	t.Parallel()
	m := manifest()
	for i := range m.Renditions {
		m.Renditions[i].Sizes = []int64{1000, 9000, 400}
	}
	c, err := hls.Clip(m, 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	r := c.Renditions[0]
	peak, average := hls.Bandwidth([]int64{9000, 400}, []int64{176128, 53126}, 44100, 4)
	if c.Samples != 229254 || r.Samples != 229254 || r.Bandwidth != peak || r.AverageBandwidth != average {
		t.Errorf("%d samples, %+v; want rates %d and %d", c.Samples, r, peak, average)
	}
	b, err := hls.Media(c, "flac", hls.Options{First: 1})
	if s := string(print(t, b, err)); !strings.Contains(s, "s/1.m4s") || !strings.Contains(s, "s/2.m4s") || strings.Contains(s, "s/0.m4s") || strings.Contains(s, "s/3.m4s") {
		t.Error(s)
	}
	if len(m.Segments) != 3 || m.Samples != 405382 || len(m.Renditions[0].Sizes) != 3 {
		t.Error("cutting a clip changed the track")
	}
	for _, bad := range [][2]int{{-1, 2}, {0, 4}, {2, 2}, {2, 1}, {3, 3}} {
		if _, err := hls.Clip(m, bad[0], bad[1]); !errors.Is(err, melodyud.ErrNotFound) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	m.Renditions[1].Sizes = nil
	if _, err := hls.Clip(m, 0, 1); !errors.Is(err, melodyud.ErrInvalid) {
		t.Error(err)
	}
}
