// Package queuetest is the contract of package queue as tests.
package queuetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/queue"
)

// enough is how long a test waits for what must happen. It is no promise of speed.
const enough = 60 * time.Second

// Bench is one queue on a server of its own.
type Bench struct {
	Queue queue.Queue
	Flush func() error // makes the server forget everything
}

// Run holds the queues that open gives to the contract. Each subtest opens its
// own; open arranges their end with t.Cleanup. Subtests run one after the other,
// so a server that is shared between them will do if open flushes it.
func Run(t *testing.T, open func(t testing.TB) Bench) {
	for name, test := range map[string]func(*testing.T, Bench){
		"a ring wakes a handler of its type":                wakes,
		"every ring is delivered, also of the same subject": everyRing,
		"a delayed ring is not early":                       delayed,
		"a failed task is not run again by the queue":       failed,
		"a panicking handler harms nobody else":             panicking,
		"a task without a handler harms nobody else":        unhandled,
		"no more handlers run than allowed":                 bounded,
		"a flood of bulk work does not hold up the rest":    flooded,
		"Answer waits for the work in hand":                 drains,
		"Answer cancels what outlasts the drain":            cancels,
		"Answer leaves later tasks to others":               leaves,
		"Depths counts what waits":                          depths,
		"rings work after the server forgot everything":     forgotten,
		"a malformed task is invalid":                       malformed,
		"a closed queue is unavailable":                     closed,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// answering runs Answer until the test ends or stop is called; stop waits for it
// and fails the test if it returned an error.
func answering(t *testing.T, q queue.Queue, concurrency int, drain time.Duration, handlers map[string]queue.Handler) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	answered := make(chan error, 1)
	go func() { answered <- q.Answer(ctx, concurrency, drain, handlers) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := within(t, answered, "Answer to return"); err != nil {
			t.Errorf("Answer returned %v, want nil", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func within[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(enough):
		t.Fatalf("waited %s for %s", enough, what)
	}
	return v
}

func ring(t *testing.T, q queue.Queue, tasks ...queue.Task) {
	t.Helper()
	for _, task := range tasks {
		if err := q.Ring(t.Context(), task); err != nil {
			t.Fatalf("Ring(%+v): %v", task, err)
		}
	}
}

// report is a handler that tells the subjects it gets.
func report(to chan<- string) queue.Handler {
	return func(_ context.Context, subject string) error {
		to <- subject
		return nil
	}
}

func want(t *testing.T, got <-chan string, subject string) {
	t.Helper()
	if s := within(t, got, "subject "+subject); s != subject {
		t.Fatalf("handler got %q, want %q", s, subject)
	}
}

func wakes(t *testing.T, b Bench) {
	a, z := make(chan string, 9), make(chan string, 9)
	answering(t, b.Queue, 2, enough, map[string]queue.Handler{"t:a": report(a), "t:z": report(z)})
	ring(t, b.Queue, queue.Task{Type: "t:a", Subject: "trk_1"})
	want(t, a, "trk_1")
	for _, u := range []queue.Urgency{queue.Critical, queue.Default, queue.Bulk} {
		ring(t, b.Queue, queue.Task{Type: "t:z", Subject: string(u), Urgency: u})
		want(t, z, string(u))
	}
	if len(a) != 0 {
		t.Error("a handler got tasks of another type")
	}
}

func everyRing(t *testing.T, b Bench) {
	const rings = 7
	got := make(chan string, 2*rings)
	for range rings {
		ring(t, b.Queue, queue.Task{Type: "t", Subject: "same"})
	}
	answering(t, b.Queue, 3, enough, map[string]queue.Handler{"t": report(got)})
	for range rings {
		want(t, got, "same")
	}
}

func delayed(t *testing.T, b Bench) {
	got := make(chan string, 9)
	answering(t, b.Queue, 1, enough, map[string]queue.Handler{"t": report(got)})
	start := time.Now()
	ring(t, b.Queue, queue.Task{Type: "t", Subject: "later", Delay: 2 * time.Second}, queue.Task{Type: "t", Subject: "now"})
	want(t, got, "now")
	want(t, got, "later")
	if waited := time.Since(start); waited < 2*time.Second {
		t.Errorf("a task delayed by 2 s ran after %s", waited)
	}
}

func failed(t *testing.T, b Bench) {
	got := make(chan string, 9)
	stop := answering(t, b.Queue, 1, enough, map[string]queue.Handler{"t": func(_ context.Context, s string) error {
		got <- s
		return errors.New("boom")
	}})
	ring(t, b.Queue, queue.Task{Type: "t", Subject: "1"}, queue.Task{Type: "t", Subject: "2"})
	want(t, got, "1")
	want(t, got, "2")
	stop()
	if len(got) != 0 {
		t.Error("a failed task ran again")
	}
	wantDepths(t, b.Queue, map[queue.Urgency][3]int{})
}

func panicking(t *testing.T, b Bench) {
	got := make(chan string, 9)
	stop := answering(t, b.Queue, 1, enough, map[string]queue.Handler{"t": func(_ context.Context, s string) error {
		got <- s
		panic(s)
	}})
	ring(t, b.Queue, queue.Task{Type: "t", Subject: "1"}, queue.Task{Type: "t", Subject: "2"})
	want(t, got, "1")
	want(t, got, "2")
	stop()
	wantDepths(t, b.Queue, map[queue.Urgency][3]int{})
}

func unhandled(t *testing.T, b Bench) {
	got := make(chan string, 9)
	answering(t, b.Queue, 1, enough, map[string]queue.Handler{"t": report(got)})
	ring(t, b.Queue, queue.Task{Type: "unheard", Subject: "1"}, queue.Task{Type: "t", Subject: "2"})
	want(t, got, "2")
}

func bounded(t *testing.T, b Bench) {
	const allowed, tasks = 3, 12
	var now, most atomic.Int64
	full := make(chan struct{}) // closed once all that may run are running
	fill := sync.OnceFunc(func() { close(full) })
	got := make(chan string, tasks)
	for i := range tasks {
		ring(t, b.Queue, queue.Task{Type: "t", Subject: fmt.Sprint(i)})
	}
	answering(t, b.Queue, allowed, enough, map[string]queue.Handler{"t": func(ctx context.Context, s string) error {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if n >= allowed {
			fill()
		}
		<-full
		got <- s
		return nil
	}})
	for range tasks {
		within(t, got, "a task")
	}
	if most.Load() != allowed {
		t.Errorf("%d handlers ran at once, want %d", most.Load(), allowed)
	}
}

func flooded(t *testing.T, b Bench) {
	const flood = 40
	got := make(chan string, flood+2)
	for range flood {
		ring(t, b.Queue, queue.Task{Type: "t", Subject: "bulk", Urgency: queue.Bulk})
	}
	ring(t, b.Queue, queue.Task{Type: "t", Subject: "critical", Urgency: queue.Critical}, queue.Task{Type: "t", Subject: "default"})
	answering(t, b.Queue, 1, enough, map[string]queue.Handler{"t": report(got)})
	last := map[string]int{}
	for i := range flood + 2 {
		last[within(t, got, "a task")] = i
	}
	if last["bulk"] != flood+1 {
		t.Errorf("more urgent work waited for all of the bulk: last seen %v", last)
	}
}

func drains(t *testing.T, b Bench) {
	taken, release := make(chan string, 1), make(chan struct{})
	var whole atomic.Bool
	stop := answering(t, b.Queue, 1, enough, map[string]queue.Handler{"t": func(ctx context.Context, s string) error {
		taken <- s
		<-release
		whole.Store(ctx.Err() == nil)
		return nil
	}})
	ring(t, b.Queue, queue.Task{Type: "t", Subject: "long"})
	want(t, taken, "long")
	time.AfterFunc(300*time.Millisecond, func() { close(release) })
	stop()
	if !whole.Load() {
		t.Error("Answer did not let the task in hand finish undisturbed")
	}
	wantDepths(t, b.Queue, map[queue.Urgency][3]int{})
}

func cancels(t *testing.T, b Bench) {
	taken := make(chan string, 1)
	var ended atomic.Bool
	stop := answering(t, b.Queue, 1, 50*time.Millisecond, map[string]queue.Handler{"t": func(ctx context.Context, s string) error {
		taken <- s
		<-ctx.Done()
		ended.Store(true)
		return ctx.Err()
	}})
	ring(t, b.Queue, queue.Task{Type: "t", Subject: "endless"})
	want(t, taken, "endless")
	stop()
	if !ended.Load() {
		t.Error("Answer returned before the cancelled handler")
	}
}

func leaves(t *testing.T, b Bench) {
	got := make(chan string, 9)
	handlers := map[string]queue.Handler{"t": report(got)}
	stop := answering(t, b.Queue, 1, enough, handlers)
	ring(t, b.Queue, queue.Task{Type: "t", Subject: "mine"})
	want(t, got, "mine")
	stop()
	ring(t, b.Queue, queue.Task{Type: "t", Subject: "yours"})
	wantDepths(t, b.Queue, map[queue.Urgency][3]int{queue.Default: {1, 0, 0}})
	answering(t, b.Queue, 1, enough, handlers)
	want(t, got, "yours")
}

func depths(t *testing.T, b Bench) {
	wantDepths(t, b.Queue, map[queue.Urgency][3]int{})
	taken, release := make(chan string, 1), make(chan struct{})
	stop := answering(t, b.Queue, 1, enough, map[string]queue.Handler{"t": func(_ context.Context, s string) error {
		taken <- s
		<-release
		return nil
	}})
	ring(t, b.Queue, queue.Task{Type: "t", Subject: "active"})
	want(t, taken, "active")
	ring(t, b.Queue,
		queue.Task{Type: "t", Subject: "1", Urgency: queue.Critical},
		queue.Task{Type: "t", Subject: "2", Urgency: queue.Critical},
		queue.Task{Type: "t", Subject: "3", Urgency: queue.Bulk, Delay: time.Hour})
	wantDepths(t, b.Queue, map[queue.Urgency][3]int{
		queue.Critical: {2, 0, 0}, queue.Default: {0, 1, 0}, queue.Bulk: {0, 0, 1},
	})
	go func() {
		for range taken {
		}
	}()
	close(release)
	stop()
	close(taken)
}

// wantDepths compares pending, active and delayed; queues not named are empty.
func wantDepths(t *testing.T, q queue.Queue, want map[queue.Urgency][3]int) {
	t.Helper()
	all, err := q.Depths(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 3 || all[0].Urgency != queue.Critical || all[1].Urgency != queue.Default || all[2].Urgency != queue.Bulk {
		t.Fatalf("Depths = %+v, want the three queues, most urgent first", all)
	}
	for _, d := range all {
		if got := [3]int{d.Pending, d.Active, d.Delayed}; got != want[d.Urgency] {
			t.Errorf("queue %s: pending, active, delayed = %v, want %v", d.Urgency, got, want[d.Urgency])
		}
		if (d.Oldest > 0) != (d.Pending > 0) {
			t.Errorf("queue %s: oldest of %d pending tasks has waited %s", d.Urgency, d.Pending, d.Oldest)
		}
	}
}

func forgotten(t *testing.T, b Bench) {
	ring(t, b.Queue, queue.Task{Type: "t", Subject: "lost"})
	flush(t, b)
	wantDepths(t, b.Queue, map[queue.Urgency][3]int{})
	ring(t, b.Queue, queue.Task{Type: "t", Subject: "1"})
	wantDepths(t, b.Queue, map[queue.Urgency][3]int{queue.Default: {1, 0, 0}})
	got := make(chan string, 9)
	answering(t, b.Queue, 1, enough, map[string]queue.Handler{"t": report(got)})
	want(t, got, "1")
	flush(t, b)
	ring(t, b.Queue, queue.Task{Type: "t", Subject: "2"}, queue.Task{Type: "t", Subject: "3", Delay: time.Second})
	want(t, got, "2")
	want(t, got, "3")
}

func flush(t *testing.T, b Bench) {
	t.Helper()
	if err := b.Flush(); err != nil {
		t.Fatal(err)
	}
}

func malformed(t *testing.T, b Bench) {
	for _, task := range []queue.Task{
		{Subject: "no type"},
		{Type: "t", Urgency: "yesterday"},
		{Type: "t", Delay: -time.Second},
	} {
		if err := b.Queue.Ring(t.Context(), task); !errors.Is(err, melodyud.ErrInvalid) {
			t.Errorf("Ring(%+v) = %v, want ErrInvalid", task, err)
		}
	}
	if err := b.Queue.Answer(t.Context(), 0, 0, nil); !errors.Is(err, melodyud.ErrInvalid) {
		t.Errorf("Answer with no concurrency = %v, want ErrInvalid", err)
	}
}

func closed(t *testing.T, b Bench) {
	if err := b.Queue.Ping(t.Context()); err != nil {
		t.Errorf("Ping before Close: %v", err)
	}
	if err := b.Queue.Close(); err != nil {
		t.Fatal(err)
	}
	_, depthsErr := b.Queue.Depths(t.Context())
	for doing, err := range map[string]error{
		"Ring":   b.Queue.Ring(t.Context(), queue.Task{Type: "t", Subject: "1"}),
		"Ping":   b.Queue.Ping(t.Context()),
		"Depths": depthsErr,
	} {
		if !errors.Is(err, melodyud.ErrUnavailable) {
			t.Errorf("%s on a closed queue = %v, want ErrUnavailable", doing, err)
		}
	}
	if err := b.Queue.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}
