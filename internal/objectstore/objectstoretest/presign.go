package objectstoretest

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/objectstore"
)

// presigns talks to the server that the store's URLs lead to.
func presigns(t *testing.T, s objectstore.Store) {
	p, ok := s.(objectstore.Presigner)
	if !ok {
		t.Skip("this store is no Presigner")
	}
	put(t, s, "pre/signed", "0123456789")
	put(t, s, "pre/other", "secret")
	get := presign(t, p, http.MethodGet, "pre/signed", time.Hour)
	wantAnswer(t, http.MethodGet, get, "", 200, "0123456789")
	if code, body := ask(t, http.MethodGet, get, "", "bytes=2-4"); code != 206 || body != "234" {
		t.Errorf("a range of a presigned GET: %d %q", code, body)
	}
	wantRefused(t, http.MethodPut, get, "overwritten")
	wantRefused(t, http.MethodDelete, get, "")
	wantRefused(t, http.MethodGet, strings.Replace(get, "signed", "other", 1), "")

	put := presign(t, p, http.MethodPut, "pre/new", time.Hour)
	wantRefused(t, http.MethodGet, put, "")
	wantRefused(t, http.MethodPut, strings.Replace(put, "pre/new", "pre/other", 1), "x")
	wantAnswer(t, http.MethodPut, put, "fresh", 200, "")
	wantBody(t, s, "pre/new", "fresh")
	wantBody(t, s, "pre/other", "secret")
	wantBody(t, s, "pre/signed", "0123456789")
	wantExpiry(t, p)
	wantBounds(t, p)
}

func wantExpiry(t *testing.T, p objectstore.Presigner) {
	t.Helper()
	brief := presign(t, p, http.MethodGet, "pre/signed", time.Second)
	deadline := time.Now().Add(30 * time.Second)
	for code := 200; code == 200; code, _ = ask(t, http.MethodGet, brief, "", "") {
		if time.Now().After(deadline) {
			t.Fatal("a URL for one second still works after thirty")
		}
		time.Sleep(200 * time.Millisecond)
	}
	wantRefused(t, http.MethodGet, brief, "")
}

func wantBounds(t *testing.T, p objectstore.Presigner) {
	t.Helper()
	for _, c := range []struct {
		method, key string
		ttl         time.Duration
	}{
		{http.MethodGet, "k", 0},
		{http.MethodGet, "k", -time.Hour},
		{http.MethodGet, "k", 8 * 24 * time.Hour},
		{http.MethodDelete, "k", time.Hour},
		{http.MethodGet, "../k", time.Hour},
		{http.MethodPut, "", time.Hour},
	} {
		_, err := p.Presign(t.Context(), c.method, c.key, c.ttl)
		wantKind(t, "Presign("+c.method+", "+c.key+", "+c.ttl.String()+")", err, melodyud.ErrInvalid)
	}
}

func presign(t *testing.T, p objectstore.Presigner, method, key string, ttl time.Duration) string {
	t.Helper()
	u, err := p.Presign(t.Context(), method, key, ttl)
	if err != nil {
		t.Fatalf("Presign(%s, %s): %v", method, key, err)
	}
	return u
}

func ask(t *testing.T, method, url, body, byteRange string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if byteRange != "" {
		r.Header.Set("Range", byteRange)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}

func wantAnswer(t *testing.T, method, url, body string, code int, want string) {
	t.Helper()
	if c, got := ask(t, method, url, body, ""); c != code || got != want {
		t.Errorf("%s: %d %q, want %d %q", method, c, got, code, want)
	}
}

// wantRefused wants any refusal: servers differ between 403, 405 and 410.
func wantRefused(t *testing.T, method, url, body string) {
	t.Helper()
	if code, got := ask(t, method, url, body, ""); code < 400 || code >= 500 || strings.Contains(got, "secret") {
		t.Errorf("%s on a URL that is not for it: %d %q, want a refusal", method, code, got)
	}
}
