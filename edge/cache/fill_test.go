package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge/cache"
)

func TestTheFirstByteLeavesBeforeTheLastHasCome(t *testing.T) { // EDGE-16
	t.Parallel()
	open := make(chan struct{})
	origin := &shelf{size: 4 * kib, body: func(_ int64, r io.Reader) io.Reader { return &gate{r, 100, open} }}
	s := build(t, origin, nil)
	want := contents("k", 4*kib)
	var crowd sync.WaitGroup
	var early sync.WaitGroup
	for range 1000 {
		early.Add(1)
		crowd.Go(func() {
			r := s.Reader(t.Context(), "k", 4*kib, 0, 4*kib)
			first := make([]byte, 100)
			_, err := io.ReadFull(r, first)
			early.Done()
			rest, err2 := io.ReadAll(r)
			if err != nil || err2 != nil || !bytes.Equal(append(first, rest...), want) {
				t.Error(err, err2, len(rest))
			}
		})
	}
	early.Wait() // all of them have bytes while the store gives no more
	close(open)
	crowd.Wait()
	if n := origin.opens.Load(); n != 1 {
		t.Errorf("a crowd of 1,000 caused %d fetches", n)
	}
	if s.meter(t, "collapsed_total", "") != 999 {
		t.Errorf("%v collapsed", s.meter(t, "collapsed_total", ""))
	}
}

func TestStatusTellsWhoAskedTheStoreAndWhoReadAlong(t *testing.T) { // EDGE-11
	t.Parallel()
	open := make(chan struct{})
	s := build(t, &shelf{size: kib, body: func(_ int64, r io.Reader) io.Reader { return &gate{r, 1, open} }}, nil)
	readers := []*cache.Reader{s.Reader(t.Context(), "k", kib, 0, kib), s.Reader(t.Context(), "k", kib, 10, 5)}
	if got := readers[0].Status().Header("e"); got != "e; fwd=uri-miss; stored" {
		t.Errorf("before the first read: %s", got)
	}
	if _, err := readers[0].Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	close(open)
	for _, r := range readers {
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "in memory", func() bool { return s.Has("k", 0) })
	hit := s.Reader(t.Context(), "k", kib, 0, 1)
	_, _ = io.Copy(io.Discard, hit)
	for want, r := range map[string]*cache.Reader{
		"e; fwd=uri-miss; stored": readers[0], "e; hit": hit,
	} {
		if got := r.Status().Header("e"); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	collapsed := cache.Status{Tier: cache.Origin, Collapsed: true}
	if got := collapsed.Header("e"); got != "e; fwd=uri-miss; stored; collapsed" {
		t.Error(got)
	}
}

func TestOneFailureOfTheStoreIsNoListeners(t *testing.T) { // faults C1: one fetch more
	t.Parallel()
	for name, first := range map[string]func(io.Reader) io.Reader{
		"fails at once":       func(io.Reader) io.Reader { return iotest.ErrReader(errAway) },
		"breaks off half way": func(r io.Reader) io.Reader { return io.MultiReader(io.LimitReader(r, 1500), iotest.ErrReader(errAway)) },
		"ends too early":      func(r io.Reader) io.Reader { return io.LimitReader(r, 1500) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			origin := &shelf{size: 4 * kib, body: func(open int64, r io.Reader) io.Reader {
				if open == 1 {
					return first(r)
				}
				return r
			}}
			s := build(t, origin, nil)
			var crowd sync.WaitGroup
			for range 100 {
				crowd.Go(func() { s.read(t, "k", 4*kib) })
			}
			crowd.Wait()
			want := []string{"k 0 4096", "k 1500 2596"}
			if name == "fails at once" {
				want = []string{"k 0 4096", "k 0 4096"}
			}
			if !slices.Equal(origin.asked, want) {
				t.Errorf("asked for %q", origin.asked)
			}
		})
	}
}

func TestAStoreThatIsAwayReleasesEveryFollower(t *testing.T) { // EDGE-8
	t.Parallel()
	origin := &shelf{size: kib}
	origin.fail(errAway)
	s := build(t, origin, nil)
	var crowd sync.WaitGroup
	for range 200 {
		crowd.Go(func() {
			if _, err := io.ReadAll(s.Reader(t.Context(), "k", kib, 0, kib)); !errors.Is(err, melodyud.ErrUnavailable) {
				t.Error(err)
			}
		})
	}
	crowd.Wait()
	origin.fail(nil)
	s.read(t, "k", kib)
}

func TestAStoreThatNeverAnswersIsGivenUp(t *testing.T) { // A8, black hole
	t.Parallel()
	hole := make(chan struct{})
	defer close(hole)
	s := build(t, &shelf{size: kib, body: func(_ int64, r io.Reader) io.Reader { return &patientGate{hole} }},
		func(c *cache.Config) { c.FillTimeout = 20 * time.Millisecond })
	if _, err := io.ReadAll(s.Reader(t.Context(), "k", kib, 0, kib)); !errors.Is(err, melodyud.ErrUnavailable) {
		t.Error(err)
	}
}

// patientGate gives nothing for a while and then fails, as a connection does whose
// context has ended.
type patientGate struct{ hole chan struct{} }

func (p *patientGate) Read([]byte) (int, error) {
	select {
	case <-p.hole:
	case <-time.After(50 * time.Millisecond):
	}
	return 0, context.DeadlineExceeded
}

func TestAnAbsentObjectIsNotAskedForAgainForAWhile(t *testing.T) { // EDGE-10
	t.Parallel()
	origin := &shelf{size: kib}
	origin.fail(fmt.Errorf("%w: k", melodyud.ErrNotFound))
	s := build(t, origin, nil)
	read := func() error {
		_, err := io.ReadAll(s.Reader(t.Context(), "k", kib, 0, kib))
		return err
	}
	for range 3 {
		if err := read(); !errors.Is(err, melodyud.ErrNotFound) {
			t.Error(err)
		}
	}
	if n := origin.opens.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	origin.fail(nil)
	s.clock.advance(10 * time.Second)
	if err := read(); err != nil {
		t.Errorf("ten seconds later: %v", err)
	}
}

func TestFillsInFlightAreBounded(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int64
	open := make(chan struct{})
	origin := &shelf{size: 64 * 64 * kib, body: func(_ int64, r io.Reader) io.Reader {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		return &gate{r, 0, open}
	}, closed: func() { now.Add(-1) }}
	s := build(t, origin, func(c *cache.Config) { c.Block = 64 * kib }) // of 1 MiB an eighth: two blocks
	var crowd sync.WaitGroup
	for i := range int64(64) {
		crowd.Go(func() {
			if _, err := io.Copy(io.Discard, s.Reader(t.Context(), "k", origin.size, i*64*kib, 64*kib)); err != nil {
				t.Error(err)
			}
		})
	}
	until(t, "two fills", func() bool { return origin.opens.Load() == 2 })
	close(open)
	crowd.Wait()
	if most.Load() > 2 {
		t.Errorf("%d blocks of 64 KiB were filled at a time", most.Load())
	}
	if b := s.Bytes(); b > 1<<20-2*64*kib {
		t.Errorf("%d bytes in memory, and 128 KiB for fills", b)
	}
}

func TestWhatNobodyWaitsForAnyMoreIsNotFetched(t *testing.T) {
	t.Parallel()
	open := make(chan struct{})
	origin := &shelf{size: 64 * kib, body: func(_ int64, r io.Reader) io.Reader { return &gate{r, 0, open} }}
	s := build(t, origin, func(c *cache.Config) { c.Bytes = 8 * kib }) // one fill at a time
	first := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, s.Reader(t.Context(), "k", 64*kib, 0, kib))
		first <- err
	}()
	until(t, "the first fill", func() bool { return origin.opens.Load() == 1 })
	ctx, hangUp := context.WithCancel(t.Context())
	var gone sync.WaitGroup
	for i := range int64(10) {
		gone.Go(func() {
			if _, err := io.Copy(io.Discard, s.Reader(ctx, "k", 64*kib, (1+i)*4*kib, kib)); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	hangUp()
	gone.Wait()
	close(open)
	if err := <-first; err != nil {
		t.Error(err)
	}
	s.stop() // waits for the fills
	if n := origin.opens.Load(); n != 1 {
		t.Errorf("%d fetches, for one listener", n)
	}
}

func TestTheNextBlockOfAStretchIsAskedForBeforeItsTurn(t *testing.T) {
	t.Parallel()
	open := make(chan struct{})
	origin := &shelf{size: 12 * kib, body: func(_ int64, r io.Reader) io.Reader { return &gate{r, 0, open} }}
	s := build(t, origin, nil)
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, s.Reader(t.Context(), "k", 12*kib, 0, 8*kib))
		done <- err
	}()
	until(t, "both blocks asked for", func() bool { return origin.opens.Load() == 2 })
	close(open)
	if err := <-done; err != nil || origin.opens.Load() != 2 {
		t.Errorf("%v after %d fetches; nobody wanted the third block", err, origin.opens.Load())
	}
}

func TestWarmingBringsAStretchIntoMemory(t *testing.T) {
	t.Parallel()
	origin := &shelf{size: 40 * kib}
	s := build(t, origin, nil)
	if !s.Warm("k", 40*kib, 5*kib, 10*kib) {
		t.Error("refused")
	}
	until(t, "in memory", func() bool { return s.Has("k", 5*kib) && s.Has("k", 9*kib) && s.Has("k", 14*kib) })
	if n := origin.opens.Load(); n != 3 {
		t.Errorf("%d fetches for three blocks", n)
	}
	for _, bad := range [][3]int64{{-1, 0, 1}, {10, -1, 5}, {10, 20, 5}, {10, 0, -1}} {
		if s.Warm("bad", bad[0], bad[1], bad[2]) {
			t.Errorf("%v was taken", bad)
		}
	}
}

func TestWarmingGivesWayToListeners(t *testing.T) {
	t.Parallel()
	open := make(chan struct{})
	origin := &shelf{size: 2 << 20, body: func(_ int64, r io.Reader) io.Reader { return &gate{r, 0, open} }}
	s := build(t, origin, nil)
	if s.Warm("k", 2<<20, 0, 2<<20) {
		t.Error("512 blocks were taken at once")
	}
	done := make(chan struct{})
	go func() { s.read(t, "listener", 2<<20); close(done) }()
	close(open)
	<-done
	if s.meter(t, "warm_dropped_total", "") == 0 {
		t.Error("nothing was dropped")
	}
}

func TestAClosedCacheAnswers(t *testing.T) {
	t.Parallel()
	s := build(t, &shelf{size: kib}, nil)
	s.read(t, "k", kib)
	s.stop()
	if _, err := io.ReadAll(s.Reader(t.Context(), "other", kib, 0, kib)); !errors.Is(err, melodyud.ErrUnavailable) {
		t.Error(err)
	}
}

func TestAStoreThatIsAwayIsAskedOnceASecond(t *testing.T) { // faults A8
	t.Parallel()
	origin := &shelf{size: kib}
	origin.fail(errAway)
	s := build(t, origin, nil)
	ask := func(i int) error {
		_, err := io.ReadAll(s.Reader(t.Context(), fmt.Sprint("k", i), kib, 0, kib))
		return err
	}
	for i := range 100 {
		if err := ask(i); !errors.Is(err, melodyud.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	if n := origin.opens.Load(); n != 5 {
		t.Errorf("asked %d times for 100 listeners", n)
	}
	for i := range 10 {
		s.clock.advance(time.Second)
		_ = ask(i)
	}
	if n := origin.opens.Load(); n != 15 {
		t.Errorf("asked %d times, of which 10 in ten seconds", n)
	}
	origin.fail(nil)
	s.clock.advance(time.Second)
	for i := range 100 {
		if err := ask(i); err != nil {
			t.Fatalf("back again, listener %d: %v", i, err)
		}
	}
}

func TestAStoreThatHangsDoesNotHoldUpTheDisk(t *testing.T) {
	t.Parallel()
	dir, origin := t.TempDir(), &shelf{size: 4 * kib}
	first := build(t, origin, onDisk(dir, 1<<20))
	first.settled(t, 0)
	first.read(t, "kept", origin.size)
	first.settled(t, 1)
	first.stop()
	open := make(chan struct{})
	hanging := &shelf{size: 4 * kib, body: func(_ int64, r io.Reader) io.Reader { return &gate{r, 0, open} }}
	s := build(t, hanging, func(c *cache.Config) { onDisk(dir, 1<<20)(c); c.Bytes = 64 * kib })
	s.settled(t, 0)
	var waiting sync.WaitGroup
	for i := range 20 { // more than there are places
		waiting.Go(func() { s.read(t, fmt.Sprint("k", i), origin.size) })
	}
	until(t, "the store hangs", func() bool { return hanging.opens.Load() == 2 })
	if got := s.read(t, "kept", origin.size); got.Tier != cache.Disk {
		t.Errorf("%+v", got)
	}
	close(open)
	waiting.Wait()
}
