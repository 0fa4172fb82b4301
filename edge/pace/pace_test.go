package pace_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge/pace"
	"github.com/melodyud/melodyud/internal/ticket"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func buckets(t testing.TB, r pace.Rate, keys int) *pace.Buckets {
	t.Helper()
	b, err := pace.New(r, keys)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestABucketGivesItsBurstAndThenItsRate(t *testing.T) {
	t.Parallel()
	b := buckets(t, pace.Rate{PerSecond: 10, Burst: 5}, 100)
	key, now := b.Name("somebody"), noon
	for i := range 5 {
		if wait := b.Take(key, now); wait != 0 {
			t.Fatalf("request %d of the burst waits %s", i, wait)
		}
	}
	if wait := b.Take(key, now); wait != 100*time.Millisecond {
		t.Errorf("after the burst: %s, want 100 ms", wait)
	}
	if wait := b.Take(b.Name("somebody else"), now); wait != 0 {
		t.Errorf("somebody else waits %s", wait)
	}
	given := 0
	for ms := range 10_000 { // asking all the time costs nothing
		if b.Take(key, now.Add(time.Duration(ms+1)*time.Millisecond)) == 0 {
			given++
		}
	}
	if given != 100 {
		t.Errorf("%d requests in ten seconds, want 100", given)
	}
	rest := now.Add(time.Hour)
	for i := range 6 {
		if wait := b.Take(key, rest); (wait == 0) != (i < 5) {
			t.Errorf("request %d after an hour waits %s", i, wait)
		}
	}
}

func TestBucketsAreBounded(t *testing.T) {
	t.Parallel()
	b := buckets(t, pace.Rate{PerSecond: 1, Burst: 2}, 1000)
	greedy := b.Name("greedy")
	refused := 0
	for i := range 100_000 {
		if i%10 == 0 && b.Take(greedy, noon) > 0 { // one that keeps asking is not forgotten
			refused++
		}
		b.Take(b.Name(fmt.Sprint(i)), noon)
	}
	if n := b.Keys(); n > 1000 {
		t.Errorf("%d buckets are remembered", n)
	}
	if refused < 5_000 {
		t.Errorf("a crowd of others freed the greedy one: refused %d of 10,000", refused)
	}
}

func TestNetworksAreHouseholds(t *testing.T) {
	t.Parallel()
	b := buckets(t, pace.Rate{PerSecond: 1, Burst: 1}, 100)
	same := func(x, y string) bool {
		return b.Network(netip.MustParseAddr(x)) == b.Network(netip.MustParseAddr(y))
	}
	for _, c := range []struct {
		x, y string
		same bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"2001:db8::1", "2001:db8::ffff:1", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"fe80::1%eth0", "fe80::1%eth1", true},
	} {
		if same(c.x, c.y) != c.same {
			t.Errorf("%s and %s: want alike %t", c.x, c.y, c.same)
		}
	}
	if b.Network(netip.Addr{}) == b.Network(netip.MustParseAddr("192.0.2.1")) {
		t.Error("an unknown address is one that is known")
	}
}

func gate(t testing.TB) *pace.Gate {
	t.Helper()
	g, err := pace.NewGate(pace.Config{
		Listeners: map[ticket.Tier]pace.Rate{ticket.Free: {PerSecond: 1, Burst: 3}},
		Strangers: pace.Rate{PerSecond: 1, Burst: 2}, Now: func() time.Time { return noon }, Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestListenersArePacedByAccountAndPremiumIsNot(t *testing.T) {
	t.Parallel()
	g := gate(t)
	ask := func(account, session string, tier ticket.Tier) error {
		return g.Listener(&ticket.Claims{Account: account, Session: session, Tier: tier})
	}
	for i := range 5 {
		err := ask("acc", fmt.Sprint("ses", i), ticket.Free)
		if (err == nil) != (i < 3) {
			t.Errorf("request %d of an account: %v", i, err)
		}
		if err := ask("acc", "ses", ticket.Premium); err != nil {
			t.Errorf("premium: %v", err)
		}
		if err := ask("", fmt.Sprint("ses", i), ticket.Free); err != nil {
			t.Errorf("a session of its own: %v", err)
		}
	}
	err := ask("acc", "ses", ticket.Free)
	refusal, ok := melodyud.AsRefusal(err)
	slow, hint := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err)
	if !ok || refusal.Code != "playback.too-fast" || !errors.Is(err, melodyud.ErrUnavailable) || !hint || slow.RetryAfter() != time.Second {
		t.Errorf("%v", err) // 503 and Retry-After: standards §5.3
	}
}

func TestStrangersArePacedByNetwork(t *testing.T) {
	t.Parallel()
	g := gate(t)
	for i := range 4 {
		if err := g.Stranger(netip.MustParseAddr("192.0.2.1")); (err == nil) != (i < 2) {
			t.Errorf("request %d: %v", i, err)
		}
	}
	if err := g.Stranger(netip.MustParseAddr("192.0.2.2")); err != nil {
		t.Errorf("the neighbour: %v", err)
	}
}

func TestRatesThatCannotBeMeantAreRefused(t *testing.T) {
	t.Parallel()
	for _, r := range []pace.Rate{{PerSecond: -1, Burst: 1}, {PerSecond: 1}, {PerSecond: 1e9, Burst: 1}, {PerSecond: 1e-9, Burst: 1}} {
		if _, err := pace.New(r, 10); !errors.Is(err, melodyud.ErrInvalid) {
			t.Errorf("%+v: %v", r, err)
		}
	}
	b := buckets(t, pace.Rate{}, 10)
	for range 1000 {
		if b.Take(1, noon) != 0 {
			t.Fatal("no rate is a limit")
		}
	}
}

func TestTakingAllocatesNothing(t *testing.T) {
	g, err := pace.NewGate(pace.Config{Listeners: map[ticket.Tier]pace.Rate{ticket.Free: {PerSecond: 1e5, Burst: 1e5}}})
	if err != nil {
		t.Fatal(err)
	}
	c := &ticket.Claims{Account: "acc", Tier: ticket.Free}
	_ = g.Listener(c)
	if n := testing.AllocsPerRun(100, func() { _ = g.Listener(c) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
