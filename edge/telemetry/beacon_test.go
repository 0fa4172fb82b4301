package telemetry_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge/pace"
	"github.com/melodyud/melodyud/edge/telemetry"
	"github.com/melodyud/melodyud/internal/ticket"
)

const story = `{"sent":1000500,"session":"ses_forged","events":[
	{"type":"requested","play":"p1","sequence":0,"at":1000000},
	{"type":"started","play":"p1","sequence":1,"at":1000200,"took_ms":200,"rendition":"aac-96"},
	{"type":"heard","play":"p1","sequence":2,"at":1000500,"heard":[{"from":0,"to":10000},{"from":190000,"to":200100},{"from":210000,"to":220000},{"from":5,"to":9,"rate":1.5}]},
	{"type":"stalled","play":"p1","sequence":3,"took_ms":1500},
	{"type":"ad-impression","play":"p1","sequence":4,"ad":"trk_x","break":"b1","place":"pre"}]}`

func TestWhatAPlayerTellsBecomesFacts(t *testing.T) { // CE-1, CE-3
	t.Parallel()
	f := newFixture(t, nil, &events{})
	rec := f.tell(story)
	if rec.Code != http.StatusNoContent || rec.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	kept := f.log.all()
	if len(kept) != 5 {
		t.Fatalf("%d facts", len(kept))
	}
	got := factOf[melodyud.PlaybackFact](t, kept[2])
	if got.Listener == "" || kept[2].Subject != got.Listener || got.Session != "ses_1" || got.Track != track || got.Release != release ||
		got.Length != 200_000 || !got.Issued.Equal(began) || got.Tier != "free" || got.Sequence != 2 {
		t.Errorf("%+v", got)
	}
	want := []melodyud.Interval{{From: 0, To: 10_000}, {From: 190_000, To: 200_000}, {From: 5, To: 9, Rate: 1.5}}
	if fmt.Sprint(got.Heard) != fmt.Sprint(want) {
		t.Errorf("heard %v", got.Heard)
	}
	if at := f.now.Add(-500 * time.Millisecond); !kept[0].Time.Equal(at) || kept[0].Type != melodyud.PlaybackRequested {
		t.Errorf("%s at %s", kept[0].Type, kept[0].Time)
	}
	ad := factOf[melodyud.AdFact](t, kept[4])
	if kept[4].Type != melodyud.AdImpression || ad.Ad != "trk_x" || ad.Place != "pre" || ad.Session != "ses_1" {
		t.Errorf("%s %+v", kept[4].Type, ad)
	}
	if f.metric("melodyud_telemetry_startup_seconds") != 0.2 || f.metric("melodyud_telemetry_stall_seconds", "free") != 1.5 ||
		f.metric("melodyud_telemetry_plays_total", "started") != 1 || f.metric("melodyud_telemetry_beacons_total", "kept") != 1 {
		t.Error("metrics do not say so")
	}
}

func TestTellingAgainChangesNothing(t *testing.T) { // CE-1
	t.Parallel()
	f := newFixture(t, nil, &events{})
	for range 3 {
		if rec := f.tell(story); rec.Code != http.StatusNoContent {
			t.Fatal(rec.Code)
		}
		f.now = f.now.Add(time.Second)
	}
	if n := len(f.log.all()); n != 5 {
		t.Errorf("%d facts", n)
	}
}

func TestWhatWasKeptButNotAcknowledgedIsKeptOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil, &events{mute: true})
	if rec := f.tell(story); rec.Code != http.StatusServiceUnavailable || len(f.log.all()) != 5 {
		t.Fatalf("%d, %d kept", rec.Code, len(f.log.all()))
	}
	if rec := f.tell(story); rec.Code != http.StatusNoContent || len(f.log.all()) != 5 {
		t.Errorf("%d, %d kept", rec.Code, len(f.log.all()))
	}
}

func TestAnAnswerComesAfterTheLogHasIt(t *testing.T) {
	t.Parallel()
	log := &events{gate: make(chan struct{}), began: make(chan struct{})}
	f := newFixture(t, nil, log)
	answers := make(chan *httptest.ResponseRecorder, 3)
	ask := func(n int) {
		answers <- f.tell(fmt.Sprintf(`{"events":[{"type":"paused","play":"p%d","sequence":0}]}`, n))
	}
	go ask(0)
	<-log.began
	go ask(1)
	go ask(2)
	select {
	case rec := <-answers:
		t.Fatalf("answered %d before it was kept", rec.Code)
	case log.gate <- struct{}{}:
	}
	if rec := <-answers; rec.Code != http.StatusNoContent || len(f.log.all()) != 1 {
		t.Errorf("%d, %d kept", rec.Code, len(f.log.all()))
	}
	for n := 1; n < 3; {
		select {
		case <-log.began:
		case log.gate <- struct{}{}:
		case rec := <-answers:
			n++
			if rec.Code != http.StatusNoContent {
				t.Error(rec.Code)
			}
		}
	}
	if len(f.log.all()) != 3 {
		t.Errorf("%d kept", len(f.log.all()))
	}
}

func TestALogThatIsAwayIsSaidSo(t *testing.T) { // CMCD-7
	t.Parallel()
	f := newFixture(t, nil, &events{away: true})
	rec := f.tell(story)
	if rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" || len(f.log.all()) > 0 {
		t.Errorf("%d %v", rec.Code, rec.Header())
	}
	f.log.set(false)
	if rec := f.tell(story); rec.Code != http.StatusNoContent || len(f.log.all()) != 5 {
		t.Errorf("%d, %d kept", rec.Code, len(f.log.all()))
	}
	if f.gone = melodyud.ErrUnavailable; f.tell(story).Code != http.StatusServiceUnavailable {
		t.Error("a store that is away is not said")
	}
	if f.gone, f.length = melodyud.ErrNotFound, 0; f.tell(story).Code != http.StatusNoContent {
		t.Error("what was heard of a track that is gone is refused")
	}
}

func TestTooManyReportsAreSentAwayForAWhile(t *testing.T) { // CMCD-7
	t.Parallel()
	log := &events{gate: make(chan struct{}), began: make(chan struct{}, 8)}
	f := newFixture(t, func(c *telemetry.Config) { c.Waiting = 1; c.AtOnce = 3 }, log)
	answers := make(chan *httptest.ResponseRecorder, 8)
	for range 8 {
		go func() { answers <- f.tell(story) }()
	}
	// One is being kept and one waits; a third finds no room, like all behind it.
	refused := 0
	for n := 0; n < 8; n++ {
		if n == 6 {
			close(log.gate)
		}
		switch rec := <-answers; rec.Code {
		case http.StatusTooManyRequests:
			refused++
			if rec.Header().Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		case http.StatusNoContent:
		default:
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
	}
	if refused < 6 {
		t.Errorf("%d of 8 refused", refused)
	}
}

func TestAPatientPlayerIsNotKeptWaiting(t *testing.T) {
	t.Parallel()
	log := &events{gate: make(chan struct{}), began: make(chan struct{}, 8)}
	f := newFixture(t, func(c *telemetry.Config) { c.Patience = time.Millisecond }, log)
	if rec := f.tell(story); rec.Code != http.StatusServiceUnavailable {
		t.Error(rec.Code)
	}
	close(log.gate)
}

func TestAPlayerThatReportsTooOftenHarmsNobodyElse(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil, &events{})
	refused := 0
	for range 30 {
		if rec := f.tell(`{}`); rec.Code == http.StatusTooManyRequests && rec.Header().Get("Retry-After") == "1" {
			refused++
		}
	}
	if refused != 10 {
		t.Errorf("%d of 30 refused", refused)
	}
	f.session = "ses_2"
	if rec := f.tell(`{}`); rec.Code != http.StatusNoContent {
		t.Errorf("another session: %d", rec.Code)
	}
}

func TestOtherSitesMayAskFirst(t *testing.T) { // HLS-82
	t.Parallel()
	f := newFixture(t, nil, &events{})
	req := httptest.NewRequest(http.MethodOptions, "/p/x"+ticket.ReleasePrefix(track, release)+"events", nil)
	rec := httptest.NewRecorder()
	f.handler.ServeHTTP(rec, req)
	if h := rec.Header(); rec.Code != 204 || h.Get("Access-Control-Allow-Methods") != "POST, OPTIONS" || h.Get("Access-Control-Allow-Headers") != "Content-Type" {
		t.Errorf("%d %v", rec.Code, h)
	}
}

func TestReportsOutOfRangeAreRefused(t *testing.T) { // CMCD-9
	t.Parallel()
	f := newFixture(t, func(c *telemetry.Config) { c.Pace = pace.Rate{PerSecond: 1e6, Burst: 1000} }, &events{})
	event := func(more string) string {
		return `{"events":[{"type":"heard","play":"p","sequence":0` + more + `}]}`
	}
	for body, want := range map[string]int{
		event(``):                              204,
		`{"events":[]}`:                        204,
		`{}`:                                   204,
		``:                                     400,
		`[]`:                                   400,
		`{"events":[{"type":"x","play":"p"}]}`: 400,
		`{"events":[{"type":"heard"}]}`:        400,
		event(`,"play":"a b"`):                 400,
		event(`,"sequence":-1`):                400,
		event(`,"sequence":1e12`):              400,
		event(`,"took_ms":-1`):                 400,
		event(`,"took_ms":86400001`):           400,
		event(`,"code":"<script>"`):            400,
		event(`,"rendition":"a\nb"`):           400,
		event(`,"quartile":4`):                 400,
		event(`,"release":"` + string(other) + `"`):                                                             400,
		event(`,"release":"` + string(release) + `"`):                                                           204,
		event(`,"heard":[{"from":-1,"to":5}]`):                                                                  400,
		event(`,"heard":[{"from":5,"to":5}]`):                                                                   400,
		event(`,"heard":[{"from":0,"to":1,"rate":99}]`):                                                         400,
		event(`,"heard":[{"from":0,"to":1e30}]`):                                                                400,
		event(`,"heard":[{"from":0,"to":75000}]`):                                                               400, // 60 s since the ticket was given out
		event(`,"heard":[{"from":0,"to":65000}]`):                                                               204,
		event(`,"heard":[` + strings.Repeat(`{"from":0,"to":1},`, 100) + `{"from":0,"to":1}]`):                  400,
		`{"events":[` + strings.Repeat(`{"type":"paused","play":"p"},`, 200) + `{"type":"paused","play":"p"}]}`: 413,
		event(strings.Repeat(" ", 70_000)):                                                                      413,
	} {
		if rec := f.tell(body); rec.Code != want {
			t.Errorf("%.80s: %d %s", body, rec.Code, rec.Body)
		}
	}
}

func TestOnlyATicketMayTell(t *testing.T) { // TOK-3
	t.Parallel()
	f := newFixture(t, nil, &events{})
	good, folder := f.ticket(ticket.Claims{}), ticket.ReleasePrefix(track, release)
	late := f.ticket(ticket.Claims{Expires: f.now.Add(-50 * time.Minute)})
	dead := f.ticket(ticket.Claims{Expires: f.now.Add(-70 * time.Minute)})
	for path, want := range map[string]int{
		"/p/" + good + folder + "events":                                 204,
		"/p/" + late + folder + "events":                                 204, // what was heard before
		"/p/" + dead + folder + "events":                                 403,
		"/p/" + good + "x" + folder + "events":                           403,
		"/p/x" + folder + "events":                                       403,
		"/p/" + good + ticket.ReleasePrefix(track, other) + "events":     403,
		"/p/" + good + folder + "encrypted/aes-128/k1/events":            204,
		"/p/" + f.ticket(ticket.Claims{Prefix: "/a/b/"}) + "/a/b/events": 400,
	} {
		if rec := f.post(path, "application/json", `{"events":[{"type":"paused","play":"p"}]}`); rec.Code != want {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
}

func TestTracksThatPlayAsOneAreToldApart(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil, &events{})
	path, prefix := ticket.List([]melodyud.ReleaseID{release, other})
	base := "/l/" + f.ticket(ticket.Claims{Prefix: prefix}) + path + "exact/events"
	for id, want := range map[string]int{string(release): 204, string(other): 204, "": 400, "rel_x": 400} {
		rec := f.post(base, "text/plain", `{"events":[{"type":"paused","play":"p`+id+`","release":"`+id+`"}]}`)
		if rec.Code != want {
			t.Errorf("%q: %d %s", id, rec.Code, rec.Body)
		}
	}
	for _, e := range f.log.all() {
		if fact := factOf[melodyud.PlaybackFact](t, e); fact.Track != "" || fact.Play != "p"+string(fact.Release) {
			t.Errorf("%+v", fact)
		}
	}
	key, sealed := ticket.EncryptedList("m1", []melodyud.ReleaseID{release})
	rec := f.post("/l/"+f.ticket(ticket.Claims{Prefix: sealed})+key+"exact/events", "text/plain", `{"events":[{"type":"paused","play":"q"}]}`)
	if rec.Code != 204 {
		t.Errorf("encrypted: %d %s", rec.Code, rec.Body)
	}
}

func TestEventsOfCMCDAreFacts(t *testing.T) { // CMCD-3, CMCD-7
	t.Parallel()
	f := newFixture(t, nil, &events{})
	const body = `e=ps,sid="a",sn=0,sta=s,ts=1,v=2
e=ps,msd=250,sid="a",sn=1,sta=p,ts=2,v=2
e=t,sid="a",sn=2,sta=p,ts=3,v=2
e=ps,bsd=(900),sid="a",sn=3,sta=p,ts=4,v=2
e=e,ec=("404"),sid="a",sn=4,sta=f,ts=5,v=2
nonsense=
e=ps,sid="a",sta=e,ts=6,v=2`
	url := "/p/" + f.ticket(ticket.Claims{}) + ticket.ReleasePrefix(track, release) + "events"
	for _, kind := range []string{"application/cmcd", "text/cmcd; charset=utf-8"} {
		if rec := f.post(url, kind, body); rec.Code != 204 {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
	}
	var types []string
	for _, e := range f.log.all() {
		types = append(types, e.Type)
	}
	want := []string{melodyud.PlaybackRequested, melodyud.PlaybackStarted, melodyud.PlaybackStalled, melodyud.PlaybackFailed}
	if fmt.Sprint(types) != fmt.Sprint(want) {
		t.Errorf("%v", types)
	}
	if got := factOf[melodyud.PlaybackFact](t, f.log.all()[3]); got.Code != "404" || got.Sequence != 4 {
		t.Errorf("%+v", got)
	}
}
