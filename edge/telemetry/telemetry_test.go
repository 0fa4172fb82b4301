package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge/telemetry"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/ticket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var began = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

const (
	track   = melodyud.TrackID("trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X")
	release = melodyud.ReleaseID("rel_01J9ZQ3W5Y7K8M2N4P6R8T0V1X")
	other   = melodyud.ReleaseID("rel_01J9ZQ3W5Y7K8M2N4P6R8T0V2X")
)

// events is an event log in memory that can be away, or slow.
type events struct {
	mu    sync.Mutex
	away  bool
	gate  chan struct{} // not nil: each append waits for it
	began chan struct{} // not nil: told of each append that waits
	kept  []melodyud.Event
	known map[melodyud.EventID]bool
	calls int
	mute  bool // keeps, but says that it did not
}

func (l *events) Append(ctx context.Context, topic string, all ...melodyud.Event) error {
	if l.gate != nil {
		l.began <- struct{}{}
		select {
		case <-l.gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	if l.away || topic != melodyud.TopicPlayback {
		return melodyud.ErrUnavailable
	}
	for _, e := range all {
		if !l.known[e.ID] {
			l.known[e.ID] = true
			l.kept = append(l.kept, e)
		}
	}
	if l.mute {
		l.mute = false
		return melodyud.ErrUnavailable
	}
	return nil
}

func (l *events) set(away bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.away = away
}

func (l *events) all() []melodyud.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kept
}

type fixture struct {
	*telemetry.Intake
	t       *testing.T
	log     *events
	keys    *ticket.Keyring
	metrics *prometheus.Registry
	handler http.Handler
	now     time.Time
	stop    func()
	length  time.Duration
	gone    error
	session string
}

// Length implements what the edge knows of tracks.
func (f *fixture) Length(_ context.Context, _ melodyud.ReleaseID) (time.Duration, error) {
	return f.length, f.gone
}

// Authenticate knows nobody.
func (f *fixture) Authenticate(context.Context, string) (api.Principal, error) {
	return api.Principal{}, melodyud.ErrUnauthenticated
}

func newFixture(t *testing.T, change func(*telemetry.Config), log *events) *fixture {
	t.Helper()
	f := &fixture{t: t, log: log, now: began.Add(time.Minute), metrics: prometheus.NewRegistry(), length: 200 * time.Second, session: "ses_1"}
	log.known = map[melodyud.EventID]bool{}
	var err error
	if f.keys, err = ticket.NewKeyring(ticket.Key{ID: "k1", Secret: make([]byte, 32)}); err != nil {
		t.Fatal(err)
	}
	c := telemetry.Config{
		Events: log, Secret: bytes.Repeat([]byte("s"), 32), Every: time.Hour, Metrics: f.metrics, Now: func() time.Time { return f.now },
	}
	if change != nil {
		change(&c)
	}
	if f.Intake, err = telemetry.New(c); err != nil {
		t.Fatal(err)
	}
	router, err := api.NewRouter(api.Config{Version: "test", Auth: f})
	if err != nil {
		t.Fatal(err)
	}
	f.Register(router, f.keys, f)
	f.handler = router.Handler()
	f.run()
	return f
}

func (f *fixture) run() {
	ctx, cancel := context.WithCancel(f.t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	f.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Error(err)
		}
	})
	f.t.Cleanup(f.stop)
}

func (f *fixture) ticket(c ticket.Claims) string {
	f.t.Helper()
	if c.Prefix == "" {
		c.Prefix = ticket.ReleasePrefix(track, release)
	}
	if c.Expires.IsZero() {
		c.Expires = began.Add(time.Hour)
	}
	c.Session, c.Tier, c.Issued, c.Account, c.Skips = f.session, ticket.Free, began, "acc1", ticket.Unlimited
	token, err := f.keys.Sign(c)
	if err != nil {
		f.t.Fatal(err)
	}
	return token
}

func (f *fixture) post(path, contentType, body string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	req.Header.Set("Content-Type", contentType)
	rec := httptest.NewRecorder()
	f.handler.ServeHTTP(rec, req)
	return rec
}

// tell sends a beacon for the usual track.
func (f *fixture) tell(body string) *httptest.ResponseRecorder {
	return f.post("/p/"+f.ticket(ticket.Claims{})+ticket.ReleasePrefix(track, release)+"events", "text/plain;charset=UTF-8", body)
}

func factOf[T any](t *testing.T, e melodyud.Event) (f T) {
	t.Helper()
	if err := json.Unmarshal(e.Data, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// metric adds up the values of a metric's series whose labels contain all of some.
func (f *fixture) metric(name string, labels ...string) (sum float64) {
	all, err := f.metrics.Gather()
	if err != nil {
		f.t.Fatal(err)
	}
	for _, family := range all {
		if family.GetName() != name {
			continue
		}
	next:
		for _, m := range family.GetMetric() {
			for _, l := range labels {
				if !strings.Contains(m.String(), `"`+l+`"`) {
					continue next
				}
			}
			sum += m.GetCounter().GetValue() + m.GetHistogram().GetSampleSum()
		}
	}
	return sum
}

func TestAnIntakeNeedsALogAndASecret(t *testing.T) {
	t.Parallel()
	for _, c := range []telemetry.Config{{}, {Events: &events{}}, {Events: &events{}, Secret: []byte("short")}} {
		if _, err := telemetry.New(c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

func segment(n int) telemetry.Segment {
	return telemetry.Segment{
		Session: fmt.Sprintf("ses_%d", n), Account: fmt.Sprintf("acc%d", n), Tier: "free", Track: track, Release: release,
		Rendition: "aac-96", Bytes: 1000, Hit: true,
	}
}

func TestSegmentsOfASessionBecomeOneFact(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil, &events{})
	for n, query := range []string{
		"CMCD=bl%3D4000%2Cmtp%3D5000%2Csid%3D%22s1%22%2Csu", "CMCD=bl%3D2100%2Cmtp%3D4800%2Cbs%2Csid%3D%22s1%22", "CMCD=bl%3D9000", "x=y",
		"CMCD=v%3D9%2Cbl%3D0", "CMCD=%zz",
	} {
		s := segment(1)
		s.Query, s.Hit = query, n > 0
		if n > 3 {
			s.Rendition = "flac"
		}
		f.Segment(s)
	}
	own := segment(2)
	own.Header = http.Header{"Cmcd-Request": {"bl=300"}}
	f.Segment(own)
	f.now = f.now.Add(5 * time.Second)
	f.stop()
	kept := f.log.all()
	if len(kept) != 2 {
		t.Fatalf("%d facts", len(kept))
	}
	if s := factOf[melodyud.DeliveryFact](t, kept[0]).Session; s != "ses_1" {
		kept[0], kept[1] = kept[1], kept[0]
	}
	got := factOf[melodyud.DeliveryFact](t, kept[0])
	listener := got.Listener
	got.Listener = ""
	want := melodyud.DeliveryFact{
		Session: "ses_1", Tier: "free", Track: track, Release: release, From: began.Add(time.Minute),
		Segments: map[string]int64{"aac-96": 4, "flac": 2}, Bytes: 6000, Hits: 5,
		Player: "s1", Buffer: 2100, Throughput: 4800, Starved: 1, Urgent: 1,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if kept[0].Subject != listener || listener == "" || strings.Contains(string(kept[0].Data), "acc1") {
		t.Errorf("subject %s of %s", kept[0].Subject, kept[0].Data) // CE-2, CE-4
	}
	if got := factOf[melodyud.DeliveryFact](t, kept[1]); got.Buffer != 300 || got.Listener == listener {
		t.Errorf("%+v", got)
	}
	if n := f.metric("melodyud_telemetry_unread_cmcd_total"); n != 2 {
		t.Errorf("%v unread", n)
	}
}

func TestASegmentIsToldWithoutMemory(t *testing.T) {
	f := newFixture(t, nil, &events{})
	s := segment(1)
	s.Query = "CMCD=bl%3D2100%2Cbr%3D128%2Cd%3D4012%2Cmtp%3D12300%2Cnor%3D%2213.m4s%22%2Cot%3Da%2Csf%3Dh%2Csid%3D%22f3b7%22%2Cst%3Dv"
	f.Segment(s)
	if n := testing.AllocsPerRun(100, func() { f.Segment(s) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSegment(b *testing.B) {
	f, err := telemetry.New(telemetry.Config{Events: &events{}, Secret: make([]byte, 32)})
	if err != nil {
		b.Fatal(err)
	}
	for name, query := range map[string]string{
		"plain": "", "cmcd": "CMCD=bl%3D2100%2Cbr%3D128%2Cd%3D4012%2Cmtp%3D12300%2Cot%3Da%2Csf%3Dh%2Csid%3D%22f3b7%22%2Cst%3Dv",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			s := segment(1)
			s.Query = query
			for b.Loop() {
				f.Segment(s)
			}
		})
	}
}

func TestAFloodOfSessionsStaysWithinItsMemory(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *telemetry.Config) { c.Sessions, c.Unsent = 640, 100 }, &events{away: true})
	var crowd sync.WaitGroup
	for g := range 4 {
		crowd.Go(func() {
			for n := range 5000 {
				f.Segment(segment(g*5000 + n))
			}
		})
	}
	crowd.Wait()
	if n := f.metric("melodyud_telemetry_dropped_segments_total"); n < 20_000-640 {
		t.Errorf("%v dropped", n)
	}
	f.stop()
	if n := f.metric("melodyud_telemetry_lost_facts_total"); n < 500 || len(f.log.all()) > 0 {
		t.Errorf("%v lost, %d kept", n, len(f.log.all()))
	}
}

func TestSumsWaitForALogThatIsAway(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *telemetry.Config) { c.Every = time.Millisecond }, &events{away: true})
	f.Segment(segment(1))
	for f.log.count() < 2 { // it is tried again
		time.Sleep(time.Millisecond)
	}
	f.log.set(false)
	for len(f.log.all()) == 0 {
		time.Sleep(time.Millisecond)
	}
	f.stop()
	if n := len(f.log.all()); n != 1 || f.metric("melodyud_telemetry_lost_facts_total") > 0 {
		t.Errorf("%d facts", n)
	}
}

func (l *events) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls
}

func TestPseudonymsChangeEveryMonth(t *testing.T) { // CE-4
	t.Parallel()
	f := newFixture(t, nil, &events{})
	var names []string
	for range 2 {
		f.Segment(segment(1))
		f.stop()
		names = append(names, f.log.all()[len(f.log.all())-1].Subject)
		f.now = f.now.AddDate(0, 1, 0)
		f.run()
	}
	if names[0] == names[1] {
		t.Error(names)
	}
}
