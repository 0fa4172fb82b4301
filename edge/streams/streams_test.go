package streams_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge/streams"
	"github.com/melodyud/melodyud/internal/realtest"
	"github.com/melodyud/melodyud/internal/ticket"
)

// clock is a time that a test sets forward.
type clock struct{ ms atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ms.Store(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC).UnixMilli())
	return c
}

func (c *clock) Now() time.Time          { return time.UnixMilli(c.ms.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.ms.Add(d.Milliseconds()) }

var one = map[ticket.Tier]int{ticket.Free: 1, ticket.Premium: 3}

func gate(t testing.TB, c streams.Config) *streams.Gate {
	t.Helper()
	if c.Limits == nil {
		c.Limits = one
	}
	g, err := streams.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// device is somebody's player with a ticket.
type device struct {
	gate *streams.Gate
	ticket.Claims
}

func (d *device) fetches() error { return d.gate.Allow(&d.Claims, "/trk/rel/aac-96/s/7.m4s") }
func (d *device) looks() error   { return d.gate.Allow(&d.Claims, "/trk/rel/index.m3u8") }

func (d *device) with(change func(*ticket.Claims)) *device {
	c := *d
	change(&c.Claims)
	return &c
}

func player(g *streams.Gate, name string, issued time.Time) *device {
	return &device{g, ticket.Claims{Account: "acc", Device: name, Session: "ses_" + name, Tier: ticket.Free, Issued: issued, Prefix: "/trk/rel/"}}
}

func refusal(err error) string {
	if r, ok := melodyud.AsRefusal(err); ok && errors.Is(err, melodyud.ErrForbidden) && strings.HasSuffix(r.Text, ".") {
		return r.Code
	}
	return fmt.Sprint(err)
}

const (
	elsewhere = "playback.elsewhere"
	tooMany   = "playback.too-many-streams"
	fine      = "<nil>"
)

func want(t testing.TB, err error, code, when string) {
	t.Helper()
	if got := refusal(err); got != code {
		t.Errorf("%s: %s, want %s", when, got, code)
	}
}

func TestTheNewestStreamEndsTheOldest(t *testing.T) {
	t.Parallel()
	clk := newClock()
	g := gate(t, streams.Config{Now: clk.Now})
	phone, desk := player(g, "phone", clk.Now()), player(g, "desk", clk.Now())
	want(t, phone.fetches(), fine, "the first stream")
	clk.advance(10 * time.Second)
	want(t, desk.looks(), fine, "the second one's playlist")
	want(t, phone.fetches(), fine, "the first while the second only looks")
	want(t, desk.fetches(), fine, "the second stream")
	clk.advance(time.Second)
	want(t, phone.fetches(), elsewhere, "the first from then on")
	want(t, phone.looks(), elsewhere, "its playlists, too")
	want(t, desk.fetches(), fine, "the second goes on")
	for range 40 { // a player that never gives up
		clk.advance(4 * time.Second)
		want(t, desk.fetches(), fine, "the second much later")
		want(t, phone.fetches(), elsewhere, "a stubborn first one")
	}
	again := phone.with(func(c *ticket.Claims) { c.Issued, c.Session = clk.Now().Add(time.Second), "ses_again" })
	want(t, again.fetches(), fine, "pressing play on the first again")
	want(t, desk.fetches(), elsewhere, "the second after that")
}

func TestANextTrackIsNoPressOnPlay(t *testing.T) {
	t.Parallel()
	clk := newClock()
	g := gate(t, streams.Config{Now: clk.Now})
	phone, desk := player(g, "phone", clk.Now()), player(g, "desk", clk.Now())
	for range 40 {
		want(t, phone.fetches(), fine, "filling a buffer")
	}
	clk.advance(5 * time.Second)
	want(t, desk.fetches(), fine, "another device")
	clk.advance(100 * time.Second) // the phone plays what it has and goes on to the next track by itself
	want(t, desk.fetches(), fine, "the other device goes on")
	next := phone.with(func(c *ticket.Claims) { c.Issued, c.Session = clk.Now().Add(-time.Second), "ses_next" })
	want(t, next.fetches(), elsewhere, "the next track of the ended device")
	want(t, desk.fetches(), fine, "the device pressed last")
}

func TestNewStreamsAreRefusedWhileOthersPlay(t *testing.T) {
	t.Parallel()
	clk := newClock()
	g := gate(t, streams.Config{Now: clk.Now, Policy: streams.RefuseNew})
	phone, desk := player(g, "phone", clk.Now()), player(g, "desk", clk.Now())
	want(t, phone.fetches(), fine, "the first stream")
	want(t, desk.looks(), tooMany, "the second one's playlist")
	for range 10 {
		clk.advance(4 * time.Second)
		want(t, phone.fetches(), fine, "the first goes on")
		want(t, desk.fetches(), tooMany, "the second")
	}
	next := phone.with(func(c *ticket.Claims) { c.Session = "ses_next" })
	want(t, next.fetches(), fine, "the next track on the same device")
	clk.advance(31 * time.Second)
	want(t, desk.fetches(), fine, "when the first has stopped")
	want(t, phone.fetches(), tooMany, "the first then")
}

func TestAStreamCountsAsLongAsWhatItFetchedPlays(t *testing.T) {
	t.Parallel()
	clk := newClock()
	g := gate(t, streams.Config{Now: clk.Now, Policy: streams.RefuseNew})
	phone, desk := player(g, "phone", clk.Now()), player(g, "desk", clk.Now())
	for range 30 { // two minutes of sound
		want(t, phone.fetches(), fine, "a full buffer")
	}
	clk.advance(118 * time.Second)
	want(t, desk.looks(), tooMany, "while the buffer plays")
	clk.advance(3 * time.Second)
	want(t, desk.looks(), fine, "after it")
	for range 1000 { // 66 minutes
		want(t, phone.fetches(), fine, "all of a long track")
	}
	clk.advance(5*time.Minute + time.Second)
	want(t, desk.looks(), fine, "no more than five minutes are counted ahead")
}

func TestWhatIsNotCountedIsNotLimited(t *testing.T) {
	t.Parallel()
	clk := newClock()
	g := gate(t, streams.Config{Now: clk.Now, Policy: streams.RefuseNew, Limits: map[ticket.Tier]int{ticket.Free: 1}})
	want(t, player(g, "phone", clk.Now()).fetches(), fine, "the one stream")
	desk := player(g, "desk", clk.Now())
	for name, change := range map[string]func(*ticket.Claims){
		"a ticket without account": func(c *ticket.Claims) { c.Account = "" },
		"a preview":                func(c *ticket.Claims) { c.Prefix = ticket.PreviewPrefix("trk", "rel", 1, 8) },
		"an offline file":          func(c *ticket.Claims) { c.Prefix = ticket.OfflinePrefix(ticket.Stream{KeyID: "k"}, "b") },
		"a tier without limit":     func(c *ticket.Claims) { c.Tier = ticket.Premium },
		"another account":          func(c *ticket.Claims) { c.Account = "other" },
	} {
		want(t, desk.with(change).fetches(), fine, name)
	}
	want(t, desk.fetches(), tooMany, "the same without any of it")
	want(t, desk.with(func(c *ticket.Claims) { c.Device, c.Session = "", "ses_phone2" }).fetches(), tooMany, "a session of no device")
}

// TestNoMoreThanTheLimitPlay lets devices fetch in any order: of those that fetched
// lately no more than allowed may go on.
func TestNoMoreThanTheLimitPlay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 3).Draw(t, "limit")
		clk := newClock()
		g, err := streams.New(streams.Config{
			Now: clk.Now, Policy: rapid.SampledFrom([]streams.Policy{streams.EndOldest, streams.RefuseNew}).Draw(t, "policy"),
			Limits: map[ticket.Tier]int{ticket.Free: limit},
		})
		if err != nil {
			t.Fatal(err)
		}
		heard := map[string]time.Time{}
		for range rapid.IntRange(1, 60).Draw(t, "requests") {
			clk.advance(time.Duration(rapid.IntRange(1, 20_000).Draw(t, "ms")) * time.Millisecond)
			d := player(g, rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "device"), clk.Now().Add(-time.Hour))
			if rapid.Bool().Draw(t, "pressed play") {
				d.Issued = clk.Now().Add(time.Second)
			}
			if d.fetches() == nil {
				heard[d.Device] = clk.Now()
			}
			playing := 0
			for name, at := range heard {
				if clk.Now().Sub(at) < 30*time.Second && player(g, name, time.Unix(1, 0)).looks() == nil {
					playing++
				}
			}
			if playing > limit {
				t.Fatalf("%d streams play, %d may", playing, limit)
			}
		}
	})
}

// shared is a Redis and edges that use it, each with a clock that is wrong in its
// own way.
type shared struct {
	t     *testing.T
	redis func() redis.UniversalClient
	log   *lines
}

func (s shared) edge(c streams.Config) *streams.Gate {
	client := s.redis()
	c.Redis, c.Every, c.Logger = client, 5*time.Millisecond, slog.New(slog.NewTextHandler(s.log, nil))
	g := gate(s.t, c)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	s.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
		client.Close()
	})
	return g
}

type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), what)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute for %s", what)
		}
	}
}

func TestEdgesAgreeThroughRedis(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	s := shared{t, func() redis.UniversalClient { return redis.NewClient(&redis.Options{Addr: server.Addr()}) }, &lines{}}
	ahead := func() time.Time { return time.Now().Add(time.Hour) } // clocks need not agree
	long := time.Hour                                              // nothing is told again by itself while the test runs
	a, b := s.edge(streams.Config{Linger: long, Ahead: long}), s.edge(streams.Config{Linger: long, Ahead: long, Now: ahead})
	phone, desk := player(a, "phone", time.Now().Add(-time.Minute)), player(b, "desk", time.Now().Add(-time.Minute))
	want(t, phone.fetches(), fine, "a stream on one edge")
	eventually(t, "Redis to hear of it", func() bool { return len(server.Keys()) == 1 })
	want(t, desk.fetches(), fine, "another one on another edge")
	eventually(t, "the first to be ended", func() bool { return refusal(phone.fetches()) == elsewhere })
	want(t, desk.fetches(), fine, "the second")
	moved := &device{b, phone.Claims}
	eventually(t, "the first to be ended on the other edge, too", func() bool { return refusal(moved.fetches()) == elsewhere })
	time.Sleep(100 * time.Millisecond) // what both have heard so far is behind them
	again := &device{a, phone.with(func(c *ticket.Claims) { c.Issued = time.Now().Add(2 * time.Second) }).Claims}
	want(t, again.fetches(), fine, "pressing play again")
	eventually(t, "the second to be ended", func() bool { return refusal(desk.fetches()) == elsewhere })
	want(t, again.fetches(), fine, "the one pressed last")
	for _, key := range server.Keys() {
		if ttl := server.TTL(key); ttl <= 0 || ttl > 3*time.Hour {
			t.Errorf("%s is kept for %s", key, ttl)
		}
	}
}

func TestEdgesRefuseTheNewThroughRedis(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	s := shared{t, func() redis.UniversalClient { return redis.NewClient(&redis.Options{Addr: server.Addr()}) }, &lines{}}
	a, b := s.edge(streams.Config{Policy: streams.RefuseNew}), s.edge(streams.Config{Policy: streams.RefuseNew})
	phone, desk := player(a, "phone", time.Now()), player(b, "desk", time.Now())
	want(t, phone.fetches(), fine, "a stream on one edge")
	eventually(t, "the other edge to hear of it", func() bool {
		return len(server.Keys()) == 1 && refusal(desk.fetches()) == tooMany
	})
	want(t, phone.fetches(), fine, "the first goes on")
}

func TestAnAwayRedisStopsNobody(t *testing.T) {
	t.Parallel()
	server := realtest.StartRedis(t)
	options, err := redis.ParseURL(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := shared{t, func() redis.UniversalClient { return redis.NewClient(options) }, &lines{}}
	reg := prometheus.NewRegistry()
	a, b := s.edge(streams.Config{Metrics: reg}), s.edge(streams.Config{})
	server.Kill()
	phone, desk := player(a, "phone", time.Now().Add(-time.Minute)), player(b, "desk", time.Now().Add(-time.Minute))
	want(t, phone.fetches(), fine, "a stream without Redis")
	want(t, desk.fetches(), fine, "another one elsewhere")
	eventually(t, "the metric to tell", func() bool {
		n, err := testutil.GatherAndCount(reg, "melodyud_streams_shared")
		return err == nil && n == 1 && testutil.ToFloat64(sharedGauge(t, reg)) == 0
	})
	for range 20 {
		want(t, phone.fetches(), fine, "the first without Redis")
		want(t, desk.fetches(), fine, "the second without Redis")
		time.Sleep(5 * time.Millisecond)
	}
	tablet := player(a, "tablet", time.Now().Add(-time.Minute))
	want(t, tablet.fetches(), fine, "an edge's own third")
	want(t, phone.fetches(), elsewhere, "what an edge knows itself it goes on enforcing")
	server.Start()
	eventually(t, "the edges to agree again", func() bool { return (tablet.fetches() == nil) != (desk.fetches() == nil) })
	if n := s.log.count("cannot be shared"); n > 2 {
		t.Errorf("two edges said %d times that Redis is away", n)
	}
	eventually(t, "both to say that it is back", func() bool { return s.log.count("shared with the other edges again") == 2 })
}

func sharedGauge(t *testing.T, reg *prometheus.Registry) prometheus.Collector {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "copy"})
	for _, f := range families {
		if f.GetName() == "melodyud_streams_shared" {
			g.Set(f.GetMetric()[0].GetGauge().GetValue())
		}
	}
	return g
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	clk := newClock()
	reg := prometheus.NewRegistry()
	g := gate(t, streams.Config{Now: clk.Now, Accounts: 640, Metrics: reg})
	for i := range 5000 {
		d := player(g, "phone", clk.Now()).with(func(c *ticket.Claims) { c.Account = fmt.Sprint("acc", i) })
		want(t, d.fetches(), fine, "an account more than is remembered")
	}
	if n := g.Accounts(); n > 640 {
		t.Errorf("%d accounts are remembered", n)
	}
	crowd := player(g, "", clk.Now())
	for i := range 1000 {
		_ = crowd.with(func(c *ticket.Claims) { c.Account, c.Session = "acc0", fmt.Sprint("ses", i) }).fetches()
	}
	want(t, crowd.with(func(c *ticket.Claims) { c.Account, c.Session = "acc0", "one more" }).fetches(), tooMany, "the sixty-fifth stream of one account")
}

func TestLimitsThatCannotBeMeantAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]streams.Config{
		"policy":   {Policy: "toss-a-coin"},
		"negative": {Limits: map[ticket.Tier]int{ticket.Free: -1}},
		"many":     {Limits: map[ticket.Tier]int{ticket.Free: 65}},
		"instant":  {Linger: time.Millisecond},
	} {
		if _, err := streams.New(c); !errors.Is(err, melodyud.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDecidingAllocatesNothing(t *testing.T) {
	g := gate(t, streams.Config{})
	phone := player(g, "phone", time.Now())
	_ = phone.fetches()
	if n := testing.AllocsPerRun(100, func() { _ = phone.fetches() }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAllow(b *testing.B) {
	g := gate(b, streams.Config{})
	phone := player(g, "phone", time.Now())
	for b.Loop() {
		_ = phone.fetches()
	}
}
