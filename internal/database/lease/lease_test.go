package lease_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/databasetest"
	"github.com/melodyud/melodyud/internal/database/lease"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a time that only the test moves.
type clock struct{ nanos atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(0, c.nanos.Load()) }
func (c *clock) advance(d time.Duration) { c.nanos.Add(int64(d)) }

func contender(db database.DB, c *clock) *lease.Lease {
	return lease.New(lease.Config{DB: db, Name: "x", Now: c.now})
}

func acquire(t *testing.T, l *lease.Lease, want bool) {
	t.Helper()
	got, err := l.Acquire(t.Context())
	if err != nil || got != want {
		t.Fatalf("got %v, %v, want %v", got, err, want)
	}
}

func TestALeaseWhoseHolderDiedIsTakenAfterTheTermAndNotBefore(t *testing.T) {
	t.Parallel()
	db, c := databasetest.Open(t), &clock{}
	a, b := contender(db, c), contender(db, c)
	acquire(t, a, true)
	acquire(t, b, false)
	c.advance(lease.DefaultTerm - 1)
	acquire(t, b, false)
	c.advance(1)
	acquire(t, b, true)
	if err := a.Check(t.Context(), db); !errors.Is(err, lease.ErrLost) {
		t.Errorf("the dead holder may go on: %v", err)
	}
	if err := b.Check(t.Context(), db); err != nil {
		t.Error(err)
	}
}

func TestAHolderThatBeatsIsNotDead(t *testing.T) {
	t.Parallel()
	db, c := databasetest.Open(t), &clock{}
	a, b := contender(db, c), contender(db, c)
	acquire(t, a, true)
	for range 5 {
		acquire(t, b, false)
		c.advance(lease.DefaultTerm - 1)
		acquire(t, a, true) // raises the beat
		acquire(t, b, false)
		c.advance(1)
	}
}

func TestALeaseGivenBackIsFreeAtOnce(t *testing.T) {
	t.Parallel()
	db, c := databasetest.Open(t), &clock{}
	a, b := contender(db, c), contender(db, c)
	acquire(t, a, true)
	ctx, cancel := context.WithCancel(t.Context())
	err := a.Hold(ctx, func(context.Context) error { cancel(); return nil })
	if err != nil {
		t.Fatal(err)
	}
	acquire(t, b, true)
}

func TestAHolderHearsThatItLost(t *testing.T) {
	t.Parallel()
	db := databasetest.Open(t)
	l := lease.New(lease.Config{DB: db, Name: "x", Term: 50 * time.Millisecond})
	acquire(t, l, true)
	err := l.Hold(t.Context(), func(ctx context.Context) error {
		if _, err := db.Exec(ctx, "UPDATE leases SET holder = 'thief'"); err != nil {
			return err
		}
		<-ctx.Done()
		return context.Cause(ctx)
	})
	if !errors.Is(err, lease.ErrLost) {
		t.Errorf("got %v", err)
	}
}

func TestAHolderThatCannotBeatStopsBeforeAnotherMayStart(t *testing.T) {
	t.Parallel()
	db := databasetest.Open(t)
	l := lease.New(lease.Config{DB: db, Name: "x", Term: 50 * time.Millisecond})
	acquire(t, l, true)
	err := l.Hold(t.Context(), func(ctx context.Context) error {
		if err := db.Close(); err != nil {
			return err
		}
		<-ctx.Done()
		return context.Cause(ctx)
	})
	if !errors.Is(err, lease.ErrLost) {
		t.Errorf("got %v", err)
	}
}

func TestOfManyContendersOneWorksAtATime(t *testing.T) {
	t.Parallel()
	db := databasetest.Open(t)
	var working, turns atomic.Int32
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			l := lease.New(lease.Config{DB: db, Name: "x"})
			l.Run(ctx, time.Millisecond, func(err error) { t.Error(err) }, func(context.Context) error {
				if working.Add(1) != 1 {
					t.Error("two at a time")
				}
				working.Add(-1)
				if turns.Add(1) >= 20 {
					cancel()
				}
				return nil
			})
		})
	}
	all.Wait()
}
