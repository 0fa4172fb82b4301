package edge_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/ticket"
	"github.com/melodyud/melodyud/packager/fmp4"
	"github.com/melodyud/melodyud/packager/packagertest"
)

// disc is a stage with several packaged tracks.
type disc struct {
	*stage
	ids       []melodyud.ReleaseID
	manifests []melodyud.Manifest
}

func newDisc(t testing.TB, tracks ...packagertest.Track) *disc {
	t.Helper()
	d := &disc{stage: newStage(t)}
	for k, tr := range tracks {
		dir := t.TempDir()
		tr.Ladder = melodyud.Ladder{{Codec: melodyud.CodecAAC, Bitrate: 96_000}, {Codec: melodyud.CodecFLAC}}
		m := packagertest.Build(t, dir, tr)
		m.RenderHash = fmt.Sprintf("%032x", k)
		for _, r := range m.Renditions {
			raw, err := os.ReadFile(filepath.Join(dir, r.File))
			if err != nil {
				t.Fatal(err)
			}
			d.shelf.put("media/"+m.RenderHash+"/"+r.File, raw)
		}
		raw, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		id := melodyud.NewReleaseID(start)
		d.shelf.put("releases/"+string(id)+"/manifest.json", raw)
		d.ids, d.manifests = append(d.ids, id), append(d.manifests, m)
	}
	return d
}

func (d *disc) address(t testing.TB, tier ticket.Tier) string {
	t.Helper()
	path, prefix := ticket.List(d.ids)
	token, err := d.keys.Sign(ticket.Claims{Expires: start.Add(time.Hour), Prefix: prefix, Session: "s1", Tier: tier})
	if err != nil {
		t.Fatal(err)
	}
	return "/l/" + token + path
}

// heard is what a player gets of one rendition.
type heard struct {
	playlist string
	inits    []fmp4.Header
	segments []fmp4.Segment
	raw      [][]byte
}

func (d *disc) hear(t *testing.T, form, name string) heard {
	t.Helper()
	base := d.address(t, ticket.Premium) + form + "/" + name + "/"
	h := heard{playlist: string(body(t, d.get(t, base+"index.m3u8")))}
	for line := range strings.Lines(h.playlist) {
		line = strings.TrimSpace(line)
		if uri, ok := strings.CutPrefix(line, `#EXT-X-MAP:URI="`); ok {
			init, err := fmp4.ReadInit(body(t, d.get(t, base+strings.TrimSuffix(uri, `"`))))
			if err != nil {
				t.Fatal(err)
			}
			h.inits = append(h.inits, init)
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		raw := body(t, d.get(t, base+line))
		s, err := fmp4.ReadSegment(raw, h.inits[len(h.inits)-1].Codec)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		h.segments, h.raw = append(h.segments, s), append(h.raw, raw)
	}
	return h
}

// cut lengths are no multiples of anything.
var cut = []packagertest.Track{{Samples: 60_345}, {Samples: 444_432}, {Samples: 67_224}, {Samples: 1}, {Samples: 89_332}}

func TestTracksOfOneFormatAreOneTimelineWithoutDiscontinuity(t *testing.T) { // GAP-2, GAP-3, HLS-52, HLS-57
	t.Parallel()
	d := newDisc(t, cut...)
	for _, name := range []string{"aac-96", "flac"} {
		h := d.hear(t, "plain", name)
		if strings.Contains(h.playlist, "DISCONTINUITY") || len(h.inits) != 1 {
			t.Fatalf("%s is cut up:\n%s", name, h.playlist)
		}
		at, samples := int64(0), int64(0)
		for i, s := range h.segments {
			if s.DecodeTime != at || s.Number != i+1 {
				t.Errorf("%s: segment %d has number %d and begins at %d, the one before ends at %d", name, i, s.Number, s.DecodeTime, at)
			}
			at = s.End()
		}
		for _, m := range d.manifests {
			samples += m.Samples
		}
		if want := h.inits[0].Priming + samples; at != want {
			t.Errorf("%s ends at %d, want %d", name, at, want)
		}
	}
}

func TestTheExactFormKeepsWhatLiesBeyondATracksBounds(t *testing.T) { // GAP-1, GAP-3
	t.Parallel()
	d := newDisc(t, cut...)
	h := d.hear(t, "exact", "aac-96")
	base, n := int64(0), 0
	for k, m := range d.manifests {
		r, _ := m.Rendition("aac-96")
		if got := h.segments[n].DecodeTime; got != base {
			t.Errorf("track %d is primed at %d, want %d", k, got, base)
		}
		n += len(m.Segments)
		whole := (r.EncoderDelay + r.Samples + 1023) / 1024 * 1024
		if got := h.segments[n-1].End(); got != base+whole {
			t.Errorf("track %d ends at %d, want %d: the whole of its last access unit", k, got, base+whole)
		}
		base += r.Samples
	}
	plain, exact := d.hear(t, "plain", "flac"), d.hear(t, "exact", "flac")
	for i := range plain.raw {
		if !bytes.Equal(plain.raw[i], exact.raw[i]) {
			t.Errorf("FLAC needs no priming, but segment %d differs", i)
		}
	}
}

func TestPacketsOfAListAreThoseOfItsTracks(t *testing.T) {
	t.Parallel()
	d := newDisc(t, cut...)
	for _, name := range []string{"aac-96", "flac"} {
		h, n := d.hear(t, "exact", name), 0
		for k, m := range d.manifests {
			r, _ := m.Rendition(name)
			for i := range r.Sizes {
				at, size, _ := r.SegmentRange(i)
				stored := d.shelf.objects["media/"+m.RenderHash+"/"+r.File][at : at+size]
				if !bytes.Equal(packets(stored), packets(h.raw[n])) {
					t.Errorf("%s: segment %d of track %d has other packets", name, i, k)
				}
				n++
			}
		}
	}
}

func packets(segment []byte) []byte {
	_, after, _ := bytes.Cut(segment, []byte("mdat"))
	return after
}

func TestTheInitSegmentOfAListKnowsNoSingleTracksLengthOrSum(t *testing.T) { // RFC 9639 8.2
	t.Parallel()
	d := newDisc(t, cut...)
	init := d.hear(t, "plain", "flac").inits[0]
	if init.Samples != 0 || init.MD5 != strings.Repeat("0", 32) || init.MinBlock != 4096 || init.SampleRate != 44100 {
		t.Errorf("STREAMINFO %+v", init)
	}
}

func TestListsDiscontinueWhereAFormatChangesInAllRenditionsAlike(t *testing.T) { // HLS-55, HLS-57
	t.Parallel()
	d := newDisc(t, packagertest.Track{Samples: 200_000}, packagertest.Track{Rate: 96_000, Samples: 300_001},
		packagertest.Track{Rate: 96_000, Samples: 250_000}, packagertest.Track{Samples: 90_000})
	var first []string
	for _, name := range []string{"aac-96", "flac"} {
		h := d.hear(t, "plain", name)
		lines := strings.Split(h.playlist, "\n")
		if first == nil {
			first = lines
		}
		if !slices.Equal(lines, first) || strings.Count(h.playlist, "#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init/") != 2 {
			t.Fatalf("%s:\n%s\nthe other:\n%s", name, h.playlist, strings.Join(first, "\n"))
		}
		// Decode times go on in the new unit, so that no player falls back to 0.
		n := len(d.manifests[0].Segments)
		if got, want := float64(h.segments[n].DecodeTime)/float64(h.inits[1].SampleRate), 200_000.0/44_100; got < want || got > want+1e-4 {
			t.Errorf("%s: the second run begins at %f s, want %f", name, got, want)
		}
	}
}

func TestAListIsOneStreamToAMultivariantPlaylist(t *testing.T) { // HLS-11, HLS-34
	t.Parallel()
	d := newDisc(t, cut...)
	base := d.address(t, ticket.Premium) + "plain/"
	hifi, standard := string(body(t, d.get(t, base+"hifi.m3u8"))), string(body(t, d.get(t, base+"index.m3u8")))
	if !strings.Contains(hifi, "\nflac/index.m3u8") || strings.Contains(standard, "flac") || !strings.Contains(standard, "\naac-96/index.m3u8") {
		t.Errorf("hifi:\n%s\nstandard:\n%s", hifi, standard)
	}
}

func TestRelocatedSegmentsHonourRangesAndConditionals(t *testing.T) { // EDGE-4, EDGE-6, EDGE-13
	t.Parallel()
	d := newDisc(t, cut...)
	path := d.address(t, ticket.Premium) + "plain/aac-96/s/3.m4s"
	whole := d.get(t, path)
	full, tag := body(t, whole), whole.Header.Get("ETag")
	if got := whole.Header.Get("Cache-Control"); !strings.Contains(got, "immutable") || whole.Header.Get("Content-Type") != "audio/mp4" {
		t.Errorf("headers %v", whole.Header)
	}
	for _, c := range []struct{ from, to int }{{0, 1}, {5, 200}, {150, 300}, {len(full) - 3, len(full)}} {
		res := d.get(t, path, "Range", fmt.Sprintf("bytes=%d-%d", c.from, c.to-1))
		if got := body(t, res); res.StatusCode != http.StatusPartialContent || !bytes.Equal(got, full[c.from:c.to]) {
			t.Errorf("%v: %d, %d bytes", c, res.StatusCode, len(got))
		}
	}
	if res := d.get(t, path, "If-None-Match", tag); res.StatusCode != http.StatusNotModified {
		t.Errorf("unchanged: %d", res.StatusCode)
	}
	if res := d.send(t, http.MethodHead, path); res.Header.Get("Content-Length") != fmt.Sprint(len(full)) || len(body(t, res)) != 0 {
		t.Errorf("HEAD: %v", res.Header)
	}
}

func TestAListIsPlayedOnlyAsItWasSigned(t *testing.T) { // TOK-3, TOK-6
	t.Parallel()
	d := newDisc(t, packagertest.Track{Samples: 50_000}, packagertest.Track{Samples: 60_000})
	free, premium := d.address(t, ticket.Free), d.address(t, ticket.Premium)
	token := strings.Split(premium, "/")[2]
	turned, _ := ticket.List([]melodyud.ReleaseID{d.ids[1], d.ids[0]})
	forged := strings.Join([]string{"/l", token, strings.Split(premium, "/")[3], strings.Split(turned, "/")[2], ""}, "/")
	for path, want := range map[string]int{
		free + "plain/index.m3u8":                   200,
		free + "plain/hifi.m3u8":                    403,
		free + "plain/flac/index.m3u8":              403,
		free + "exact/flac/s/0.m4s":                 403,
		free + "exact/flac/init/0.mp4":              403,
		premium + "exact/flac/init/0.mp4":           200,
		premium + "exact/flac/init/1.mp4":           404,
		premium + "plain/aac-96/s/4.m4s":            404,
		premium + "plain/aac-96/s/-1.m4s":           404,
		premium + "plain/aac-96/s/00.m4s":           404,
		premium + "other/aac-96/s/0.m4s":            404,
		premium + "plain/aac-9/s/0.m4s":             404,
		premium + "plain/nothing":                   404,
		"/l/" + token + turned + "plain/index.m3u8": 403,
		forged + "plain/index.m3u8":                 404,
		"/l/" + token + "x" + strings.TrimPrefix(premium, "/l/"+token) + "plain/index.m3u8": 403,
	} {
		if res := d.get(t, path); res.StatusCode != want || res.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d, want %d", path, res.StatusCode, want)
		}
	}
}

func TestAWithdrawnTrackStopsItsListButNoOtherTrackOfIt(t *testing.T) { // EDGE-3
	t.Parallel()
	d := newDisc(t, packagertest.Track{Samples: 50_000}, packagertest.Track{Samples: 60_000})
	base := d.address(t, ticket.Premium) + "plain/"
	want := func(path string, status int) {
		t.Helper()
		if res := d.get(t, base+path); res.StatusCode != status {
			t.Errorf("%s: %d, want %d", path, res.StatusCode, status)
		}
	}
	want("aac-96/index.m3u8", 200)
	d.shelf.remove("releases/" + string(d.ids[1]) + "/manifest.json")
	d.now.Add(int64(3 * time.Second))
	second := len(d.manifests[0].Segments)
	want(fmt.Sprintf("aac-96/s/%d.m4s", second), 404)
	want("aac-96/s/0.m4s", 200)
	want("aac-96/index.m3u8", 404)
}

// TestEncryptedListsAreTheClearOnes decrypts an album of two formats with the keys
// its playlist names and compares it with the clear one, byte for byte.
func TestEncryptedListsAreTheClearOnes(t *testing.T) { // HLS-57, HLS-90, HLS-91
	t.Parallel()
	d := newDisc(t, packagertest.Track{Samples: 44_432}, packagertest.Track{Rate: 48_000, Samples: 3_000_123}, packagertest.Track{Rate: 48_000, Samples: 89_332})
	path, prefix := ticket.EncryptedList("m2", d.ids)
	token, err := d.keys.Sign(ticket.Claims{Expires: start.Add(time.Hour), Prefix: prefix, Session: "s1", Tier: ticket.Premium})
	if err != nil {
		t.Fatal(err)
	}
	ivs := map[string]string{}
	for _, form := range []string{"plain", "exact"} {
		base := "/l/" + token + path + form + "/"
		main := string(body(t, d.get(t, base+"hifi.m3u8")))
		if !strings.Contains(main, `#EXT-X-SESSION-KEY:METHOD=AES-128,URI="0.key"`) {
			t.Errorf("no session keys:\n%s", main)
		}
		for _, name := range []string{"aac-96", "flac"} {
			clear, at := d.hear(t, form, name), 0
			var key []byte
			var iv string
			for line := range strings.Lines(string(body(t, d.get(t, base+name+"/index.m3u8")))) {
				line = strings.TrimSpace(line)
				switch {
				case line == "#EXT-X-KEY:METHOD=NONE":
					key = nil
				case strings.HasPrefix(line, "#EXT-X-KEY:"):
					var uri string
					if _, err := fmt.Sscanf(line, `#EXT-X-KEY:METHOD=AES-128,URI=%q,IV=%s`, &uri, &iv); err != nil {
						t.Fatalf("%s: %v", line, err)
					}
					key = body(t, d.get(t, base+strings.TrimPrefix(uri, "../")))
					use := form + name + iv
					if other, used := ivs[iv]; used && other != form+name {
						t.Errorf("%s has the vector of %s", use, other)
					}
					ivs[iv] = form + name
				case strings.HasPrefix(line, "#EXT-X-MAP:"):
					if key != nil {
						t.Errorf("%s %s: an init segment in reach of a key", form, name)
					}
				case line != "" && !strings.HasPrefix(line, "#"):
					if got := decrypt(t, body(t, d.get(t, base+name+"/"+line)), key, iv); !bytes.Equal(got, clear.raw[at]) {
						t.Errorf("%s %s: %s differs", form, name, line)
					}
					at++
				}
			}
			if at != len(clear.raw) {
				t.Errorf("%s %s: %d segments of %d", form, name, at, len(clear.raw))
			}
		}
	}
	plain := strings.Replace("/l/"+token+path, "encrypted/aes-128/m2/", "", 1) + "plain/"
	for address, want := range map[string]int{
		plain + "index.m3u8": 403, plain + "flac/s/0.m4s": 403,
		"/l/" + token + strings.Replace(path, "/m2/", "/m1/", 1) + "plain/0.key": 403,
		"/l/" + token + path + "plain/99.key":                                    404,
		"/l/" + token + path + "other/index.m3u8":                                404,
		d.address(t, ticket.Premium) + "plain/0.key":                             404,
	} {
		if res := d.get(t, address); res.StatusCode != want {
			t.Errorf("%s: %d, want %d", address, res.StatusCode, want)
		}
	}
}
