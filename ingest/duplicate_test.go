package ingest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/ingest"
	"github.com/melodyud/melodyud/ingest/decision"
	"github.com/melodyud/melodyud/internal/api"
)

// Twin implements the library: whatever was received stays.
func (c *catalog) Twin(_ context.Context, owner melodyud.UserID, sha256 string, than melodyud.TrackID) (twin melodyud.TrackID, _ error) {
	for _, r := range c.receipts() {
		if r.Owner == owner && r.Master.SHA256 == sha256 && r.Track != than && (twin == "" || r.Track < twin) {
			twin = r.Track
		}
	}
	return twin, nil
}

var twice = []byte(strings.Repeat("the very same bytes ", 50))

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func meta(pairs ...string) string {
	var list []string
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, pairs[i]+" "+base64.StdEncoding.EncodeToString([]byte(pairs[i+1])))
	}
	return strings.Join(list, ",")
}

// knowing is a fixture in which Ada has published twice already.
func knowing(t *testing.T) (f *fixture, first melodyud.TrackID) {
	t.Helper()
	f = newFixture(t)
	f.start(func(c *ingest.Config) { c.Library = f.catalog })
	t.Cleanup(f.run())
	path := f.create(len(twice))
	f.patch(path, 0, twice)
	f.await(path, ingest.StateReceived)
	return f, f.view(path).Track
}

func TestAFileThatIsPublishedIsRefusedBeforeItIsSent(t *testing.T) {
	t.Parallel()
	f, first := knowing(t)
	length := []string{"Upload-Length", strconv.Itoa(len(twice))}
	for answer, want := range map[string]int{"": 409, "ask": 409, "discard": 409, "keep": 201} {
		a := f.do("POST", "/v1/uploads", nil, append(length, "Upload-Metadata", meta("sha256", strings.ToUpper(sumOf(twice)), "duplicates", answer))...)
		if a.StatusCode != want {
			t.Errorf("%q: %d %s", answer, a.StatusCode, a.body)
		}
		if want == 409 && (a.code() != "upload.duplicate" || !strings.Contains(a.body, string(first))) {
			t.Errorf("%q: %s", answer, a.body)
		}
	}
	for _, other := range [][]string{
		{"Upload-Metadata", meta("sha256", sumOf([]byte("other")))},
		{"Upload-Metadata", meta("sha256", sumOf(twice)), "Authorization", "Bearer bob"},
	} {
		if a := f.do("POST", "/v1/uploads", nil, append(length, other...)...); a.StatusCode != 201 {
			t.Errorf("%v: %d %s", other, a.StatusCode, a.body)
		}
	}
	if a := f.do("POST", "/v1/uploads", nil, append(length, "Upload-Metadata", meta("sha256", "abc"))...); a.code() != "upload.sha256-form" {
		t.Errorf("no hash: %d %s", a.StatusCode, a.body)
	}
}

func TestADeclaredHashIsHeldToTheBytes(t *testing.T) {
	t.Parallel()
	f, _ := knowing(t)
	path := f.create(len(twice), "Upload-Metadata", meta("sha256", sumOf([]byte("other"))))
	if a := f.patch(path, 0, twice); a.code() != "upload.sha256" {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

func TestADuplicateWaitsForADecision(t *testing.T) {
	t.Parallel()
	f, first := knowing(t)
	send := func() string {
		path := f.create(len(twice))
		f.patch(path, 0, twice)
		f.await(path, ingest.StateDuplicate)
		if v := f.view(path); v.DuplicateOf != first || v.Expires == nil || f.offset(path) != strconv.Itoa(len(twice)) {
			t.Errorf("%+v", v)
		}
		return path
	}
	both, gone := send(), send()
	id := func(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
	if _, err := f.Decide(t.Context(), "usr_bob", id(both), true); err == nil {
		t.Error("somebody else decides")
	}
	if v, err := f.Decide(t.Context(), "usr_ada", id(gone), false); err != nil || v.State != ingest.StateEnded {
		t.Errorf("discard: %+v, %v", v, err)
	}
	if a := f.do("GET", gone, nil); a.StatusCode != 410 {
		t.Errorf("discarded: %d %s", a.StatusCode, a.body)
	}
	if _, err := f.Decide(t.Context(), "usr_ada", id(both), true); err != nil {
		t.Fatal(err)
	}
	f.await(both, ingest.StateReceived)
	if _, err := f.Decide(t.Context(), "usr_ada", id(both), true); melodyud.Kind(err) != melodyud.ErrConflict {
		t.Errorf("decided twice: %v", err)
	}
	if got := f.catalog.receipts(); len(got) != 2 {
		t.Errorf("%d tracks", len(got))
	}
}

func TestADuplicateMayBeAnsweredBeforehand(t *testing.T) {
	t.Parallel()
	f, first := knowing(t)
	for _, answer := range []string{"discard", "keep"} { // in this order: what is kept is the newest twin
		want := map[string]ingest.State{"keep": ingest.StateReceived, "discard": ingest.StateRefused}[answer]
		path := f.create(len(twice), "Upload-Metadata", meta("duplicates", answer))
		f.patch(path, 0, twice)
		f.await(path, want)
		if v := f.view(path); want == ingest.StateRefused && (v.Refusal.Code != "upload.duplicate" || !strings.Contains(v.Refusal.Text, string(first))) {
			t.Errorf("%+v", v)
		}
	}
}

func TestADuplicateNobodyDecidesOnExpires(t *testing.T) {
	t.Parallel()
	f, _ := knowing(t)
	path := f.create(len(twice))
	f.patch(path, 0, twice)
	f.await(path, ingest.StateDuplicate)
	f.clock.Pass(25 * time.Hour)
	for range patience {
		if len(f.parts()) == 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if a := f.do("GET", path, nil); a.StatusCode != 410 || len(f.parts()) != 0 {
		t.Errorf("%d %s, parts %v", a.StatusCode, a.body, f.parts())
	}
}

func TestDecisionsAreTakenOverHTTP(t *testing.T) {
	t.Parallel()
	f, _ := knowing(t)
	path := f.create(len(twice))
	f.patch(path, 0, twice)
	f.await(path, ingest.StateDuplicate)
	desk, err := decision.New(f.Service)
	if err != nil {
		t.Fatal(err)
	}
	router, err := api.NewRouter(api.Config{Auth: everybody})
	if err != nil {
		t.Fatal(err)
	}
	desk.Register(router)
	ask := func(key, body string) int { return record(router, key, path+"/decision", body) }
	for _, c := range []struct {
		key, body string
		want      int
	}{
		{"bob", `{"keep":"both"}`, 404}, {"lin", `{"keep":"both"}`, 403}, {"ada", `{"keep":"one"}`, 422},
		{"ada", `{"keep":"both"}`, 200}, {"ada", `{"keep":"discard"}`, 409},
	} {
		if got := ask(c.key, c.body); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
	f.await(path, ingest.StateReceived)
	if !bytes.Equal(f.object("masters/"+sumOf(twice)), twice) {
		t.Error("other bytes")
	}
}

// record posts a JSON body and returns the status.
func record(r *api.Router, key, path, body string) int {
	req := httptest.NewRequest("POST", path, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	r.Handler().ServeHTTP(rec, req)
	return rec.Code
}
