package sound_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/databasetest"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/objectstore/dir"
	"github.com/melodyud/melodyud/internal/queue"
	"github.com/melodyud/melodyud/internal/sound"
)

var published = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// shelf has tracks that everybody hears who is signed in as "Lisa".
type shelf map[melodyud.TrackID]melodyud.Track

func (s shelf) Audible(_ context.Context, _ api.Principal, id melodyud.TrackID) (melodyud.Track, error) {
	t, ok := s[id]
	if !ok {
		return t, melodyud.Refuse(melodyud.ErrNotFound, "track.not-found", "There is no such track.")
	}
	return t, nil
}

type listeners struct{}

func (listeners) Authenticate(_ context.Context, secret string) (api.Principal, error) {
	switch secret {
	case "Lisa":
		return api.Principal{User: "usr_lisa", Roles: []api.Role{api.RoleListener}}, nil
	case "Olga":
		return api.Principal{User: "usr_olga", Roles: []api.Role{api.RoleOps}}, nil
	case "nobody":
		return api.Principal{User: "usr_nobody"}, nil
	}
	return api.Principal{}, melodyud.ErrUnauthenticated
}

// CountHeard implements the library.
func (s shelf) CountHeard(ctx context.Context, which melodyud.Hearing) (int, float64, error) {
	all, err := s.Heard(ctx, which, "", len(s))
	return len(all), 60 * float64(len(all)), err
}

// Heard implements the library.
func (s shelf) Heard(_ context.Context, which melodyud.Hearing, after melodyud.TrackID, limit int) ([]melodyud.Track, error) {
	var all []melodyud.Track
	for _, id := range slices.Sorted(maps.Keys(s)) {
		if id > after && (which.Track == "" || which.Track == id) && len(all) < limit {
			all = append(all, s[id])
		}
	}
	return all, nil
}

// bell counts its rings.
type bell struct{ rung []queue.Task }

func (b *bell) Ring(_ context.Context, t queue.Task) error {
	b.rung = append(b.rung, t)
	return nil
}

type world struct {
	*sound.Service
	t      *testing.T
	db     database.DB
	bell   bell
	since  time.Duration // how far the clock is from published
	store  objectstore.Store
	shelf  shelf
	server *httptest.Server
}

// newWorld has rows for back-fills.
func newWorld(t *testing.T) *world {
	t.Helper()
	return open(t, databasetest.Open(t))
}

// newShow only shows what there is.
func newShow(t *testing.T) *world {
	t.Helper()
	return open(t, struct{ database.DB }{})
}

func open(t *testing.T, db database.DB) *world {
	t.Helper()
	store, err := dir.Open(dir.Config{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	w := &world{t: t, store: store, shelf: shelf{}, db: db}
	s, err := sound.New(sound.Config{
		Tracks: w.shelf, Library: w.shelf, Store: store, Database: w.db, Bell: &w.bell, Lease: time.Minute,
		Now: func() time.Time { return published.Add(w.since) },
	})
	w.Service = s
	w.must(err)
	router, err := api.NewRouter(api.Config{Auth: listeners{}})
	w.must(err)
	s.Register(router)
	w.server = httptest.NewServer(router.Handler())
	t.Cleanup(w.server.Close)
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// track puts a track on the shelf, with what hash names as its features.
func (w *world) track(featuresHash string) melodyud.TrackID {
	id := melodyud.NewTrackID(published)
	w.shelf[id] = melodyud.Track{ID: id, State: melodyud.StatePublished, Release: &melodyud.Release{
		ID: melodyud.NewReleaseID(published), RenderHash: "render" + featuresHash, FeaturesHash: featuresHash, Published: published,
	}}
	return id
}

func (w *world) put(key string, content []byte) {
	w.t.Helper()
	_, err := w.store.Put(w.t.Context(), key, strings.NewReader(string(content)), int64(len(content)), objectstore.PutOptions{})
	w.must(err)
}

func (w *world) get(path string, header ...string) (int, string, http.Header) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), "GET", w.server.URL+path, nil)
	w.must(err)
	req.Header.Set("Authorization", "Bearer Lisa")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := w.server.Client().Do(req)
	w.must(err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	w.must(err)
	return res.StatusCode, string(raw), res.Header
}

func (w *world) send(req *http.Request) (int, string) {
	w.t.Helper()
	res, err := w.server.Client().Do(req)
	w.must(err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	w.must(err)
	return res.StatusCode, string(raw)
}

// heard stores features and returns the track they are of.
func (w *world) heard(hash string, f melodyud.Features, a melodyud.Analysis) melodyud.TrackID {
	w.t.Helper()
	for name, v := range map[string]any{"features.json": f, "analysis.json": a} {
		raw, err := json.Marshal(v)
		w.must(err)
		w.put("features/"+hash+"/"+name, raw)
	}
	return w.track(hash)
}

// song is a document with everything in it.
func song() (melodyud.Features, melodyud.Analysis) {
	f := melodyud.Features{
		Schema: melodyud.FeaturesSchema, Version: "7", Duration: 4.25,
		Loudness: melodyud.Loudness{Integrated: new(-9.81)},
		Quality:  melodyud.Quality{SilenceHead: new(0.25), SilenceTail: new(0.5)},
		Rhythm: melodyud.Rhythm{
			Tempo: new(120.02), TempoConfidence: new(0.9), Beats: []float64{0.5, 1, 1.5, 2, 2.5, 3, 3.5}, Downbeats: []int{0, 3, 6, 99},
			Meter: new(3), MeterConfidence: new(0.4),
		},
		Tonal:      melodyud.Tonal{Key: new(9), Mode: new(0), KeyConfidence: new(0.7)},
		Perceptual: melodyud.Perceptual{Energy: melodyud.Score{Value: new(0.82)}, Valence: melodyud.Score{Value: new(0.1)}},
		Structure: melodyud.Structure{Sections: []melodyud.Section{
			{Start: 0, Duration: 2, Confidence: 1, Loudness: new(-12.0), Tempo: new(119.5), Key: new(4), Mode: new(1)},
			{Start: 2, Duration: 2.25, Confidence: 0.5},
		}},
	}
	a := melodyud.Analysis{Schema: melodyud.FeaturesSchema, Tatums: []float64{0.5, 0.75, 1}}
	for i := range 3 {
		a.Segments = append(a.Segments, melodyud.Segment{
			Start: float64(i), Duration: 1, Confidence: 0.5, LoudnessStart: -20, LoudnessMax: -10, LoudnessMaxTime: 0.1, LoudnessEnd: -15,
			Pitches: []float64{1, 0, 0, .5, 0, 0, 0, .2, 0, 0, 0, 0}, Timbre: make([]float64, 12),
		})
	}
	return f, a
}

func TestTheViewsHaveSpotifysForm(t *testing.T) {
	t.Parallel()
	w := newShow(t)
	f, a := song()
	full := w.heard("full", f, a)
	empty := w.heard("empty", melodyud.Features{Duration: 0.5}, melodyud.Analysis{})
	for _, id := range []melodyud.TrackID{full, empty} {
		for _, view := range []string{"audio-features", "audio-analysis"} {
			status, body, _ := w.get("/v1/tracks/" + string(id) + "/" + view)
			if status != 200 {
				t.Fatalf("%s: %d %s", view, status, body)
			}
			w.fits(view, body)
			short := strings.TrimPrefix(string(id), "trk_")
			if _, other, _ := w.get("/v1/" + view + "/" + short); other != body {
				t.Errorf("%s by id differs: %s", view, other)
			}
		}
	}
}

// fits holds a body to the schema of a view.
func (w *world) fits(view, body string) {
	w.t.Helper()
	raw, err := os.ReadFile("testdata/" + view + ".schema.json")
	w.must(err)
	var schema huma.Schema
	w.must(json.Unmarshal(raw, &schema))
	registry := huma.NewMapRegistry("#/", huma.DefaultSchemaNamer)
	precompute(&schema)
	var value any
	w.must(json.Unmarshal([]byte(body), &value))
	found := &huma.ValidateResult{}
	huma.Validate(registry, &schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, value, found)
	for _, err := range found.Errors {
		w.t.Errorf("%s: %v", view, err)
	}
}

func precompute(s *huma.Schema) {
	for _, p := range s.Properties {
		precompute(p)
	}
	if s.Items != nil {
		precompute(s.Items)
	}
	s.PrecomputeMessages()
}

func TestTheSchemasNoticeAWrongView(t *testing.T) {
	t.Parallel()
	var schema huma.Schema
	raw, err := os.ReadFile("testdata/audio-features.schema.json")
	if err != nil || json.Unmarshal(raw, &schema) != nil {
		t.Fatal(err)
	}
	precompute(&schema)
	for _, wrong := range []map[string]any{{}, {"key": 12.0}, {"key": "C"}, {"energy": 1.5}, {"surprise": 1.0}} {
		found := &huma.ValidateResult{}
		huma.Validate(huma.NewMapRegistry("#/", huma.DefaultSchemaNamer), &schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, wrong, found)
		if len(found.Errors) < 17 { // all fields are missing but one
			t.Errorf("%v: %d faults", wrong, len(found.Errors))
		}
	}
}

func TestTheViewsSayWhatWasHeard(t *testing.T) {
	t.Parallel()
	w := newShow(t)
	f, a := song()
	id := w.heard("full", f, a)
	_, body, _ := w.get("/v1/tracks/" + string(id) + "/audio-features")
	want := fmt.Sprintf(`{"danceability":0,"energy":0.82,"key":9,"loudness":-9.81,"mode":0,"speechiness":0,"acousticness":0,`+
		`"instrumentalness":0,"liveness":0,"valence":0.1,"tempo":120.02,"type":"audio_features","id":"%[1]s","uri":"melodyud:track:%[1]s",`+
		`"track_href":"/v1/tracks/%[1]s","analysis_url":"/v1/audio-analysis/%[1]s","duration_ms":4250,"time_signature":3}`, id)
	if got := strings.TrimSpace(body); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	_, body, _ = w.get("/v1/tracks/" + string(id) + "/audio-analysis")
	var got struct {
		Bars, Beats, Tatums []struct{ Start, Duration, Confidence float64 }
		Sections            []struct{ Start, Tempo, Loudness float64 }
		Track               struct {
			FadeOut float64 `json:"start_of_fade_out"`
		}
	}
	w.must(json.Unmarshal([]byte(body), &got))
	if len(got.Bars) != 3 || got.Bars[1].Start != 2 || got.Bars[1].Duration != 1.5 || got.Bars[2].Duration != 0.75 || got.Bars[0].Confidence != 0.4 {
		t.Errorf("bars %+v", got.Bars)
	}
	if len(got.Beats) != 7 || got.Beats[6].Duration != 0.5 || len(got.Tatums) != 3 {
		t.Errorf("beats %+v, tatums %+v", got.Beats, got.Tatums)
	}
	if len(got.Sections) != 2 || got.Sections[0].Tempo != 119.5 || got.Sections[1].Tempo != 120.02 || got.Track.FadeOut != 3.75 {
		t.Errorf("sections %+v, fade-out at %v", got.Sections, got.Track.FadeOut)
	}
}

func TestSeveralTracksAreAnsweredInTheirOrder(t *testing.T) {
	t.Parallel()
	w := newShow(t)
	a := w.heard("a", melodyud.Features{Duration: 1}, melodyud.Analysis{})
	b := w.heard("b", melodyud.Features{Duration: 2}, melodyud.Analysis{})
	status, body, _ := w.get(fmt.Sprintf("/v1/audio-features?ids=%s,%s,nonsense,%s", b, a, w.track("unheard")))
	var got struct {
		All []*struct {
			ID string
			MS int `json:"duration_ms"`
		} `json:"audio_features"`
	}
	w.must(json.Unmarshal([]byte(body), &got))
	if status != 200 || len(got.All) != 4 || got.All[0].MS != 2000 || got.All[1].ID != string(a) || got.All[2] != nil || got.All[3] != nil {
		t.Errorf("%d %s", status, body)
	}
	if status, body, _ := w.get("/v1/audio-features?ids=" + strings.Repeat("x,", 100) + "x"); status != 422 {
		t.Errorf("101 ids: %d %s", status, body)
	}
}

// dat is a waveform of the given pairs.
func dat(rate, zoom int32, pairs ...int8) []byte {
	var out []byte
	for _, v := range []int32{2, 1, rate, zoom, int32(len(pairs) / 2), 1} {
		out = binary.LittleEndian.AppendUint32(out, uint32(v))
	}
	for _, v := range pairs {
		out = append(out, byte(v))
	}
	return out
}

func TestWaveformsComeInBothLevelsAndForms(t *testing.T) {
	t.Parallel()
	w := newShow(t)
	id := w.track("wave")
	detail, overview := dat(44100, 512, -1, 2, -128, 127, 0, 0), dat(44100, 9000, -128, 127)
	w.put("features/wave/waveform.dat", detail)
	w.put("features/wave/overview.dat", overview)
	asJSON := `{"version":2,"channels":1,"sample_rate":44100,"samples_per_pixel":512,"bits":8,"length":3,"data":[-1,2,-128,127,0,0]}`
	for _, c := range []struct{ query, accept, want, kind string }{
		{"", "", string(detail), "application/octet-stream"},
		{"", "*/*", string(detail), "application/octet-stream"},
		{"", "application/json", asJSON, "application/json"},
		{"", "application/octet-stream, application/json", string(detail), "application/octet-stream"},
		{"?format=json", "application/octet-stream", asJSON, "application/json"},
		{"?format=dat", "application/json", string(detail), "application/octet-stream"},
		{"?level=overview", "", string(overview), "application/octet-stream"},
	} {
		status, body, header := w.get("/v1/tracks/"+string(id)+"/waveform"+c.query, "Accept", c.accept)
		if status != 200 || body != c.want || header.Get("Content-Type") != c.kind || header.Get("Vary") != "Accept" {
			t.Errorf("%s, Accept %s: %d %q %v", c.query, c.accept, status, body, header)
		}
	}
	if status, _, _ := w.get("/v1/tracks/" + string(id) + "/waveform?level=none"); status != 422 {
		t.Errorf("a level that does not exist: %d", status)
	}
}

func TestADamagedWaveformIsAFaultOfOurs(t *testing.T) {
	t.Parallel()
	w := newShow(t)
	whole := dat(44100, 512, 1, 2)
	for i, broken := range [][]byte{whole[:20], whole[:len(whole)-1], dat(1, 1), []byte("a picture instead of peaks......")} {
		hash := fmt.Sprint("broken", i)
		if i == 2 {
			broken[16] = 255 // says more than it has
		}
		w.put("features/"+hash+"/waveform.dat", broken)
		if status, body, _ := w.get("/v1/tracks/" + string(w.track(hash)) + "/waveform?format=json"); status != 500 {
			t.Errorf("%d: %d %s", i, status, body)
		}
	}
}

func TestTracksOfOlderVersionsShowWhatTheyHave(t *testing.T) {
	t.Parallel()
	w := newShow(t)
	id := string(w.track(""))
	w.put("media/render/waveform.dat", dat(44100, 256, 1, 2))
	if status, body, _ := w.get("/v1/tracks/" + id + "/waveform"); status != 200 || len(body) != 26 {
		t.Errorf("waveform: %d %q", status, body)
	}
	for _, path := range []string{"features", "analysis", "audio-features", "audio-analysis", "waveform?level=overview"} {
		status, body, _ := w.get("/v1/tracks/" + id + "/" + path)
		if status != 404 || !strings.Contains(body, `"features.not-yet"`) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

func TestEverythingIsCachedUnderAStrongTag(t *testing.T) { // RFC 9110 section 8.8.3
	t.Parallel()
	w := newShow(t)
	f, a := song()
	id := w.heard("full", f, a)
	w.put("features/full/waveform.dat", dat(44100, 512, 1, 2))
	for _, size := range []string{"150", "600", "1200"} {
		w.put("media/renderfull/cover-"+size+".jpg", []byte("picture of "+size))
	}
	tags := map[string]string{}
	for _, path := range []string{"features", "analysis", "audio-features", "audio-analysis", "waveform", "waveform?format=json", "cover", "cover?size=150", "cover?size=1200"} {
		status, body, header := w.get("/v1/tracks/" + string(id) + "/" + path)
		tag := header.Get("ETag")
		if status != 200 || body == "" || !strings.HasPrefix(tag, `"`) || !strings.HasPrefix(header.Get("Cache-Control"), "private") ||
			header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %q %v", path, status, body, header)
		}
		if other, used := tags[tag]; used {
			t.Errorf("%s and %s have the tag %s", path, other, tag)
		}
		tags[tag] = path
		for _, list := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
			if status, body, again := w.get("/v1/tracks/"+string(id)+"/"+path, "If-None-Match", list); status != 304 || body != "" || again.Get("ETag") != tag {
				t.Errorf("%s with If-None-Match %s: %d %q", path, list, status, body)
			}
		}
		if status, _, _ := w.get("/v1/tracks/"+string(id)+"/"+path, "If-None-Match", `"x"`); status != 200 {
			t.Errorf("%s with another tag: %d", path, status)
		}
	}
	if status, body, header := w.get("/v1/tracks/" + string(id) + "/cover"); body != "picture of 600" || header.Get("Content-Type") != "image/jpeg" {
		t.Errorf("cover: %d %q %v", status, body, header)
	}
	if status, _, _ := w.get("/v1/tracks/" + string(id) + "/cover?size=4000"); status != 422 {
		t.Errorf("cover of a size there is none of: %d", status)
	}
	if status, _, _ := w.get("/v1/tracks/" + string(w.track("other")) + "/cover"); status != 404 {
		t.Errorf("no cover: %d", status)
	}
}

func TestOnlyWhoMayHearATrackSeesWhatWasHeard(t *testing.T) {
	t.Parallel()
	w := newShow(t)
	id := w.heard("full", melodyud.Features{}, melodyud.Analysis{})
	for _, path := range []string{"features", "analysis", "audio-features", "audio-analysis", "waveform", "cover"} {
		for who, want := range map[string]int{"": 401, "nobody": 403} {
			if status, _, _ := w.get("/v1/tracks/"+string(id)+"/"+path, "Authorization", "Bearer "+who); status != want {
				t.Errorf("%s as %q: %d", path, who, status)
			}
		}
		if status, _, _ := w.get("/v1/tracks/trk_missing/" + path); status != 404 {
			t.Errorf("%s of a missing track: %d", path, status)
		}
	}
}
