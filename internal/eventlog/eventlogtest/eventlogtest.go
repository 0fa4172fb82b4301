// Package eventlogtest is the contract of package eventlog as code. It assumes
// no order across subjects, and allows that events are delivered more than once
// wherever the contract does, so that brokers fit it as well as tables.
package eventlogtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/eventlog"
)

// patience is how long an event may take before a test gives up.
const patience = 60 * time.Second

// Open prepares an empty log for one test. Each call of connect is a process of
// its own that shares this log; what it returns is closed by the suite.
type Open func(t *testing.T) (connect func() eventlog.Log)

// Run holds an adapter to the contract.
func Run(t *testing.T, open Open) {
	for name, test := range map[string]func(*testing.T, *bench){
		"an event comes back as it was":                            equalEvents,
		"events of one subject keep their order":                   order,
		"events of appends at the same time are all there":         concurrentAppends,
		"topics are apart":                                         topics,
		"a group that starts late gets everything":                 lateGroup,
		"a waiting consumer gets what another process appends":     otherProcess,
		"a later consumer goes on behind what was handled":         resume,
		"a batch whose handler failed is delivered again":          redelivery,
		"a batch cut by the end of the context is delivered again": cutBatch,
		"what was handled while the context ended counts":          handledAtTheEnd,
		"groups do not hold each other up":                         groups,
		"two consumers of a group do not both get an event":        share,
		"another consumer of the group goes on when one stops":     takeOver,
		"an event appended twice keeps the order of its subject":   appendedTwice,
		"an append of nothing is nothing":                          appendNothing,
		"an event that no log would take is refused":               refused,
		"a consumer whose context has ended returns nil":           endedContext,
		"a bad topic or group is refused":                          badNames,
		"a closed log is unavailable":                              closedLog,
		"every follower gets everything":                           everyFollower,
		"a follower can begin late":                                lateFollower,
		"events whose follower failed are delivered again":         failingFollower,
		"a follower of a closed log is told":                       closedFollower,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &bench{t: t, connect: open(t)}
			b.log = b.process()
			test(t, b)
		})
	}
}

// bench is a log under test and a way to reach it from more processes.
type bench struct {
	t       *testing.T
	connect func() eventlog.Log
	log     eventlog.Log
}

func (b *bench) process() eventlog.Log {
	l := b.connect()
	b.t.Cleanup(func() {
		if err := l.Close(); err != nil {
			b.t.Errorf("close: %v", err)
		}
	})
	return l
}

func (b *bench) append(topic string, events ...melodyud.Event) {
	b.t.Helper()
	if err := b.log.Append(b.t.Context(), topic, events...); err != nil {
		b.t.Fatal(err)
	}
}

// reader is a running consumer and what it was given.
type reader struct {
	t      *testing.T
	cancel func()
	ended  chan error

	mu     sync.Mutex
	seen   []melodyud.Event
	change chan struct{}
}

// consume starts a consumer; first, if not nil, is asked before a batch counts.
func (b *bench) consume(l eventlog.Log, topic, group string, first func(context.Context, []melodyud.Event) error) *reader {
	ctx, cancel := context.WithCancel(b.t.Context())
	r := &reader{t: b.t, cancel: cancel, ended: make(chan error, 1), change: make(chan struct{})}
	go func() {
		r.ended <- l.Consume(ctx, topic, group, func(ctx context.Context, events []melodyud.Event) error {
			if len(events) == 0 {
				r.t.Error("handler was given no events")
			}
			if first != nil {
				if err := first(ctx, events); err != nil {
					return err
				}
			}
			r.take(events)
			return nil
		})
	}()
	b.t.Cleanup(func() { r.stop() })
	return r
}

func (r *reader) take(events []melodyud.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, events...)
	close(r.change)
	r.change = make(chan struct{})
}

func (r *reader) state() ([]melodyud.Event, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen), r.change
}

// stop ends the consumer and returns all it was given.
func (r *reader) stop() []melodyud.Event {
	r.cancel()
	if err, open := <-r.ended; open {
		close(r.ended)
		if err != nil {
			r.t.Errorf("a consumer whose context ended returned %v", err)
		}
	}
	events, _ := r.state()
	return events
}

// until waits for n different events.
func (r *reader) until(n int) []melodyud.Event {
	r.t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		events, change := r.state()
		if events = distinct(events); len(events) >= n {
			return events
		}
		select {
		case <-change:
		case <-late.C:
			r.t.Fatalf("got %d events of %d in %s", len(events), n, patience)
		}
	}
}

// distinct drops all but the first delivery of each event.
func distinct(events []melodyud.Event) []melodyud.Event {
	known := map[melodyud.EventID]bool{}
	var first []melodyud.Event
	for _, e := range events {
		if !known[e.ID] {
			known[e.ID] = true
			first = append(first, e)
		}
	}
	return first
}

func event(subject string, n int) melodyud.Event {
	return melodyud.NewEvent(time.Now(), "com.melodyud.test.v1", subject, n)
}

func series(subject string, n int) []melodyud.Event {
	events := make([]melodyud.Event, n)
	for i := range events {
		events[i] = event(subject, i)
	}
	return events
}

// wantOrder checks that each subject's events are 0, 1, 2, … in this order.
func wantOrder(t *testing.T, events []melodyud.Event) {
	t.Helper()
	next := map[string]int{}
	for _, e := range events {
		var n int
		if err := json.Unmarshal(e.Data, &n); err != nil {
			t.Fatal(err)
		}
		if n != next[e.Subject] {
			t.Fatalf("subject %s: got event %d, want %d", e.Subject, n, next[e.Subject])
		}
		next[e.Subject]++
	}
}

func is(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got error %v, want %v", err, want)
	}
}

func equalEvents(t *testing.T, b *bench) {
	want := []melodyud.Event{
		melodyud.NewEvent(time.Date(2026, 1, 2, 3, 4, 5, 678_901_000, time.UTC), melodyud.TrackReceived, "trk_1",
			melodyud.TrackFact{Track: "trk_1", Title: "Für <Elise> & \u2028 \x00?", Owner: "usr_1"}),
		{ID: melodyud.NewEventID(time.Now()), Type: "com.melodyud.test.v1", Time: time.Unix(0, 0).UTC()},
		event("large "+strings.Repeat("s", 200), 1),
	}
	want[2].Data = json.RawMessage(`"` + strings.Repeat("x", eventlog.MaxEventBytes-2) + `"`)
	b.append("topic", want...)
	got := b.consume(b.log, "topic", "group", nil).until(len(want))
	slices.SortFunc(got, func(x, y melodyud.Event) int { return strings.Compare(string(x.Subject), string(y.Subject)) })
	slices.SortFunc(want, func(x, y melodyud.Event) int { return strings.Compare(string(x.Subject), string(y.Subject)) })
	sameBytes := cmp.Comparer(func(x, y json.RawMessage) bool { return bytes.Equal(x, y) })
	if diff := cmp.Diff(want, got, sameBytes); diff != "" {
		t.Errorf("-want +got:\n%.2000s", diff)
	}
}

func order(t *testing.T, b *bench) {
	const subjects, each = 4, 60
	r := b.consume(b.log, "topic", "group", nil)
	appendAll(t, subjects, func(s int) error {
		events := series(fmt.Sprint("subject ", s), each)
		for len(events) > 0 {
			n := min(1+len(events)%7, len(events))
			if err := b.log.Append(t.Context(), "topic", events[:n]...); err != nil {
				return err
			}
			events = events[n:]
		}
		return nil
	})
	wantOrder(t, r.until(subjects*each))
}

// concurrentAppends: a reader that runs all the time must not pass an append
// that began earlier and committed later.
func concurrentAppends(t *testing.T, b *bench) {
	const writers, each = 4, 20
	r := b.consume(b.process(), "topic", "group", nil)
	logs := []eventlog.Log{b.log, b.process()}
	appendAll(t, writers, func(w int) error {
		for _, e := range series(fmt.Sprint("writer ", w), each) {
			if err := logs[w%len(logs)].Append(t.Context(), "topic", e); err != nil {
				return err
			}
		}
		return nil
	})
	wantOrder(t, r.until(writers*each))
}

func appendAll(t *testing.T, writers int, f func(writer int) error) {
	t.Helper()
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			if err := f(w); err != nil {
				t.Errorf("writer %d: %v", w, err)
			}
		})
	}
	all.Wait()
}

func topics(t *testing.T, b *bench) {
	one, other := series("s", 3), series("s", 2)
	b.append("one", one...)
	b.append("other", other...)
	if got := b.consume(b.log, "other", "group", nil).until(2); got[0].ID != other[0].ID {
		t.Errorf("got %v of another topic", got)
	}
	wantOrder(t, b.consume(b.log, "one", "group", nil).until(3))
}

func lateGroup(t *testing.T, b *bench) {
	b.append("topic", series("s", 30)...)
	b.consume(b.log, "topic", "early", nil).until(30)
	wantOrder(t, b.consume(b.log, "topic", "late", nil).until(30))
}

func otherProcess(t *testing.T, b *bench) {
	r := b.consume(b.process(), "topic", "group", nil)
	for _, e := range series("s", 3) {
		b.append("topic", e)
	}
	wantOrder(t, r.until(3))
}

func resume(t *testing.T, b *bench) {
	events := series("s", 50)
	b.append("topic", events[:30]...)
	r := b.consume(b.log, "topic", "group", nil)
	r.until(30)
	r.stop()
	b.append("topic", events[30:]...)
	got := b.consume(b.process(), "topic", "group", nil).until(20)
	if len(got) != 20 || got[0].ID != events[30].ID {
		t.Errorf("got %d events from %s on, want 20", len(got), got[0].Data)
	}
}

var errMine = errors.New("mine")

func redelivery(t *testing.T, b *bench) {
	b.append("topic", series("s", 20)...)
	var failed atomic.Int32
	var refused []melodyud.Event
	r := b.consume(b.log, "topic", "group", func(_ context.Context, events []melodyud.Event) error {
		if failed.Add(1) <= 3 {
			refused = append(refused, events...)
			return errMine
		}
		return nil
	})
	got := r.until(20)
	wantOrder(t, got)
	for _, e := range refused {
		if !slices.ContainsFunc(got, func(g melodyud.Event) bool { return g.ID == e.ID }) {
			t.Errorf("event %s was refused and never delivered again", e.Data)
		}
	}
	if failed.Load() < 4 {
		t.Error("the handler never failed")
	}
}

func cutBatch(t *testing.T, b *bench) {
	b.append("topic", series("s", 5)...)
	inside := make(chan struct{})
	once := sync.OnceFunc(func() { close(inside) })
	r := b.consume(b.log, "topic", "group", func(ctx context.Context, _ []melodyud.Event) error {
		once()
		<-ctx.Done()
		return ctx.Err()
	})
	<-inside
	if got := r.stop(); len(got) != 0 {
		t.Errorf("%d events counted", len(got))
	}
	wantOrder(t, b.consume(b.log, "topic", "group", nil).until(5))
}

func handledAtTheEnd(t *testing.T, b *bench) {
	events := series("s", 2)
	b.append("topic", events[0])
	inside := make(chan struct{})
	once := sync.OnceFunc(func() { close(inside) })
	r := b.consume(b.log, "topic", "group", func(ctx context.Context, _ []melodyud.Event) error {
		once()
		<-ctx.Done()
		return nil
	})
	<-inside
	r.stop()
	b.append("topic", events[1])
	if got := b.consume(b.log, "topic", "group", nil).until(1); got[0].ID != events[1].ID {
		t.Errorf("got event %s, want the one after what was handled", got[0].Data)
	}
}

func groups(t *testing.T, b *bench) {
	b.append("topic", series("s", 10)...)
	stuck := b.consume(b.log, "topic", "stuck", func(context.Context, []melodyud.Event) error { return errMine })
	wantOrder(t, b.consume(b.log, "topic", "swift", nil).until(10))
	if got := stuck.stop(); len(got) != 0 {
		t.Errorf("the stuck group got %d events", len(got))
	}
}

func share(t *testing.T, b *bench) {
	const subjects, each = 4, 25
	var working sync.Map // subject -> in whose hands it is
	alone := func(_ context.Context, events []melodyud.Event) error {
		held := map[string]bool{}
		for _, e := range events {
			if _, taken := working.LoadOrStore(e.Subject, true); taken && !held[e.Subject] {
				t.Errorf("subject %s is handled by two consumers at a time", e.Subject)
			}
			held[e.Subject] = true
		}
		for s := range held {
			working.Delete(s)
		}
		return nil
	}
	one := b.consume(b.log, "topic", "group", alone)
	two := b.consume(b.process(), "topic", "group", alone)
	for s := range subjects {
		b.append("topic", series(fmt.Sprint("subject ", s), each)...)
	}
	total := waitBoth(t, subjects*each, one, two)
	if len(total) != subjects*each {
		t.Errorf("got %d deliveries of %d events", len(total), subjects*each)
	}
}

// waitBoth waits until two consumers have n different events between them.
func waitBoth(t *testing.T, n int, one, two *reader) []melodyud.Event {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		first, change1 := one.state()
		second, change2 := two.state()
		both := slices.Concat(first, second)
		if len(distinct(both)) >= n {
			return both
		}
		select {
		case <-change1:
		case <-change2:
		case <-late.C:
			t.Fatalf("got %d events of %d in %s", len(distinct(both)), n, patience)
		}
	}
}

func takeOver(t *testing.T, b *bench) {
	events := series("s", 10)
	one := b.consume(b.log, "topic", "group", nil)
	two := b.consume(b.process(), "topic", "group", nil)
	b.append("topic", events[:5]...)
	waitBoth(t, 5, one, two)
	one.stop()
	b.append("topic", events[5:]...)
	waitBoth(t, 10, one, two)
}

func appendedTwice(t *testing.T, b *bench) {
	events := series("s", 10)
	b.append("topic", events[:6]...)
	b.append("topic", events[:6]...)
	b.append("topic", events[4:]...)
	b.append("topic", events[9], events[9])
	wantOrder(t, b.consume(b.log, "topic", "group", nil).until(10))
}

func appendNothing(t *testing.T, b *bench) {
	b.append("topic")
	b.append("topic", series("s", 1)...)
	b.consume(b.log, "topic", "group", nil).until(1)
}

func refused(t *testing.T, b *bench) {
	nameless, broken, large := event("s", 1), event("s", 1), event("s", 1)
	nameless.ID = ""
	broken.Data = json.RawMessage("{")
	large.Data = json.RawMessage(`"` + strings.Repeat("x", eventlog.MaxEventBytes) + `"`)
	good := event("s", 0)
	is(t, b.log.Append(t.Context(), "topic", event("s", 9), nameless), melodyud.ErrInvalid)
	is(t, b.log.Append(t.Context(), "topic", event("s", 9), broken), melodyud.ErrInvalid)
	is(t, b.log.Append(t.Context(), "topic", event("s", 9), large), melodyud.ErrTooLarge)
	b.append("topic", good)
	if got := b.consume(b.log, "topic", "group", nil).until(1); got[0].ID != good.ID {
		t.Error("a part of a refused append is in the log")
	}
}

func endedContext(t *testing.T, b *bench) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	is(t, b.log.Consume(ctx, "topic", "group", func(context.Context, []melodyud.Event) error { return nil }), nil)
	if err := b.log.Append(ctx, "topic", event("s", 1)); err == nil {
		t.Error("an append without time was acknowledged")
	}
}

func badNames(t *testing.T, b *bench) {
	none := func(context.Context, []melodyud.Event) error { return nil }
	for _, bad := range []string{"", "two words", "ümlaut", strings.Repeat("x", 250)} {
		is(t, b.log.Append(t.Context(), bad, event("s", 1)), melodyud.ErrInvalid)
		is(t, b.log.Consume(t.Context(), bad, "group", none), melodyud.ErrInvalid)
		is(t, b.log.Consume(t.Context(), "topic", bad, none), melodyud.ErrInvalid)
	}
}

func closedLog(t *testing.T, b *bench) {
	l := b.connect()
	ended := make(chan error, 1)
	started := make(chan struct{})
	once := sync.OnceFunc(func() { close(started) })
	b.append("topic", event("s", 0))
	go func() {
		ended <- l.Consume(t.Context(), "topic", "group", func(context.Context, []melodyud.Event) error { once(); return nil })
	}()
	<-started
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	is(t, <-ended, melodyud.ErrUnavailable)
	is(t, l.Append(t.Context(), "topic", event("s", 1)), melodyud.ErrUnavailable)
	is(t, l.Close(), nil)
}
