package catalog_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/catalog"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/ticket"
)

// segment is what 48 kHz tracks are cut into.
const segment = 192512.0 / 48000

// putRelease stores what previews and offline files are made from: a track of 200 s
// in segments of about 4 s, whose preview had best begin at highlight.
func (w *world) putRelease(highlight float64) {
	w.t.Helper()
	m := melodyud.Manifest{Version: melodyud.ManifestVersion, SampleRate: 48000, Samples: 200 * 48000, TargetDuration: 4}
	for rest := m.Samples; rest > 0; rest -= 192512 {
		m.Segments = append(m.Segments, min(rest, 192512))
	}
	for _, name := range []string{"aac-64", "aac-256", "flac"} {
		r := melodyud.Rendition{Name: name, Codec: melodyud.CodecAAC, Size: 1000, SHA256: strings.Repeat("5", 64)}
		if name == "flac" {
			r.Codec = melodyud.CodecFLAC
		}
		m.Renditions = append(m.Renditions, r)
	}
	f := melodyud.Features{Version: "1", Duration: 200}
	if highlight >= 0 {
		f.PreviewStart = &highlight
	}
	for name, v := range map[string]any{"manifest.json": m, "features.json": f} {
		raw, err := json.Marshal(v)
		w.must(err)
		_, err = w.store.Put(w.t.Context(), "media/"+renderHash+"/"+name, strings.NewReader(string(raw)), int64(len(raw)), objectstore.PutOptions{})
		w.must(err)
	}
}

// protected is a world with media keys of one secret.
func protected(t *testing.T, change ...func(*catalog.Config)) (*world, *ticket.MediaKeys) {
	t.Helper()
	keys, err := ticket.NewMediaKeys(ticket.Key{ID: "m1", Secret: []byte(strings.Repeat("m", 32))})
	if err != nil {
		t.Fatal(err)
	}
	return newWorld(t, append(change, func(c *catalog.Config) { c.MediaKeys = keys })...), keys
}

// ask posts to one of a track's addresses and reads the answer into out.
func (w *world) ask(server *httptest.Server, who, path, body string, out any) http.Header {
	w.t.Helper()
	status, answer, header := w.do(server, who, "POST", path, body)
	if status != 200 {
		w.t.Fatalf("%s as %s: %d %s", path, who, status, answer)
	}
	if cc := header.Get("Cache-Control"); !strings.Contains(cc, "no-store") {
		w.t.Errorf("%s: Cache-Control %q", path, cc)
	}
	w.must(json.Unmarshal([]byte(answer), out))
	return header
}

// prefix returns what the ticket in a playback address opens.
func (w *world) claims(address string) ticket.Claims {
	w.t.Helper()
	_, rest, _ := strings.Cut(address, "/p/")
	signed, path, _ := strings.Cut(rest, "/")
	claims, err := w.keys.Verify(signed, "/"+path, w.clock.Now())
	w.must(err)
	return claims
}

type previewJSON struct {
	URL      string  `json:"url"`
	Start    float64 `json:"start_seconds"`
	Duration float64 `json:"duration_seconds"`
	Chosen   bool    `json:"chosen"`
}

func TestPreviewsBeginAtTheBoundaryNearestToTheHighlight(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ highlight, first float64 }{
		{0, 0}, {61, 15}, {62.1, 15}, {62.3, 16}, {170, 42}, {-1, 17}, // a third of 200 s is in segment 16, nearer to its end
	} {
		w := newWorld(t)
		track := w.publish(w.receive(nora).ID)
		w.putRelease(c.highlight)
		server := w.serve()
		for _, who := range []string{"Nora", "Lisa", "Paul", "Olga"} {
			var p previewJSON
			w.ask(server, who, "/v1/tracks/"+string(track.ID)+"/preview", "", &p)
			if math.Abs(p.Start-c.first*segment) > 1e-6 || math.Abs(p.Duration-7*segment) > 1e-6 || p.Chosen {
				t.Errorf("highlight at %v: %+v", c.highlight, p)
			}
			claims := w.claims(p.URL)
			want := ticket.PreviewPrefix(track.ID, track.Release.ID, int(c.first), int(c.first)+7)
			if claims.Prefix != want || claims.Tier != ticket.Free || !strings.HasSuffix(p.URL, want+"index.m3u8") {
				t.Errorf("%s may play %+v", who, claims)
			}
		}
	}
}

func TestCreatorsChooseWhereThePreviewBegins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pending := w.receive(nora).ID
	id := string(w.publish(w.receive(nora).ID).ID)
	w.putRelease(61)
	server := w.serve()
	patch := func(who, id, start string, want int, words ...string) {
		t.Helper()
		status, body, _ := w.do(server, who, "PATCH", "/v1/tracks/"+id, `{"preview_start_seconds":`+start+`}`)
		if status != want {
			t.Errorf("start %s of %s: %d %s", start, who, status, body)
		}
		for _, word := range words {
			if !strings.Contains(body, word) {
				t.Errorf("start %s: %s does not say %q", start, body, word)
			}
		}
	}
	preview := func(start float64, chosen bool) {
		t.Helper()
		var p previewJSON
		w.ask(server, "Lisa", "/v1/tracks/"+id+"/preview", "", &p)
		if math.Abs(p.Start-start) > 1e-6 || p.Chosen != chosen {
			t.Errorf("%+v, want %v", p, start)
		}
	}
	preview(15*segment, false)
	patch("Nora", id, "100.2", 200, `"preview_start_seconds":100.2`)
	if _, body, _ := w.do(server, "Lisa", "GET", "/v1/catalog", ""); strings.Contains(body, "preview_start") {
		t.Errorf("listeners see %s", body)
	}
	preview(25*segment, true)
	patch("Nora", id, "170.001", 400, "track.preview-start", "170.000 seconds")
	patch("Nora", id, "-0.5", 400, "track.preview-start")
	patch("Nora", id, "-2", 422)
	patch("Nora", id, `"x"`, 422)
	patch("Emil", id, "3", 404)
	patch("Lisa", id, "3", 403)
	patch("Nora", string(pending), "3", 409, "track.preview-too-early")
	preview(25*segment, true)
	patch("Nora", id, "170", 200)
	preview(42*segment, true) // 42 * 4.01 s is nearer than 43
	patch("Nora", id, "-1", 200)
	preview(15*segment, false)
}

func TestShortTracksAndShortPreviewsAreWholeSegments(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *catalog.Config) { c.PreviewLength = 9 * time.Second })
	id := w.publish(w.receive(nora).ID).ID
	w.putRelease(30)
	var p previewJSON
	w.ask(w.serve(), "Lisa", "/v1/tracks/"+string(id)+"/preview", "", &p)
	if math.Abs(p.Duration-2*segment) > 1e-6 {
		t.Errorf("%+v", p)
	}
	for _, bad := range []time.Duration{time.Second, 31 * time.Second, -time.Second} {
		_, err := catalog.New(catalog.Config{Database: w.db, Store: w.store, Bell: w.bell, Tickets: w.keys, PreviewLength: bad})
		w.wants(melodyud.ErrInvalid, err)
	}
}

func TestEncryptedPlaybackIsSignedForTheEncryptedFormOnly(t *testing.T) { // HLS-90, HLS-92, DASH-5
	t.Parallel()
	for _, always := range []bool{false, true} {
		w, _ := protected(t, func(c *catalog.Config) { c.Encrypt = always })
		track := w.publish(w.receive(nora).ID)
		server := w.serve()
		var list struct{ URL string }
		w.ask(server, "Paul", "/v1/playlists/playback", `{"tracks":["`+string(track.ID)+`"]}`, &list)
		if strings.Contains(w.claims(strings.Replace(list.URL, "/l/", "/p/", 1)).Prefix, "/encrypted/aes-128/m1/") != always {
			t.Errorf("always %v: a list at %s", always, list.URL)
		}
		sealed := ticket.EncryptedPrefix(ticket.Stream{KeyID: "m1", Track: track.ID, Release: track.Release.ID})
		for query, encrypted := range map[string]bool{"": always, "?encrypt=true": true, "?encrypt=false": always} {
			var p struct {
				URL  string `json:"url"`
				HiFi string `json:"hifi_url"`
				Dash string `json:"dash_url"`
			}
			w.ask(server, "Paul", "/v1/tracks/"+string(track.ID)+"/playback"+query, "", &p)
			prefix := w.claims(p.URL).Prefix
			if (prefix == sealed) != encrypted || (p.Dash == "") != encrypted || w.claims(p.HiFi).Prefix != prefix {
				t.Errorf("always %v, asked %q: %+v", always, query, p)
			}
		}
	}
	plain := newWorld(t)
	id := plain.publish(plain.receive(nora).ID).ID
	if status, body, _ := plain.do(plain.serve(), "Paul", "POST", "/v1/tracks/"+string(id)+"/playback?encrypt=true", ""); status != 400 || !strings.Contains(body, "playback.no-encryption") {
		t.Errorf("without keys: %d %s", status, body)
	}
	_, err := catalog.New(catalog.Config{Database: plain.db, Store: plain.store, Bell: plain.bell, Tickets: plain.keys, Encrypt: true})
	plain.wants(melodyud.ErrInvalid, err)
}

type keptJSON struct {
	URL, Format, Key, Device, Rendition, SHA256 string
	KeyID                                       string `json:"key_id"`
	Size                                        int64
	Expires                                     time.Time
}

func TestOfflineKeysAreBoundToAccountDeviceTrackAndQuality(t *testing.T) { // HLS-94
	t.Parallel()
	w, keys := protected(t, func(c *catalog.Config) { c.OfflineFor = 10 * 24 * time.Hour })
	tracks := []melodyud.Track{w.publish(w.receive(nora).ID), w.publish(w.receive(nora).ID)}
	w.putRelease(0)
	pia := api.Principal{User: "usr_01PIA", Name: "Pia", Roles: []api.Role{api.RoleListener}, Tier: ticket.Premium}
	server := w.serveTo(&revocable{people: people{paul, pia}})
	seen := map[string]string{}
	for _, track := range tracks {
		for _, who := range []string{"Paul", "Pia"} {
			for _, device := range []string{"phone", "desk"} {
				for _, rendition := range []string{"", "aac-64", "flac"} {
					wish := fmt.Sprintf(`{"device":%q,"rendition":%q}`, device, rendition)
					var k, again keptJSON
					w.ask(server, who, "/v1/tracks/"+string(track.ID)+"/offline", wish, &k)
					w.ask(server, who, "/v1/tracks/"+string(track.ID)+"/offline", wish, &again)
					if seen[k.Key] != "" || k.Key != again.Key {
						t.Errorf("%s %s: the key is that of %s; again: %v", who, wish, seen[k.Key], k.Key == again.Key)
					}
					seen[k.Key] = who + wish
					if !k.Expires.Equal(w.clock.Now().Add(10*24*time.Hour)) || k.Format != "MUDOFF1" || k.Size != 1000 || k.KeyID != "m1" {
						t.Errorf("%+v", k)
					}
					if rendition == "" && k.Rendition != "aac-256" {
						t.Errorf("the default is %s", k.Rendition)
					}
				}
			}
		}
	}
	var k keptJSON
	w.ask(server, "Paul", "/v1/tracks/"+string(tracks[0].ID)+"/offline", `{"device":"phone"}`, &k)
	binding, _ := keys.Binding("m1", paul.User, "phone")
	stream := ticket.Stream{KeyID: "m1", Track: tracks[0].ID, Release: tracks[0].Release.ID}
	if claims := w.claims(k.URL); claims.Prefix != ticket.OfflinePrefix(stream, binding) || claims.Tier != ticket.Premium {
		t.Errorf("%+v", claims)
	}
}

func TestOfflineIsRefusedInWords(t *testing.T) { // HLS-94
	t.Parallel()
	w, _ := protected(t)
	pending := string(w.receive(nora).ID)
	id := string(w.publish(w.receive(nora).ID).ID)
	w.putRelease(0)
	server := w.serve()
	refused := func(who, id, wish string, want int, code string) {
		t.Helper()
		status, body, header := w.do(server, who, "POST", "/v1/tracks/"+id+"/offline", wish)
		if status != want || !strings.Contains(body, code) || want != 422 && !strings.Contains(header.Get("Cache-Control"), "no-store") {
			t.Errorf("%s of %s: %d %s %v", wish, who, status, body, header)
		}
	}
	const phone = `{"device":"phone"}`
	refused("", id, phone, 401, "auth.missing")
	refused("Lisa", id, phone, 403, "offline.premium-only")
	refused("Emil", id, phone, 404, "track.not-found")
	refused("Paul", pending, phone, 404, "track.not-found")
	refused("Paul", id, `{"device":"my phone"}`, 400, "offline.device")
	refused("Paul", id, `{"device":""}`, 422, "request.invalid")
	refused("Paul", id, `{"device":"phone","rendition":"aac-1"}`, 404, "offline.rendition")
	refused("Paul", id, `{"device":"phone","key_id":"m0"}`, 409, "offline.key-retired")
	var k keptJSON
	w.ask(server, "Paul", "/v1/tracks/"+id+"/offline", `{"device":"phone","key_id":"m1"}`, &k)
	w.must(w.Withdraw(t.Context(), nora, melodyud.TrackID(id)))
	refused("Paul", id, `{"device":"phone","key_id":"m1"}`, 404, "track.not-found")
}
