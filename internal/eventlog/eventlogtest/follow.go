package eventlogtest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/eventlog"
)

// follow starts a follower of "topic"; first, if not nil, is asked before a batch
// counts. current counts how often it had read all there was.
func (b *bench) follow(l eventlog.Log, since time.Time, first func([]melodyud.Event) error) (r *reader, current *atomic.Int64) {
	ctx, cancel := context.WithCancel(b.t.Context())
	r = &reader{t: b.t, cancel: cancel, ended: make(chan error, 1), change: make(chan struct{})}
	current = new(atomic.Int64)
	go func() {
		r.ended <- l.Follow(ctx, "topic", since, func(_ context.Context, events []melodyud.Event) error {
			if len(events) == 0 {
				current.Add(1)
			}
			if first != nil {
				if err := first(events); err != nil {
					return err
				}
			}
			r.take(events)
			return nil
		})
	}()
	b.t.Cleanup(func() { r.stop() })
	return r, current
}

func everyFollower(t *testing.T, b *bench) {
	b.append("topic", event("a", 0), event("b", 0))
	b.append("other", event("a", 7))
	other := b.process()
	one, currentOne := b.follow(b.log, time.Time{}, nil)
	two, _ := b.follow(other, time.Time{}, nil)
	one.until(2)
	two.until(2)
	b.append("topic", event("a", 1))
	if err := other.Append(t.Context(), "topic", event("a", 2)); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*reader{one, two} {
		got := r.until(4)
		if len(got) != 4 || string(got[2].Data) != "1" || string(got[3].Data) != "2" {
			t.Errorf("a follower got %v", got)
		}
	}
	for deadline := time.Now().Add(patience); currentOne.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a follower is never told that it has read everything")
		}
	}
}

func lateFollower(t *testing.T, b *bench) {
	now := time.Now()
	old := melodyud.NewEvent(now.Add(-time.Hour), "com.melodyud.test.v1", "s", 0)
	b.append("topic", old)
	fresh, current := b.follow(b.log, now.Add(-time.Minute), nil)
	for current.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	b.append("topic", event("s", 1))
	if got := fresh.until(1); string(got[0].Data) != "1" {
		t.Errorf("events from a minute ago on are %v", got)
	}
	late, _ := b.follow(b.process(), now.Add(-time.Minute), nil)
	if got := late.until(1); string(got[0].Data) != "1" {
		t.Errorf("later, they are %v", got)
	}
	all, _ := b.follow(b.log, now.Add(-2*time.Hour), nil)
	if got := all.until(2); string(got[0].Data) != "0" || string(got[1].Data) != "1" {
		t.Errorf("all are %v", got)
	}
}

func failingFollower(t *testing.T, b *bench) {
	b.append("topic", event("s", 0))
	var tries atomic.Int64
	r, _ := b.follow(b.log, time.Time{}, func(events []melodyud.Event) error {
		if len(events) > 0 && tries.Add(1) < 3 {
			return errors.New("not now")
		}
		return nil
	})
	r.until(1)
	if n := tries.Load(); n != 3 {
		t.Errorf("delivered %d times", n)
	}
}

func closedFollower(t *testing.T, b *bench) {
	l := b.connect()
	ended := make(chan error, 1)
	started := make(chan struct{}, 1)
	go func() {
		ended <- l.Follow(t.Context(), "topic", time.Time{}, func(context.Context, []melodyud.Event) error {
			select {
			case started <- struct{}{}:
			default:
			}
			return nil
		})
	}()
	<-started
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	is(t, <-ended, melodyud.ErrUnavailable)
}
