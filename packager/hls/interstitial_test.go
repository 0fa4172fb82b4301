package hls_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/packager/hls"
	"github.com/melodyud/melodyud/packager/packagertest"
)

func breaks() []hls.Interstitial {
	return []hls.Interstitial{
		{ID: "pre", Pre: true, AssetList: "../ads/breaks/pre?_HLS_interstitial_id=pre"},
		{ID: "join-1", At: 7_988 * time.Millisecond, Snap: true, AssetList: "../ads/breaks/join-1?_HLS_interstitial_id=join-1"},
	}
}

func TestBreaksAreDateRangesBehindADate(t *testing.T) { // AD-1..5, AD-10
	t.Parallel()
	b, err := hls.Media(manifest(), "aac-96", hls.Options{Interstitials: breaks()})
	packagertest.Golden(t, "media-breaks.m3u8", print(t, b, err))
	s := hls.Sequence{TargetDuration: 4, Interstitials: breaks()}
	for run := range 2 {
		s.Runs = append(s.Runs, hls.Run{Init: fmt.Sprintf("init/%d.mp4", run), Segments: []hls.Segment{
			{Part: hls.Part{URI: fmt.Sprintf("s/%d.m4s", run)}, Microseconds: 3_994_000},
		}})
	}
	b, err = s.Encode()
	packagertest.Golden(t, "sequence-breaks.m3u8", print(t, b, err))
	if _, err := hls.Read(b); err != nil {
		t.Error(err)
	}
}

func TestAllMediaPlaylistsHaveTheSameBreaksAndWithoutThemNothingChanges(t *testing.T) { // AD-2
	t.Parallel()
	m := manifest()
	lines := map[string]bool{}
	for i := range m.Renditions {
		name := m.Renditions[i].Name
		b, err := hls.Media(m, name, hls.Options{Interstitials: breaks()})
		free := string(print(t, b, err))
		b, err = hls.Media(m, name, hls.Options{})
		premium := string(print(t, b, err))
		var ads, rest []string
		for line := range strings.Lines(free) {
			if strings.HasPrefix(line, "#EXT-X-DATERANGE:") || strings.HasPrefix(line, "#EXT-X-PROGRAM-DATE-TIME:") {
				ads = append(ads, line)
			} else {
				rest = append(rest, line)
			}
		}
		if strings.Join(rest, "") != premium {
			t.Errorf("%s differs by more than the breaks:\n%s", name, free)
		}
		lines[strings.Join(ads, "")] = true
	}
	if len(lines) != 1 {
		t.Errorf("renditions have %d sets of breaks", len(lines))
	}
}

func TestBreaksAreReadBack(t *testing.T) { // AD-1..5
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := drawManifest(t)
		var o hls.Options
		for i := range rapid.IntRange(0, 5).Draw(t, "breaks") {
			o.Interstitials = append(o.Interstitials, hls.Interstitial{
				ID: fmt.Sprintf("b-%d", i), Pre: rapid.Bool().Draw(t, "pre"), Snap: rapid.Bool().Draw(t, "snap"),
				At:        time.Duration(rapid.Int64Range(0, 1e9).Draw(t, "ms")) * time.Millisecond,
				AssetList: rapid.StringMatching(`[ -!#-z|}~]{1,40}`).Draw(t, "list"),
			})
		}
		want, err := hls.NewMedia(m, "flac", o)
		if err != nil {
			t.Fatal(err)
		}
		b, err := hls.Media(m, "flac", o)
		if err != nil {
			t.Fatal(err)
		}
		got, err := hls.ParseMedia(b)
		if err != nil || !cmp.Equal(got, want) {
			t.Fatalf("%v\n%s\n%s", err, b, cmp.Diff(want, got))
		}
	})
}

func TestBreaksThatNoPlayerUnderstandsAreNotPrinted(t *testing.T) { // AD-1
	t.Parallel()
	good := breaks()[1]
	for name, spoil := range map[string]func(*hls.Interstitial){
		"no name":         func(i *hls.Interstitial) { i.ID = "" },
		"quotes":          func(i *hls.Interstitial) { i.ID = `a"` },
		"no list":         func(i *hls.Interstitial) { i.AssetList = "" },
		"a variable":      func(i *hls.Interstitial) { i.AssetList = "{$base}/ads" },
		"list with lines": func(i *hls.Interstitial) { i.AssetList = "a\nb" },
		"too early":       func(i *hls.Interstitial) { i.At = -time.Second },
		"too exact":       func(i *hls.Interstitial) { i.At = time.Nanosecond },
		"same name":       func(i *hls.Interstitial) { i.ID = "pre" },
	} {
		bad := good
		spoil(&bad)
		if _, err := hls.Media(manifest(), "flac", hls.Options{Interstitials: []hls.Interstitial{breaks()[0], bad}}); !errors.Is(err, melodyud.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDateRangesAreHeldToTheRules(t *testing.T) { // AD-1, AD-2, AD-3, AD-5
	t.Parallel()
	b, err := hls.Media(manifest(), "flac", hls.Options{Interstitials: breaks()[:1]})
	good := string(print(t, b, err))
	if _, err := hls.ParseMedia(b); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"no date":         {"#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:00.000Z\n", ""},
		"both assets":     {"X-RESUME-OFFSET=0", `X-RESUME-OFFSET=0,X-ASSET-URI="https://a.example/"`},
		"no assets":       {`X-ASSET-LIST=`, `X-OTHER=`},
		"no start":        {`START-DATE=`, `OTHER-DATE=`},
		"pre and post":    {`"PRE,ONCE"`, `"PRE,POST"`},
		"odd offset":      {"X-RESUME-OFFSET=0", "X-RESUME-OFFSET=soon"},
		"negative length": {"X-RESUME-OFFSET=0", "DURATION=-1"},
		"no id":           {`ID="pre"`, `OTHER="pre"`},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if bad == good {
			t.Fatalf("%s changes nothing", name)
		}
		if _, err := hls.Read([]byte(bad)); !errors.Is(err, melodyud.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	live := strings.Replace(good, `CLASS="com.apple.hls.interstitial",`, "", 1)
	if _, err := hls.Read([]byte(strings.Replace(live, "X-ASSET-LIST=", "X-OTHER=", 1))); err != nil {
		t.Errorf("a date range that is no break: %v", err)
	}
}
