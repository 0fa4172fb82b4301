package catalog_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/catalog"
)

func TestAnAlbumIsAnOwnersTracksOfOneTitleInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Song(nora, melodyud.Tags{Album: "Harbour", Artist: "Nora", Disc: 1, Number: 2})
	last := w.Song(nora, melodyud.Tags{Album: "Harbour", Artist: "Nora", Disc: 2, Number: 1})
	a := w.Song(nora, melodyud.Tags{Album: " Harbour\n", Artist: "Nora", Disc: 1, Number: 1})
	unnumbered := w.Song(nora, melodyud.Tags{Album: "Harbour", Artist: "Nora", Disc: 1, Number: -7})
	w.Song(emil, melodyud.Tags{Album: "Harbour"})
	w.Song(nora, melodyud.Tags{})
	page, err := w.Albums(t.Context(), 0, "")
	w.Must(err)
	if len(page.Albums) != 2 || page.Next != "" {
		t.Fatalf("albums %+v", page)
	}
	ours := page.Albums[1] // the older one
	if ours.Title != "Harbour" || ours.Artist != "Nora" || ours.Count != 4 || ours.Duration != 800*time.Second || ours.Cover == "" {
		t.Errorf("album %+v", ours)
	}
	_, tracks, err := w.Album(t.Context(), ours.ID)
	w.Must(err)
	var got []melodyud.TrackID
	for _, tr := range tracks {
		got = append(got, tr.ID)
	}
	if want := []melodyud.TrackID{a.ID, b.ID, unnumbered.ID, last.ID}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("order %v, want %v", got, want)
	}
}

func TestAnAlbumFollowsItsTracks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.Song(nora, melodyud.Tags{Album: "Harbour", Artist: "Nora"})
	two := w.Song(nora, melodyud.Tags{Album: "Harbour", Artist: "Emil"})
	id := w.AlbumCalled("Harbour").ID
	if a := w.AlbumCalled("Harbour"); a.Artist != "" {
		t.Errorf("the artist of two artists' album is %q", a.Artist)
	}
	elsewhere, number := "Elsewhere", 4
	moved, err := w.Rename(t.Context(), nora, two.ID, catalog.Names{Album: &elsewhere, Number: &number})
	w.Must(err)
	if moved.Number != 4 || w.AlbumCalled("Elsewhere").Count != 1 || w.AlbumCalled("Harbour").Count != 1 {
		t.Errorf("moved %+v", moved)
	}
	w.Must(w.Withdraw(t.Context(), nora, one.ID))
	_, _, err = w.Album(t.Context(), id)
	w.Wants(melodyud.ErrNotFound, err)
	bad := 10_000
	_, err = w.Rename(t.Context(), nora, two.ID, catalog.Names{Disc: &bad})
	w.Wants(melodyud.ErrInvalid, err)
}

func TestAlbumsComeInPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 5 {
		w.Song(nora, melodyud.Tags{Album: fmt.Sprint("Album ", i)})
	}
	var seen []string
	for next := melodyud.AlbumID(""); ; {
		page, err := w.Albums(t.Context(), 2, next)
		w.Must(err)
		for _, a := range page.Albums {
			seen = append(seen, a.Title)
		}
		if next = page.Next; next == "" {
			break
		}
	}
	if got := strings.Join(seen, ","); got != "Album 4,Album 3,Album 2,Album 1,Album 0" {
		t.Errorf("pages show %s", got)
	}
	_, err := w.Albums(t.Context(), 2, "alb_elsewhere")
	w.Wants(melodyud.ErrInvalid, err)
}

func TestAlbumsObeyTheAuthorizationMatrix(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Song(nora, melodyud.Tags{Album: "Harbour"})
	album := string(w.AlbumCalled("Harbour").ID)
	server := w.serve()
	actors := []string{"", "Nora", "Emil", "Lisa", "Olga"} // nobody, owner, creator, listener, operator
	for _, row := range []struct {
		method, path, body string
		want               [5]int
	}{
		{"GET", "/v1/albums", "", [5]int{401, 200, 200, 200, 200}},
		{"GET", "/v1/albums?cursor=x", "", [5]int{401, 400, 400, 400, 400}},
		{"GET", "/v1/albums/" + album, "", [5]int{401, 200, 200, 200, 200}},
		{"GET", "/v1/albums/alb_1", "", [5]int{401, 404, 404, 404, 404}},
	} {
		for i, who := range actors {
			if got, body, _ := server.Do(who, row.method, row.path, row.body); got != row.want[i] {
				t.Errorf("%s %s by %q: %d, want %d: %s", row.method, row.path, who, got, row.want[i], body)
			}
		}
	}
}
