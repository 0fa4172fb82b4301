package web_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/melodyud/melodyud/web"
)

const script = "/assets/index-a1b2c3d4.js"

func built() http.Handler {
	return web.HandlerOf(fstest.MapFS{
		".keep":                         {},
		"index.html":                    {Data: []byte("<!doctype html><title>MelodyUD</title>" + strings.Repeat("<p>page", 50))},
		"favicon.svg":                   {Data: []byte("<svg/>")},
		"assets/font.woff2":             {Data: []byte("wOF2")},
		strings.TrimPrefix(script, "/"): {Data: []byte(strings.Repeat("let x = 1;", 100))},
	})
}

func get(t *testing.T, h http.Handler, method, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func text(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEveryRoomIsTheSamePageAndIsRevalidated(t *testing.T) {
	t.Parallel()
	h := built()
	for _, path := range []string{"/", "/studio", "/player", "/player/", "/studio/anything", "/index.html"} {
		r := get(t, h, http.MethodGet, path)
		if r.StatusCode != 200 || !strings.Contains(text(t, r.Body), "<title>MelodyUD") {
			t.Errorf("%s: status %d, want the page", path, r.StatusCode)
		}
		if got := r.Header.Get("Cache-Control"); got != "no-cache" {
			t.Errorf("%s: Cache-Control %q, want no-cache", path, got)
		}
	}
}

func TestThePageCarriesAPolicyWithoutInlineScript(t *testing.T) {
	t.Parallel()
	policy := get(t, built(), http.MethodGet, "/").Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "script-src 'self';") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
}

func TestAPolicySetBeforeIsKept(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	w.Header().Set("Content-Security-Policy", "default-src https://edge.example")
	built().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if got := w.Header().Get("Content-Security-Policy"); got != "default-src https://edge.example" {
		t.Errorf("policy %q was not kept", got)
	}
}

func TestHashedFilesAreCachedForEver(t *testing.T) {
	t.Parallel()
	r := get(t, built(), http.MethodGet, script)
	if got := r.Header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
		t.Errorf("Cache-Control %q", got)
	}
	if got := r.Header.Get("Content-Type"); got != "text/javascript; charset=utf-8" {
		t.Errorf("Content-Type %q", got)
	}
	if got := get(t, built(), http.MethodGet, "/assets/font.woff2").Header.Get("Content-Type"); got != "font/woff2" {
		t.Errorf("font Content-Type %q", got)
	}
}

func TestAnUnchangedFileAnswers304(t *testing.T) {
	t.Parallel()
	h := built()
	tag := get(t, h, http.MethodGet, "/").Header.Get("ETag")
	if tag == "" {
		t.Fatal("no ETag")
	}
	if r := get(t, h, http.MethodGet, "/studio", "If-None-Match", tag); r.StatusCode != http.StatusNotModified {
		t.Errorf("status %d, want 304", r.StatusCode)
	}
}

func TestTextIsCompressedOnlyForThoseWhoAcceptIt(t *testing.T) {
	t.Parallel()
	h := built()
	for accept, want := range map[string]bool{"gzip, br": true, "br;q=1, GZIP;q=0.5": true, "gzip;q=0": false, "gzip; q=0.0": false, "br": false, "": false} {
		r := get(t, h, http.MethodGet, script, "Accept-Encoding", accept)
		packed := r.Header.Get("Content-Encoding") == "gzip"
		if packed != want {
			t.Errorf("Accept-Encoding %q: compressed %v, want %v", accept, packed, want)
		}
		if r.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("Accept-Encoding %q: no Vary", accept)
		}
		body := io.Reader(r.Body)
		if packed {
			z, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			body = z
		}
		if got := text(t, body); got != strings.Repeat("let x = 1;", 100) {
			t.Errorf("Accept-Encoding %q: other bytes than the file's", accept)
		}
	}
}

func TestBothFormsOfAFileHaveTheirOwnTag(t *testing.T) {
	t.Parallel()
	h := built()
	plain := get(t, h, http.MethodGet, script).Header.Get("ETag")
	packed := get(t, h, http.MethodGet, script, "Accept-Encoding", "gzip").Header.Get("ETag")
	if plain == packed {
		t.Errorf("one ETag %s for two different bodies", plain)
	}
}

func TestUnknownAddressesAndHiddenFilesAreNotFound(t *testing.T) {
	t.Parallel()
	h := built()
	for _, path := range []string{"/nothing", "/.keep", "/assets/", "/assets/gone.js", "/../web.go", "/v1/none"} {
		r := get(t, h, http.MethodGet, path)
		if r.StatusCode != http.StatusNotFound || r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: status %d, Cache-Control %q", path, r.StatusCode, r.Header.Get("Cache-Control"))
		}
	}
}

func TestThePageCannotBeWrittenTo(t *testing.T) {
	t.Parallel()
	r := get(t, built(), http.MethodPost, "/")
	if r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("status %d, Allow %q", r.StatusCode, r.Header.Get("Allow"))
	}
}

func TestHeadHasNoBody(t *testing.T) {
	t.Parallel()
	r := get(t, built(), http.MethodHead, "/")
	if r.StatusCode != 200 || text(t, r.Body) != "" {
		t.Errorf("status %d with a body", r.StatusCode)
	}
}

func TestWithoutABuiltPageTheAnswerSaysHowToBuildIt(t *testing.T) {
	t.Parallel()
	h := web.HandlerOf(fstest.MapFS{".keep": {}})
	for _, path := range []string{"/", "/studio", script} {
		r := get(t, h, http.MethodGet, path)
		if r.StatusCode != http.StatusServiceUnavailable || strings.TrimSpace(text(t, r.Body)) != "The web page is not built: run make web." {
			t.Errorf("%s: status %d", path, r.StatusCode)
		}
	}
}

func TestTheEmbeddedHandlerAnswers(t *testing.T) {
	t.Parallel()
	r := get(t, web.Handler(), http.MethodGet, "/")
	if r.StatusCode != 200 && r.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d", r.StatusCode)
	}
}
