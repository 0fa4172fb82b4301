package objectstoretest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/objectstore"
)

const partBytes = 5 << 20 // the least of a part that is not the last

// parts talks to the server that the addresses of parts lead to.
func parts(t *testing.T, s objectstore.Store) {
	m, ok := s.(objectstore.Multipart)
	if !ok {
		t.Skip("this store takes no parts")
	}
	const key = "direct/one/object"
	id, err := m.BeginParts(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	first, second := bytes.Repeat([]byte("1"), partBytes), []byte("the rest")
	tail := putPart(t, signPart(t, m, key, id, 2, len(second)), second)
	wantArrived(t, m, key, id, objectstore.Part{Number: 2, Size: 8, ETag: tail})
	wantPartRefused(t, signPart(t, m, key, id, 2, len(second)), []byte("the rest, and more"))
	wantPartRefused(t, signPart(t, m, key, id, 2, len(second)), []byte("short"))
	wantPartRefused(t, strings.Replace(signPart(t, m, key, id, 2, len(second)), "=", "=1", 1), second)
	old := putPart(t, signPart(t, m, key, id, 1, partBytes), bytes.Repeat([]byte("0"), partBytes))
	if _, err := s.Stat(t.Context(), key); !errors.Is(err, melodyud.ErrNotFound) {
		t.Errorf("the object is visible before its parts are joined: %v", err)
	}
	wrong := []objectstore.Part{{Number: 1, ETag: "0123456789abcdef0123456789abcdef"}, {Number: 2, ETag: tail}}
	if _, err := m.JoinParts(t.Context(), key, id, wrong); !errors.Is(err, melodyud.ErrInvalid) {
		t.Errorf("joining a part that is not there = %v, want ErrInvalid", err)
	}
	head := putPart(t, signPart(t, m, key, id, 1, partBytes), first)
	if head == old {
		t.Error("other bytes have the same ETag")
	}
	both := []objectstore.Part{{Number: 1, Size: partBytes, ETag: head}, {Number: 2, Size: 8, ETag: tail}}
	wantArrived(t, m, key, id, both...)
	late := signPart(t, m, key, id, 2, len(second))
	info, err := m.JoinParts(t.Context(), key, id, both)
	if err != nil || info.Size != partBytes+8 || info.Key != key {
		t.Fatalf("joined %+v, %v", info, err)
	}
	wantBody(t, s, key, string(first)+string(second))
	wantPartRefused(t, late, second)
	if _, err := m.JoinParts(t.Context(), key, id, both); err != nil && !errors.Is(err, melodyud.ErrNotFound) {
		t.Errorf("joining again = %v, want ErrNotFound or nothing", err)
	}
	if err := m.DropParts(t.Context(), key, id); err != nil {
		t.Errorf("dropping joined parts: %v", err)
	}
	wantBody(t, s, key, string(first)+string(second))
}

func droppedParts(t *testing.T, s objectstore.Store) {
	m, ok := s.(objectstore.Multipart)
	if !ok {
		t.Skip("this store takes no parts")
	}
	const key = "direct/two/object"
	id, err := m.BeginParts(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	at := signPart(t, m, key, id, 1, 4)
	putPart(t, at, []byte("gone"))
	for range 2 {
		if err := m.DropParts(t.Context(), key, id); err != nil {
			t.Error(err)
		}
	}
	wantPartRefused(t, at, []byte("gone"))
	if _, err := m.Parts(t.Context(), key, id); !errors.Is(err, melodyud.ErrNotFound) {
		t.Errorf("parts that were dropped are listed: %v", err)
	}
	for info := range s.List(t.Context(), "") {
		t.Errorf("%s is left", info.Key)
	}
}

func signPart(t *testing.T, m objectstore.Multipart, key, id string, number, size int) string {
	t.Helper()
	at, err := m.SignPart(t.Context(), key, id, number, int64(size), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func sendPart(t *testing.T, at string, body []byte) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, at, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "https://studio.example")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res
}

func putPart(t *testing.T, at string, body []byte) (etag string) {
	t.Helper()
	res := sendPart(t, at, body)
	if res.StatusCode != http.StatusOK {
		t.Fatalf("PUT of a part: %s", res.Status)
	}
	if h := res.Header.Get("Access-Control-Expose-Headers"); !strings.Contains(strings.ToLower(h), "etag") && h != "*" {
		t.Errorf("pages of other sites cannot read the ETag: they may read %q", h) // S3-5
	}
	return strings.Trim(res.Header.Get("ETag"), `"`)
}

func wantPartRefused(t *testing.T, at string, body []byte) {
	t.Helper()
	if res := sendPart(t, at, body); res.StatusCode < 400 || res.StatusCode > 499 {
		t.Errorf("%d bytes were answered %s", len(body), res.Status)
	}
}

func wantArrived(t *testing.T, m objectstore.Multipart, key, id string, want ...objectstore.Part) {
	t.Helper()
	got, err := m.Parts(t.Context(), key, id)
	if err != nil || len(got) != len(want) {
		t.Fatalf("arrived %+v, %v; want %+v", got, err, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("part %+v, want %+v", got[i], want[i])
		}
	}
}
