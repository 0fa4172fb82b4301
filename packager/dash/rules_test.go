package dash_test

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/packager/dash"
	"github.com/melodyud/melodyud/packager/hls"
)

// element is any element of an MPD: what it holds is read without the library
// that printed it.
type element struct {
	name string
	attr map[string]string
	text string
	kids []*element
}

func read(t *testing.T, doc []byte) *element {
	t.Helper()
	root := &element{}
	open := []*element{root}
	d := xml.NewDecoder(strings.NewReader(string(doc)))
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		top := open[len(open)-1]
		switch v := token.(type) {
		case xml.StartElement:
			e := &element{name: v.Name.Local, attr: map[string]string{}}
			for _, a := range v.Attr {
				e.attr[a.Name.Local] = a.Value
			}
			top.kids = append(top.kids, e)
			open = append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			top.text += strings.TrimSpace(string(v))
		}
	}
	return root.kids[0]
}

// all returns the descendants of a name, in order.
func (e *element) all(name string) []*element {
	var found []*element
	for _, k := range e.kids {
		if k.name == name {
			found = append(found, k)
		}
		found = append(found, k.all(name)...)
	}
	return found
}

func (e *element) wants(t *testing.T, attributes map[string]string) {
	t.Helper()
	for name, want := range attributes {
		if got, there := e.attr[name]; !there || got != want {
			t.Errorf("%s: %s is %q, want %q", e.name, name, got, want)
		}
	}
}

// mpds are the three documents of a track.
func mpds(t *testing.T, m *melodyud.Manifest) map[string]*element {
	t.Helper()
	out := map[string]*element{}
	for name, f := range map[string]func(*melodyud.Manifest) ([]byte, error){
		"all": dash.MPD, "standard": dash.Standard, "on demand": dash.OnDemand,
	} {
		b, err := f(m)
		out[name] = read(t, print(t, b, err))
	}
	return out
}

func TestTheDocumentIsStaticWithOnePeriod(t *testing.T) { // DASH-1
	t.Parallel()
	for name, doc := range mpds(t, manifest()) {
		profile := "urn:mpeg:dash:profile:isoff-live:2011"
		if name == "on demand" {
			profile = "urn:mpeg:dash:profile:isoff-on-demand:2011"
		}
		doc.wants(t, map[string]string{
			"type": "static", "profiles": profile + ",urn:mpeg:dash:profile:cmaf:2019",
			"mediaPresentationDuration": "PT13.033S", "minBufferTime": "PT4S",
		})
		if n := len(doc.all("Period")); n != 1 || doc.name != "MPD" {
			t.Errorf("%s: %d periods in %s", name, n, doc.name)
		}
	}
}

func TestSetsAndRepresentationsSayWhatTheyAre(t *testing.T) { // DASH-2
	t.Parallel()
	m := manifest()
	for name, doc := range mpds(t, m) {
		families := map[string]bool{}
		for _, set := range doc.all("AdaptationSet") {
			aligned := "segmentAlignment"
			start := "startWithSAP"
			if name == "on demand" {
				aligned, start = "subsegmentAlignment", "subsegmentStartsWithSAP"
			}
			set.wants(t, map[string]string{"contentType": "audio", "mimeType": "audio/mp4", "lang": "und", aligned: "true", start: "1"})
			codec := set.all("Representation")[0].attr["codecs"]
			if families[codec] {
				t.Errorf("%s: two sets of %s", name, codec)
			}
			families[codec] = true
			for _, r := range set.all("Representation") {
				want, ok := m.Rendition(r.attr["id"])
				if !ok {
					t.Fatalf("%s: representation %q", name, r.attr["id"])
				}
				r.wants(t, map[string]string{
					"bandwidth": strconv.Itoa(want.Bandwidth), "codecs": codec, "audioSamplingRate": strconv.Itoa(want.SampleRate),
				})
				r.all("AudioChannelConfiguration")[0].wants(t, map[string]string{
					"schemeIdUri": "urn:mpeg:mpegB:cicp:ChannelConfiguration", "value": "2",
				})
			}
		}
		if want := map[string]int{"all": 2, "standard": 1, "on demand": 2}[name]; len(families) != want {
			t.Errorf("%s: %d families", name, len(families))
		}
	}
}

// segments expands a set's template for a representation.
func segments(t *testing.T, set, rep *element) (init string, media []string) {
	t.Helper()
	template := set.all("SegmentTemplate")[0]
	expand := func(s string, n int) string {
		return strings.NewReplacer("$RepresentationID$", rep.attr["id"], "$Number$", strconv.Itoa(n)).Replace(s)
	}
	n, err := strconv.Atoi(template.attr["startNumber"])
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range template.all("S") {
		repeats, _ := strconv.Atoi(s.attr["r"]) // absent: none
		for range repeats + 1 {
			media = append(media, expand(template.attr["media"], n))
			n++
		}
	}
	return expand(template.attr["initialization"], 0), media
}

func TestSegmentsAreThoseOfHLS(t *testing.T) { // DASH-3, DASH-5
	t.Parallel()
	m := manifest()
	for i := range m.Renditions {
		m.Renditions[i].Sizes = make([]int64, len(m.Segments))
	}
	for _, name := range []string{"all", "standard"} {
		for _, set := range mpds(t, m)[name].all("AdaptationSet") {
			for _, rep := range set.all("Representation") {
				id := rep.attr["id"]
				playlist, err := hls.NewMedia(m, id, hls.Options{})
				if err != nil {
					t.Fatal(err)
				}
				var want []string
				for _, s := range playlist.Segments {
					want = append(want, id+"/"+s.URI)
				}
				init, got := segments(t, set, rep)
				if init != id+"/"+playlist.Init.URI || !slices.Equal(got, want) {
					t.Errorf("%s, %s: %s %v, HLS has %v", name, id, init, got, want)
				}
			}
		}
	}
}

func TestTimesArePresentationTimesOfTheRendition(t *testing.T) { // DASH-3
	t.Parallel()
	m := manifest()
	for _, set := range mpds(t, m)["all"].all("AdaptationSet") {
		want, _ := m.Rendition(set.all("Representation")[0].attr["id"])
		templates := set.all("SegmentTemplate")
		if len(templates) != 1 || templates[0].attr["timescale"] != strconv.Itoa(want.SampleRate) {
			t.Fatalf("%d templates, %v", len(templates), templates[0].attr)
		}
		first, tail := templates[0].all("S")[0], templates[0].all("S")[1]
		first.wants(t, map[string]string{"t": "0", "d": fmt.Sprint(want.Durations[0]), "r": "2"})
		if _, again := tail.attr["t"]; again || tail.attr["d"] != fmt.Sprint(want.Durations[3]) || tail.attr["r"] != "" {
			t.Errorf("the tail is %v", tail.attr)
		}
	}
}

func TestFamiliesNameEachOtherForSwitching(t *testing.T) { // DASH-4
	t.Parallel()
	for name, doc := range mpds(t, manifest()) {
		sets := doc.all("AdaptationSet")
		if len(sets) == 1 {
			if len(doc.all("SupplementalProperty")) != 0 {
				t.Errorf("%s: a set of its own switches", name)
			}
			continue
		}
		for i, set := range sets {
			set.all("SupplementalProperty")[0].wants(t, map[string]string{
				"schemeIdUri": "urn:mpeg:dash:adaptation-set-switching:2016", "value": sets[1-i].attr["id"],
			})
		}
	}
}

func TestAddressesAreRelativeAndTimesHaveNoOffset(t *testing.T) { // DASH-5
	t.Parallel()
	for name, doc := range mpds(t, manifest()) {
		for _, kind := range []string{"SegmentTemplate", "SegmentBase", "BaseURL", "Initialization", "ContentProtection"} {
			for _, e := range doc.all(kind) {
				if _, offset := e.attr["presentationTimeOffset"]; offset || kind == "ContentProtection" {
					t.Errorf("%s: %s %v", name, kind, e.attr)
				}
				for _, address := range []string{e.text, e.attr["media"], e.attr["initialization"], e.attr["sourceURL"]} {
					if u, err := url.Parse(address); err != nil || u.IsAbs() || u.Host != "" || strings.HasPrefix(address, "/") || strings.Contains(address, "..") {
						t.Errorf("%s: %s points at %q", name, kind, address)
					}
				}
			}
		}
	}
}

func TestFilesAreNamedWithTheirInitSegmentAndIndex(t *testing.T) { // DASH-5, section 2.2
	t.Parallel()
	m := manifest()
	for _, rep := range mpds(t, m)["on demand"].all("Representation") {
		r, _ := m.Rendition(rep.attr["id"])
		if got := rep.all("BaseURL")[0].text; got != r.File {
			t.Errorf("%s is at %q", r.Name, got)
		}
		base := rep.all("SegmentBase")[0]
		base.wants(t, map[string]string{
			"indexRange": fmt.Sprintf("%d-%d", r.InitSize, r.InitSize+r.IndexSize-1), "indexRangeExact": "true",
			"timescale": strconv.Itoa(r.SampleRate),
		})
		base.all("Initialization")[0].wants(t, map[string]string{"range": fmt.Sprintf("0-%d", r.InitSize-1)})
	}
}
