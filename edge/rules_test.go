package edge_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/melodyud/melodyud/edge"
	"github.com/melodyud/melodyud/edge/cachestatus"
	"github.com/melodyud/melodyud/edge/wire"
	"github.com/melodyud/melodyud/internal/ticket"
)

// The rules of HTTP that hold for what players get. Each has the name it has in the
// table of rules; what they say of caches in general holds for edge/httpcache, and is
// tested there.
func TestEveryRuleOfTheEdgeHolds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule  string
		holds func(*testing.T, *stage)
	}{
		{"EDGE-1 what is stored serves everybody whose ticket opens it, whatever else is in the address", sharing},
		{"EDGE-2 no-store is never kept", keepingNothing},
		{"EDGE-3 stale only while the store is away, and not for ever", staleness},
		{"EDGE-4 conditionals are answered in their order", conditionals},
		{"EDGE-5 Vary names only what changes the answer", varying},
		{"EDGE-6 ranges at every boundary, of GET alone", ranging},
		{"EDGE-7 what is incomplete is never sent as whole", incomplete},
		{"EDGE-8 a crowd is one read of the store", collapsing},
		{"EDGE-9 Authorization changes nothing", authorization},
		{"EDGE-10 nothing is changed here; absence is kept for seconds", absence},
		{"EDGE-11 Cache-Status tells hit, miss and stale", statuses},
		{"EDGE-12 Server-Timing tells edge, store and ticket", timings},
		{"EDGE-13 freshness goes by class", classes},
		{"EDGE-14 ETags are strong and the same on every edge", tags},
		{"EDGE-15 what can wait has nothing fetched ahead for it", priorities},
		{"EDGE-16 a segment flows while the rest of it is on its way", flowing},
		{"EDGE-17 what two readers could read in two ways is refused", smuggling},
		{"HLS-80 playlists are gzipped, sound never is", encodings},
		{"HLS-81 types", types},
		{"HLS-82 CORS on every answer", origins},
	} {
		t.Run(c.rule, func(t *testing.T) {
			t.Parallel()
			c.holds(t, newStage(t))
		})
	}
}

const segmentPath = "aac-64/s/0.m4s"

func sharing(t *testing.T, s *stage) { // TOK-7, CMCD-8
	var first []byte
	for i, tier := range []ticket.Tier{ticket.Free, ticket.Premium, ticket.Premium} {
		path := s.base(t, tier) + segmentPath
		if i == 2 {
			path += `?CMCD=sid%3D%22x%22&anything=else`
		}
		got := body(t, s.get(t, path))
		if i == 0 {
			first = got
		} else if !bytes.Equal(got, first) {
			t.Errorf("listener %d gets other bytes", i)
		}
	}
	if n := s.opened("aac-64"); n != 1 {
		t.Errorf("the store was read %d times", n)
	}
}

func keepingNothing(t *testing.T, s *stage) {
	premium := s.base(t, ticket.Premium)
	for _, path := range []string{premium + "encrypted/aes-128/m2/0.key", premium + "aac-999/init.mp4", s.base(t, ticket.Free) + "flac/init.mp4"} {
		res := s.get(t, path)
		if c := res.Header.Get("Cache-Control"); !strings.Contains(c, "no-store") || s.seen(path) {
			t.Errorf("%s: %d, Cache-Control %q", path[len(path)-20:], res.StatusCode, c)
		}
		if got := res.Header.Get(cachestatus.Name); got != "" {
			t.Errorf("%s has Cache-Status %q", path[len(path)-20:], got)
		}
	}
}

func staleness(t *testing.T, s *stage) {
	path := s.base(t, ticket.Premium) + "aac-64/index.m3u8"
	s.get(t, path)
	s.shelf.away.Store(true)
	for _, c := range []struct {
		later  time.Duration
		status int
		says   string
	}{
		{time.Second, 200, "melodyud-edge; hit"},
		{time.Minute, 200, "melodyud-edge; fwd=stale; ttl=-59"},
		{time.Second, 200, "melodyud-edge; hit; ttl=-60"}, // asked again at most every two seconds
		{24 * time.Hour, 503, ""},
	} {
		s.now.Add(int64(c.later))
		token := s.extended(t, path)
		res := s.get(t, token)
		if got := res.Header.Get(cachestatus.Name); res.StatusCode != c.status || got != c.says {
			t.Errorf("after %s: %d %q", c.later, res.StatusCode, got)
		}
	}
}

// extended is path with a ticket that is good now.
func (s *stage) extended(t *testing.T, path string) string {
	t.Helper()
	_, below, _ := strings.Cut(path, "/trk_")
	now := time.Unix(0, s.now.Load())
	token, err := s.keys.Sign(ticket.Claims{
		Expires: now.Add(time.Hour), Prefix: ticket.ReleasePrefix(s.track, s.release), Session: "s1", Tier: ticket.Premium,
	})
	if err != nil {
		t.Fatal(err)
	}
	return "/p/" + token + "/trk_" + below
}

func conditionals(t *testing.T, s *stage) {
	base := s.base(t, ticket.Premium)
	for _, path := range []string{base + "aac-64/index.m3u8", base + segmentPath} {
		tag := s.get(t, path).Header.Get("ETag")
		for have, want := range map[string]int{
			tag: 304, "W/" + tag: 304, `"x", ` + tag + `, "y"`: 304, "*": 304, `"x"`: 200, "x": 200, "": 200,
		} {
			res := s.get(t, path, "If-None-Match", have, "If-Modified-Since", start.Format(http.TimeFormat))
			if res.StatusCode != want || want == 304 && (res.Header.Get("ETag") != tag || res.Header.Get("Cache-Control") == "" || len(body(t, res)) > 0) {
				t.Errorf("If-None-Match %s: %d %v", have, res.StatusCode, res.Header)
			}
		}
		for have, want := range map[string]int{tag: 200, "*": 200, `"x"`: 412, "W/" + tag: 412} {
			if res := s.get(t, path, "If-Match", have); res.StatusCode != want {
				t.Errorf("If-Match %s: %d", have, res.StatusCode)
			}
		}
		if res := s.get(t, path, "If-Modified-Since", start.Format(http.TimeFormat)); res.StatusCode != 200 {
			t.Errorf("there is no Last-Modified to compare with: %d", res.StatusCode)
		}
	}
}

func varying(t *testing.T, s *stage) {
	for path, want := range map[string]string{"index.m3u8": "Accept-Encoding", "aac-64/index.m3u8": "Accept-Encoding", "manifest.mpd": "Accept-Encoding", "aac-64/init.mp4": "", segmentPath: ""} {
		res := s.get(t, s.base(t, ticket.Free)+path, "Origin", "https://x", "User-Agent", "y", "Cookie", "z")
		if got := strings.Join(res.Header.Values("Vary"), ", "); got != want {
			t.Errorf("%s: Vary %q", path, got)
		}
	}
}

func ranging(t *testing.T, s *stage) {
	path := s.base(t, ticket.Premium) + segmentPath // 1,000 bytes
	whole := body(t, s.get(t, path))
	for field, want := range map[string][2]int{
		"bytes=0-0": {0, 1}, "bytes=0-999": {0, 1000}, "bytes=0-1000": {0, 1000}, "bytes=999-999": {999, 1000}, "bytes=999-": {999, 1000},
		"bytes=-1": {999, 1000}, "bytes=-1000": {0, 1000}, "bytes=-1001": {0, 1000}, "bytes=255-256": {255, 257},
		"bytes=1000-": {}, "bytes=1000-1000": {}, "bytes=-0": {},
	} {
		res := s.get(t, path, "Range", field)
		status, says := 206, fmt.Sprintf("bytes %d-%d/1000", want[0], want[1]-1)
		if want[1] == 0 {
			status, says = 416, "bytes */1000"
		}
		got := body(t, res)
		if res.StatusCode != status || res.Header.Get("Content-Range") != says || status == 206 && !bytes.Equal(got, whole[want[0]:want[1]]) {
			t.Errorf("%s: %d, %q, %d bytes", field, res.StatusCode, res.Header.Get("Content-Range"), len(got))
		}
		if status == 416 && (!strings.Contains(res.Header.Get("Cache-Control"), "no-store") || res.Header.Get("CMSD-Static") != "") {
			t.Errorf("%s: a refusal looks like the segment: %v", field, res.Header)
		}
		if head := s.send(t, http.MethodHead, path, "Range", field); head.StatusCode != 200 || head.Header.Get("Content-Length") != "1000" {
			t.Errorf("HEAD with %s: %d %v (RFC 9110 §14.2)", field, head.StatusCode, head.Header)
		}
	}
	if got := s.get(t, path).Header.Get("Accept-Ranges"); got != "bytes" {
		t.Errorf("Accept-Ranges %q", got)
	}
}

func incomplete(t *testing.T, s *stage) {
	key := "media/" + strings.Repeat("ab", 16) + "/aac-64.mp4"
	s.shelf.put(key, s.files["aac-64"][:2900])
	for _, path := range []string{segmentPath, "aac-64/s/2.m4s", "aac-64/init.mp4"} {
		if res := s.get(t, s.base(t, ticket.Free)+path); res.StatusCode < 500 {
			t.Errorf("%s of a file that is too short: %d", path, res.StatusCode)
		}
	}
	s.shelf.put(key, s.files["aac-64"])
	if got := body(t, s.get(t, s.base(t, ticket.Free)+"aac-64/s/2.m4s", "Range", "bytes=10-19")); !bytes.Equal(got, s.files["aac-64"][2310:2320]) {
		t.Error("a range of the restored file differs")
	}
}

func collapsing(t *testing.T, s *stage) {
	path := s.base(t, ticket.Premium) + "flac/s/1.m4s"
	s.get(t, s.base(t, ticket.Premium)+"index.m3u8") // the manifest is not what this is about
	s.shelf.slow.Store(int64(100 * time.Millisecond))
	want := s.files["flac"][1800 : len(s.files["flac"])-700]
	var mu sync.Mutex
	seen := make(map[string]int)
	var crowd sync.WaitGroup
	for range 20 {
		crowd.Go(func() {
			r := httptest.NewRecorder()
			s.handler.ServeHTTP(r, httptest.NewRequest(http.MethodGet, path, nil))
			mu.Lock()
			defer mu.Unlock()
			seen[r.Result().Header.Get(cachestatus.Name)]++
			if !bytes.Equal(r.Body.Bytes(), want) {
				t.Errorf("got %d bytes", r.Body.Len())
			}
		})
	}
	crowd.Wait()
	if n := s.opened("flac"); n != 3 {
		t.Errorf("three blocks were read %d times", n)
	}
	if seen["melodyud-edge; fwd=uri-miss; stored"] != 1 || seen["melodyud-edge; fwd=uri-miss; stored; collapsed"] == 0 {
		t.Errorf("Cache-Status: %v", seen)
	}
}

func authorization(t *testing.T, s *stage) {
	path := s.base(t, ticket.Premium) + segmentPath
	for i, want := range []string{"melodyud-edge; fwd=uri-miss; stored", "melodyud-edge; hit"} {
		if got := s.get(t, path, "Authorization", fmt.Sprint("Bearer ", i)).Header.Get(cachestatus.Name); got != want {
			t.Errorf("request %d: %q", i, got)
		}
	}
}

func absence(t *testing.T, s *stage) {
	path := s.base(t, ticket.Premium) + segmentPath
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "TRACE", "M-SEARCH"} {
		if res := s.send(t, method, path); res.StatusCode < 400 || res.StatusCode >= 500 {
			t.Errorf("%s: %d", method, res.StatusCode)
		}
	}
	s.get(t, path)
	s.shelf.remove(s.manifestKey())
	s.now.Add(int64(5 * time.Second)) // a takedown is done by now, in all caches (TOK-6)
	for range 5 {
		if res := s.get(t, path); res.StatusCode != 404 || !strings.Contains(res.Header.Get("Cache-Control"), "no-store") {
			t.Errorf("after a takedown: %d %v", res.StatusCode, res.Header)
		}
	}
	s.publish(t)
	s.now.Add(int64(10 * time.Second)) // and nobody remembers the absence for longer
	if res := s.get(t, path); res.StatusCode != 200 {
		t.Errorf("published again: %d", res.StatusCode)
	}
}

func statuses(t *testing.T, s *stage) {
	base := s.base(t, ticket.Premium)
	for _, c := range []struct{ path, want string }{
		{"index.m3u8", "melodyud-edge; fwd=uri-miss; stored"}, {"index.m3u8", "melodyud-edge; hit"}, {"manifest.mpd", "melodyud-edge; hit"},
		{"aac-64/s/1.m4s", "melodyud-edge; fwd=uri-miss; stored"}, {"aac-64/s/1.m4s", "melodyud-edge; hit"}, {"aac-64/init.mp4", "melodyud-edge; hit"},
	} {
		got := s.get(t, base+c.path).Header.Values(cachestatus.Name)
		if len(got) != 1 || got[0] != c.want || !cachestatus.Valid(got) {
			t.Errorf("%s: %q, want %q", c.path, got, c.want)
		}
	}
	s.now.Add(int64(10 * time.Second))
	if got := s.get(t, base+"index.m3u8").Header.Get(cachestatus.Name); got != "melodyud-edge; fwd=stale" {
		t.Errorf("after ten seconds: %q", got)
	}
}

func timings(t *testing.T, s *stage) {
	var ticks atomic.Int64
	_, h := s.another(t, edge.Config{Now: func() time.Time { return start.Add(time.Duration(ticks.Add(1)) * time.Millisecond) }})
	parts := func() map[string]float64 {
		all := make(map[string]float64)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, s.base(t, ticket.Premium)+segmentPath, nil))
		for one := range strings.SplitSeq(w.Header().Get("Server-Timing"), ", ") {
			name, took, _ := strings.Cut(one, ";dur=")
			var ms float64
			if _, err := fmt.Sscanf(took, "%f", &ms); err != nil || took != fmt.Sprintf("%.1f", ms) {
				t.Errorf("%q is no duration", one)
			}
			all[name] = ms
		}
		return all
	}
	if cold := parts(); len(cold) != 3 || cold["origin"] == 0 || cold["auth"] == 0 || cold["edge"] <= cold["origin"]+cold["auth"] {
		t.Errorf("cold: %v", cold)
	}
	if warm := parts(); len(warm) != 2 || warm["auth"] == 0 || warm["edge"] <= warm["auth"] {
		t.Errorf("warm: %v", warm)
	}
	if got := s.get(t, s.base(t, ticket.Premium)+segmentPath).Header.Get("Timing-Allow-Origin"); got != "*" {
		t.Errorf("Timing-Allow-Origin %q", got)
	}
}

func classes(t *testing.T, s *stage) {
	premium := s.base(t, ticket.Premium)
	const immutable, brief, never = "public, max-age=31536000, immutable", "public, max-age=300, stale-while-revalidate=86400, stale-if-error=86400", "private, no-store"
	for path, want := range map[string]string{
		"index.m3u8": brief, "hifi.m3u8": brief, "aac-64/index.m3u8": brief, "manifest.mpd": brief, "preview/segments/0-2/index.m3u8": brief,
		"aac-64/init.mp4": immutable, segmentPath: immutable, "flac/s/2.m4s": immutable, "preview/segments/0-2/" + segmentPath: immutable,
		"encrypted/aes-128/m2/" + segmentPath: immutable, "encrypted/aes-128/m2/0.key": never, "offline/v1/m2/dev1/aac-64.mud": never,
		"ads/breaks/pre": never,
	} {
		if res := s.get(t, premium+path); res.Header.Get("Cache-Control") != want && (res.StatusCode < 400 || !strings.Contains(res.Header.Get("Cache-Control"), "no-store")) {
			t.Errorf("%s: %d %q", path, res.StatusCode, res.Header.Get("Cache-Control"))
		}
	}
}

func tags(t *testing.T, s *stage) {
	_, there := s.another(t, edge.Config{Now: func() time.Time { return start }})
	known := make(map[string]string)
	for _, path := range []string{"index.m3u8", "hifi.m3u8", "aac-64/index.m3u8", "flac/index.m3u8", "manifest.mpd", "aac-64/init.mp4", "flac/init.mp4", segmentPath, "aac-64/s/1.m4s", "flac/s/0.m4s"} {
		for _, coding := range []string{"identity", "gzip"} {
			r := httptest.NewRequest(http.MethodGet, s.base(t, ticket.Premium)+path, nil)
			r.Header.Set("Accept-Encoding", coding)
			w := httptest.NewRecorder()
			there.ServeHTTP(w, r)
			tag := w.Header().Get("ETag")
			if here := s.get(t, r.URL.Path, "Accept-Encoding", coding).Header.Get("ETag"); here != tag || len(tag) < 3 || tag[0] != '"' {
				t.Errorf("%s, %s: %s here and %s there", path, coding, here, tag)
			}
			if before, ok := known[tag]; ok && before != w.Body.String() {
				t.Errorf("%s, %s: an ETag for two texts", path, coding)
			}
			known[tag] = w.Body.String()
		}
	}
}

func priorities(t *testing.T, s *stage) {
	for _, c := range []struct {
		name   string
		fields []string
		ahead  bool
	}{
		{"nothing said", nil, true}, {"urgent", []string{"Priority", "u=0, i"}, true}, {"can wait", []string{"Priority", "u=5"}, false},
		{"in the background", []string{"Priority", "i, u=7"}, false}, {"no priority", []string{"Priority", "u=9"}, true},
		{"nonsense", []string{"Priority", "u=5;;"}, true}, {"a start (CMCD su)", []string{"Priority", "u=7", "CMCD-Request", "su"}, true},
	} {
		s := newStage(t)
		stop := running(t, s.edge)
		s.get(t, s.base(t, ticket.Premium)+"flac/s/0.m4s", c.fields...)
		if c.ahead {
			for deadline := time.Now().Add(10 * time.Second); s.opened("flac") < 3 && time.Now().Before(deadline); {
				time.Sleep(time.Millisecond)
			}
		}
		stop()
		if n := s.opened("flac"); (n > 1) != c.ahead {
			t.Errorf("%s: %d blocks were read", c.name, n)
		}
	}
}

func flowing(t *testing.T, s *stage) {
	server := httptest.NewServer(s.handler)
	defer server.Close()
	s.get(t, s.base(t, ticket.Premium)+segmentPath)
	s.get(t, s.base(t, ticket.Premium)+"flac/s/0.m4s") // the first block of three
	s.shelf.slow.Store(int64(50 * time.Millisecond))
	before := s.opened("flac")
	res, err := server.Client().Get(server.URL + s.base(t, ticket.Premium) + "flac/s/1.m4s")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	first := make([]byte, 1)
	if _, err := res.Body.Read(first); err != nil || first[0] != s.files["flac"][1800] {
		t.Fatalf("first byte %v, %v", first, err)
	}
	if got := body(t, res); len(got) != len(s.files["flac"])-1800-700-1 || s.opened("flac") != before+2 {
		t.Errorf("%d bytes in %d reads", len(got), s.opened("flac")-before)
	}
}

func smuggling(t *testing.T, s *stage) {
	address, path := s.front(t), s.base(t, ticket.Premium)+segmentPath
	for _, fields := range [][]string{
		{"Host: other"}, {"Host: edge"}, {"Content-Length: 0", "Content-Length: 5"}, {"Content-Length: 5", "Transfer-Encoding: chunked"},
	} {
		if status := statusOf(t, address, path, fields...); !strings.HasPrefix(status, "HTTP/1.1 400 ") {
			t.Errorf("%q: %s", fields, status)
		}
	}
	for _, crooked := range []string{"/../", "/%2e%2e/", "/./", "//", "/%2f", "/%5c"} {
		there := strings.Replace(path, "/aac-64/", crooked+"aac-64/", 1)
		if res := s.get(t, there); res.StatusCode < 300 || s.seen(there) {
			t.Errorf("%s: %d", crooked, res.StatusCode)
		}
	}
	main := s.base(t, ticket.Premium) + "index.m3u8"
	plain := body(t, s.get(t, main))
	if got := body(t, s.get(t, main, "X-Forwarded-Host", "evil.example", "X-Original-URL", "/x", "Forwarded", "host=evil.example")); !bytes.Equal(got, plain) {
		t.Error("a field that no key has changes an answer")
	}
	if s.edge.Resident(&wire.Request{Path: []byte("/p/x")}, &wire.Answer{}) {
		t.Error("half an address is answered from memory")
	}
}

// statusOf sends a request with fields that net/http would not send.
func statusOf(t *testing.T, address, path string, fields ...string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	head := append([]string{"GET " + path + " HTTP/1.1", "Host: edge"}, fields...)
	if _, err := io.WriteString(c, strings.Join(head, "\r\n")+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return line
}

func encodings(t *testing.T, s *stage) {
	base := s.base(t, ticket.Premium)
	for path, want := range map[string]string{
		"index.m3u8": "gzip", "flac/index.m3u8": "gzip", "manifest.mpd": "gzip", "aac-64/init.mp4": "", segmentPath: "",
	} {
		res := s.get(t, base+path, "Accept-Encoding", "br, gzip")
		if got := res.Header.Get("Content-Encoding"); got != want {
			t.Errorf("%s: Content-Encoding %q", path, got)
		}
		if want == "gzip" && !slices.Contains(res.Header.Values("Vary"), "Accept-Encoding") {
			t.Errorf("%s: Vary %q", path, res.Header.Values("Vary"))
		}
	}
}

func types(t *testing.T, s *stage) {
	for path, want := range map[string]string{
		"index.m3u8": "application/vnd.apple.mpegurl", "aac-64/init.mp4": "audio/mp4", segmentPath: "audio/mp4",
		"encrypted/aes-128/m2/0.key": "application/octet-stream", "manifest.mpd": "application/dash+xml",
	} {
		if got := s.get(t, s.base(t, ticket.Premium)+path).Header.Get("Content-Type"); got != want {
			t.Errorf("%s: %q", path, got)
		}
	}
	if got := s.get(t, s.base(t, ticket.Premium)+segmentPath).Header.Get("CMSD-Static"); got != "br=65,d=3994,ot=a,st=v" {
		t.Errorf("CMSD-Static %q", got)
	}
}

func origins(t *testing.T, s *stage) {
	base := s.base(t, ticket.Premium)
	for _, path := range []string{"index.m3u8", "aac-64/index.m3u8", segmentPath, "encrypted/aes-128/m2/0.key", "nothing", "aac-999/init.mp4", "ads/breaks/pre"} {
		h := s.get(t, base+path, "Origin", "https://player.example").Header
		exposed := strings.Split(h.Get("Access-Control-Expose-Headers"), ", ")
		for _, name := range []string{"Content-Length", "Content-Range", "ETag", "Age", "Date", "Cache-Status", "Server-Timing"} {
			if !slices.Contains(exposed, name) {
				t.Errorf("%s: %s is not exposed", path, name)
			}
		}
		if h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Timing-Allow-Origin") != "*" {
			t.Errorf("%s: %v", path, h)
		}
	}
	pre := s.send(t, http.MethodOptions, base+segmentPath, "Origin", "https://x", "Access-Control-Request-Method", "GET").Header
	allowed := strings.Split(pre.Get("Access-Control-Allow-Headers"), ", ")
	for _, name := range []string{"Range", "Authorization", "CMCD-Request", "CMCD-Object", "CMCD-Status", "CMCD-Session"} {
		if !slices.Contains(allowed, name) {
			t.Errorf("preflight: %s is not allowed", name)
		}
	}
	if pre.Get("Access-Control-Allow-Methods") != "GET, HEAD, OPTIONS" || pre.Get("Access-Control-Max-Age") != "86400" {
		t.Errorf("preflight: %v", pre)
	}
}
