package sound_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/sound"
)

// tracks puts n tracks on the shelf, in the order of their ids.
func (w *world) tracks(n int) (ids []melodyud.TrackID) {
	for i := range n {
		id := melodyud.NewTrackID(published.Add(time.Duration(i) * time.Second))
		w.shelf[id] = melodyud.Track{ID: id, State: melodyud.StatePublished, Release: &melodyud.Release{ID: "rel_1"}}
		ids = append(ids, id)
	}
	return ids
}

func (w *world) start(perHour int64) sound.Reanalysis {
	w.t.Helper()
	r, err := w.Start(w.t.Context(), melodyud.Hearing{}, perHour)
	w.must(err)
	return r
}

// take expects a track.
func (w *world) take(want melodyud.TrackID) melodyud.Relisten {
	w.t.Helper()
	item, _, err := w.Next(w.t.Context())
	if err != nil || item.Track.ID != want {
		w.t.Fatalf("got %s, %v, want %s", item.Track.ID, err, want)
	}
	return item
}

// none expects no track for a while.
func (w *world) none() time.Duration {
	w.t.Helper()
	item, wait, err := w.Next(w.t.Context())
	if !errors.Is(err, melodyud.ErrNotFound) {
		w.t.Fatalf("got %s, %v", item.Track.ID, err)
	}
	return wait
}

func (w *world) state(id string) sound.Reanalysis {
	w.t.Helper()
	r, err := w.Reanalysis(w.t.Context(), id)
	w.must(err)
	return r
}

func TestABackfillHandsOutEachTrackOnceAndEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.tracks(3)
	r := w.start(0)
	if r.State != "running" || r.Total != 3 || r.Sound != 180 || r.Where != "all" || len(w.bell.rung) != 1 || w.bell.rung[0].Urgency != "bulk" {
		t.Fatalf("%+v, rung %v", r, w.bell.rung)
	}
	a, b, c := w.take(ids[0]), w.take(ids[1]), w.take(ids[2])
	w.none()
	w.since += time.Minute / 2
	w.must(w.Settle(t.Context(), a, nil))
	w.must(w.Settle(t.Context(), b, melodyud.ErrConflict))
	if got := w.state(r.ID); got.State != "running" || got.Done != 1 || got.Skipped != 1 || got.InHand != 1 || got.Rate != 240 || *got.Left != 15 {
		t.Errorf("%+v, left %v", got, *got.Left)
	}
	w.must(w.Settle(t.Context(), c, nil))
	if got := w.state(r.ID); got.State != "done" || got.Done != 2 || got.InHand != 0 || *got.Left != 0 {
		t.Errorf("%+v", got)
	}
	if err := w.Settle(t.Context(), c, nil); !errors.Is(err, melodyud.ErrConflict) {
		t.Errorf("settled twice: %v", err)
	}
}

func TestABackfillOfNothingEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.start(0)
	w.none()
	if got := w.state(r.ID); got.State != "done" {
		t.Errorf("%+v", got)
	}
}

func TestABackfillKeepsToItsRate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.tracks(4)
	w.start(3600)
	w.take(ids[0])
	if wait := w.none(); wait <= 0 || wait > time.Second {
		t.Fatalf("wait %v", wait)
	}
	w.since += time.Second
	w.take(ids[1])
	w.none()
	w.since += 20 * time.Second // what was missed is not made up for but for one
	w.take(ids[2])
	w.take(ids[3])
}

func TestTheTrackOfADeadWorkerIsGivenToAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.tracks(1)
	r := w.start(0)
	dead := w.take(ids[0])
	w.since += 59 * time.Second
	until, err := w.Keep(t.Context(), dead)
	if w.must(err); !until.Equal(published.Add(119 * time.Second)) {
		t.Errorf("kept until %v", until)
	}
	w.since += 59 * time.Second
	w.none()
	w.since += time.Second
	second := w.take(ids[0])
	if second.Attempt != 2 {
		t.Errorf("attempt %d", second.Attempt)
	}
	if _, err := w.Keep(t.Context(), dead); !errors.Is(err, melodyud.ErrConflict) {
		t.Errorf("the dead one keeps it: %v", err)
	}
	if err := w.Settle(t.Context(), dead, nil); !errors.Is(err, melodyud.ErrConflict) {
		t.Errorf("the dead one settles it: %v", err)
	}
	w.since += time.Hour
	w.take(ids[0])
	w.since += time.Hour
	w.none() // three died at it
	if got := w.state(r.ID); got.State != "done" || got.Failed != 1 || !strings.Contains(got.Reason, string(ids[0])) {
		t.Errorf("%+v", got)
	}
}

func TestFailuresAreTriedThreeTimesAndOutagesForEver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.tracks(1)
	r := w.start(0)
	for _, outcome := range []error{
		melodyud.ErrUnavailable, context.Canceled, fmt.Errorf("x: %w", melodyud.ErrLimited), errors.New("broken"), errors.New("broken"),
		melodyud.ErrUnavailable, errors.New("broken\x00 for good \xff"),
	} {
		w.must(w.Settle(t.Context(), w.take(ids[0]), outcome))
		w.since += time.Minute
	}
	w.none()
	if got := w.state(r.ID); got.State != "done" || got.Failed != 1 || !strings.Contains(got.Reason, "broken for good") {
		t.Errorf("%+v", got)
	}
}

func TestATrackThatIsGoneWhenItIsTakenOverIsSkipped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.tracks(2)
	r := w.start(0)
	w.take(ids[0])
	delete(w.shelf, ids[0])
	w.since += time.Hour
	w.must(w.Settle(t.Context(), w.take(ids[1]), nil)) // the one that is gone was settled on the way
	w.none()
	if got := w.state(r.ID); got.State != "done" || got.Skipped != 1 || got.Done != 1 {
		t.Errorf("%+v", got)
	}
}

func TestACancelledBackfillGivesUpItsTracks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.tracks(2)
	r := w.start(0)
	item := w.take(ids[0])
	for range 2 {
		got, err := w.Cancel(t.Context(), r.ID)
		if w.must(err); got.State != "cancelled" || got.InHand != 0 {
			t.Errorf("%+v", got)
		}
	}
	if _, err := w.Keep(t.Context(), item); !errors.Is(err, melodyud.ErrConflict) {
		t.Errorf("kept: %v", err)
	}
	w.none()
	if _, err := w.Cancel(t.Context(), "rea_none"); !errors.Is(err, melodyud.ErrNotFound) {
		t.Errorf("cancelled nothing: %v", err)
	}
}

func TestConditionsAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	id := melodyud.NewTrackID(published)
	for text, want := range map[string]melodyud.Hearing{
		"all":                                  {},
		" all ":                                {},
		"analyzer_version < 5":                 {Below: 5},
		"analyzer_version<12":                  {Below: 12},
		"track=" + string(id):                  {Track: id},
		"owner = usr_nora":                     {Owner: "usr_nora"},
		"owner=usr_1 AND analyzer_version < 2": {Owner: "usr_1", Below: 2},
	} {
		if got, err := sound.ParseWhere(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "everything", "track=", "track=x", "owner=", "analyzer_version < x", "analyzer_version < 0",
		"analyzer_version > 3", "analyzer_version <= 3", "all and", "owner=a and owner=b", "1=1; drop table tracks"} {
		if got, err := sound.ParseWhere(text); !errors.Is(err, melodyud.ErrInvalid) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func TestOnlyOperatorsReanalyze(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tracks(1)
	do := func(who, method, path, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, w.server.URL+path, strings.NewReader(body))
		w.must(err)
		req.Header.Set("Authorization", "Bearer "+who)
		req.Header.Set("Content-Type", "application/json")
		return w.send(req)
	}
	for who, want := range map[string]int{"": 401, "Lisa": 403} {
		for _, op := range [][3]string{{"POST", "", `{"where":"all"}`}, {"GET", "", ""}, {"DELETE", "/rea_x", ""}} {
			if status, body := do(who, op[0], "/v1/ops/reanalyses"+op[1], op[2]); status != want {
				t.Errorf("%s as %q: %d %s", op[0], who, status, body)
			}
		}
	}
	status, body := do("Olga", "POST", "/v1/ops/reanalyses", `{"where":"analyzer_version < 9","per_hour":60}`)
	if status != 200 || !strings.Contains(body, `"where":"analyzer_version < 9","per_hour":60,"total":1`) {
		t.Fatalf("%d %s", status, body)
	}
	id := body[strings.Index(body, "rea_"):][:30]
	if status, body := do("Olga", "DELETE", "/v1/ops/reanalyses/"+id, ""); status != 200 || !strings.Contains(body, `"cancelled"`) {
		t.Errorf("%d %s", status, body)
	}
	if status, body := do("Olga", "GET", "/v1/ops/reanalyses", ""); status != 200 || !strings.Contains(body, id) {
		t.Errorf("%d %s", status, body)
	}
	if status, body := do("Olga", "POST", "/v1/ops/reanalyses", `{"where":"nonsense"}`); status != 422 && status != 400 || !strings.Contains(body, `"reanalysis.where"`) {
		t.Errorf("%d %s", status, body)
	}
}
