package catalog_test

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/catalog"
	"github.com/melodyud/melodyud/internal/catalog/catalogtest"
)

func TestReceivingTwiceGivesOneTrackAndOneFact(t *testing.T) { // B8
	t.Parallel()
	w := newWorld(t)
	r := w.Receipt(nora)
	first, err := w.Receive(t.Context(), r)
	w.Must(err)
	r.Tags.Title = "Another name"
	again, err := w.Receive(t.Context(), r)
	w.Must(err)
	if first.Title != again.Title || again.State != melodyud.StateReceived || again.Owner != nora.User {
		t.Errorf("first %+v, again %+v", first, again)
	}
	if got := w.facts(); !slices.Equal(got, []string{"received"}) {
		t.Errorf("facts %v", got)
	}
	if got := w.bell.heard(); len(got) == 0 || got[0] != "track:render" {
		t.Errorf("rung %v", got)
	}
}

func TestALostRingDoesNotLoseTheTrack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.bell.err = melodyud.ErrUnavailable
	track := w.Upload(nora)
	if due := w.due(); len(due) != 1 || due[0].Track != track.ID || due[0].Step != melodyud.StepRender {
		t.Errorf("due %+v", due)
	}
}

func TestAReceiptThatMakesNoSenseIsInvalid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, spoil := range map[string]func(*melodyud.Receipt){
		"no track":   func(r *melodyud.Receipt) { r.Track = "trk_1" },
		"no owner":   func(r *melodyud.Receipt) { r.Owner = "" },
		"empty":      func(r *melodyud.Receipt) { r.Master.Size = 0 },
		"short hash": func(r *melodyud.Receipt) { r.Master.SHA256 = "abc" },
		"path":       func(r *melodyud.Receipt) { r.Master.SHA256 = strings.Repeat("../", 21) + "x" },
		"upper case": func(r *melodyud.Receipt) { r.Master.SHA256 = strings.ToUpper(r.Master.SHA256) },
	} {
		r := w.Receipt(nora)
		spoil(&r)
		if _, err := w.Receive(t.Context(), r); melodyud.Kind(err) != melodyud.ErrInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnotherOwnersTrackIDIsAConflict(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.Receipt(nora)
	_, err := w.Receive(t.Context(), r)
	w.Must(err)
	r.Owner = emil.User
	_, err = w.Receive(t.Context(), r)
	w.Wants(melodyud.ErrConflict, err)
}

func TestAMasterThatIsNotInTheStoreIsNotReceived(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.Receipt(nora)
	w.Must(w.Store.Delete(t.Context(), "masters/"+r.Master.SHA256))
	_, err := w.Receive(t.Context(), r)
	w.Wants(melodyud.ErrUnavailable, err)
	w.Master("the sound")
	_, err = w.Receive(t.Context(), r)
	w.Must(err)
}

func TestTextIsFitToBeShownAnywhere(t *testing.T) { // A13
	t.Parallel()
	w := newWorld(t)
	for in, want := range map[string]string{
		"Cafe\u0301":                           "Café",
		" a\r\nb\tc ":                          "a b c",
		"x\x00y\x1b[31mz":                      "xy[31mz",
		"abc\xff":                              "abc\uFFFD",
		"\u202egnp.exe":                        "gnp.exe",
		"👩\u200d🎤 ok":                          "👩\u200d🎤 ok",
		"line\u2028break":                      "line break",
		strings.Repeat("é", 400):               strings.Repeat("é", 300),
		strings.Repeat("a", 299) + "e\u0301bc": strings.Repeat("a", 299) + "é",
	} {
		r := w.Receipt(nora)
		r.Tags.Title = in
		track, err := w.Receive(t.Context(), r)
		w.Must(err)
		if track.Title != want || !utf8.ValidString(track.Title) {
			t.Errorf("%q became %q", in, track.Title)
		}
	}
}

func TestNamesComeFromTheCreatorThenTheFileThenItsName(t *testing.T) {
	t.Parallel()
	for _, one := range []struct{ typed, tag, file, want string }{
		{"Typed", "Tagged", "file.flac", "Typed"},
		{"", "Tagged", "file.flac", "Tagged"},
		{"", "", `C:\music\My Song.v2.flac`, "My Song.v2"},
		{"", "", "", "Untitled"},
	} {
		w := newWorld(t)
		r := w.Receipt(nora)
		r.Tags.Title, r.FileName = one.typed, one.file
		_, err := w.Receive(t.Context(), r)
		w.Must(err)
		c := w.Take(r.Track, melodyud.StepRender)
		w.Must(w.Rendered(t.Context(), c, melodyud.Rendering{Hash: catalogtest.RenderHash, Tags: melodyud.Tags{Title: one.tag}}))
		if got := w.track(r.Track).Title; got != one.want {
			t.Errorf("%+v: title %q", one, got)
		}
	}
}

func TestListsAreOwnedNewestFirstAndInPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var want []melodyud.TrackID
	for range 7 {
		want = append(want, w.Upload(nora).ID)
		w.Clock.Pass(time.Second)
	}
	w.Upload(emil)
	slices.Reverse(want)
	var got []melodyud.TrackID
	page := catalog.Page{Limit: 3}
	for n := 0; ; n++ {
		list, err := w.List(t.Context(), nora, page)
		w.Must(err)
		for _, track := range list.Tracks {
			got = append(got, track.ID)
		}
		if page.Cursor = list.Next; page.Cursor == "" || n > 5 {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	_, err := w.List(t.Context(), nora, catalog.Page{Limit: 101})
	w.Wants(melodyud.ErrInvalid, err)
	_, err = w.List(t.Context(), nora, catalog.Page{Cursor: "x' OR 1=1"})
	w.Wants(melodyud.ErrInvalid, err)
}

func TestWithdrawnTracksLeaveTheListsAndCannotBeRenamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	track := w.Finish(w.Upload(nora).ID)
	w.Must(w.Withdraw(t.Context(), nora, track.ID))
	w.Must(w.Withdraw(t.Context(), nora, track.ID))
	list, err := w.List(t.Context(), nora, catalog.Page{})
	w.Must(err)
	public, err := w.Published(t.Context(), catalog.Page{})
	w.Must(err)
	gone, err := w.List(t.Context(), nora, catalog.Page{State: melodyud.StateWithdrawn})
	w.Must(err)
	if len(list.Tracks) != 0 || len(public.Tracks) != 0 || len(gone.Tracks) != 1 {
		t.Errorf("own %d, public %d, withdrawn %d", len(list.Tracks), len(public.Tracks), len(gone.Tracks))
	}
	title := "New"
	_, err = w.Rename(t.Context(), nora, track.ID, catalog.Names{Title: &title})
	w.Wants(melodyud.ErrConflict, err)
	if got, want := w.facts(), []string{"received", "published", "withdrawn"}; !slices.Equal(got, want) {
		t.Errorf("facts %v, want %v", got, want)
	}
}

func TestRenamingToldOnceAndOnlyIfItChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	track := w.Upload(nora)
	title, empty := "New", " \n"
	for range 2 {
		got, err := w.Rename(t.Context(), nora, track.ID, catalog.Names{Title: &title})
		w.Must(err)
		if got.Title != "New" {
			t.Errorf("title %q", got.Title)
		}
	}
	_, err := w.Rename(t.Context(), nora, track.ID, catalog.Names{Title: &empty})
	w.Wants(melodyud.ErrInvalid, err)
	if got := w.facts(); !slices.Equal(got, []string{"received", "renamed"}) {
		t.Errorf("facts %v", got)
	}
}

func TestATwinIsAnotherTrackOfTheSameCreatorsSameBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	first := w.Upload(nora)
	w.Upload(emil)
	twin := func(owner melodyud.UserID, than melodyud.TrackID) melodyud.TrackID {
		id, err := w.Twin(ctx, owner, first.Master.SHA256, than)
		w.Must(err)
		return id
	}
	if got := twin(nora.User, ""); got != first.ID {
		t.Errorf("while it is prepared: %q", got)
	}
	if got := twin(nora.User, first.ID); got != "" {
		t.Errorf("its own twin is %q", got)
	}
	w.Finish(first.ID)
	if got := twin(nora.User, ""); got != first.ID {
		t.Errorf("published: %q", got)
	}
	w.Must(w.Withdraw(ctx, nora, first.ID))
	if got := twin(nora.User, ""); got != "" {
		t.Errorf("withdrawn: %q", got)
	}
}
