package dir_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/objectstore/dir"
)

// clock is a time that tests move.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func do(t *testing.T, method, url string, body io.Reader) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

func presign(t *testing.T, s *dir.Store, method, key string) string {
	t.Helper()
	u, err := s.Presign(t.Context(), method, key, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestAForgedURLIsForbiddenAndAnExpiredOneGone(t *testing.T) {
	t.Parallel()
	at := &clock{time.Unix(1_800_000_000, 0)}
	s := open(t, func(c *dir.Config) { c.Now = at.Now })
	if _, err := s.Put(t.Context(), "k", strings.NewReader("x"), 1, objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	get := presign(t, s, http.MethodGet, "k")
	later := strings.Replace(get, "expires=1800000060", "expires=1800009999", 1)
	want := func(what, method, url string, code int) {
		t.Helper()
		if got := do(t, method, url, nil).StatusCode; got != code {
			t.Errorf("%s: %d, want %d", what, got, code)
		}
	}
	want("GET", http.MethodGet, get, 200)
	want("HEAD with a GET URL", http.MethodHead, get, 200)
	want("PUT with a GET URL", http.MethodPut, get, 403)
	want("DELETE", http.MethodDelete, get, 405)
	want("a later expiry", http.MethodGet, later, 403)
	want("no signature", http.MethodGet, strings.Split(get, "?")[0], 403)
	want("an absent object", http.MethodGet, presign(t, s, http.MethodGet, "absent"), 404)
	want("a path that is no key", http.MethodGet, strings.Replace(get, "/k?", "/%2e%2e/k?", 1), 404)
	at.now = at.now.Add(time.Minute)
	want("an expired URL", http.MethodGet, get, 410)
	want("an expired URL with a later expiry", http.MethodGet, later, 403)
}

func TestAURLOfAnotherSecretIsForbidden(t *testing.T) {
	t.Parallel()
	a, b := open(t, nil), open(t, nil)
	if _, err := b.Put(t.Context(), "k", strings.NewReader("x"), 1, objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	own := presign(t, b, http.MethodGet, "k")
	_, foreign, _ := strings.Cut(presign(t, a, http.MethodGet, "k"), "?")
	address, _, _ := strings.Cut(own, "?")
	if code := do(t, http.MethodGet, address+"?"+foreign, nil).StatusCode; code != 403 {
		t.Errorf("a URL signed with another secret: %d, want 403", code)
	}
}

func TestAPresignedPutIsBoundedAndWhole(t *testing.T) {
	t.Parallel()
	s := open(t, func(c *dir.Config) { c.MaxPut = 10 })
	url := presign(t, s, http.MethodPut, "k")
	for what, body := range map[string]io.Reader{
		"an announced body": strings.NewReader("eleven byte"),
		"a chunked body":    io.MultiReader(strings.NewReader("eleven "), strings.NewReader("byte")),
	} {
		if code := do(t, http.MethodPut, url, body).StatusCode; code != http.StatusRequestEntityTooLarge {
			t.Errorf("%s over the limit: %d, want 413", what, code)
		}
	}
	for info := range s.List(t.Context(), "") {
		t.Errorf("a refused body left %+v", info)
	}
	if code := do(t, http.MethodPut, url, strings.NewReader("ten bytes!")).StatusCode; code != http.StatusOK {
		t.Errorf("a body at the limit: %d, want 200", code)
	}
}

func TestACreatorsFileNeverBecomesAPageOfOurs(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	for key, want := range map[string]string{
		"masters/abc": "application/octet-stream",
		"evil.html":   "application/octet-stream",
		"x.svg":       "application/octet-stream",
		"aac-96.mp4":  "audio/mp4",
		"index.m3u8":  "application/vnd.apple.mpegurl",
		"m.mpd":       "application/dash+xml",
		"f.json":      "application/json",
		"cover-0.jpg": "image/jpeg",
		"cover-0.png": "image/png",
	} {
		if _, err := s.Put(t.Context(), key, strings.NewReader("<html><script>"), -1, objectstore.PutOptions{ContentType: "text/html"}); err != nil {
			t.Fatal(err)
		}
		h := do(t, http.MethodGet, presign(t, s, http.MethodGet, key), nil).Header
		if h.Get("Content-Type") != want || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s is served as %q with %q, want %q and nosniff", key, h.Get("Content-Type"), h.Get("X-Content-Type-Options"), want)
		}
	}
}

func TestWithoutABaseURLNothingIsSigned(t *testing.T) {
	t.Parallel()
	s := open(t, func(c *dir.Config) { c.BaseURL = "" })
	if u, err := s.Presign(t.Context(), http.MethodGet, "k", time.Minute); err == nil {
		t.Errorf("Presign = %s", u)
	}
}
