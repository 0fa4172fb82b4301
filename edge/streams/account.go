package streams

import (
	"slices"
	"strings"

	"github.com/melodyud/melodyud/internal/ticket"
)

// account is what is known of one account's streams. Its shard's lock guards it.
type account struct {
	name    string
	streams []stream
	queued  bool // in the shard's queue
}

// stream is one that counts. Instants are Unix milliseconds.
type stream struct {
	id      string // device, or session
	session string // the last one; "": only fetched from other edges
	life    int64  // counts how often it came back after it was ended
	began   int64
	until   int64 // counts until then
	plays   int64 // what it fetched here plays until then
	ended   int64 // refused since; 0: not
	told    int64 // until, as other edges know it; 0: they know nothing
	lived   int64 // life, as other edges know it
	dirty   bool  // other edges should know more than that
}

// visit is one request of a stream.
type visit struct {
	claims *ticket.Claims
	sound  bool // for a segment
	limit  int
	now    int64
}

// id names the stream that the request is of.
func (v visit) id() string {
	if v.claims.Device != "" {
		return v.claims.Device
	}
	return v.claims.Session
}

// decide notes the visit and says whether it is refused.
func (g *Gate) decide(s *shard, a *account, v visit) error {
	a.forget(v.now)
	id := v.id()
	i := slices.IndexFunc(a.streams, func(one stream) bool { return one.id == id })
	if i < 0 {
		if len(a.streams) >= mostStreams || g.c.Policy == RefuseNew && len(a.streams) >= v.limit {
			return errTooMany
		}
		if !v.sound {
			return nil
		}
		a.streams = append(a.streams, stream{id: strings.Clone(id), began: v.now, dirty: true})
		i = len(a.streams) - 1
	}
	one := &a.streams[i]
	defer func() { g.announce(s, a, one) }()
	if a.before(one, g.c.Policy) >= v.limit && !one.returns(g.c.Policy, v) {
		return one.refuse(g.c, v)
	}
	if one.ended != 0 { // there is room again
		one.life, one.ended, one.dirty = one.life+1, 0, true
	}
	if v.sound {
		one.play(g.c, v)
	}
	return nil
}

// forget drops the streams that no longer count.
func (a *account) forget(now int64) {
	a.streams = slices.DeleteFunc(a.streams, func(one stream) bool { return one.until < now })
}

// before counts the streams that go before one when there is room for some only.
// The order is the same on every edge.
func (a *account) before(one *stream, p Policy) int {
	n := 0
	for i := range a.streams {
		other := &a.streams[i]
		later := other.began > one.began || other.began == one.began && other.id > one.id
		if other.id != one.id && later == (p == EndOldest) {
			n++
		}
	}
	return n
}

// returns makes an ended stream the newest if somebody asked for its ticket after
// it was ended.
func (one *stream) returns(p Policy, v visit) bool {
	if p != EndOldest || one.ended == 0 || v.claims.Issued.UnixMilli() <= one.ended {
		return false
	}
	one.life, one.began, one.ended, one.dirty = one.life+1, v.now, 0, true
	return true
}

// refuse ends the stream. One that keeps asking stays ended.
func (one *stream) refuse(c Config, v visit) error {
	if c.Policy == RefuseNew { // it began here and elsewhere at the same time, and counts until it is forgotten
		return errTooMany
	}
	if one.ended == 0 {
		one.ended, one.dirty = v.now, true
	}
	one.until = v.now + c.Linger.Milliseconds()
	return errElsewhere
}

// play counts a segment: the stream goes on while what it fetched would play.
func (one *stream) play(c Config, v visit) {
	if one.session != v.claims.Session {
		one.session = strings.Clone(v.claims.Session)
		one.plays = 0 // another track: what was fetched of the last one is not heard any more
	}
	one.plays = min(max(one.plays, v.now)+segment.Milliseconds(), v.now+c.Ahead.Milliseconds())
	one.until = max(one.plays, v.now+c.Linger.Milliseconds())
}

// announce queues the account for Run when others know too little of the stream.
func (g *Gate) announce(s *shard, a *account, one *stream) {
	if one.until-one.told > g.c.Linger.Milliseconds()/4 {
		one.dirty = true
	}
	if one.dirty && g.c.Redis != nil {
		s.enqueue(a)
	}
}

func (s *shard) enqueue(a *account) {
	if !a.queued {
		a.queued = true
		s.queue = append(s.queue, a.name)
	}
}
