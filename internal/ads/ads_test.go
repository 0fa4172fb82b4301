package ads_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/ads"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/api/apitest"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/databasetest"
	"github.com/melodyud/melodyud/internal/eventlog"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/objectstore/dir"
	"github.com/melodyud/melodyud/internal/ticket"
)

// world is a catalog that renders at once, with the loudness of each master.
type world struct {
	*ads.Service
	t      *testing.T
	db     database.DB
	store  objectstore.Store
	now    time.Time
	tracks map[melodyud.TrackID]*melodyud.Track
	master map[melodyud.TrackID]*float64
	limit  float64 // no rendering is louder, LUFS
	levels int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOn(t, databasetest.Open(t))
}

func newWorldOn(t *testing.T, db database.DB) *world {
	t.Helper()
	store, err := dir.Open(dir.Config{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	w := &world{
		t: t, db: db, store: store, now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC), limit: math.Inf(1),
		tracks: map[melodyud.TrackID]*melodyud.Track{}, master: map[melodyud.TrackID]*float64{},
	}
	w.Service, err = ads.New(ads.Config{
		DB: w.db, Store: store, Tracks: w, Gap: 10 * time.Minute, Now: func() time.Time { return w.now },
	})
	w.must(err)
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) wants(kind, err error) {
	w.t.Helper()
	if !errors.Is(err, kind) {
		w.t.Errorf("got %v, want %v", err, kind)
	}
}

// publish makes a track of so many LUFS; nil is silence.
func (w *world) publish(loudness *float64, length time.Duration) melodyud.TrackID {
	w.t.Helper()
	w.now = w.now.Add(time.Millisecond) // ids sort by age
	t := &melodyud.Track{ID: melodyud.NewTrackID(w.now), State: melodyud.StatePublished, Title: "Strings that last", Artist: "Vale Guitars",
		Release: &melodyud.Release{Duration: length}}
	w.tracks[t.ID], w.master[t.ID] = t, loudness
	w.render(t)
	return t.ID
}

func (w *world) render(t *melodyud.Track) {
	w.t.Helper()
	t.Release.ID, t.Progress.Stage = melodyud.NewReleaseID(w.now), melodyud.StageDone
	m := melodyud.Manifest{Version: melodyud.ManifestVersion, Gain: t.Gain}
	if l := w.master[t.ID]; l != nil {
		m.Loudness.Integrated = new(min(*l+float64(t.Gain)/100, w.limit))
	}
	raw, err := json.Marshal(m)
	w.must(err)
	_, err = w.store.Put(w.t.Context(), "releases/"+string(t.Release.ID)+"/manifest.json", bytes.NewReader(raw), int64(len(raw)), objectstore.PutOptions{})
	w.must(err)
}

// Track implements the catalog.
func (w *world) Track(_ context.Context, who api.Principal, id melodyud.TrackID) (melodyud.Track, error) {
	t, ok := w.tracks[id]
	if !ok || !who.Has(api.RoleOps) {
		return melodyud.Track{}, melodyud.ErrNotFound
	}
	return *t, nil
}

// SetAside implements the catalog.
func (w *world) SetAside(_ context.Context, id melodyud.TrackID) (melodyud.Track, error) {
	w.tracks[id].Aside = true
	return *w.tracks[id], nil
}

// Level implements the catalog.
func (w *world) Level(_ context.Context, id melodyud.TrackID, gain int) error {
	t := w.tracks[id]
	if t.Progress.Stage != melodyud.StageDone {
		return melodyud.ErrConflict
	}
	w.levels++
	t.Gain, t.Progress.Stage = gain, melodyud.StageQueued
	return nil
}

// work renders what is owed.
func (w *world) work() {
	for _, t := range w.tracks {
		if t.Progress.Stage == melodyud.StageQueued {
			w.render(t)
		}
	}
}

func (w *world) add(id melodyud.TrackID) ads.Ad {
	w.t.Helper()
	a, err := w.Add(w.t.Context(), ads.Ad{Track: id, Active: true, Weight: 1})
	w.must(err)
	return a
}

func (w *world) ad(id melodyud.TrackID) ads.Ad {
	w.t.Helper()
	all, err := w.Ads(w.t.Context())
	w.must(err)
	for _, a := range all {
		if a.Track == id {
			return a
		}
	}
	w.t.Fatalf("no ad %s", id)
	return ads.Ad{}
}

func (w *world) house() *ads.House {
	w.t.Helper()
	h, err := ads.NewHouse(ads.HouseConfig{Store: w.store})
	w.must(err)
	w.must(h.Read(w.t.Context()))
	return h
}

func breakOf(session string) melodyud.Break {
	return melodyud.Break{ID: "pre", Place: melodyud.BreakPre, Session: session}
}

func TestAnAdIsHeardOnceItIsAsLoudAsMusic(t *testing.T) { // AD-12, NORM-1
	t.Parallel()
	w := newWorld(t)
	masters := map[melodyud.TrackID]float64{}
	for _, master := range []float64{-31, -20, -14.4, -14, -13.2, -6} {
		id := w.publish(new(master), 20*time.Second)
		masters[id] = master
		w.add(id)
		if !w.tracks[id].Aside {
			t.Error("it is still in listeners' lists")
		}
	}
	w.must(w.Settle(t.Context()))
	before := w.heard()
	w.must(w.Settle(t.Context())) // they are worked on: nothing to do
	w.work()
	w.must(w.Settle(t.Context()))
	after := w.heard()
	for id, master := range masters {
		matched := math.Abs(master-melodyud.AdTarget) <= 0.5
		if _, heard := before[id]; heard != matched {
			t.Errorf("%g LUFS: before it is levelled listeners hear it: %v", master, heard)
		}
		a := w.ad(id)
		if a.Status != ads.Ready || math.Abs(*a.Loudness-melodyud.AdTarget) > melodyud.AdTolerance || after[id] != a.Release || (a.Gain == 0) != matched {
			t.Errorf("%g LUFS: %+v, heard as %s", master, a, after[id])
		}
	}
	if w.levels != 4 {
		t.Errorf("rendered %d times", w.levels)
	}
}

// heard returns the ads that are heard in breaks, and their releases.
func (w *world) heard() map[melodyud.TrackID]melodyud.ReleaseID {
	w.t.Helper()
	h, all := w.house(), map[melodyud.TrackID]melodyud.ReleaseID{}
	for i := range 300 {
		for _, s := range h.Break(breakOf(fmt.Sprint(i))) {
			all[s.Track] = s.Release
		}
	}
	return all
}

func TestAnAdThatCannotBeMatchedIsNeverHeardAndSaysWhy(t *testing.T) { // AD-12
	t.Parallel()
	w := newWorld(t)
	silent, long := w.publish(nil, 20*time.Second), w.publish(new(-14.0), 80*time.Second)
	faint := w.publish(new(-60.0), 20*time.Second)
	for _, id := range []melodyud.TrackID{silent, long, faint} {
		w.add(id)
	}
	w.tracks[long].Release.Duration = 4 * time.Minute // other audio came for it
	for range 30 {
		w.must(w.Settle(t.Context()))
		w.work()
	}
	for id, want := range map[melodyud.TrackID]ads.Status{silent: ads.Unmatched, long: ads.TooLong, faint: ads.Unmatched} {
		if got := w.ad(id).Status; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if w.levels != 1 {
		t.Errorf("rendered %d times", w.levels)
	}
	if heard := w.house().Break(breakOf("s")); heard != nil {
		t.Errorf("heard %v", heard)
	}
	w.tracks[faint].State = melodyud.StateWithdrawn
	if got := w.ad(faint).Status; got != ads.Gone {
		t.Error(got)
	}
}

func TestALimitedAdIsRenderedUntilItMatchesOrNoLonger(t *testing.T) { // AD-12
	t.Parallel()
	w := newWorld(t)
	w.limit = -16 // its peaks hold it down
	id := w.publish(new(-30.0), 20*time.Second)
	w.add(id)
	for range 30 {
		w.must(w.Settle(t.Context()))
		w.work()
	}
	if a := w.ad(id); a.Status != ads.Unmatched || w.levels > 8 {
		t.Errorf("%+v after %d renderings", a, w.levels)
	}
}

func TestOnlyActiveAdsAreHeardAndRemovedOnesNotAnyMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if heard := w.house().Break(breakOf("s")); heard != nil {
		t.Errorf("without any: %v", heard)
	}
	w.must(w.Settle(t.Context()))
	a, b := w.publish(new(-14.0), 20*time.Second), w.publish(new(-14.0), 20*time.Second)
	w.add(a)
	w.add(b)
	_, err := w.Add(t.Context(), ads.Ad{Track: a, Title: "Paused\x00", Active: false, Weight: 3})
	w.must(err)
	w.must(w.Settle(t.Context()))
	h := w.house()
	for i := range 50 {
		heard := h.Break(breakOf(fmt.Sprint(i)))
		if len(heard) != 1 || heard[0].Track != b || heard[0].Title != "Strings that last" || heard[0].Advertiser != "Vale Guitars" {
			t.Fatalf("heard %+v", heard)
		}
	}
	if got := w.ad(a); got.Title != "Paused" || got.Weight != 3 || got.Active {
		t.Errorf("%+v", got)
	}
	w.must(w.Remove(t.Context(), b))
	w.wants(melodyud.ErrNotFound, w.Remove(t.Context(), b))
	w.must(w.Settle(t.Context()))
	w.must(h.Read(t.Context()))
	if heard := h.Break(breakOf("s")); heard != nil {
		t.Errorf("heard %v", heard)
	}
	if !w.tracks[b].Aside {
		t.Error("what was an ad is among the music")
	}
}

func TestABreakIsTheSameWheneverItIsAskedForAndAdsShareByWeight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	weights := map[melodyud.TrackID]int{}
	for weight := range 4 {
		id := w.publish(new(-14.0), 20*time.Second)
		_, err := w.Add(t.Context(), ads.Ad{Track: id, Active: true, Weight: weight + 1})
		w.must(err)
		weights[id] = weight + 1
	}
	w.must(w.Settle(t.Context()))
	here, there := w.house(), w.house()
	count := map[melodyud.TrackID]int{}
	const n = 5000
	for i := range n {
		b := breakOf(fmt.Sprint("ses_", i))
		one, again := here.Break(b), there.Break(b)
		if len(one) != 1 || len(again) != 1 || one[0] != again[0] {
			t.Fatalf("%v, then %v", one, again)
		}
		count[one[0].Track]++
	}
	for id, weight := range weights {
		if got, want := float64(count[id])/n, float64(weight)/10; math.Abs(got-want) > 0.03 {
			t.Errorf("weight %d is heard in %.3f of breaks, want %.1f", weight, got, want)
		}
	}
}

func TestABreakIsOwedUntilItWasHeardAndThenNotForAGap(t *testing.T) { // AD-23
	t.Parallel()
	w := newWorldOn(t, databasetest.OpenReal(t))
	policy := func(who, session string) ticket.Ads {
		t.Helper()
		p, err := w.Policy(t.Context(), who, session)
		w.must(err)
		return p
	}
	heard, err := ads.NewHeard(ads.HeardConfig{DB: w.db, Events: nolog{}, Now: func() time.Time { return w.now }})
	w.must(err)
	tell := func(typ string, data any) {
		t.Helper()
		e := melodyud.NewEvent(w.now, typ, "subject", data)
		w.must(heard.Handle(t.Context(), []melodyud.Event{e, e}))
	}
	if policy("lisa", "s0") != ticket.NoAds {
		t.Error("due without any ad")
	}
	spot := w.publish(new(-14.0), 20*time.Second)
	w.add(spot)
	w.must(w.Settle(t.Context()))
	if policy("", "s0") != ticket.NoAds {
		t.Error("nobody is due")
	}
	for _, session := range []string{"s1", "s2", "s2"} {
		if policy("lisa", session) != ticket.HouseAds {
			t.Errorf("%s: nothing is owed", session)
		}
	}
	tell(melodyud.AdImpression, melodyud.AdFact{Session: "s1", Ad: string(spot)})
	tell(melodyud.AdError, melodyud.AdFact{Session: "s1", Ad: string(spot)})
	tell(melodyud.AdError, melodyud.AdFact{Session: "s1", Ad: "nobody's"})
	// What the edge sent does not count for a player that tells for itself.
	tell(melodyud.SegmentsServed, melodyud.DeliveryFact{Session: "s1", Track: spot, Segments: map[string]int64{"aac-96": 5}})
	tell(melodyud.AdCompleted, melodyud.AdFact{Session: "never"})
	tell(melodyud.AdCompleted, "nonsense")
	if policy("lisa", "s3") != ticket.HouseAds {
		t.Error("an ad that was left is not owed any more")
	}
	tell(melodyud.AdCompleted, melodyud.AdFact{Session: "s1", Ad: string(spot)})
	w.add(spot) // naming it again forgets nothing
	if a := w.ad(spot); a.Impressions != 1 || a.Completions != 1 || a.Errors != 1 {
		t.Errorf("told twice, counted %+v", a)
	}
	if policy("lisa", "s4") != ticket.BetweenAds || policy("emil", "s5") != ticket.HouseAds {
		t.Error("the one who heard is still due, or another is not")
	}
	w.now = w.now.Add(10*time.Minute - time.Second)
	if policy("lisa", "s6") != ticket.BetweenAds {
		t.Error("due within the gap")
	}
	w.now = w.now.Add(2 * time.Second)
	if policy("lisa", "s7") != ticket.HouseAds {
		t.Error("not due behind the gap")
	}
}

func TestAPlayerThatTellsNothingIsJudgedByWhatItFetched(t *testing.T) { // AD-23
	t.Parallel()
	w := newWorld(t)
	spot := w.publish(new(-14.0), 20*time.Second)
	w.add(spot)
	w.must(w.Settle(t.Context()))
	heard, err := ads.NewHeard(ads.HeardConfig{DB: w.db, Events: nolog{}, Now: func() time.Time { return w.now }})
	w.must(err)
	for _, row := range []struct {
		track melodyud.TrackID
		n     int64
		want  ticket.Ads
	}{
		{spot, 1, ticket.HouseAds}, {melodyud.NewTrackID(w.now), 9, ticket.HouseAds}, {spot, 3, ticket.BetweenAds},
	} {
		_, err := w.Policy(t.Context(), "lisa", "s1")
		w.must(err)
		w.must(heard.Handle(t.Context(), []melodyud.Event{melodyud.NewEvent(w.now.Add(time.Hour), melodyud.SegmentsServed, "x",
			melodyud.DeliveryFact{Session: "s1", Track: row.track, Segments: map[string]int64{"aac-64": row.n}})}))
		got, err := w.Policy(t.Context(), "lisa", "s2")
		w.must(err)
		if got != row.want {
			t.Errorf("%+v: %s", row, got)
		}
	}
	w.now = w.now.Add(25 * time.Hour)
	w.must(heard.Handle(t.Context(), nil))
	var n int64
	w.must(w.db.QueryRow(t.Context(), `SELECT COUNT(*) FROM ad_breaks`, nil, &n))
	if n != 0 {
		t.Errorf("%d old breaks are kept", n)
	}
}

// nolog is a log that nobody follows.
type nolog struct{ eventlog.Log }

func TestAnEdgeGoesOnWithTheAdsItKnowsWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add(w.publish(new(-14.0), 20*time.Second))
	w.must(w.Settle(t.Context()))
	store := &flaky{Store: w.store}
	h, err := ads.NewHouse(ads.HouseConfig{Store: store, Every: time.Millisecond})
	w.must(err)
	w.must(h.Read(t.Context()))
	for _, content := range []string{"", "{", `{"version":2,"ads":[]}`} {
		store.content = &content
		if err := h.Read(t.Context()); err == nil {
			t.Errorf("%q is read", content)
		}
		if heard := h.Break(breakOf("s")); len(heard) != 1 {
			t.Errorf("behind %q: heard %v", content, heard)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- h.Run(ctx) }()
	cancel()
	w.must(<-done)
}

type flaky struct {
	objectstore.Store
	content *string // "": away
}

// Open implements the store.
func (f *flaky) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, objectstore.Info, error) {
	switch {
	case f.content == nil:
		return f.Store.Open(ctx, key, offset, length)
	case *f.content == "":
		return nil, objectstore.Info{}, melodyud.ErrUnavailable
	}
	return io.NopCloser(strings.NewReader(*f.content)), objectstore.Info{}, nil
}

// Authenticate takes a role for a key.
func (w *world) Authenticate(_ context.Context, secret string) (api.Principal, error) {
	return api.Principal{User: "usr_01OLGA", Roles: []api.Role{api.Role(secret)}}, nil
}

func TestAdsAreForOperators(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	track := string(w.publish(new(-20.0), 20*time.Second))
	long := string(w.publish(new(-14.0), 5*time.Minute))
	server := apitest.Serve(t, api.Config{Auth: w}, w)
	body := `{"track":"` + track + `","advertiser":"Vale & Sons"}`
	for _, row := range []struct {
		method, path, body string
		want               [4]int // nobody, listener, creator, operator
	}{
		{"GET", "/v1/ads", "", [4]int{401, 403, 403, 200}},
		{"POST", "/v1/ads", body, [4]int{401, 403, 403, 200}},
		{"POST", "/v1/ads", `{"track":"` + long + `"}`, [4]int{401, 403, 403, 400}},
		{"POST", "/v1/ads", `{"track":"trk_1"}`, [4]int{401, 403, 403, 404}},
		{"POST", "/v1/ads", `{"track":"` + track + `","weight":11}`, [4]int{422, 422, 422, 422}},
		{"DELETE", "/v1/ads/" + track, "", [4]int{401, 403, 403, 204}},
		{"DELETE", "/v1/ads/" + track, "", [4]int{401, 403, 403, 404}},
	} {
		for i, role := range []string{"", "listener", "creator", "ops"} {
			if status, answer, _ := server.Do(role, row.method, row.path, row.body); status != row.want[i] {
				t.Errorf("%s %s %s as %q: %d, want %d: %s", row.method, row.path, row.body, role, status, row.want[i], answer)
			}
		}
	}
	if w.tracks[melodyud.TrackID(long)].Aside {
		t.Error("a song that is no ad was set aside")
	}
	status, answer, _ := server.Do("ops", "POST", "/v1/ads", body)
	if want := `"advertiser":"Vale \u0026 Sons","active":true,"weight":1`; status != 200 || !strings.Contains(answer, want) && !strings.Contains(answer, strings.ReplaceAll(want, `\u0026`, "&")) ||
		!strings.Contains(answer, `"status":"levelling"`) || !strings.Contains(answer, `"loudness_lufs":-20`) {
		t.Errorf("%d %s", status, answer)
	}
}
