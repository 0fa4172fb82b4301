package playback_test

import (
	"math"
	"strings"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/playback"
	"github.com/melodyud/melodyud/internal/ticket"
)

type previewJSON struct {
	URL      string  `json:"url"`
	Start    float64 `json:"start_seconds"`
	Duration float64 `json:"duration_seconds"`
	Chosen   bool    `json:"chosen"`
}

func TestPreviewsBeginAtTheBoundaryNearestToTheHighlight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	track := w.Finish(w.Upload(nora).ID)
	server := w.serve()
	for _, c := range []struct{ highlight, first float64 }{
		{0, 0}, {61, 15}, {62.1, 15}, {62.3, 16}, {170, 42}, {-1, 17}, // a third of 200 s is in segment 16, nearer to its end
	} {
		w.putRelease(c.highlight)
		for _, who := range []string{"Nora", "Lisa", "Paul", "Olga"} {
			var p previewJSON
			w.ask(server, who, "/v1/tracks/"+string(track.ID)+"/preview", "", &p)
			if math.Abs(p.Start-c.first*segment) > 1e-6 || math.Abs(p.Duration-7*segment) > 1e-6 || p.Chosen {
				t.Errorf("highlight at %v: %+v", c.highlight, p)
			}
			claims := w.claims(p.URL)
			want := ticket.PreviewPrefix(track.ID, track.Release.ID, int(c.first), int(c.first)+7)
			if claims.Prefix != want || claims.Tier != ticket.Free || !strings.HasSuffix(p.URL, want+"index.m3u8") {
				t.Errorf("%s may play %+v", who, claims)
			}
		}
	}
}

func TestCreatorsChooseWhereThePreviewBegins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pending := w.Upload(nora).ID
	id := string(w.Finish(w.Upload(nora).ID).ID)
	w.putRelease(61)
	server := w.serve()
	patch := func(who, id, start string, want int, words ...string) {
		t.Helper()
		status, body, _ := server.Do(who, "PATCH", "/v1/tracks/"+id, `{"preview_start_seconds":`+start+`}`)
		if status != want {
			t.Errorf("start %s of %s: %d %s", start, who, status, body)
		}
		for _, word := range words {
			if !strings.Contains(body, word) {
				t.Errorf("start %s: %s does not say %q", start, body, word)
			}
		}
	}
	preview := func(start float64, chosen bool) {
		t.Helper()
		var p previewJSON
		w.ask(server, "Lisa", "/v1/tracks/"+id+"/preview", "", &p)
		if math.Abs(p.Start-start) > 1e-6 || p.Chosen != chosen {
			t.Errorf("%+v, want %v", p, start)
		}
	}
	preview(15*segment, false)
	patch("Nora", id, "100.2", 200, `"preview_start_seconds":100.2`)
	if _, body, _ := server.Do("Lisa", "GET", "/v1/catalog", ""); strings.Contains(body, "preview_start") {
		t.Errorf("listeners see %s", body)
	}
	preview(25*segment, true)
	patch("Nora", id, "170.001", 400, "track.preview-start", "170.000 seconds")
	patch("Nora", id, "-0.5", 400, "track.preview-start")
	patch("Nora", id, "-2", 422)
	patch("Nora", id, `"x"`, 422)
	patch("Emil", id, "3", 404)
	patch("Lisa", id, "3", 403)
	patch("Nora", string(pending), "3", 409, "track.preview-too-early")
	preview(25*segment, true)
	patch("Nora", id, "170", 200)
	preview(42*segment, true) // 42 * 4.01 s is nearer than 43
	patch("Nora", id, "-1", 200)
	preview(15*segment, false)
}

func TestShortTracksAndShortPreviewsAreWholeSegments(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *playback.Config) { c.PreviewLength = 9 * time.Second })
	id := w.Finish(w.Upload(nora).ID).ID
	w.putRelease(30)
	var p previewJSON
	w.ask(w.serve(), "Lisa", "/v1/tracks/"+string(id)+"/preview", "", &p)
	if math.Abs(p.Duration-2*segment) > 1e-6 {
		t.Errorf("%+v", p)
	}
	for _, bad := range []time.Duration{time.Second, 31 * time.Second, -time.Second} {
		_, err := playback.New(playback.Config{Database: w.DB, Library: w, Store: w.Store, Tickets: w.keys, Names: w.names, PreviewLength: bad})
		w.Wants(melodyud.ErrInvalid, err)
	}
}
