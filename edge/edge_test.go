package edge_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/ticket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shelf is a store in memory that counts reads and can be away.
type shelf struct {
	mu      sync.Mutex
	objects map[string][]byte
	opens   map[string]int
	stats   int
	away    atomic.Bool
	slow    atomic.Int64 // nanoseconds an Open takes
}

func (s *shelf) Open(_ context.Context, key string, off, n int64) (io.ReadCloser, objectstore.Info, error) {
	time.Sleep(time.Duration(s.slow.Load()))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opens[key]++
	info, err := s.stat(key)
	if err != nil {
		return nil, info, err
	}
	data := s.objects[key][off:]
	if n >= 0 {
		data = data[:n]
	}
	return io.NopCloser(bytes.NewReader(data)), info, nil
}

func (s *shelf) Stat(_ context.Context, key string) (objectstore.Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats++
	return s.stat(key)
}

func (s *shelf) stat(key string) (objectstore.Info, error) {
	if s.away.Load() {
		return objectstore.Info{}, melodyud.ErrUnavailable
	}
	data, ok := s.objects[key]
	if !ok {
		return objectstore.Info{}, fmt.Errorf("%w: %s", melodyud.ErrNotFound, key)
	}
	return objectstore.Info{Key: key, Size: int64(len(data))}, nil
}

func (s *shelf) put(key string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[key] = data
}

func (s *shelf) remove(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, key)
}

// stage is an edge with one published track of two renditions.
type stage struct {
	shelf   *shelf
	handler http.Handler
	edge    *edge.Edge
	keys    *ticket.Keyring
	media   *ticket.MediaKeys
	now     atomic.Int64 // unix nanoseconds
	track   melodyud.TrackID
	release melodyud.ReleaseID
	files   map[string][]byte // by rendition
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newStage(t testing.TB) *stage {
	t.Helper()
	keys, err := ticket.NewKeyring(ticket.Key{ID: "k1", Secret: bytes.Repeat([]byte{1}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{
		shelf: &shelf{objects: map[string][]byte{}, opens: map[string]int{}}, keys: keys,
		track: melodyud.NewTrackID(start), release: melodyud.NewReleaseID(start), files: map[string][]byte{},
	}
	s.now.Store(start.UnixNano())
	s.publish(t)
	media, err := ticket.NewMediaKeys(ticket.Key{ID: "m2", Secret: bytes.Repeat([]byte{2}, 32)}, ticket.Key{ID: "m1", Secret: bytes.Repeat([]byte{3}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	s.media = media
	s.edge, s.handler = s.another(t, edge.Config{MediaKeys: media})
	return s
}

func (s *stage) clock() time.Time { return time.Unix(0, s.now.Load()) }

// another is one more edge before the stage's store, and its addresses. It goes by the
// stage's clock unless c has one.
func (s *stage) another(t testing.TB, c edge.Config) (*edge.Edge, http.Handler) {
	t.Helper()
	c.Store, c.Tickets = s.shelf, s.keys
	if c.Now == nil {
		c.Now = s.clock
	}
	e, err := edge.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	router, err := api.NewRouter(api.Config{})
	if err != nil {
		t.Fatal(err)
	}
	e.Register(router)
	return e, router.Handler()
}

func (s *stage) publish(t testing.TB) {
	t.Helper()
	m := melodyud.Manifest{
		Version: melodyud.ManifestVersion, RenderHash: strings.Repeat("ab", 16),
		SampleRate: 44100, Samples: 2*176128 + 44100, Segments: []int64{176128, 176128, 44100}, TargetDuration: 4,
	}
	for i, name := range []string{"aac-64", "flac"} {
		file := make([]byte, 3000+i*700_000)
		for j := range file {
			file[j] = byte(j*31/7 + i)
		}
		sum := sha256.Sum256(file)
		sizes := []int64{1000, int64(len(file)) - 800 - 1000 - 700, 700}
		r := melodyud.Rendition{
			Name: name, Codec: melodyud.CodecAAC, Codecs: "mp4a.40.2", File: name + ".mp4", SampleRate: 44100, Channels: 2,
			Size: int64(len(file)), InitSize: 700, IndexSize: 100, SHA256: hex.EncodeToString(sum[:]),
			Sizes: sizes, Durations: m.Segments, Bandwidth: 70000, AverageBandwidth: 65000, Samples: m.Samples,
		}
		if name == "flac" {
			r.Codec, r.Codecs, r.BitDepth = melodyud.CodecFLAC, "fLaC", 16
		}
		m.Renditions = append(m.Renditions, r)
		s.files[name] = file
		s.shelf.put("media/"+m.RenderHash+"/"+r.File, file)
	}
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	s.shelf.put(s.manifestKey(), raw)
}

func (s *stage) manifestKey() string { return "releases/" + string(s.release) + "/manifest.json" }

func (s *stage) base(t testing.TB, tier ticket.Tier) string {
	t.Helper()
	return s.at(t, tier, ticket.ReleasePrefix(s.track, s.release))
}

// at is the address that a ticket for prefix opens.
func (s *stage) at(t testing.TB, tier ticket.Tier, prefix string) string {
	t.Helper()
	token, err := s.keys.Sign(ticket.Claims{
		Expires: start.Add(time.Hour), Prefix: prefix, Session: "s1", Tier: tier,
	})
	if err != nil {
		t.Fatal(err)
	}
	return "/p/" + token + prefix
}

func (s *stage) get(t *testing.T, path string, headers ...string) *http.Response {
	t.Helper()
	return s.send(t, http.MethodGet, path, headers...)
}

func (s *stage) send(t *testing.T, method, path string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, res *http.Response) []byte {
	t.Helper()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestPlayerWalksFromPlaylistToTheExactBytes(t *testing.T) { // HLS-5, HLS-74
	t.Parallel()
	s := newStage(t)
	base := s.base(t, ticket.Premium)
	main := body(t, s.get(t, base+"hifi.m3u8"))
	for _, name := range []string{"aac-64", "flac"} {
		if !bytes.Contains(main, []byte("\n"+name+"/index.m3u8\n")) {
			t.Fatalf("%s is not listed:\n%s", name, main)
		}
		media := string(body(t, s.get(t, base+name+"/index.m3u8")))
		got := body(t, s.get(t, base+name+"/init.mp4"))
		file := s.files[name]
		if !bytes.Equal(got, file[:700]) {
			t.Errorf("%s: init segment differs", name)
		}
		var all []byte
		for line := range strings.Lines(media) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				all = append(all, body(t, s.get(t, base+name+"/"+line))...)
			}
		}
		if !bytes.Equal(all, file[800:]) {
			t.Errorf("%s: segments are %d bytes that differ from the file's %d", name, len(all), len(file)-800)
		}
	}
}

func TestHeadersAreThoseOfTheirClass(t *testing.T) { // HLS-80..82, DASH-1, EDGE-13
	t.Parallel()
	s := newStage(t)
	base := s.base(t, ticket.Premium)
	const immutable, brief = "public, max-age=31536000, immutable", "public, max-age=300, stale-while-revalidate=86400, stale-if-error=86400"
	for path, want := range map[string][2]string{
		"index.m3u8":        {"application/vnd.apple.mpegurl", brief},
		"hifi.m3u8":         {"application/vnd.apple.mpegurl", brief},
		"manifest.mpd":      {"application/dash+xml", brief},
		"aac-64/index.m3u8": {"application/vnd.apple.mpegurl", brief},
		"aac-64/init.mp4":   {"audio/mp4", immutable},
		"flac/s/2.m4s":      {"audio/mp4", immutable},
	} {
		res := s.get(t, base+path, "Origin", "https://player.example")
		h := res.Header
		if res.StatusCode != 200 || h.Get("Content-Type") != want[0] || h.Get("Cache-Control") != want[1] ||
			h.Get("Access-Control-Allow-Origin") != "*" || !strings.HasPrefix(h.Get("ETag"), `"`) {
			t.Errorf("%s: %d %v", path, res.StatusCode, h)
		}
		head := s.send(t, http.MethodHead, base+path)
		if head.StatusCode != 200 || len(body(t, head)) != 0 || head.Header.Get("Content-Length") == "" {
			t.Errorf("HEAD %s: %d", path, head.StatusCode)
		}
	}
	pre := s.send(t, http.MethodOptions, base+"flac/s/0.m4s", "Origin", "https://x", "Access-Control-Request-Method", "GET")
	if pre.StatusCode != 204 || !strings.Contains(pre.Header.Get("Access-Control-Allow-Headers"), "Range") {
		t.Errorf("preflight: %d %v", pre.StatusCode, pre.Header)
	}
}

func TestRangesFollowRFC9110(t *testing.T) { // EDGE-6
	t.Parallel()
	s := newStage(t)
	path := s.base(t, ticket.Premium) + "flac/s/1.m4s"
	full := s.files["flac"][1800 : len(s.files["flac"])-700]
	n := len(full)
	for _, c := range []struct {
		header string
		status int
		from   int
		to     int
	}{
		{"bytes=0-0", 206, 0, 1}, {"bytes=5-99", 206, 5, 100}, {"bytes=-7", 206, n - 7, n},
		{fmt.Sprintf("bytes=%d-", n-1), 206, n - 1, n}, {"bytes=10-99999999", 206, 10, n},
		{"bytes=300000-400000", 206, 300000, 400001},
		{fmt.Sprintf("bytes=%d-", n), 416, 0, 0}, {"bytes=-0", 416, 0, 0},
		{"items=0-5", 200, 0, n}, {"bytes=9-3", 200, 0, n}, {"bytes=-", 200, 0, n}, {"bytes=a-b", 200, 0, n},
		{"bytes=0-1,5-6", 200, 0, n}, {"bytes=99999999999999999999-", 200, 0, n},
	} {
		res := s.get(t, path, "Range", c.header)
		got := body(t, res)
		if res.StatusCode != c.status {
			t.Errorf("%s: status %d", c.header, res.StatusCode)
			continue
		}
		if c.status == 416 {
			if cr := res.Header.Get("Content-Range"); cr != fmt.Sprintf("bytes */%d", n) {
				t.Errorf("%s: Content-Range %q", c.header, cr)
			}
			continue
		}
		if !bytes.Equal(got, full[c.from:c.to]) {
			t.Errorf("%s: %d bytes differ", c.header, len(got))
		}
	}
}

func TestConditionalsAreAnsweredHere(t *testing.T) { // EDGE-4, EDGE-6, EDGE-14
	t.Parallel()
	s := newStage(t)
	base := s.base(t, ticket.Premium)
	for _, path := range []string{"index.m3u8", "aac-64/s/0.m4s"} {
		tag := s.get(t, base+path).Header.Get("ETag")
		if res := s.get(t, base+path, "If-None-Match", tag); res.StatusCode != 304 || len(body(t, res)) != 0 {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
		if res := s.get(t, base+path, "If-None-Match", `"other"`); res.StatusCode != 200 {
			t.Errorf("%s: %d for another tag", path, res.StatusCode)
		}
	}
	path := base + "aac-64/s/0.m4s"
	tag := s.get(t, path).Header.Get("ETag")
	for have, want := range map[string]int{
		tag: 206, `"other"`: 200, "W/" + tag: 200,
		tag + "v\xe7\x84": 200, tag + `, "other"`: 200, tag + tag: 200, "Sun, 01 Mar 2026 12:00:00 GMT": 200,
	} {
		if res := s.get(t, path, "Range", "bytes=0-3", "If-Range", have); res.StatusCode != want {
			t.Errorf("If-Range %s: %d", have, res.StatusCode)
		}
	}
	if a, b := s.get(t, base+"aac-64/s/0.m4s").Header.Get("ETag"), s.get(t, base+"aac-64/s/1.m4s").Header.Get("ETag"); a == b {
		t.Error("two segments share an ETag")
	}
}

func TestPlaylistsAreCompressedForThoseWhoCan(t *testing.T) { // HLS-80, EDGE-14
	t.Parallel()
	s := newStage(t)
	path := s.base(t, ticket.Free) + "index.m3u8"
	plain := s.get(t, path)
	want := body(t, plain)
	for accept, zipped := range map[string]bool{
		"gzip": true, "br, gzip;q=0.5": true, "GZIP": true, "gzip;q=0": false, "gzip; q=0.0": false, "br": false, "": false,
	} {
		res := s.get(t, path, "Accept-Encoding", accept)
		if got := res.Header.Get("Content-Encoding") == "gzip"; got != zipped {
			t.Errorf("%q: compressed %v", accept, got)
			continue
		}
		if !zipped {
			continue
		}
		z, err := gzip.NewReader(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(z); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q: other text, %v", accept, err)
		}
		if res.Header.Get("ETag") == plain.Header.Get("ETag") || !strings.Contains(res.Header.Get("Vary"), "Accept-Encoding") {
			t.Errorf("%q: %v", accept, res.Header)
		}
	}
	if res := s.get(t, s.base(t, ticket.Free)+"aac-64/s/0.m4s", "Accept-Encoding", "gzip"); res.Header.Get("Content-Encoding") != "" {
		t.Error("a segment was compressed")
	}
}

func TestTicketsDecideWhoPlaysWhat(t *testing.T) { // TOK-3, TOK-6, HLS-34
	t.Parallel()
	s := newStage(t)
	free, premium := s.base(t, ticket.Free), s.base(t, ticket.Premium)
	if mpd := body(t, s.get(t, free+"manifest.mpd")); bytes.Contains(mpd, []byte("flac")) {
		t.Error("the free MPD lists FLAC")
	}
	if mpd := body(t, s.get(t, premium+"manifest.mpd")); !bytes.Contains(mpd, []byte("flac")) {
		t.Error("the premium MPD lists no FLAC")
	}
	other := string(melodyud.NewReleaseID(start))
	for path, want := range map[string]int{
		free + "index.m3u8": 200, free + "aac-64/s/0.m4s": 200,
		free + "hifi.m3u8": 403, free + "flac/index.m3u8": 403, free + "flac/init.mp4": 403, free + "flac/s/0.m4s": 403,
		premium + "flac/s/0.m4s":    200,
		premium + "aac-999/s/0.m4s": 404, premium + "flac/s/3.m4s": 404, premium + "flac/s/-1.m4s": 404,
		premium + "flac/s/00.m4s": 404, premium + "flac/s/0": 404, premium + "flac/s/+1.m4s": 404,
		strings.Replace(premium, string(s.release), other, 1) + "index.m3u8": 403,
		"/p/x/" + string(s.track) + "/" + string(s.release) + "/index.m3u8":  403,
		premium[:10] + "A" + premium[11:] + "index.m3u8":                     403,
		premium + "flac%2Fs/0.m4s":                                           404,
	} {
		res := s.get(t, path)
		if res.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, res.StatusCode, want)
		}
		if want >= 400 && (!strings.Contains(res.Header.Get("Cache-Control"), "no-store") || res.Header.Get("Content-Type") != "application/problem+json") {
			t.Errorf("%s: %v", path, res.Header)
		}
	}
	s.now.Store(start.Add(time.Hour + ticket.Skew + time.Second).UnixNano())
	if res := s.get(t, premium+"index.m3u8"); res.StatusCode != 403 {
		t.Errorf("an expired ticket plays: %d", res.StatusCode)
	}
}

func TestWithdrawnTrackStopsWithinTwoSeconds(t *testing.T) { // EDGE-10
	t.Parallel()
	s := newStage(t)
	path := s.base(t, ticket.Premium) + "flac/s/0.m4s"
	if res := s.get(t, path); res.StatusCode != 200 {
		t.Fatal(res.StatusCode)
	}
	s.shelf.remove(s.manifestKey())
	s.now.Add(int64(2 * time.Second))
	if res := s.get(t, path); res.StatusCode != 404 {
		t.Errorf("still %d", res.StatusCode)
	}
}

func TestKnownTracksPlayWhileTheStoreIsAway(t *testing.T) { // EDGE-3, faults C2
	t.Parallel()
	s := newStage(t)
	base := s.base(t, ticket.Premium)
	if res := s.get(t, base+"aac-64/s/0.m4s"); res.StatusCode != 200 || !strings.Contains(res.Header.Get("Cache-Status"), "fwd=uri-miss") {
		t.Fatal(res.StatusCode, res.Header)
	}
	s.shelf.away.Store(true)
	s.now.Add(int64(time.Minute))
	res := s.get(t, base+"aac-64/s/1.m4s") // in the same block
	if res.StatusCode != 200 || !strings.Contains(res.Header.Get("Cache-Status"), "; hit") || len(body(t, res)) != 500 {
		t.Errorf("cached: %d %v", res.StatusCode, res.Header)
	}
	if asked := s.shelf.stats; asked != 1 {
		t.Fatalf("the store was asked %d times", asked)
	}
	if s.get(t, base+"aac-64/s/1.m4s"); s.shelf.stats != 1 {
		t.Error("a store that is away is asked for every segment: each listener waits for its silence")
	}
	if res := s.get(t, base+"flac/s/0.m4s"); res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Errorf("not cached: %d %v", res.StatusCode, res.Header)
	}
	s.shelf.away.Store(false)
	if res := s.get(t, base+"flac/s/0.m4s"); res.StatusCode != 200 {
		t.Errorf("after the outage: %d", res.StatusCode)
	}
}

func TestAManifestThatDoesNotAddUpIsNotServed(t *testing.T) {
	t.Parallel()
	for _, change := range []func(*melodyud.Rendition){
		func(r *melodyud.Rendition) { r.Size = 900 },
		func(r *melodyud.Rendition) { r.InitSize = 1 << 40 },
		func(r *melodyud.Rendition) { r.InitSize = -1 },
		func(r *melodyud.Rendition) { r.Sizes[0] = -5 },
		func(r *melodyud.Rendition) { r.Sizes[2] = 1 << 62 },
	} {
		s := newStage(t)
		var m melodyud.Manifest
		if err := json.Unmarshal(s.shelf.objects[s.manifestKey()], &m); err != nil {
			t.Fatal(err)
		}
		change(&m.Renditions[0])
		raw, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		s.shelf.put(s.manifestKey(), raw)
		for _, name := range []string{"init.mp4", "s/0.m4s", "s/2.m4s"} {
			if res := s.get(t, s.base(t, ticket.Premium)+"aac-64/"+name); res.StatusCode != 500 {
				t.Errorf("%s: %d", name, res.StatusCode)
			}
		}
	}
}

func TestCrowdOnAColdTrackReadsEachObjectOnce(t *testing.T) { // EDGE-8, faults C1
	t.Parallel()
	s := newStage(t)
	base := s.base(t, ticket.Premium)
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if res := s.get(t, base+"aac-64/s/0.m4s"); res.StatusCode != 200 {
				t.Error(res.StatusCode)
			}
		})
	}
	wg.Wait()
	for key, n := range s.shelf.opens {
		if n != 1 {
			t.Errorf("%s was read %d times", key, n)
		}
	}
}

func TestAMissingReleaseIsAskedForOnceInAWhile(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.shelf.remove(s.manifestKey())
	for range 20 {
		if res := s.get(t, s.base(t, ticket.Premium)+"index.m3u8"); res.StatusCode != 404 {
			t.Fatal(res.StatusCode)
		}
	}
	if n := s.shelf.opens[s.manifestKey()]; n != 1 {
		t.Errorf("asked %d times", n)
	}
	s.publish(t)
	s.now.Add(int64(2 * time.Second))
	if res := s.get(t, s.base(t, ticket.Premium)+"index.m3u8"); res.StatusCode != 200 {
		t.Errorf("published meanwhile: %d", res.StatusCode)
	}
}
