package edge_test

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge"
	"github.com/melodyud/melodyud/internal/ticket"
	"github.com/melodyud/melodyud/packager/packagertest"
)

// board has at most one notice for a session and one for a track or release.
type board struct {
	session, track string
	current        bool
	rule           ticket.Countries // on track; "": it is withdrawn
}

func (b *board) Current(time.Duration) bool { return b.current }

var errVoid = melodyud.Refuse(melodyud.ErrForbidden, "playback.revoked", "Stop.")

func (b *board) Void(c *ticket.Claims, track, release string) (ticket.Countries, error) {
	if c.Session == b.session {
		return "", errVoid
	}
	if b.track != "" && (track == b.track || release == b.track) {
		if b.rule == "" {
			return "", errVoid
		}
		return b.rule, nil
	}
	return "", nil
}

// atlas knows one address of one country.
type atlas map[string]string

func (a atlas) Country(from netip.Addr) string { return a[from.String()] }

const (
	german   = "192.0.2.1:5000"
	american = "[2001:db8::1]:5000"
	stranger = "203.0.113.1:5000"
)

// guard puts an edge with notices and countries in the place of the stage's own.
func (s *stage) guard(t *testing.T, b *board) {
	t.Helper()
	_, h := s.another(t, edge.Config{MediaKeys: s.media, Notices: b, Places: atlas{"192.0.2.1": "DE", "2001:db8::1": "US"}})
	s.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if from := r.Header.Get("From"); from != "" {
			r.RemoteAddr = from
		}
		h.ServeHTTP(w, r)
	})
}

// answer is the status of a request and the code of its refusal.
func (s *stage) answer(t *testing.T, from, path string) (int, string) {
	t.Helper()
	res := s.get(t, path, "From", from)
	raw := string(body(t, res))
	if res.StatusCode == http.StatusOK {
		return res.StatusCode, ""
	}
	if cc := res.Header.Get("Cache-Control"); cc != "no-store" {
		t.Errorf("a refusal may be kept: %q", cc) // TOK-6
	}
	_, code, _ := strings.Cut(raw, `"code":"`)
	code, _, _ = strings.Cut(code, `"`)
	return res.StatusCode, code
}

func (s *stage) files1(base string) []string {
	return []string{base + "index.m3u8", base + "manifest.mpd", base + "aac-64/index.m3u8", base + "aac-64/init.mp4", base + "aac-64/s/1.m4s"}
}

func TestAVoidTicketOpensNothingAnyMore(t *testing.T) { // TOK-7
	t.Parallel()
	s := newStage(t)
	b := &board{}
	s.guard(t, b)
	paths := s.files1(s.base(t, ticket.Free))
	for _, path := range paths {
		if status, code := s.answer(t, german, path); status != 200 {
			t.Fatalf("%s: %d %s", path, status, code)
		}
	}
	for _, now := range []board{{session: "s1"}, {track: string(s.track)}, {track: string(s.release)}} {
		*b = now
		for _, path := range paths { // all of it is in the cache
			if status, code := s.answer(t, german, path); status != 403 || code != "playback.revoked" {
				t.Errorf("%+v, %s: %d %s", now, path, status, code)
			}
		}
	}
	*b = board{session: "s2", track: "trk_other"}
	if status, _ := s.answer(t, german, paths[4]); status != 200 {
		t.Errorf("another one's notice: %d", status)
	}
}

func TestARuleOnCountriesIsAskedWithEveryRequest(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	b := &board{}
	s.guard(t, b)
	in := func(rule ticket.Countries) string {
		prefix := ticket.ReleasePrefix(s.track, s.release)
		token, err := s.keys.Sign(ticket.Claims{
			Issued: start, Expires: start.Add(time.Hour), Prefix: prefix, Session: "s1", Tier: ticket.Free, Skips: ticket.Unlimited, Countries: rule,
		})
		if err != nil {
			t.Fatal(err)
		}
		return "/p/" + token + prefix + "aac-64/s/1.m4s"
	}
	for _, row := range []struct {
		ticket, notice ticket.Countries
		from           string
		code           string
	}{
		{"", "", stranger, ""},
		{"+DE", "", german, ""},
		{"+DE", "", american, "playback.territory"},
		{"+DE", "", stranger, "playback.country-unknown"},
		{"+DE", "", "not an address", "playback.country-unknown"},
		{"-US", "", american, "playback.territory"},
		{"-US", "", stranger, ""},
		{"", "+DE", german, ""},
		{"", "+DE", american, "playback.territory"},
		{"+US", "-US", american, "playback.territory"},
		{"+US", "-DE", american, ""},
	} {
		*b = board{}
		if row.notice != "" {
			*b = board{track: string(s.track), rule: row.notice}
		}
		status, code := s.answer(t, row.from, in(row.ticket))
		if code != row.code || (status == 451) != (code != "") {
			t.Errorf("%+v: %d %s", row, status, code)
		}
	}
}

func TestARuleForOneTrackOfAListStopsThatTrack(t *testing.T) {
	t.Parallel()
	d := newDisc(t, packagertest.Track{Rate: 44100, Samples: 9 * 44100}, packagertest.Track{Rate: 44100, Samples: 9 * 44100})
	b := &board{}
	d.guard(t, b)
	base := d.address(t, ticket.Free) + "plain/"
	paths := []string{base + "index.m3u8", base + "aac-96/index.m3u8", base + "aac-96/init/0.mp4", base + "aac-96/s/0.m4s", base + "aac-96/s/5.m4s"}
	for _, path := range paths {
		if status, code := d.answer(t, american, path); status != 200 {
			t.Fatalf("%s: %d %s", path, status, code)
		}
	}
	*b = board{track: string(d.ids[0]), rule: "+DE"}
	for i, path := range paths {
		want := 451
		if i == 4 { // of the other track
			want = 200
		}
		if status, code := d.answer(t, american, path); status != want {
			t.Errorf("%s: %d %s", path, status, code)
		}
		if status, _ := d.answer(t, german, path); status != 200 {
			t.Errorf("%s: %d where it may be heard", path, status)
		}
	}
}

func TestAKeyThatIsNoLongerKnownOpensNothing(t *testing.T) { // TOK-5
	t.Parallel()
	s := newStage(t)
	path := s.base(t, ticket.Free) + "aac-64/s/1.m4s"
	if res := s.get(t, path); res.StatusCode != 200 {
		t.Fatal(res.Status)
	}
	fresh := ticket.Key{ID: "k2", Secret: []byte(strings.Repeat("2", 32))}
	if err := s.keys.Replace(fresh); err != nil {
		t.Fatal(err)
	}
	if res := s.get(t, path); res.StatusCode != 403 {
		t.Errorf("a ticket that was seen before: %s", res.Status)
	}
	if res := s.get(t, s.base(t, ticket.Free)+"aac-64/s/1.m4s"); res.StatusCode != 200 {
		t.Errorf("the new key: %s", res.Status)
	}
	if err := s.keys.Replace(); !errors.Is(err, melodyud.ErrInvalid) {
		t.Errorf("no key at all: %v", err)
	}
}

func TestATicketOpensTheRenditionsItNames(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	prefix := ticket.ReleasePrefix(s.track, s.release)
	token, err := s.keys.Sign(ticket.Claims{
		Issued: start, Expires: start.Add(time.Hour), Prefix: prefix, Session: "s1", Tier: ticket.Premium, Skips: ticket.Unlimited,
		Renditions: ticket.RenditionsOf("flac"),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range []string{"hifi.m3u8", "manifest.mpd"} {
		if got := string(body(t, s.get(t, "/p/"+token+prefix+list))); strings.Contains(got, "aac-64") || !strings.Contains(got, "flac") {
			t.Errorf("%s offers\n%s", list, got)
		}
	}
	for path, want := range map[string]int{"flac/s/1.m4s": 200, "aac-64/s/1.m4s": 403, "aac-64/index.m3u8": 403} {
		if res := s.get(t, "/p/"+token+prefix+path); res.StatusCode != want {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
}
