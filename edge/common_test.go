package edge_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/melodyud/melodyud/edge"
	"github.com/melodyud/melodyud/edge/bearer"
	"github.com/melodyud/melodyud/edge/cat"
)

var catKey = cat.Key{ID: "partner", Algorithm: cat.HS256, Secret: []byte(strings.Repeat("c", 32))}

// accept puts an edge that takes Common Access Tokens in the place of the stage's own.
func (s *stage) accept(t *testing.T, b *board) {
	t.Helper()
	v, err := cat.NewVerifier(cat.Config{Keys: []cat.Key{catKey}, Now: s.clock})
	if err != nil {
		t.Fatal(err)
	}
	places := atlas{"192.0.2.1": "DE"}
	_, s.handler = s.another(t, edge.Config{
		Notices: b, Places: places,
		Bearers: &bearer.Door{Tokens: v, URL: "https://edge.example.org", Country: places.Country},
	})
}

func (s *stage) token(t *testing.T, change func(*cat.Claims)) string {
	t.Helper()
	c := cat.Claims{
		Issuer: "partner", Subject: "lisa", Issued: start, Expires: start.Add(time.Hour), ID: []byte("1"),
		URI: map[cat.Part]cat.Match{
			cat.Path: cat.Is(cat.Prefix, "/p/cat/"+string(s.track)+"/"+string(s.release)+"/"), cat.Host: cat.Is(cat.Exact, "edge.example.org"),
		},
	}
	if change != nil {
		change(&c)
	}
	token, err := cat.Sign(c, catKey)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestACommonAccessTokenOpensWhatItNames(t *testing.T) { // TOK-6, TOK-7
	t.Parallel()
	s := newStage(t)
	b := &board{}
	s.accept(t, b)
	base := "/p/cat/" + string(s.track) + "/" + string(s.release) + "/"
	token := s.token(t, nil)
	for _, path := range []string{"index.m3u8", "hifi.m3u8", "manifest.mpd", "aac-64/index.m3u8", "flac/init.mp4", "flac/s/1.m4s"} {
		for _, by := range [][]string{{cat.DefaultName, token}, {"Cookie", cat.DefaultName + "=" + token}, nil} {
			address := base + path
			if by == nil {
				address += "?cat=" + token
			}
			res := s.get(t, address, by...)
			if res.StatusCode != 200 || strings.Contains(res.Header.Get("Cache-Control"), "public") {
				t.Errorf("%s: %s %v", path, res.Status, res.Header)
			}
		}
	}
	for what, row := range map[string]struct {
		token, path, code string
	}{
		"no token":       {"", base + "index.m3u8", "token.missing"},
		"a forgery":      {token[:len(token)-2] + "AA", base + "index.m3u8", "token.invalid"},
		"another track":  {token, "/p/cat/trk_other/" + string(s.release) + "/index.m3u8", "token.scope"},
		"an old one":     {s.token(t, func(c *cat.Claims) { c.Expires = start.Add(-time.Hour) }), base + "index.m3u8", "token.expired"},
		"an early one":   {s.token(t, func(c *cat.Claims) { c.NotBefore = start.Add(time.Hour) }), base + "index.m3u8", "token.not-yet"},
		"another place":  {s.token(t, func(c *cat.Claims) { c.Countries = []string{"FR"} }), base + "index.m3u8", "token.place"},
		"another method": {s.token(t, func(c *cat.Claims) { c.Methods = []string{"HEAD"} }), base + "index.m3u8", "token.scope"},
	} {
		res := s.get(t, row.path, cat.DefaultName, row.token)
		if raw := string(body(t, res)); res.StatusCode != 403 || !strings.Contains(raw, row.code) || res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %s %s", what, res.Status, raw)
		}
	}
	*b = board{track: string(s.track)}
	if res := s.get(t, base+"flac/s/1.m4s", cat.DefaultName, token); res.StatusCode != 403 {
		t.Errorf("a withdrawn track: %s", res.Status)
	}
	*b = board{track: string(s.track), rule: "+FR"}
	if res := s.get(t, base+"flac/s/1.m4s", cat.DefaultName, token); res.StatusCode != 451 {
		t.Errorf("a track for another country: %s", res.Status)
	}
}

func TestWithoutKeysNoCommonAccessTokenIsAccepted(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	if res := s.get(t, "/p/cat/"+string(s.track)+"/"+string(s.release)+"/index.m3u8", cat.DefaultName, s.token(t, nil)); res.StatusCode != 403 {
		t.Error(res.Status)
	}
}

func TestATokenForOneUseIsUsedOnce(t *testing.T) { // TOK-6
	t.Parallel()
	s := newStage(t)
	s.accept(t, &board{})
	path := "/p/cat/" + string(s.track) + "/" + string(s.release) + "/flac/s/1.m4s"
	token := s.token(t, func(c *cat.Claims) {
		c.Replay, c.Renewal = cat.ReplayForbidden, &cat.Renewal{Type: cat.RenewHeader, Add: time.Minute}
	})
	res := s.get(t, path, cat.DefaultName, token)
	next := res.Header.Get(cat.DefaultName)
	if res.StatusCode != 200 || next == "" || next == token {
		t.Fatalf("%s, next %q", res.Status, next)
	}
	if res := s.get(t, path, cat.DefaultName, token); res.StatusCode != 403 || !strings.Contains(string(body(t, res)), "token.replayed") {
		t.Errorf("the second use: %s", res.Status)
	}
	if res := s.get(t, path, cat.DefaultName, next); res.StatusCode != 200 {
		t.Errorf("the next token: %s", res.Status)
	}
}

func TestARenewedTokenComesAsItsIssuerWantsIt(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.accept(t, &board{})
	path := "/p/cat/" + string(s.track) + "/" + string(s.release) + "/index.m3u8"
	in := func(kind cat.RenewalType, deadline time.Duration) *http.Response {
		return s.get(t, path, cat.DefaultName, s.token(t, func(c *cat.Claims) {
			c.Renewal = &cat.Renewal{Type: kind, Add: 2 * time.Hour, Deadline: deadline, CookieName: "pass"}
		}))
	}
	if res := in(cat.RenewAutomatic, 2*time.Hour); res.Header.Get(cat.DefaultName) == "" {
		t.Error("not renewed")
	}
	if res := in(cat.RenewAutomatic, time.Minute); res.Header.Get(cat.DefaultName) != "" {
		t.Error("renewed too early")
	}
	if res := in(cat.RenewRedirect, 0); res.StatusCode != 200 || res.Header.Get(cat.DefaultName) != "" {
		t.Error("renewed by a redirect")
	}
	cookies := in(cat.RenewCookie, 0).Cookies()
	if len(cookies) != 1 || cookies[0].Name != "pass" || !cookies[0].HttpOnly || !cookies[0].Secure || cookies[0].Path != "/p/cat/" {
		t.Errorf("%v", cookies)
	}
	r := httptest.NewRequest(http.MethodOptions, path, nil)
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	if !strings.Contains(w.Header().Get("Access-Control-Allow-Headers"), cat.DefaultName) {
		t.Error("pages may not send the header") // HLS-82
	}
}
