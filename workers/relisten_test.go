package workers_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/sound"
	"github.com/melodyud/melodyud/workers"
)

// shelf publishes n tracks of different masters.
func (w *world) shelf(n int) (ids []melodyud.TrackID) {
	w.t.Helper()
	for i := range n {
		id := w.receive(theSound + strings.Repeat("!", i))
		w.deliver("track:render", id)
		w.deliver("track:publish", id)
		ids = append(ids, id)
	}
	return ids
}

// reanalyze starts a back-fill of everything that an older analyzer heard.
func (w *world) reanalyze() sound.Reanalysis {
	w.t.Helper()
	version, _ := w.engine.Analyzer()
	r, err := w.sound.Start(w.t.Context(), melodyud.Hearing{Below: version}, 0)
	w.must(err)
	w.deliver("sound:reanalyze", "")
	return r
}

// finished waits for a back-fill to leave its state.
func (w *world) finished(id string) sound.Reanalysis {
	w.t.Helper()
	for {
		r, err := w.sound.Reanalysis(context.Background(), id)
		if w.must(err); r.State != "running" {
			return r
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestPublishedTracksAreHeardAnewWithoutBeingRendered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.run()
	ids := w.shelf(3)
	before := w.track(ids[0]).Release
	w.engine.newer.Add(1)
	r := w.finished(w.reanalyze().ID)
	if r.State != "done" || r.Done != 3 || r.Total != 3 || r.Failed != 0 {
		t.Fatalf("%+v", r)
	}
	for _, id := range ids {
		rel := w.track(id).Release
		if rel.FeaturesHash != workers.FeatureSet(w.engine, rel.Master.SHA256).Hash || w.objects()["features/"+rel.FeaturesHash+"/features.json"] == "" {
			t.Errorf("%s has the features %s", id, rel.FeaturesHash)
		}
	}
	if after := w.track(ids[0]).Release; after.ID != before.ID || after.RenderHash != before.RenderHash || after.FeaturesHash == before.FeaturesHash {
		t.Errorf("release %+v, before %+v", after, before)
	}
	if n, m := w.engine.renders.Load(), w.engine.listens.Load(); n != 3 || m != 3 {
		t.Errorf("%d renders, listened %d times", n, m)
	}
	facts := strings.Join(w.facts(), " ")
	if strings.Count(facts, "analyzed") != 3 {
		t.Errorf("facts %s", facts)
	}
	if again := w.finished(w.reanalyze().ID); again.Total != 0 || w.engine.listens.Load() != 3 {
		t.Errorf("a second time: %+v", again)
	}
	if left := w.leftOver(); len(left) != 0 {
		t.Errorf("scratch holds %v", left)
	}
}

func TestABackfillGoesOnWhereAStoppedWorkerWas(t *testing.T) { // B13
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, usual)
		stop := w.run()
		w.until(w.receive(theSound), melodyud.StatePublished)
		w.engine.newer.Add(1)
		w.engine.listen = func(ctx context.Context, _ func(float64)) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}
		r, err := w.sound.Start(t.Context(), melodyud.Hearing{}, 0)
		w.must(err)
		time.Sleep(time.Minute)
		stop()
		w.engine.listen = nil
		w.queue = newHands()
		w.worker, err = workers.New(workers.Config{
			Catalog: w.catalog, Backfill: w.sound, Store: w.store, Queue: w.queue, Engine: w.engine, Scratch: w.scratch,
		})
		w.must(err)
		stop = w.run()
		defer stop()
		time.Sleep(10 * time.Second) // less than a lease: it was given back
		if got, err := w.sound.Reanalysis(t.Context(), r.ID); err != nil || got.State != "done" || got.Done != 1 || got.Failed != 0 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestABackfillOutlivesAWorkerThatDied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, usual)
		stop := w.run()
		defer stop()
		id := w.receive(theSound)
		w.until(id, melodyud.StatePublished)
		w.engine.newer.Add(1)
		version, _ := w.engine.Analyzer()
		r, err := w.sound.Start(t.Context(), melodyud.Hearing{Below: version}, 0)
		w.must(err)
		item, _, err := w.sound.Next(t.Context()) // by a process that dies now
		w.must(err)
		time.Sleep(time.Minute)
		if got, err := w.sound.Reanalysis(t.Context(), r.ID); err != nil || got.State != "done" || got.Done != 1 {
			t.Errorf("%+v, %v", got, err)
		}
		if err := w.sound.Settle(t.Context(), item, nil); !errors.Is(err, melodyud.ErrConflict) {
			t.Errorf("the dead one settles: %v", err)
		}
	})
}

func TestALongTrackKeepsItsLeaseUntilTheBackfillIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, usual)
		stop := w.run()
		defer stop()
		w.until(w.receive(theSound), melodyud.StatePublished)
		w.engine.newer.Add(1)
		ended := make(chan error, 1)
		w.engine.listen = func(ctx context.Context, _ func(float64)) error {
			select {
			case <-time.After(10 * time.Hour):
			case <-ctx.Done():
			}
			ended <- ctx.Err()
			return ctx.Err()
		}
		r, err := w.sound.Start(t.Context(), melodyud.Hearing{}, 0)
		w.must(err)
		time.Sleep(time.Hour)
		if n := w.engine.listens.Load(); n != 1 {
			t.Errorf("listened %d times", n)
		}
		_, err = w.sound.Cancel(t.Context(), r.ID)
		w.must(err)
		if err := <-ended; err == nil {
			t.Error("it went on")
		}
	})
}

func TestAMasterThatNobodyCanHearAnewIsCountedAsFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, usual)
		stop := w.run()
		defer stop()
		id := w.receive(theSound)
		w.until(id, melodyud.StatePublished)
		w.engine.newer.Add(1)
		w.engine.listen = func(context.Context, func(float64)) error { panic("a sound nobody thought of") }
		r, err := w.sound.Start(t.Context(), melodyud.Hearing{}, 0)
		w.must(err)
		time.Sleep(10 * time.Minute)
		got, err := w.sound.Reanalysis(t.Context(), r.ID)
		if err != nil || got.State != "done" || got.Failed != 1 || !strings.Contains(got.Reason, "nobody thought of") {
			t.Errorf("%+v, %v", got, err)
		}
		if track := w.track(id); track.State != melodyud.StatePublished || w.engine.listens.Load() != 3 {
			t.Errorf("track %s, listened %d times", track.State, w.engine.listens.Load())
		}
	})
}

func TestWhatWasHeardOfATrackWithdrawnMeanwhileIsCollected(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.run()
	id := w.shelf(1)[0]
	w.engine.newer.Add(1)
	w.engine.listen = func(context.Context, func(float64)) error {
		w.must(w.catalog.Withdraw(context.Background(), nora, id))
		w.deliver("gc", id)
		return nil
	}
	r := w.finished(w.reanalyze().ID)
	if r.Skipped != 1 {
		t.Errorf("%+v", r)
	}
	w.deliver("gc", id)
	if left := w.objects(); len(left) != 0 {
		t.Errorf("left: %d objects", len(left))
	}
}
