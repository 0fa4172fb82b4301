package node_test

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/melodyud/melodyud/internal/node"
	"github.com/melodyud/melodyud/internal/realtest"
)

// player is one device of a listener, at one edge.
type player struct {
	*person
	edge, device, segment string
}

// presses asks for a ticket, as pressing play does.
func (d *player) presses(track string) {
	d.t.Helper()
	var playback struct{ URL string }
	d.json("POST", "/v1/tracks/"+track+"/playback?device="+d.device, nil, &playback)
	_, d.segment = d.leads(d.edge, path(d.t, playback.URL))
}

// hearsMore fetches a segment and returns the code of a refusal.
func (d *player) hearsMore() string {
	d.t.Helper()
	a, err := d.once("GET", d.edge+d.segment, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	if a.status == http.StatusOK {
		return ""
	}
	if a.status != http.StatusForbidden || a.header.Get("Access-Control-Allow-Origin") != "*" {
		d.t.Errorf("refused with %d", a.status)
	}
	return a.problem().Code
}

func TestAnAccountPlaysOnOneDeviceAtATimeWhateverTheEdge(t *testing.T) {
	t.Parallel()
	shared, server := t.TempDir(), realtest.StartRedis(t)
	c := node.Config{
		DB: "sqlite:" + filepath.Join(shared, "rows.db"), Objects: "dir:" + filepath.Join(shared, "objects"), Queue: server.URL,
		Ladder: oneQuality(), EdgeLimits: node.EdgeLimits{StreamsFree: 1, StreamsPremium: 1},
	}
	first := c
	first.Data = t.TempDir()
	base := start(t, first)
	second := c
	second.Roles = []node.Role{node.RoleEdge}
	p := as(t, base, first.Data)
	p.patience = time.Minute
	track := p.upload("song.wav", song(t, 2, 95))
	p.await(track)
	phone, desk := &player{p, base, "phone", ""}, &player{p, start(t, second), "desk", ""}
	phone.presses(track)
	desk.presses(track)
	if code := phone.hearsMore(); code != "" {
		t.Fatalf("the phone alone: %s", code)
	}
	p.eventually("the edges to know of the phone", func() bool { return len(keys(t, server.URL, "melodyud:streams:*")) == 1 })
	if code := desk.hearsMore(); code != "" {
		t.Fatalf("the desk, which was pressed last: %s", code)
	}
	p.eventually("the phone to stop", func() bool { return phone.hearsMore() == "playback.elsewhere" })
	if code := desk.hearsMore(); code != "" {
		t.Errorf("the desk goes on: %s", code)
	}
	phone.presses(track)
	if code := phone.hearsMore(); code != "" {
		t.Errorf("the phone, pressed again: %s", code)
	}
	p.eventually("the desk to stop", func() bool { return desk.hearsMore() == "playback.elsewhere" })
}

func keys(t *testing.T, server, pattern string) []string {
	t.Helper()
	options, err := redis.ParseURL(server)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	found, err := client.Keys(t.Context(), pattern).Result()
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestRequestsThatComeTooFastAreToldWhenToComeAgain(t *testing.T) { // standards §5.3
	t.Parallel()
	s := newStage(t, node.Config{EdgeLimits: node.EdgeLimits{RateStranger: 0.1}})
	for i := range 5 {
		a, err := s.once("GET", "/p/made-up/trk/rel/index.m3u8", nil)
		if err != nil {
			t.Fatal(err)
		}
		want, code := http.StatusForbidden, "ticket.invalid"
		if i >= 3 {
			want, code = http.StatusServiceUnavailable, "playback.too-fast"
		}
		if a.status != want || a.problem().Code != code || (a.header.Get("Retry-After") != "") != (i >= 3) {
			t.Errorf("request %d with a bad ticket: %d %s", i, a.status, a.body)
		}
	}
}

func TestProgramsThatAskTheAPITooFastAreTold(t *testing.T) { // standards §5.3
	t.Parallel()
	data := t.TempDir()
	p := as(t, start(t, node.Config{Data: data, EdgeLimits: node.EdgeLimits{RateAPI: 0.1}}), data)
	for i := range 5 {
		a, err := p.once("GET", "/v1/me", nil)
		if err != nil {
			t.Fatal(err)
		}
		if limited := a.status == http.StatusTooManyRequests && a.problem().Code == "request.too-fast" && a.header.Get("Retry-After") != ""; limited != (i >= 3) {
			t.Errorf("request %d: %d %s", i, a.status, a.body)
		}
	}
	if a, err := p.once("GET", "/livez", nil); err != nil || a.status != http.StatusOK {
		t.Errorf("what is not the API: %d %v", a.status, err)
	}
	stranger := *p
	stranger.key = "mk_other"
	if a, err := stranger.once("GET", "/v1/me", nil); err != nil || a.status != http.StatusUnauthorized {
		t.Errorf("somebody else: %d %v", a.status, err)
	}
}

func TestTheClientBehindATrustedProxyIsTheOneWhoCounts(t *testing.T) {
	t.Parallel()
	for trusted, neighbour := range map[string]int{"127.0.0.1": http.StatusForbidden, "10.0.0.0/8": http.StatusServiceUnavailable} {
		log := &testLog{t: t}
		base := start(t, node.Config{LogOutput: log, EdgeLimits: node.EdgeLimits{RateStranger: 0.1}, Front: node.Front{TrustedProxies: []string{trusted}}})
		p := &person{t: t, base: base}
		from := func(client string) int {
			a, err := p.once("GET", "/p/made-up/trk/rel/index.m3u8", nil, "X-Forwarded-For", "1.1.1.1, "+client)
			if err != nil {
				t.Fatal(err)
			}
			return a.status
		}
		for range 3 {
			from("198.51.100.1")
		}
		if got := from("198.51.100.1"); got != http.StatusServiceUnavailable {
			t.Errorf("trusting %s: one who asks too often hears %d", trusted, got)
		}
		if got := from("198.51.100.2"); got != neighbour {
			t.Errorf("trusting %s: another client of the proxy hears %d, want %d", trusted, got, neighbour)
		}
		if believed := neighbour == http.StatusForbidden; log.has("remote=198.51.100.2") != believed || log.has("remote=1.1.1.1") {
			t.Errorf("trusting %s: the log names the wrong address", trusted)
		}
	}
}
