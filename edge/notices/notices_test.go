package notices_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge/notices"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/databasetest"
	"github.com/melodyud/melodyud/internal/database/relay"
	"github.com/melodyud/melodyud/internal/eventlog/tables"
	"github.com/melodyud/melodyud/internal/ticket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	now  = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	rule = "+DE"
)

func board(t *testing.T, change ...func(*notices.Config)) *notices.Board {
	t.Helper()
	c := notices.Config{Log: &script{}, Now: func() time.Time { return now }}
	for _, f := range change {
		f(&c)
	}
	b, err := notices.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func notice(scope melodyud.NoticeScope, id string) melodyud.Notice {
	return melodyud.Notice{Scope: scope, ID: id, Before: now, Code: "playback.revoked", Text: "Stop."}
}

func issued(at time.Time) ticket.Claims {
	return ticket.Claims{
		KeyID: "k1", Session: "ses_1", Account: "acc_1", Device: "0123456789abcdef_phone", Issued: at,
		Tier: ticket.Free,
	}
}

func post(t *testing.T, b *notices.Board, n melodyud.Notice) {
	t.Helper()
	if err := b.Post(n); err != nil {
		t.Fatal(err)
	}
}

func void(b *notices.Board, c ticket.Claims) error {
	_, err := b.Void(&c, "trk_1", "rel_1")
	return err
}

func TestANoticeVoidsTheTicketsThatWereIssuedBeforeIt(t *testing.T) { // TOK-5
	t.Parallel()
	for scope, id := range map[melodyud.NoticeScope]string{
		melodyud.NoticeSession: "ses_1", melodyud.NoticeAccount: "acc_1", melodyud.NoticeSignIn: "0123456789abcdef",
		melodyud.NoticeTrack: "trk_1", melodyud.NoticeKey: "k1",
	} {
		b := board(t)
		post(t, b, notice(scope, id+"2"))
		if err := void(b, issued(now)); err != nil {
			t.Errorf("%s: another one's notice: %v", scope, err)
		}
		post(t, b, notice(scope, id))
		for _, at := range []time.Time{now, now.Add(-time.Hour), {}} {
			err := void(b, issued(at))
			if ref, ok := melodyud.AsRefusal(err); !ok || ref.Code != "playback.revoked" || ref.Text != "Stop." || !errors.Is(err, melodyud.ErrForbidden) {
				t.Errorf("%s: a ticket of %v: %v", scope, at, err)
			}
		}
		if err := void(b, issued(now.Add(time.Millisecond))); err != nil {
			t.Errorf("%s: a later ticket: %v", scope, err)
		}
	}
}

func TestANoticeForATrackHoldsForItsReleases(t *testing.T) {
	t.Parallel()
	b := board(t)
	n := notice(melodyud.NoticeTrack, "trk_9")
	n.Releases = []melodyud.ReleaseID{"rel_8", "rel_1"}
	post(t, b, n)
	c := issued(now)
	if _, err := b.Void(&c, "", "rel_1"); err == nil {
		t.Error("a list plays a withdrawn track")
	}
	if _, err := b.Void(&c, "trk_1", "rel_2"); err != nil {
		t.Errorf("another track: %v", err)
	}
}

func TestARuleOnCountriesAndAWithdrawalHoldTogether(t *testing.T) {
	t.Parallel()
	b := board(t)
	old := issued(now.Add(-time.Hour))
	ruled := notice(melodyud.NoticeTrack, "trk_1")
	ruled.Countries = &rule
	post(t, b, ruled)
	if got, err := b.Void(&old, "trk_1", "rel_1"); err != nil || got != "+DE" {
		t.Errorf("a rule: %q, %v", got, err)
	}
	first := issued(time.Time{})
	if got, err := b.Void(&first, "trk_1", "rel_1"); err != nil || got != "+DE" {
		t.Errorf("a rule for the first version: %q, %v", got, err)
	}
	everywhere := ""
	later := ruled
	later.Countries, later.Before = &everywhere, now.Add(time.Second)
	post(t, b, later)
	post(t, b, ruled) // delivered again
	if got, err := b.Void(&old, "trk_1", "rel_1"); err != nil || got != "" {
		t.Errorf("a rule that was lifted: %q, %v", got, err)
	}
	post(t, b, notice(melodyud.NoticeTrack, "trk_1"))
	post(t, b, later)
	if _, err := b.Void(&old, "trk_1", "rel_1"); err == nil {
		t.Error("a rule takes a withdrawal back")
	}
}

func TestNoticesEndWithTheTicketsTheyVoid(t *testing.T) {
	t.Parallel()
	log := &script{}
	clock := now
	b := board(t, func(c *notices.Config) { c.Log, c.Now = log, func() time.Time { return clock } })
	old := notice(melodyud.NoticeSession, "ses_2")
	old.Before = now.Add(-ticket.MaxLife - 2*ticket.Skew)
	post(t, b, old)
	if b.Len() != 0 {
		t.Error("a notice that no ticket is old enough for is kept")
	}
	post(t, b, notice(melodyud.NoticeSession, "ses_1"))
	log.read(t, b)
	if b.Len() != 1 {
		t.Fatalf("%d notices", b.Len())
	}
	clock = now.Add(ticket.MaxLife + 2*ticket.Skew)
	log.read(t, b)
	if b.Len() != 0 {
		t.Error("a notice outlives its tickets")
	}
}

func TestTooManyNoticesForgetTheOldest(t *testing.T) {
	t.Parallel()
	log := &script{}
	b := board(t, func(c *notices.Config) { c.Log, c.Most = log, 100 })
	for i := range 300 {
		n := notice(melodyud.NoticeSession, fmt.Sprint("ses_", i))
		n.Before = now.Add(-time.Duration(300-i) * time.Hour / 2)
		post(t, b, n)
	}
	log.read(t, b)
	if b.Len() == 0 || b.Len() > 100 {
		t.Errorf("%d notices are kept", b.Len())
	}
	c := issued(now.Add(-ticket.MaxLife))
	c.Session = "ses_299"
	if err := void(b, c); err == nil {
		t.Error("the newest notice was forgotten")
	}
}

// script is a log that tells what it is given, once.
type script struct{ events []melodyud.Event }

func (s *script) Follow(ctx context.Context, _ string, _ time.Time, handle func(context.Context, []melodyud.Event) error) error {
	if err := handle(ctx, s.events); err != nil {
		return err
	}
	return handle(ctx, nil)
}

func (s *script) read(t *testing.T, b *notices.Board) {
	t.Helper()
	if err := b.Learn(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestWhatNobodyCanReadIsPassedOver(t *testing.T) {
	t.Parallel()
	bad := "x"
	log := &script{events: []melodyud.Event{
		melodyud.NewEvent(now, melodyud.TicketsRevoked, "s", "no notice"),
		melodyud.NewEvent(now, "com.melodyud.rights.other.v1", "s", notice(melodyud.NoticeSession, "ses_1")),
		melodyud.NewNotice(now, notice("planet", "earth")),
		melodyud.NewNotice(now, notice(melodyud.NoticeSession, "")),
		melodyud.NewNotice(now, melodyud.Notice{Scope: melodyud.NoticeTrack, ID: "trk_1", Before: now, Countries: &bad}),
		melodyud.NewNotice(now, notice(melodyud.NoticeAccount, "acc_1")),
	}}
	b := board(t, func(c *notices.Config) { c.Log = log })
	log.read(t, b)
	if b.Len() != 1 || void(b, issued(now)) == nil {
		t.Errorf("%d notices", b.Len())
	}
}

// away is a log that cannot be read while it is down.
type away struct {
	*tables.Log
	down atomic.Bool
}

func (a *away) Follow(ctx context.Context, topic string, since time.Time, handle func(context.Context, []melodyud.Event) error) error {
	return a.Log.Follow(ctx, topic, since, func(ctx context.Context, events []melodyud.Event) error {
		if a.down.Load() {
			return errors.New("the log is away")
		}
		return handle(ctx, events)
	})
}

func TestAnEdgeGoesOnWhileTheLogIsAwayAndSaysSo(t *testing.T) {
	t.Parallel()
	log := &away{Log: tables.New(databasetest.Open(t))}
	defer log.Close()
	var clock atomic.Int64
	clock.Store(now.UnixNano())
	registry := prometheus.NewRegistry()
	b := board(t, func(c *notices.Config) {
		c.Log, c.Metrics, c.Now = log, registry, func() time.Time { return time.Unix(0, clock.Load()) }
	})
	if b.Healthy() == nil {
		t.Error("healthy before anything was read")
	}
	if err := b.Learn(t.Context()); err != nil || b.Healthy() != nil {
		t.Fatalf("%v, %v", err, b.Healthy())
	}
	log.down.Store(true)
	clock.Add(int64(time.Minute))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := b.Learn(ctx); err != nil {
		t.Errorf("what was learned once is known: %v", err)
	}
	if b.Healthy() == nil || void(b, issued(now)) != nil {
		t.Errorf("the log is away: healthy %v", b.Healthy())
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "melodyud_edge_notices_age_seconds" && f.GetMetric()[0].GetGauge().GetValue() != 60 {
			t.Errorf("age %v", f.GetMetric()[0].GetGauge().GetValue())
		}
	}
}

func TestANoticeReachesEveryEdge(t *testing.T) {
	t.Parallel()
	db := databasetest.Open(t)
	log := tables.New(db)
	defer log.Close()
	r, err := relay.New(relay.Config{DB: db, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	run(t, r.Run)
	at := time.Now()
	var edges []*notices.Board
	for range 2 {
		other := tables.New(db) // another process does not hear of appends: it polls
		t.Cleanup(func() { _ = other.Close() })
		b, err := notices.New(notices.Config{Log: other})
		if err != nil {
			t.Fatal(err)
		}
		run(t, b.Run)
		edges = append(edges, b)
	}
	n := notice(melodyud.NoticeSession, "ses_1")
	n.Before = at
	if err := db.InTx(t.Context(), func(tx database.Tx) error {
		return tx.Emit(t.Context(), melodyud.TopicRights, melodyud.NewNotice(at, n))
	}); err != nil {
		t.Fatal(err)
	}
	for i, b := range edges {
		for deadline := time.Now().Add(time.Minute); void(b, issued(at)) == nil; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("edge %d plays on", i)
			}
		}
	}
	t.Logf("known at all edges after %v", time.Since(at))
	late, err := notices.New(notices.Config{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	if err := late.Learn(t.Context()); err != nil || void(late, issued(at)) == nil {
		t.Errorf("an edge that starts later: %v", err)
	}
}

// run runs f until the test ends.
func run(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

func TestAskingAllocatesNothing(t *testing.T) {
	b := board(t)
	for i := range 1000 {
		post(t, b, notice(melodyud.NoticeSession, fmt.Sprint("ses_x", i)))
		post(t, b, notice(melodyud.NoticeSignIn, fmt.Sprint("sign-in", i)))
	}
	c := issued(now)
	if n := testing.AllocsPerRun(100, func() { _, _ = b.Void(&c, "trk_1", "rel_1") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestANoticeIsAFact(t *testing.T) { // CE-1
	t.Parallel()
	e := melodyud.NewNotice(now, notice(melodyud.NoticeAccount, "acc_1"))
	var n melodyud.Notice
	if err := json.Unmarshal(e.Data, &n); err != nil || !strings.HasPrefix(e.Type, "com.melodyud.") || e.Subject != "account:acc_1" || n.ID != "acc_1" {
		t.Errorf("%+v, %v", e, err)
	}
}
