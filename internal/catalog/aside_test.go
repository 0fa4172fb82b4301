package catalog_test

import (
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/catalog"
)

func TestATrackSetAsideIsInNoListenersList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	song, spot := w.Song(nora, melodyud.Tags{Album: "Harbour"}), w.Song(nora, melodyud.Tags{Album: "Harbour"})
	only := w.Song(nora, melodyud.Tags{Album: "Spots"})
	for _, ad := range []melodyud.Track{spot, only, only} {
		track, err := w.SetAside(t.Context(), ad.ID)
		w.Must(err)
		if !track.Aside || track.State != melodyud.StatePublished {
			t.Errorf("%+v", track)
		}
	}
	page, err := w.Published(t.Context(), catalog.Page{})
	w.Must(err)
	if len(page.Tracks) != 1 || page.Tracks[0].ID != song.ID {
		t.Errorf("listeners see %+v", page.Tracks)
	}
	albums, err := w.Albums(t.Context(), 0, "")
	w.Must(err)
	if len(albums.Albums) != 1 || albums.Albums[0].Count != 1 {
		t.Errorf("albums %+v", albums.Albums)
	}
	_, tracks, err := w.Album(t.Context(), albums.Albums[0].ID)
	w.Must(err)
	if len(tracks) != 1 || tracks[0].ID != song.ID {
		t.Errorf("the album has %+v", tracks)
	}
	for _, who := range []api.Principal{lisa, paul, emil} {
		_, err := w.Audible(t.Context(), who, spot.ID)
		w.Wants(melodyud.ErrNotFound, err)
	}
	for _, who := range []api.Principal{nora, olga} {
		_, err := w.Audible(t.Context(), who, spot.ID)
		w.Must(err)
	}
	own, err := w.List(t.Context(), nora, catalog.Page{})
	w.Must(err)
	if len(own.Tracks) != 3 {
		t.Errorf("their owner sees %d tracks", len(own.Tracks))
	}
}

func TestOnlyLivingTracksAreSetAside(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	waiting := w.Upload(nora).ID
	track, err := w.SetAside(t.Context(), waiting)
	w.Must(err)
	if track.State != melodyud.StateReceived || !track.Aside {
		t.Errorf("%+v", track)
	}
	w.Must(w.Withdraw(t.Context(), nora, waiting))
	_, err = w.SetAside(t.Context(), waiting)
	w.Wants(melodyud.ErrConflict, err)
	for _, id := range []melodyud.TrackID{"", "trk_1", melodyud.NewTrackID(w.Clock.Now())} {
		_, err = w.SetAside(t.Context(), id)
		w.Wants(melodyud.ErrNotFound, err)
	}
}

func TestALevelledTrackIsRenderedAgainWithItsGain(t *testing.T) { // NORM-1
	t.Parallel()
	w := newWorld(t)
	waiting := w.Upload(nora).ID
	w.Wants(melodyud.ErrConflict, w.Level(t.Context(), waiting, -300))
	first := w.Finish(waiting)
	w.Must(w.Level(t.Context(), first.ID, -300))
	w.Wants(melodyud.ErrConflict, w.Level(t.Context(), first.ID, -400))
	during := w.track(first.ID)
	if during.State != melodyud.StatePublished || during.Release.ID != first.Release.ID || during.Master != first.Master {
		t.Errorf("while it is rendered: %+v", during)
	}
	c := w.Take(first.ID, melodyud.StepRender)
	if c.Track.Gain != -300 {
		t.Errorf("the worker hears of a gain of %d", c.Track.Gain)
	}
	w.Must(w.Fail(t.Context(), c, melodyud.ErrUnavailable))
	w.Clock.Pass(time.Minute)
	second := w.render(first.ID, otherHash, 200*time.Second)
	if second.Release.Number != 2 || second.Release.RenderHash != otherHash || second.Gain != -300 {
		t.Errorf("%+v of %+v", second.Release, second)
	}
}
