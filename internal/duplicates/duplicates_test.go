package duplicates_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/databasetest"
	"github.com/melodyud/melodyud/internal/duplicates"
	"github.com/melodyud/melodyud/internal/eventlog/tables"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/objectstore/dir"
)

type fixture struct {
	*duplicates.Service
	t     *testing.T
	db    database.DB
	store objectstore.Store
	log   *tables.Log
	known map[melodyud.TrackID]melodyud.Track
}

func newFixture(t *testing.T, changes ...func(*duplicates.Config)) *fixture {
	t.Helper()
	store, err := dir.Open(dir.Config{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	f := &fixture{t: t, db: databasetest.OpenReal(t), store: store, known: map[melodyud.TrackID]melodyud.Track{}}
	f.log = tables.New(f.db)
	t.Cleanup(func() { _ = f.log.Close() })
	c := duplicates.Config{DB: f.db, Store: f.store, Events: f.log, Catalog: f}
	for _, change := range changes {
		change(&c)
	}
	if f.Service, err = duplicates.New(c); err != nil {
		t.Fatal(err)
	}
	return f
}

// sound is a track's features.
type sound struct {
	heard melodyud.Features
	lists melodyud.Analysis
}

// song returns the sound of a song of so many items: prints change now and then,
// as music does.
func song(n int, seed uint64) sound {
	random := rand.New(rand.NewPCG(seed, seed))
	items := make([]uint32, n)
	x := random.Uint32()
	for i := range items {
		if random.IntN(3) > 0 {
			flip := random.Uint32()
			x ^= flip & random.Uint32() // a quarter of the bits
		}
		items[i] = x
	}
	return of(items)
}

func of(items []uint32) sound {
	var s sound
	s.heard.Schema, s.lists.Schema = melodyud.FeaturesSchema, melodyud.FeaturesSchema
	s.lists.Print, s.heard.Duration = items, float64(len(items)+22)*0.1238
	return s
}

// worn returns a sound whose print differs in a share of its bits.
func worn(s sound, share float64, seed uint64) sound {
	random := rand.New(rand.NewPCG(seed, 7))
	items := slices.Clone(s.lists.Print)
	for i := range items {
		for bit := range 32 {
			if random.Float64() < share {
				items[i] ^= 1 << bit
			}
		}
	}
	return of(items)
}

const nora, emil = melodyud.UserID("usr_01NORA"), melodyud.UserID("usr_01EMIL")

func id(n int) melodyud.TrackID {
	return melodyud.TrackID("trk_01J9ZQ3W5Y7K8M2N4P6R8T0V" + string(rune('A'+n)) + "X")
}

// learn publishes a track.
func (f *fixture) learn(n int, owner melodyud.UserID, s sound) {
	f.t.Helper()
	f.learnAs(n, owner, s, "rel_1", "aaaa")
}

func (f *fixture) learnAs(n int, owner melodyud.UserID, s sound, release melodyud.ReleaseID, features string) {
	f.t.Helper()
	f.known[id(n)] = melodyud.Track{ID: id(n), Owner: owner, Title: "Song " + string(rune('A'+n))}
	fact := melodyud.TrackFact{Track: id(n), Owner: owner, Release: release, FeaturesHash: features}
	if err := f.Learn(f.t.Context(), fact, s.heard, s.lists); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) pairs(n int) []duplicates.Pair {
	f.t.Helper()
	p, err := f.Pairs(f.t.Context(), id(n))
	if err != nil {
		f.t.Fatal(err)
	}
	return p
}

func TestTheSameRecordingIsFoundWithItsPlace(t *testing.T) {
	t.Parallel()
	f, a := newFixture(t), song(900, 1)
	f.learn(0, nora, a)
	f.learn(1, emil, of(worn(a, 0.02, 2).lists.Print[25:]))
	f.learn(2, emil, song(900, 3))
	got := f.pairs(0)
	if len(got) != 1 || got[0].First != id(0) || got[0].Second != id(1) || got[0].Kind != duplicates.Recording ||
		math.Abs(got[0].Offset-25*0.1238) > 0.01 || got[0].Score < 0.01 || got[0].Score > 0.03 || got[0].State != "open" {
		t.Errorf("%+v", got)
	}
	if got := f.pairs(2); len(got) != 0 {
		t.Errorf("another song: %+v", got)
	}
}

func TestTheOrderOfUploadsDoesNotMatter(t *testing.T) {
	t.Parallel()
	f, a := newFixture(t), song(900, 1)
	f.learn(1, emil, of(a.lists.Print[100:])) // begins 12 s into the other one
	f.learn(0, nora, a)
	if got := f.pairs(0); len(got) != 1 || got[0].First != id(0) || math.Abs(got[0].Offset-100*0.1238) > 0.01 {
		t.Errorf("%+v", got)
	}
}

func TestWhatIsOnlyAlikeIsForReview(t *testing.T) {
	t.Parallel()
	f, a := newFixture(t), song(900, 1)
	half := slices.Concat(a.lists.Print[:500], song(400, 9).lists.Print)
	f.learn(0, nora, a)
	f.learn(1, nora, of(half))
	if got := f.pairs(1); len(got) != 1 || got[0].Kind != duplicates.Review || got[0].Score < 0.15 || got[0].Score > 0.35 {
		t.Errorf("%+v", got)
	}
}

func TestShortTracksAreFound(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for n, items := range []int{12, 60, 130} {
		a := song(items, uint64(20+n))
		f.learn(2*n, nora, a)
		f.learn(2*n+1, emil, a)
		if got := f.pairs(2 * n); len(got) != 1 || got[0].Kind != duplicates.Recording {
			t.Errorf("%d items: %+v", items, got)
		}
	}
}

func TestTonesAndSilenceAreNobodysDuplicates(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for n := range 3 {
		f.learn(n, nora, of(slices.Repeat([]uint32{627964279}, 500)))
	}
	f.learn(3, nora, of(nil))
	f.learn(4, nora, of(nil))
	for n := range 5 {
		if got := f.pairs(n); len(got) != 0 {
			t.Errorf("track %d: %+v", n, got)
		}
	}
}

func TestLearningAgainChangesNothingAndReplacedSoundCountsAnew(t *testing.T) {
	t.Parallel()
	f, a := newFixture(t), song(900, 1)
	f.learn(0, nora, a)
	f.learn(1, nora, a)
	if err := f.Dismiss(t.Context(), nora, id(1), id(0)); err != nil {
		t.Fatal(err)
	}
	f.learn(1, nora, a)
	f.learnAs(0, nora, a, "rel_1", "bbbb") // heard anew
	if got := f.pairs(0); len(got) != 1 || got[0].State != "dismissed" {
		t.Errorf("after learning again: %+v", got)
	}
	f.learnAs(1, nora, a, "rel_2", "cccc")
	if got := f.pairs(0); len(got) != 1 || got[0].State != "open" {
		t.Errorf("with the same sound in another release: %+v", got)
	}
	f.learnAs(1, nora, song(900, 5), "rel_3", "dddd")
	if got := f.pairs(0); len(got) != 0 {
		t.Errorf("with other sound: %+v", got)
	}
}

func TestWithdrawnTracksLeaveTheIndex(t *testing.T) {
	t.Parallel()
	f, a := newFixture(t), song(900, 1)
	f.learn(0, nora, a)
	f.learn(1, nora, a)
	for range 2 {
		if err := f.Forget(t.Context(), id(0)); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.pairs(1); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	f.learn(2, nora, song(900, 8))
	if err := f.Forget(t.Context(), id(1)); err != nil {
		t.Fatal(err)
	}
	if err := f.Forget(t.Context(), id(2)); err != nil {
		t.Fatal(err)
	}
	var keys int
	if err := f.db.QueryRow(t.Context(), `SELECT COUNT(*) FROM duplicate_keys`, nil, &keys); err != nil || keys != 0 {
		t.Errorf("%d postings are left: %v", keys, err)
	}
}

func TestNoKeyHasMorePostingsThanAllowed(t *testing.T) {
	t.Parallel()
	f, a := newFixture(t, func(c *duplicates.Config) { c.MaxPostings = 3 }), song(900, 1)
	for n := range 6 {
		f.learn(n, nora, a)
	}
	var most int
	err := f.db.QueryRow(t.Context(), `SELECT MAX(n) FROM (SELECT COUNT(*) AS n FROM duplicate_keys GROUP BY key) AS counts`, nil, &most)
	if err != nil || most > 3 {
		t.Errorf("a key has %d postings: %v", most, err)
	}
	if got := f.pairs(5); len(got) != 3 {
		t.Errorf("the last of six finds %d", len(got))
	}
}

// at returns a sound of a tempo and an embedding that lies near others of the seed.
func at(s sound, tempo, seconds float64, seed uint64) sound {
	random := rand.New(rand.NewPCG(seed, 3))
	v := make([]float32, 64)
	for i := range v {
		v[i] = float32(random.NormFloat64()) / 8
	}
	s.heard.Rhythm.Tempo, s.heard.Duration = &tempo, seconds
	s.heard.Embedding = []melodyud.Embedding{{Model: "hand-v1", Vector: v}}
	return s
}

func TestACopyAtAnotherSpeedIsForReview(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.learn(0, nora, at(song(900, 1), 120, 200, 1))
	f.learn(1, emil, at(song(850, 2), 126, 200/1.05, 1))
	f.learn(2, emil, at(song(850, 3), 126, 200/1.05, 2)) // as long and fast, sounds different
	f.learn(3, emil, at(song(850, 4), 126, 200, 1))      // more beats
	f.learn(4, emil, at(song(850, 5), 63, 200/1.05, 1))  // its tempo was heard an octave lower
	got := f.pairs(0)
	if len(got) != 2 {
		t.Fatalf("%+v", got)
	}
	for _, p := range got {
		if p.Kind != duplicates.Speed || math.Abs(p.Speed-1.05) > 0.002 || p.Second != id(1) && p.Second != id(4) {
			t.Errorf("%+v", p)
		}
	}
}

// publish stores features and tells the fact.
func (f *fixture) publish(n int, typ string, s sound, hash string) {
	f.t.Helper()
	for name, doc := range map[string]any{"features.json": s.heard, "analysis.json": s.lists} {
		raw, err := json.Marshal(doc)
		if err != nil {
			f.t.Fatal(err)
		}
		f.put("features/"+hash+"/"+name, raw)
	}
	f.tell(n, typ, hash)
}

func (f *fixture) put(key string, raw []byte) {
	f.t.Helper()
	if _, err := f.store.Put(f.t.Context(), key, bytes.NewReader(raw), int64(len(raw)), objectstore.PutOptions{}); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) tell(n int, typ, hash string) {
	f.t.Helper()
	fact := melodyud.TrackFact{Track: id(n), Owner: nora, Release: "rel_1", FeaturesHash: hash}
	if err := f.log.Append(f.t.Context(), melodyud.TopicTracks, melodyud.NewEvent(time.Now(), typ, string(id(n)), fact)); err != nil {
		f.t.Fatal(err)
	}
}

// run follows the facts until the test ends.
func (f *fixture) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	f.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Error(err)
		}
	})
}

// until waits for a number of pairs of a track.
func (f *fixture) until(n, pairs int) {
	f.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); len(f.pairs(n)) != pairs; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("track %d has %+v", n, f.pairs(n))
		}
	}
}

func TestPublishedTracksAreLookedUpAndWhatIsBrokenHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	f, a := newFixture(t), song(900, 1)
	f.put("features/dddd/features.json", []byte(`{"duration_s": "long"}`))
	f.put("features/dddd/analysis.json", []byte(`{`))
	f.tell(4, melodyud.TrackPublished, "dddd")
	f.tell(5, melodyud.TrackPublished, "gone")
	f.tell(6, melodyud.TrackPublished, "")
	f.publish(0, melodyud.TrackPublished, a, "aaaa")
	f.publish(1, melodyud.TrackPublished, a, "bbbb")
	f.publish(1, melodyud.TrackAnalyzed, a, "cccc")
	f.run()
	f.until(0, 1)
	f.tell(1, melodyud.TrackWithdrawn, "")
	f.until(0, 0)
}

// broken is a store that is away for a while.
type broken struct {
	objectstore.Store
	left atomic.Int32
}

func (b *broken) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, objectstore.Info, error) {
	if b.left.Add(-1) >= 0 {
		return nil, objectstore.Info{}, melodyud.ErrUnavailable
	}
	return b.Store.Open(ctx, key, offset, length)
}

func TestAnOutageIsTriedAgain(t *testing.T) {
	t.Parallel()
	b := &broken{}
	f, a := newFixture(t, func(c *duplicates.Config) { b.Store, c.Store = c.Store, b }), song(900, 1)
	b.left.Store(3)
	f.publish(0, melodyud.TrackPublished, a, "aaaa")
	f.publish(1, melodyud.TrackPublished, a, "bbbb")
	f.run()
	f.until(0, 1)
}

func TestAServiceWithoutItsPartsIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := duplicates.New(duplicates.Config{}); !errors.Is(err, melodyud.ErrInvalid) {
		t.Error(err)
	}
}

func TestPartsThatRepeatDoNotMislead(t *testing.T) {
	t.Parallel()
	f, verse, chorus := newFixture(t), song(130, 31).lists.Print, song(120, 32).lists.Print
	a := slices.Concat(song(60, 30).lists.Print, verse, chorus, verse, chorus, chorus, song(90, 33).lists.Print)
	f.learn(0, nora, of(a))
	f.learn(1, nora, of(worn(of(a[40:]), 0.05, 4).lists.Print))
	if got := f.pairs(0); len(got) != 1 || got[0].Kind != duplicates.Recording || math.Abs(got[0].Offset-40*0.1238) > 0.01 {
		t.Errorf("%+v", got)
	}
}
