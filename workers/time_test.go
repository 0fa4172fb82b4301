package workers_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/catalog"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/objectstore/objectstoretest"
	"github.com/melodyud/melodyud/transcode"
	"github.com/melodyud/melodyud/workers"
)

// These tests run hours of leases, sweeps and outages in the virtual time of a
// bubble, with every duration at its default.

// usual undoes the impatience of newWorld.
var usual = options{
	catalog: func(c *catalog.Config) { c.RetryFirst, c.RetryMost = 0, 0 },
	workers: func(c *workers.Config) { c.Sweep = 0 },
}

// metric returns the sum of a metric over its labels.
func (w *world) metric(name string) (sum float64) {
	w.t.Helper()
	families, err := w.metrics.Gather()
	w.must(err)
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func TestARenderOfAnHourKeepsItsLease(t *testing.T) { // B1
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, usual)
		w.engine.render = func(_ context.Context, job transcode.Job) error {
			for i := range 100 {
				time.Sleep(36 * time.Second)
				job.Progress(float64(i) / 100)
			}
			return nil
		}
		stop := w.run()
		id := w.receive(theSound)
		time.Sleep(30 * time.Minute)
		if p := w.track(id).Progress; p.Stage != melodyud.StageRendering || p.Percent < 40 || p.Percent > 60 {
			t.Errorf("progress %+v", p)
		}
		got := w.until(id, melodyud.StatePublished)
		if n := w.engine.renders.Load(); n != 1 || got.Progress.Attempt != 1 {
			t.Errorf("%d renders, %+v", n, got.Progress)
		}
		stop()
	})
}

func TestADeadWorkersTrackIsFinishedByAnotherWithinAMinute(t *testing.T) { // B1, B5
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, usual)
		id := w.receive(theSound)
		late, err := w.catalog.Claim(t.Context(), id, melodyud.StepRender, "a worker that dies now")
		w.must(err)
		died := time.Now()
		stop := w.run()
		got := w.until(id, melodyud.StatePublished)
		if took := time.Since(died); took < 45*time.Second || took > 75*time.Second {
			t.Errorf("took %v", took)
		}
		if got.Progress.Attempt != 2 || w.metric("melodyud_workers_rerung_total") == 0 {
			t.Errorf("attempt %d", got.Progress.Attempt)
		}
		if err := w.catalog.Rendered(t.Context(), late, melodyud.Rendering{Hash: "late"}); !errors.Is(err, melodyud.ErrConflict) {
			t.Errorf("the dead one writes: %v", err)
		}
		stop()
	})
}

// cutOff is a catalog whose renewals do not get through.
type cutOff struct {
	*catalog.Service
	down atomic.Bool
}

func (c *cutOff) Renew(ctx context.Context, claim melodyud.Claim, p melodyud.Progress) (time.Time, error) {
	if c.down.Load() {
		return time.Time{}, fmt.Errorf("renew: %w", melodyud.ErrUnavailable)
	}
	return c.Service.Renew(ctx, claim, p)
}

func TestWorkEndsBeforeALeaseThatCannotBeRenewedIsTakenOver(t *testing.T) { // B4
	synctest.Test(t, func(t *testing.T) {
		cut := &cutOff{}
		o := usual
		o.workers = func(c *workers.Config) {
			c.Sweep = 0
			cut.Service = c.Catalog.(*catalog.Service)
			c.Catalog = cut
		}
		w := newWorld(t, o)
		var ended time.Duration
		w.engine.render = func(ctx context.Context, _ transcode.Job) error {
			if w.engine.renders.Load() > 1 {
				return nil
			}
			cut.down.Store(true)
			began := time.Now()
			<-ctx.Done()
			ended = time.Since(began)
			cut.down.Store(false)
			return ctx.Err()
		}
		stop := w.run()
		got := w.until(w.receive(theSound), melodyud.StatePublished)
		if ended < 40*time.Second || ended > 46*time.Second {
			t.Errorf("work ended after %v", ended)
		}
		if got.Progress.Attempt != 2 || w.metric("melodyud_workers_claims_lost_total") != 1 {
			t.Errorf("%+v, %v lost", got.Progress, w.metric("melodyud_workers_claims_lost_total"))
		}
		stop()
	})
}

func TestAnHourWithoutTheStoreBurnsNoAttempt(t *testing.T) { // A8
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		o := usual
		o.store = func(s objectstore.Store) objectstore.Store {
			return &objectstoretest.Flaky{Store: s, Fail: func(objectstoretest.Call, string) bool { return down.Load() }}
		}
		w := newWorld(t, o)
		down.Store(true)
		stop := w.run()
		var ids []melodyud.TrackID
		for range 4 {
			ids = append(ids, w.receive(theSound))
		}
		time.Sleep(time.Hour)
		for _, id := range ids {
			if got := w.track(id); got.State != melodyud.StateReceived || got.Progress.Attempt != 1 {
				t.Errorf("during the outage: %+v", got)
			}
		}
		down.Store(false)
		over := time.Now()
		for _, id := range ids {
			if got := w.until(id, melodyud.StatePublished); got.Progress.Attempt != 1 {
				t.Errorf("attempt %d", got.Progress.Attempt)
			}
		}
		if took := time.Since(over); took > time.Minute {
			t.Errorf("took %v after the outage", took)
		}
		if len(w.dead()) != 0 || len(w.leftOver()) != 0 {
			t.Errorf("dead %+v, scratch %v", w.dead(), w.leftOver())
		}
		stop()
	})
}

func TestAStoreThatFailsNowAndThenDelaysButLosesNothing(t *testing.T) { // A8
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		o := usual
		o.store = func(s objectstore.Store) objectstore.Store {
			return &objectstoretest.Flaky{Store: s, Fail: func(objectstoretest.Call, string) bool { return calls.Add(1)%41 == 0 }}
		}
		w := newWorld(t, o)
		stop := w.run()
		for i := range 8 {
			if got := w.until(w.receive(fmt.Sprint("sound ", i)), melodyud.StatePublished); got.Progress.Attempt != 1 {
				t.Errorf("attempt %d", got.Progress.Attempt)
			}
		}
		stop()
	})
}

func TestAFaultOfOursIsGivenUpAfterFiveGrowingPausesAndRevivedByHand(t *testing.T) { // B6, B7
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, usual)
		broken := true
		w.engine.render = func(context.Context, transcode.Job) error {
			if broken {
				return errors.New("encoder: index out of range")
			}
			return nil
		}
		stop := w.run()
		id := w.receive(theSound)
		time.Sleep(time.Hour)
		dead := w.dead()
		if n := w.engine.renders.Load(); n != 5 || len(dead) != 1 || !strings.Contains(dead[0].Reason, "index out of range") {
			t.Errorf("%d renders, dead %+v", n, dead)
		}
		if w.metric("melodyud_workers_dead_tracks") != 1 || w.metric("melodyud_workers_failures_total") != 5 {
			t.Error("metrics do not tell")
		}
		broken = false
		w.must(w.catalog.Retry(t.Context(), id))
		w.until(id, melodyud.StatePublished)
		stop()
	})
}

func TestTwoWorkersShareTheWorkAndDoNothingTwice(t *testing.T) { // A11, B9
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, usual)
		other, err := workers.New(workers.Config{Catalog: w.catalog, Store: w.store, Queue: newHands(), Engine: w.engine,
			Scratch: t.TempDir(), Concurrency: 2})
		w.must(err)
		w.engine.render = func(context.Context, transcode.Job) error { time.Sleep(40 * time.Second); return nil }
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = other.Run(ctx) })
		stop := w.run()
		var ids []melodyud.TrackID
		for i := range 12 {
			ids = append(ids, w.receive(fmt.Sprint("sound ", i)))
		}
		for _, id := range ids {
			if got := w.until(id, melodyud.StatePublished); got.Release.Number != 1 {
				t.Errorf("%+v", got.Release)
			}
		}
		facts := w.facts()
		slices.Sort(facts)
		if n := w.engine.renders.Load(); n != 12 || len(facts) != 24 {
			t.Errorf("%d renders, facts %v", n, facts)
		}
		cancel()
		wg.Wait()
		stop()
	})
}
