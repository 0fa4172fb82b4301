package load

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// listener plays tracks.
type listener struct {
	crowd *crowd
	dice  *rand.Rand
	line  *line
	speed float64 // of the line as measured, bits a second
}

const (
	firstGuess = 1e6 // bits a second, before anything was measured
	// A player takes the best quality that needs at most this part of its line, and
	// trusts a new measurement by this much.
	safety, trust = 0.8, 0.3

	tries   = 3
	retryIn = time.Second
)

// player knows how much sound is there: it plays in real time what has arrived.
type player struct {
	begun   bool
	ahead   time.Duration // unplayed when at was
	at      time.Time
	played  time.Duration
	stalled time.Duration
	stalls  int
	waiting bool // in a stall
}

// advance lets time pass: sound is played, or waited for.
func (p *player) advance(now time.Time) {
	if !p.begun {
		return
	}
	passed := max(now.Sub(p.at), 0)
	heard := min(passed, p.ahead)
	if passed > heard && !p.waiting {
		p.waiting = true
		p.stalls++
	}
	p.played += heard
	p.stalled += passed - heard
	p.ahead -= heard
	p.at = now
}

// arrive adds sound. Waiting for the first of it is no stall (standards §5.6).
func (p *player) arrive(now time.Time, length time.Duration) {
	p.advance(now)
	p.begun, p.waiting, p.at = true, false, now
	p.ahead += length
}

// finish plays what is wanted of the rest and stops: who leaves waits for nothing.
func (p *player) finish(rest time.Duration) {
	p.played += max(rest, 0)
	p.begun = false
}

// play is one play of a track, until its end or until the listener has had enough.
func (l *listener) play(ctx context.Context, track int) {
	s := l.crowd.seen
	s.plays.Add(1)
	s.starting.Add(1)
	begun := sync.OnceFunc(func() { s.starting.Add(-1) })
	defer begun()
	address, ok := l.admission(ctx, track)
	if !ok {
		return
	}
	began := l.crowd.config.Now()
	index, ok := l.list(ctx, address)
	if !ok {
		l.lost(ctx)
		return
	}
	t := &tape{listener: l, player: &player{}, index: index, base: address, began: began, until: 1, begun: begun}
	if l.dice.Float64() < l.crowd.config.Skips {
		t.until = l.dice.Float64()
	}
	if !t.run(ctx) {
		l.lost(ctx)
	}
	t.player.advance(l.crowd.config.Now())
	t.tell()
	s.heard(t.player)
}

// lost counts a play that failed; one that the end of the run cut did not.
func (l *listener) lost(ctx context.Context) {
	if ctx.Err() == nil {
		l.crowd.seen.failedPlays.Add(1)
	}
}

// admission asks for the right to play.
func (l *listener) admission(ctx context.Context, track int) (string, bool) {
	began := l.crowd.config.Now()
	address, err := l.crowd.config.Start(ctx, track)
	if err != nil {
		if ctx.Err() == nil {
			l.crowd.seen.fault("start: " + err.Error())
			l.crowd.seen.failedPlays.Add(1)
			pause(ctx, retryIn)
		}
		return "", false
	}
	l.crowd.seen.asked.add(l.crowd.config.Now().Sub(began))
	return address, true
}

// list fetches a playlist.
func (l *listener) list(ctx context.Context, address string) (*playlist, bool) {
	a, ok := l.fetch(ctx, address, true)
	if !ok {
		return nil, false
	}
	p, err := l.crowd.lists.parse(a.text, a.zipped)
	if err != nil {
		l.crowd.seen.fault("playlist: " + err.Error())
		return nil, false
	}
	return p, true
}

// fetch asks until there is an answer, as a player does: again after a pause for what
// may pass, not for what will not.
func (l *listener) fetch(ctx context.Context, address string, text bool) (answer, bool) {
	for try := range tries {
		if try > 0 {
			pause(ctx, retryIn)
		}
		a, err := l.line.get(ctx, address, text)
		if ctx.Err() != nil {
			return a, false
		}
		l.crowd.seen.request(a, err, text)
		switch {
		case err == nil && a.status < http.StatusBadRequest:
			return a, true
		case err == nil && a.status < http.StatusInternalServerError:
			return a, false
		}
		if seconds, err := strconv.Atoi(a.retry); err == nil && try < tries-1 {
			pause(ctx, min(time.Duration(seconds)*time.Second, l.crowd.config.Timeout))
		}
	}
	return answer{}, false
}

// tape is one play under way.
type tape struct {
	*listener
	player *player
	index  *playlist
	base   string
	began  time.Time
	until  float64 // the part of the track that is listened to
	begun  func()  // called at the first sound, and again

	variant variant // at present
	list    *playlist
	address string // of list

	toldPlayed, toldStalled time.Duration
}

// run plays until the end or until the listener has had enough, and reports whether it
// could.
func (t *tape) run(ctx context.Context) bool {
	if !t.choose(ctx) {
		return false
	}
	now, end := t.crowd.config.Now, time.Duration(float64(t.list.length)*t.until)
	var at time.Duration
	for n := 0; n < len(t.list.segments) && at < end; n++ {
		one := t.list.segments[n]
		t.player.advance(now())
		if !pause(ctx, t.player.ahead+one.length-t.crowd.config.Ahead) || !t.choose(ctx) {
			return false
		}
		t.player.advance(now())
		if !t.segment(ctx, n) {
			return false
		}
		at += one.length
	}
	t.player.advance(now())
	rest := min(t.player.ahead, end-t.player.played)
	if !pause(ctx, rest) {
		return false
	}
	t.player.finish(rest)
	t.crowd.seen.over(t.until < 1)
	return true
}

// choose takes the quality that the line carries, and its playlist and beginning if it
// is another than before.
func (t *tape) choose(ctx context.Context) bool {
	if len(t.index.variants) == 0 {
		t.crowd.seen.fault("playlist: no qualities in it")
		return false
	}
	best := t.index.variants[0]
	for _, v := range t.index.variants {
		if float64(v.bandwidth) <= t.speed*safety {
			best = v
		}
	}
	if t.list != nil && best == t.variant {
		return true
	}
	address, err := resolve(t.base, best.uri)
	if err != nil {
		return false
	}
	list, ok := t.listener.list(ctx, address)
	if !ok || len(list.segments) == 0 || t.list != nil && len(list.segments) != len(t.list.segments) {
		return false
	}
	if t.list != nil {
		t.crowd.seen.switches.Add(1)
	}
	t.variant, t.list, t.address = best, list, address
	return list.init == "" || t.get(ctx, list.init)
}

func (t *tape) get(ctx context.Context, reference string) bool {
	address, err := resolve(t.address, reference)
	if err != nil {
		return false
	}
	a, ok := t.fetch(ctx, address, false)
	if ok && a.took > 0 && a.bytes >= leastMeasured {
		t.speed += trust * (float64(a.bytes*8)/a.took.Seconds() - t.speed)
	}
	return ok
}

// leastMeasured is how many bytes say something about a line.
const leastMeasured = 8 << 10

func (t *tape) segment(ctx context.Context, n int) bool {
	one := t.list.segments[n]
	fed := t.starveIn(t.player.ahead)
	ok := t.get(ctx, one.uri)
	fed()
	if !ok {
		return false
	}
	now := t.crowd.config.Now()
	if !t.player.begun {
		t.crowd.seen.started.add(now.Sub(t.began))
		t.begun()
	}
	t.player.arrive(now, one.length)
	t.tell()
	t.crowd.seen.rated(one.length, t.variant.bandwidth)
	return true
}

// starveIn counts the listener among those without sound after a time, unless and until
// they are fed.
func (t *tape) starveIn(d time.Duration) (fed func()) {
	if !t.player.begun {
		return func() {}
	}
	s := t.crowd.seen
	timer := time.AfterFunc(d, func() { s.starving.Add(1) })
	return func() {
		if !timer.Stop() {
			s.starving.Add(-1)
		}
	}
}

// tell adds what happened since the last time to what is seen of all.
func (t *tape) tell() {
	t.crowd.seen.progress(t.player.played-t.toldPlayed, t.player.stalled-t.toldStalled)
	t.toldPlayed, t.toldStalled = t.player.played, t.player.stalled
}
