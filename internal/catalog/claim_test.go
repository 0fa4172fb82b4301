package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/catalog"
	"github.com/melodyud/melodyud/internal/catalog/catalogtest"
)

func TestOnlyOneWorkerHoldsATrack(t *testing.T) { // A11
	t.Parallel()
	w := newWorld(t)
	track := w.Upload(nora)
	var mu sync.Mutex
	won := 0
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			_, err := w.Claim(context.Background(), track.ID, melodyud.StepRender, fmt.Sprint(i))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if !errors.Is(err, melodyud.ErrConflict) {
				t.Errorf("claim: %v", err)
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("%d workers hold it", won)
	}
	if due := w.due(); len(due) != 0 {
		t.Errorf("due while held: %+v", due)
	}
}

func TestALapsedLeaseIsTakenOverAndItsHolderCanNoLongerWrite(t *testing.T) { // B1
	t.Parallel()
	w := newWorld(t)
	ctx, track := t.Context(), w.Upload(nora)
	late := w.Take(track.ID, melodyud.StepRender)
	w.Clock.Pass(45 * time.Second)
	if due := w.due(); len(due) != 1 {
		t.Fatalf("due %+v", due)
	}
	now := w.Take(track.ID, melodyud.StepRender)
	if now.Fence <= late.Fence || now.Attempt != 2 {
		t.Errorf("late %+v, now %+v", late, now)
	}
	_, err := w.Renew(ctx, late, melodyud.Progress{Stage: melodyud.StageRendering, Percent: 50})
	w.Wants(melodyud.ErrConflict, err)
	w.Wants(melodyud.ErrConflict, w.Storing(ctx, late, catalogtest.RenderHash))
	w.Wants(melodyud.ErrConflict, w.Fail(ctx, late, errors.New("late")))
	w.Wants(melodyud.ErrConflict, w.Refuse(ctx, late, melodyud.Refuse(melodyud.ErrInvalid, "late", "Late.")))
	w.Wants(melodyud.ErrConflict, w.Rendered(ctx, late, melodyud.Rendering{Hash: catalogtest.RenderHash}))
	w.Must(w.Rendered(ctx, now, melodyud.Rendering{Hash: catalogtest.RenderHash}))
	old := now
	now = w.Take(track.ID, melodyud.StepPublish)
	late.Release, late.RenderHash = now.Release, now.RenderHash
	for _, c := range []melodyud.Claim{late, old} {
		_, err = w.Publish(ctx, c, catalogtest.ReleaseOf(now))
		w.Wants(melodyud.ErrConflict, err)
	}
	if got := w.track(track.ID); got.State != melodyud.StateReceived {
		t.Errorf("state %s", got.State)
	}
}

func TestRenewingKeepsALeaseAndShowsProgress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	track := w.Upload(nora)
	c := w.Take(track.ID, melodyud.StepRender)
	for i := range 20 {
		w.Clock.Pass(30 * time.Second)
		until, err := w.Renew(t.Context(), c, melodyud.Progress{Stage: melodyud.StageRendering, Percent: i})
		w.Must(err)
		if until != w.Clock.Now().Add(45*time.Second) {
			t.Fatalf("until %v", until)
		}
	}
	_, err := w.Claim(t.Context(), track.ID, melodyud.StepRender, "other")
	w.Wants(melodyud.ErrConflict, err)
	if p := w.track(track.ID).Progress; p != (melodyud.Progress{Stage: melodyud.StageRendering, Percent: 19, Attempt: 1}) {
		t.Errorf("progress %+v", p)
	}
}

func TestFailuresWaitLongerEachTimeAndEndAsADeadLetter(t *testing.T) { // B7
	t.Parallel()
	w := newWorld(t)
	track := w.Upload(nora)
	pauses := []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second}
	for i, pause := range pauses {
		c := w.Take(track.ID, melodyud.StepRender)
		if c.Attempt != i+1 {
			t.Errorf("attempt %d is called %d", i+1, c.Attempt)
		}
		w.Must(w.Fail(t.Context(), c, fmt.Errorf("no. %d", i)))
		w.Clock.Pass(pause - time.Millisecond)
		if _, err := w.Claim(t.Context(), track.ID, melodyud.StepRender, "early"); !errors.Is(err, melodyud.ErrConflict) {
			t.Errorf("claimed before its time: %v", err)
		}
		w.Clock.Pass(time.Millisecond)
	}
	w.Must(w.Fail(t.Context(), w.Take(track.ID, melodyud.StepRender), errors.New("the last\x00 straw \xff")))
	w.Clock.Pass(time.Hour)
	if due := w.due(); len(due) != 0 {
		t.Errorf("due %+v", due)
	}
	dead, err := w.Dead(t.Context(), 10)
	w.Must(err)
	if len(dead) != 1 || dead[0].Track != track.ID || dead[0].Reason != "the last straw \uFFFD" || dead[0].Attempt != 5 || dead[0].Owner != nora.User {
		t.Errorf("dead %+v", dead)
	}
	if got := w.track(track.ID); got.State != melodyud.StateReceived || got.Refusal != nil || got.Progress.Stage != melodyud.StageHeld {
		t.Errorf("the creator sees %+v", got)
	}
}

func TestDyingWithoutAWordCountsAndThePoisonIsBuriedAfterFive(t *testing.T) { // B6
	t.Parallel()
	w := newWorld(t)
	track := w.Upload(nora)
	for range 5 {
		c := w.Take(track.ID, melodyud.StepRender)
		_, err := w.Renew(t.Context(), c, melodyud.Progress{Stage: melodyud.StageRendering, Percent: 40})
		w.Must(err)
		w.Clock.Pass(time.Minute)
	}
	_, err := w.Claim(t.Context(), track.ID, melodyud.StepRender, "sixth")
	w.Wants(melodyud.ErrNotFound, err)
	dead, err := w.Dead(t.Context(), 10)
	w.Must(err)
	if len(dead) != 1 || !strings.Contains(dead[0].Reason, "died") {
		t.Errorf("dead %+v", dead)
	}
	if p := w.track(track.ID).Progress; p.Stage != melodyud.StageHeld || p.Percent != 0 {
		t.Errorf("nobody works on it, but the creator sees %+v", p)
	}
}

func TestAnHourOfOutageBurnsNoAttempt(t *testing.T) { // A8
	t.Parallel()
	for _, outage := range []error{
		fmt.Errorf("open master: %w", melodyud.ErrUnavailable),
		fmt.Errorf("put: %w", melodyud.ErrLimited),
	} {
		w := newWorld(t)
		track := w.Upload(nora)
		end := w.Clock.Now().Add(time.Hour)
		tries := 0
		for w.Clock.Now().Before(end) {
			if len(w.due()) == 0 {
				w.Clock.Pass(time.Second)
				continue
			}
			c := w.Take(track.ID, melodyud.StepRender)
			if c.Attempt != 1 {
				t.Fatalf("attempt %d after %d tries", c.Attempt, tries)
			}
			w.Must(w.Fail(t.Context(), c, outage))
			tries++
		}
		if tries < 100 || tries > 200 {
			t.Errorf("%d tries in an hour", tries)
		}
		w.Clock.Pass(30 * time.Second)
		if len(w.due()) != 1 {
			t.Error("not due half a minute after the outage")
		}
	}
}

func TestAStoppedWorkerGivesItsWorkBackAtOnce(t *testing.T) { // B13
	t.Parallel()
	w := newWorld(t)
	track := w.Upload(nora)
	for range 20 {
		c := w.Take(track.ID, melodyud.StepRender)
		if c.Attempt != 1 {
			t.Fatalf("attempt %d", c.Attempt)
		}
		w.Must(w.Fail(t.Context(), c, context.Canceled))
	}
}

func TestARefusedTrackTellsItsCreatorWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	track := w.Upload(nora)
	refusal := melodyud.Refuse(melodyud.ErrInvalid, "audio.too-short", "Shorter than a second. Send a longer one.")
	w.Must(w.Refuse(t.Context(), w.Take(track.ID, melodyud.StepRender), refusal.Because(errors.New("secret"))))
	got := w.track(track.ID)
	if got.State != melodyud.StateRefused || got.Refusal == nil || got.Refusal.Code != refusal.Code || got.Refusal.Text != refusal.Text {
		t.Errorf("got %+v, %+v", got, got.Refusal)
	}
	if facts := w.facts(); !slices.Equal(facts, []string{"received", "refused"}) {
		t.Errorf("facts %v", facts)
	}
	_, err := w.Claim(t.Context(), track.ID, melodyud.StepRender, "again")
	w.Wants(melodyud.ErrNotFound, err)
}

func TestPublishingTwiceGivesOneReleaseAndOneFact(t *testing.T) { // A11, crash point 19
	t.Parallel()
	w := newWorld(t)
	track := w.Upload(nora)
	w.Must(w.Rendered(t.Context(), w.Take(track.ID, melodyud.StepRender), melodyud.Rendering{Hash: catalogtest.RenderHash}))
	c := w.Take(track.ID, melodyud.StepPublish)
	for range 3 {
		got, err := w.Publish(t.Context(), c, catalogtest.ReleaseOf(c))
		w.Must(err)
		if got.State != melodyud.StatePublished || got.Release == nil || got.Release.Number != 1 ||
			got.Release.ID != c.Release || got.Release.RenderHash != catalogtest.RenderHash || got.Release.Duration != 200*time.Second || !got.Release.HasCover {
			t.Errorf("got %+v, %+v", got, got.Release)
		}
	}
	if facts := w.facts(); !slices.Equal(facts, []string{"received", "published"}) {
		t.Errorf("facts %v", facts)
	}
}

func TestAPublishStepThatFailsGoesBackToRenderingUnderTheSameRelease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	track := w.Upload(nora)
	w.Must(w.Rendered(t.Context(), w.Take(track.ID, melodyud.StepRender), melodyud.Rendering{Hash: catalogtest.RenderHash}))
	first := w.Take(track.ID, melodyud.StepPublish)
	if first.Attempt != 1 {
		t.Errorf("publishing is attempt %d", first.Attempt)
	}
	w.Must(w.Fail(t.Context(), first, errors.New("an object is damaged")))
	w.Clock.Pass(time.Minute)
	w.Must(w.Rendered(t.Context(), w.Take(track.ID, melodyud.StepRender), melodyud.Rendering{Hash: catalogtest.RenderHash}))
	second := w.Take(track.ID, melodyud.StepPublish)
	if second.Attempt != 2 || second.Release != first.Release {
		t.Errorf("first %+v, second %+v", first, second)
	}
}

func TestPublishingAnotherRenderThanTheHandedOverOneIsAConflict(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	track := w.Upload(nora)
	w.Must(w.Rendered(t.Context(), w.Take(track.ID, melodyud.StepRender), melodyud.Rendering{Hash: catalogtest.RenderHash}))
	c := w.Take(track.ID, melodyud.StepPublish)
	rel := catalogtest.ReleaseOf(c)
	rel.RenderHash = strings.Repeat("f", 32)
	_, err := w.Publish(t.Context(), c, rel)
	w.Wants(melodyud.ErrConflict, err)
}

func TestRetryRevivesADeadLetterWithAllItsAttempts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *catalog.Config) { c.MaxAttempts = 1 })
	track := w.Upload(nora)
	w.Wants(melodyud.ErrNotFound, w.Retry(t.Context(), melodyud.NewTrackID(w.Clock.Now())))
	w.Wants(melodyud.ErrNotFound, w.Retry(t.Context(), "nonsense"))
	old := w.Take(track.ID, melodyud.StepRender)
	w.Wants(melodyud.ErrConflict, w.Retry(t.Context(), track.ID)) // a worker is at it
	w.Must(w.Fail(t.Context(), old, errors.New("broken")))
	w.Must(w.Retry(t.Context(), track.ID))
	if stage := w.track(track.ID).Progress.Stage; stage != melodyud.StageQueued {
		t.Errorf("after the retry it is %s", stage)
	}
	if dead, _ := w.Dead(t.Context(), 10); len(dead) != 0 {
		t.Errorf("dead %+v", dead)
	}
	c := w.Take(track.ID, melodyud.StepRender)
	if c.Attempt != 1 || c.Fence <= old.Fence {
		t.Errorf("old %+v, new %+v", old, c)
	}
	w.Wants(melodyud.ErrConflict, w.Fail(t.Context(), old, errors.New("late")))
	w.Must(w.Rendered(t.Context(), c, melodyud.Rendering{Hash: catalogtest.RenderHash}))
	c = w.Take(track.ID, melodyud.StepPublish)
	_, err := w.Publish(t.Context(), c, catalogtest.ReleaseOf(c))
	w.Must(err)
	w.Wants(melodyud.ErrConflict, w.Retry(t.Context(), track.ID))
}

func TestTheBacklogCountsWhatIsOwed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *catalog.Config) { c.MaxAttempts = 1 })
	held, waiting, dead, gone := w.Upload(nora), w.Upload(nora), w.Upload(nora), w.Upload(nora)
	w.Must(w.Fail(t.Context(), w.Take(dead.ID, melodyud.StepRender), errors.New("broken")))
	w.Must(w.Withdraw(t.Context(), nora, gone.ID))
	w.Clock.Pass(time.Minute)
	w.Take(held.ID, melodyud.StepRender)
	b, err := w.Backlog(t.Context())
	w.Must(err)
	want := melodyud.Backlog{Dead: 1, Steps: []melodyud.StepBacklog{
		{Step: melodyud.StepCollect, Owed: 1, Due: 1, Oldest: time.Minute},
		{Step: melodyud.StepRender, Owed: 2, Due: 1, Held: 1, Oldest: time.Minute},
	}}
	if b.Dead != want.Dead || !slices.Equal(b.Steps, want.Steps) {
		t.Errorf("got %+v", b)
	}
	if due := w.due(); len(due) != 2 || due[0].Track != waiting.ID && due[1].Track != waiting.ID {
		t.Errorf("due %+v", due)
	}
}

func TestWithdrawingStopsTheWorkerBeforeItsObjectsAreCollected(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	track := w.Upload(nora)
	c := w.Take(track.ID, melodyud.StepRender)
	w.Must(w.Withdraw(t.Context(), nora, track.ID))
	_, err := w.Renew(t.Context(), c, melodyud.Progress{})
	w.Wants(melodyud.ErrConflict, err)
	w.Wants(melodyud.ErrConflict, w.Rendered(t.Context(), c, melodyud.Rendering{Hash: catalogtest.RenderHash}))
	if due := w.due(); len(due) != 0 {
		t.Errorf("collected while the worker may write: %+v", due)
	}
	w.Clock.Pass(45 * time.Second)
	if due := w.due(); len(due) != 1 || due[0].Step != melodyud.StepCollect {
		t.Errorf("due %+v", due)
	}
	if slices.Contains(w.bell.heard(), "track:publish") {
		t.Error("a publisher was rung for")
	}
}

func TestCollectingKeepsWhatAnotherTrackUses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	one, two := w.Finish(w.Upload(nora).ID), w.Finish(w.Upload(emil).ID)
	w.Must(w.Withdraw(ctx, nora, one.ID))
	c := w.Take(one.ID, melodyud.StepCollect)
	left, err := w.Collect(ctx, c)
	w.Must(err)
	if !slices.Equal(left.Releases, []melodyud.ReleaseID{one.Release.ID}) || left.Masters != nil || left.RenderHashes != nil {
		t.Errorf("left %+v", left)
	}
	w.Must(w.Collected(ctx, c, left))
	w.Must(w.Withdraw(ctx, emil, two.ID))
	c = w.Take(two.ID, melodyud.StepCollect)
	left, err = w.Collect(ctx, c)
	w.Must(err)
	if !slices.Equal(left.Masters, []string{two.Master.SHA256}) || !slices.Equal(left.RenderHashes, []string{catalogtest.RenderHash}) {
		t.Errorf("left %+v", left)
	}
	w.Must(w.Collected(ctx, c, left))
	if due := w.due(); len(due) != 0 {
		t.Errorf("due %+v", due)
	}
}

func TestAnUploadOfBytesBeingCollectedWaitsAndLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	old := w.Upload(nora)
	w.Must(w.Withdraw(ctx, nora, old.ID))
	c := w.Take(old.ID, melodyud.StepCollect)
	left, err := w.Collect(ctx, c)
	w.Must(err)
	r := w.Receipt(emil) // the same bytes, stored again
	_, err = w.Receive(ctx, r)
	w.Wants(melodyud.ErrUnavailable, err)
	w.Must(w.Store.Delete(ctx, "masters/"+left.Masters[0]))
	w.Must(w.Collected(ctx, c, left))
	_, err = w.Receive(ctx, r) // seen in the store before it was deleted
	w.Wants(melodyud.ErrUnavailable, err)
	w.Master("the sound")
	_, err = w.Receive(ctx, r)
	w.Must(err)
}

func TestARestartTakesUpTheWorkOfItsEarlierLifeAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mine, theirs := w.Upload(nora), w.Upload(nora)
	old, err := w.Claim(t.Context(), mine.ID, melodyud.StepRender, "here/one")
	w.Must(err)
	_, err = w.Claim(t.Context(), theirs.ID, melodyud.StepRender, "hereafter/one")
	w.Must(err)
	if n, err := w.Lapse(t.Context(), "here"); n != 1 || err != nil {
		t.Fatalf("%d leases ended, %v", n, err)
	}
	if due := w.due(); len(due) != 1 || due[0].Track != mine.ID {
		t.Errorf("due %+v", due)
	}
	again, err := w.Claim(t.Context(), mine.ID, melodyud.StepRender, "here/two")
	w.Must(err)
	if again.Attempt != 2 {
		t.Errorf("attempt %d", again.Attempt)
	}
	_, err = w.Renew(t.Context(), old, melodyud.Progress{Stage: melodyud.StageRendering})
	w.Wants(melodyud.ErrConflict, err) // a zombie stays fenced off
}
