package telemetry

import (
	"context"
	"crypto/rand"
	"errors"
	"hash/maphash"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge/cmcd"
)

// Segment is one segment that was sent. Its texts may lie in memory that is used
// again: Intake.Segment copies what it keeps.
type Segment struct {
	Session   string // of the ticket
	Account   string // of the ticket
	Tier      string
	Track     melodyud.TrackID // "" where several tracks play as one
	Release   melodyud.ReleaseID
	Rendition string
	Bytes     int64
	Hit       bool        // it came from the edge's own memory or disk
	Query     string      // of the request, escaped: the player may tell by it how it is (CMCD-2)
	Header    http.Header // of the request, for the same; nil where there is none
}

// shards is how many locks the sums are behind.
const shards = 64

type shard struct {
	mu   sync.Mutex
	sums map[what]*sum
}

// what is summed up.
type what struct {
	session string
	release melodyud.ReleaseID
}

// sum is what was sent of one track to one session.
type sum struct {
	account string
	told    bool // by CMCD how long the buffer is
	fact    melodyud.DeliveryFact
}

var seed = maphash.MakeSeed()

// rooms hold CMCD while it is read.
var rooms = sync.Pool{New: func() any { return new([cmcd.MaxQuery]byte) }}

// Segment adds a segment to the sums. It never waits for anything but another call,
// and needs memory only for the first segment of a session in Config.Every.
func (t *Intake) Segment(s Segment) {
	if s.Header != nil || strings.Contains(s.Query, cmcd.Parameter) {
		room := rooms.Get().(*[cmcd.MaxQuery]byte)
		defer rooms.Put(room)
		told := t.told(&s, room[:0])
		t.add(&s, &told)
		return
	}
	t.add(&s, &cmcd.Data{})
}

func (t *Intake) add(s *Segment, told *cmcd.Data) {
	own := &t.shards[maphash.String(seed, s.Session)%shards]
	own.mu.Lock()
	defer own.mu.Unlock()
	one := own.sums[what{s.Session, s.Release}]
	if one == nil {
		if len(own.sums) >= (t.c.Sessions+shards-1)/shards {
			t.metrics.dropped.Inc()
			return
		}
		one = t.begin(s)
		own.sums[what{one.fact.Session, one.fact.Release}] = one
	}
	one.add(s)
	one.tell(told)
}

func (t *Intake) begin(s *Segment) *sum {
	return &sum{account: strings.Clone(s.Account), fact: melodyud.DeliveryFact{
		Session: strings.Clone(s.Session), Tier: strings.Clone(s.Tier), From: t.c.Now().UTC(),
		Track: melodyud.TrackID(strings.Clone(string(s.Track))), Release: melodyud.ReleaseID(strings.Clone(string(s.Release))),
		Segments: map[string]int64{},
	}}
}

// mostRenditions bounds a sum; no ladder has so many.
const mostRenditions = 32

func (one *sum) add(s *Segment) {
	f := &one.fact
	f.Bytes += s.Bytes
	if s.Hit {
		f.Hits++
	}
	if _, known := f.Segments[s.Rendition]; known {
		f.Segments[s.Rendition]++
	} else if len(f.Segments) < mostRenditions {
		f.Segments[strings.Clone(s.Rendition)] = 1
	}
}

func (one *sum) tell(d *cmcd.Data) {
	f := &one.fact
	if sid := d.Text(cmcd.Session); f.Player != string(sid) && len(sid) > 0 {
		f.Player = string(sid)
	}
	if n := d.Number(cmcd.Buffer); d.Has(cmcd.Buffer) && (!one.told || n < f.Buffer) {
		one.told, f.Buffer = true, n
	}
	if d.Has(cmcd.Throughput) {
		f.Throughput = d.Number(cmcd.Throughput)
	}
	if d.Is(cmcd.Starved) {
		f.Starved++
	}
	if d.Is(cmcd.Urgent) {
		f.Urgent++
	}
}

// told reads what a player tells of itself. What cannot be read counts for nothing.
func (t *Intake) told(s *Segment, room []byte) (told cmcd.Data) {
	err := cmcd.ErrLong
	if len(s.Query) <= cap(room) {
		told, err = read(s, room)
	}
	if err == nil {
		return told
	}
	t.metrics.unread.Inc()
	if errors.Is(err, cmcd.ErrVersion) && !t.strange.Swap(true) {
		t.c.Logger.Warn("players send a newer version of CMCD than is understood here: it is ignored", "error", err)
	}
	return cmcd.Data{}
}

func read(s *Segment, room []byte) (cmcd.Data, error) {
	if s.Header != nil {
		return cmcd.FromRequest(s.Header, s.Query)
	}
	return cmcd.FromQuery(s.Query, room)
}

// flush turns the sums into facts, those of one shard after the other, so that the
// facts of Every come evenly; at the end of ctx those of all.
func (t *Intake) flush(ctx context.Context) {
	tick := time.NewTicker(max(time.Microsecond, t.c.Every/shards))
	defer tick.Stop()
	var unsent []melodyud.Event
	for n := 0; ; n = (n + 1) % shards {
		select {
		case <-tick.C:
			unsent = t.send(ctx, append(unsent, t.facts(&t.shards[n])...))
			continue
		case <-ctx.Done():
		}
		for i := range t.shards {
			unsent = append(unsent, t.facts(&t.shards[i])...)
		}
		t.metrics.lost.Add(float64(len(t.send(ctx, unsent))))
		return
	}
}

const (
	atOnce     = 200             // facts in one append
	lastMoment = 3 * time.Second // for an append that was begun when the end came
)

// send appends facts, a few at a time, and returns those for later.
func (t *Intake) send(ctx context.Context, facts []melodyud.Event) (later []melodyud.Event) {
	for len(facts) > 0 {
		n := min(atOnce, len(facts))
		if err := t.append(ctx, facts[:n]); err != nil {
			t.c.Logger.Warn("facts of what was sent have to wait", "facts", len(facts), "error", err)
			break
		}
		facts = facts[n:]
	}
	if spare := len(facts) - t.c.Unsent; spare > 0 {
		t.metrics.lost.Add(float64(spare))
		facts = facts[spare:]
	}
	return slices.Clone(facts) // lets go of those that were appended
}

// append goes on for a moment after ctx ended, so that a stop loses nothing.
func (t *Intake) append(ctx context.Context, facts []melodyud.Event) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(t.c.Patience, lastMoment))
	defer cancel()
	return t.c.Events.Append(ctx, melodyud.TopicPlayback, facts...)
}

// facts empties the sums of a shard.
func (t *Intake) facts(own *shard) (all []melodyud.Event) {
	own.mu.Lock()
	sums := own.sums
	if len(sums) == 0 { // and stays the one that is filled
		own.mu.Unlock()
		return nil
	}
	own.sums = make(map[what]*sum, len(sums))
	own.mu.Unlock()
	now := t.c.Now().UTC()
	for _, one := range sums {
		all = append(all, t.fact(one, now))
	}
	return all
}

func (t *Intake) fact(one *sum, now time.Time) melodyud.Event {
	f := one.fact
	f.Listener = t.pseudonym(one.account, now)
	e := melodyud.NewEvent(now, melodyud.SegmentsServed, subject(f.Listener, f.Session), f)
	e.ID = melodyud.EventIDOf("segments", f.Session, string(f.Release), rand.Text())
	return e
}
