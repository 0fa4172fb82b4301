package catalog_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/api/apitest"
	"github.com/melodyud/melodyud/internal/catalog"
)

// revocable is people until it is revoked, and nobody then.
type revocable struct {
	apitest.People
	revoked atomic.Bool
}

func (r *revocable) Authenticate(ctx context.Context, secret string) (api.Principal, error) {
	if r.revoked.Load() {
		return api.Principal{}, melodyud.ErrUnauthenticated
	}
	return r.People.Authenticate(ctx, secret)
}

// serve starts the API over the catalog, and its Run.
func (w *world) serve() *apitest.Server {
	w.t.Helper()
	return w.serveTo(&revocable{People: apitest.Everybody()})
}

func (w *world) serveTo(who *revocable) *apitest.Server {
	w.t.Helper()
	server := apitest.Serve(w.t, api.Config{Auth: who}, w) // closed only once every stream has ended
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("run: %v", err)
		}
	})
	return server
}

// TestTheAuthorizationMatrix holds every operation against every actor and every
// kind of track (faults.md section 9: another's track is the same as a missing one).
func TestTheAuthorizationMatrix(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pending := w.Upload(nora).ID
	gone := w.Upload(nora).ID
	published := w.Finish(w.Upload(nora).ID).ID
	server := w.serve()
	missing := melodyud.NewTrackID(w.Clock.Now())
	actors := []string{"", "Nora", "Emil", "Lisa", "Olga"} // nobody, owner, creator, listener, operator
	for _, row := range []struct {
		method, path, body string
		want               [5]int
	}{
		{"GET", "/v1/tracks", "", [5]int{401, 200, 200, 403, 403}},
		{"GET", "/v1/catalog", "", [5]int{401, 200, 200, 200, 200}},
		{"GET", "/v1/tracks/{pending}", "", [5]int{401, 200, 404, 403, 200}},
		{"GET", "/v1/tracks/{published}", "", [5]int{401, 200, 404, 403, 200}},
		{"GET", "/v1/tracks/{missing}", "", [5]int{401, 404, 404, 403, 404}},
		{"GET", "/v1/tracks/..%2f..%2fetc", "", [5]int{401, 404, 404, 403, 404}},
		{"PATCH", "/v1/tracks/{pending}", `{"album":"A"}`, [5]int{401, 200, 404, 403, 403}},
		{"PATCH", "/v1/tracks/{missing}", `{"album":"A"}`, [5]int{401, 404, 404, 403, 403}},
		{"GET", "/v1/tracks/{published}/events", "", [5]int{401, 200, 404, 403, 200}},
		{"GET", "/v1/tracks/{missing}/events", "", [5]int{401, 404, 404, 403, 404}},
		{"DELETE", "/v1/tracks/{missing}", "", [5]int{401, 404, 404, 403, 403}},
		{"DELETE", "/v1/tracks/{gone}", "", [5]int{401, 204, 404, 403, 403}},
	} {
		path := strings.NewReplacer("{pending}", string(pending), "{published}", string(published),
			"{missing}", string(missing), "{gone}", string(gone)).Replace(row.path)
		var others, none string
		for i, who := range actors {
			status, body, _ := server.Do(who, row.method, path, row.body)
			if status != row.want[i] {
				t.Errorf("%s %s as %q: %d, want %d: %s", row.method, row.path, who, status, row.want[i], body)
			}
			if status == 404 && who == "Emil" {
				others = body
				_, none, _ = server.Do(who, row.method, strings.Replace(path, string(published), string(missing), 1), row.body)
			}
		}
		if others != none {
			t.Errorf("%s %s: another's track answers %s, a missing one %s", row.method, row.path, others, none)
		}
	}
}

func TestATrackIsShownAsAgreed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	track := w.Finish(w.Upload(nora).ID)
	server := w.serve()
	_, body, _ := server.Do("Nora", "GET", "/v1/tracks/"+string(track.ID), "")
	want := `{"id":"` + string(track.ID) + `","state":"published","title":"Morning Light","artist":"From the file","album":"",` +
		`"file_name":"Morning Light.flac","created":"2026-05-01T12:00:00Z","updated":"2026-05-01T12:00:00Z",` +
		`"master":{"sha256":"` + track.Master.SHA256 + `","size":9},"progress":{"stage":"done","percent":100,"attempt":1},` +
		`"release":{"id":"` + string(track.Release.ID) + `","number":1,"duration_seconds":200,"published":"2026-05-01T12:00:00Z"},"cover":true}`
	if got := strings.TrimSpace(body); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	_, body, _ = server.Do("Lisa", "GET", "/v1/catalog", "")
	if strings.Contains(body, "sha256") || strings.Contains(body, "file_name") || !strings.Contains(body, string(track.ID)) {
		t.Errorf("listeners see %s", body)
	}
}

func TestBadPagesAreRefusedInWords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server := w.serve()
	for query, want := range map[string]int{
		"limit=0": 422, "limit=101": 422, "limit=x": 422, "state=lost": 422, "cursor=" + url.QueryEscape("' OR 1"): 400, "": 200,
	} {
		status, body, _ := server.Do("Nora", "GET", "/v1/tracks?"+query, "")
		if status != want {
			t.Errorf("%q: %d %s", query, status, body)
		}
	}
	if _, body, _ := server.Do("Nora", "GET", "/v1/tracks", ""); strings.TrimSpace(body) != `{"tracks":[]}` {
		t.Errorf("an empty list is %s", body)
	}
}

// events reads a stream of events: one Track each.
type events struct {
	t    *testing.T
	body io.ReadCloser
	r    *bufio.Scanner
}

func (w *world) follow(server *apitest.Server, who, path string) *events {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), "GET", server.URL+path, nil)
	w.Must(err)
	req.Header.Set("Authorization", "Bearer "+who)
	res, err := server.Client().Do(req)
	w.Must(err)
	w.t.Cleanup(func() { _ = res.Body.Close() })
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		w.t.Fatalf("%s: %d %v", path, res.StatusCode, res.Header)
	}
	return &events{w.t, res.Body, bufio.NewScanner(res.Body)}
}

type shown struct {
	ID    melodyud.TrackID
	State melodyud.State
	Title string
}

// next returns the next event; ok is false at the stream's end.
func (e *events) next() (got shown, ok bool) {
	e.t.Helper()
	for e.r.Scan() {
		if data, found := strings.CutPrefix(e.r.Text(), "data: "); found {
			if err := json.Unmarshal([]byte(data), &got); err != nil {
				e.t.Fatal(err)
			}
			return got, true
		}
	}
	return got, false
}

// until reads on until an event fits.
func (e *events) until(fits func(shown) bool) {
	e.t.Helper()
	for {
		got, ok := e.next()
		if !ok {
			e.t.Fatal("the stream ended")
		}
		if fits(got) {
			return
		}
	}
}

func TestOneTracksEventsEndWithItsFate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fastEvents)
	track := w.Upload(nora)
	server := w.serve()
	stream := w.follow(server, "Nora", "/v1/tracks/"+string(track.ID)+"/events")
	if got, _ := stream.next(); got.State != melodyud.StateReceived {
		t.Errorf("first %+v", got)
	}
	w.Finish(track.ID)
	stream.until(func(s shown) bool { return s.State == melodyud.StatePublished })
	if got, ok := stream.next(); ok {
		t.Errorf("after the end: %+v", got)
	}
}

func TestEventsTellOfOnesOwnTracksOnlyAlsoWhenAnotherProcessChangesThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fastEvents)
	mine, theirs := w.Upload(nora), w.Upload(emil)
	server := w.serve()
	stream := w.follow(server, "Nora", "/v1/events")
	stream.until(func(s shown) bool { return s.ID == mine.ID })
	other, err := catalog.New(catalog.Config{Database: w.DB, Store: w.Store, Bell: w.bell, Now: w.Clock.Now})
	w.Must(err)
	for _, title := range []string{"One", "Two"} {
		_, err = other.Rename(t.Context(), emil, theirs.ID, catalog.Names{Title: &title})
		w.Must(err)
		_, err = other.Rename(t.Context(), nora, mine.ID, catalog.Names{Title: &title})
		w.Must(err)
		stream.until(func(s shown) bool {
			if s.ID != mine.ID {
				t.Errorf("told of %+v", s)
			}
			return s.Title == title
		})
	}
}

func TestEventStreamsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fastEvents)
	server := w.serve()
	w.Upload(nora)
	for range 16 {
		w.follow(server, "Nora", "/v1/events")
	}
	status, body, header := server.Do("Nora", "GET", "/v1/events", "")
	if status != 429 || !strings.Contains(body, "events.limit") || header.Get("Retry-After") == "" {
		t.Errorf("%d %s %v", status, body, header)
	}
	w.Upload(emil)
	w.follow(server, "Emil", "/v1/events")
}

func TestAnIdleStreamIsKeptAliveByComments(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fastEvents, func(c *catalog.Config) { c.EventHeartbeat = 5 * time.Millisecond })
	server := w.serve()
	stream := w.follow(server, "Nora", "/v1/events")
	for beats := 0; beats < 3; {
		if !stream.r.Scan() {
			t.Fatal("the stream ended")
		}
		if strings.HasPrefix(stream.r.Text(), ":") {
			beats++
		}
	}
}

func TestAStreamEndsWhenItsKeyIsRevoked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fastEvents, func(c *catalog.Config) { c.EventHeartbeat = 5 * time.Millisecond })
	mine := w.Upload(nora)
	who := &revocable{People: apitest.People{nora}}
	stream := w.follow(w.serveTo(who), "Nora", "/v1/events")
	stream.until(func(s shown) bool { return s.ID == mine.ID })
	who.revoked.Store(true)
	for stream.r.Scan() { // to the end
	}
	if err := stream.r.Err(); err != nil {
		t.Errorf("the stream ended with %v", err)
	}
}

func fastEvents(c *catalog.Config) { c.EventPoll = 10 * time.Millisecond }
