package load

import (
	"fmt"
	"maps"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Second is what happened in one second.
type Second struct {
	At        time.Duration // since the beginning
	Listeners int
	Requests  int64
	Bytes     int64
	HitRatio  float64 // of segments; -1: there were none
	Startup   Spread  // of plays that began
	Stalled   time.Duration
	Faults    int64
	Held      int // see Report.Held
}

// String is a line for people.
func (s Second) String() string {
	return fmt.Sprintf("%4.0fs %6d listeners %6d req/s %7.1f Mbit/s  hit %s  start p95 %4.0f ms  stalled %5.1f s  errors %d",
		s.At.Seconds(), s.Listeners, s.Requests, float64(s.Bytes)*8/1e6, ratio(s.HitRatio), s.Startup.P95, s.Stalled.Seconds(), s.Faults)
}

func ratio(x float64) string {
	if x < 0 {
		return "    -"
	}
	return fmt.Sprintf("%5.1f%%", 100*x)
}

// Spread are percentiles in milliseconds, exact to 3 per cent.
type Spread struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
	N   int64   `json:"n"`
}

// Report is what all listeners met. Its terms are those of the standards' §5.6.
type Report struct {
	Seconds   float64 `json:"seconds"`
	Listeners int     `json:"listeners"` // that were meant to come
	// Held is the largest number of listeners that were served well for five seconds
	// running: at most one request in a thousand failed, at most one thousandth of the
	// time that sound should have played was stalled, and at most a tenth of them waited
	// for a track to begin.
	Held int `json:"held"`
	// Broke is the number of listeners at which that first was not so, after it had
	// been; 0: never.
	Broke int `json:"broke,omitempty"`

	Requests          int64   `json:"requests"`
	RequestsPerSecond float64 `json:"requests_per_second"`
	Bytes             int64   `json:"bytes"`
	MegabitsPerSecond float64 `json:"megabits_per_second"`
	HitRatio          float64 `json:"hit_ratio"` // of segments, from Cache-Status

	Plays       int64 `json:"plays"`
	Completed   int64 `json:"completed"`
	Skipped     int64 `json:"skipped"`
	FailedPlays int64 `json:"failed_plays"`

	// Startup is from the first request to the edge to the first segment; Admission
	// is the question for the right to play, before it; FirstByte is of segments.
	Startup   Spread `json:"startup_ms"`
	Admission Spread `json:"admission_ms"`
	FirstByte Spread `json:"first_byte_ms"`

	PlayHours         float64 `json:"play_hours"`
	Stalls            int64   `json:"stalls"`
	StallsPerHour     float64 `json:"stalls_per_hour"`
	StallRatio        float64 `json:"stall_ratio"` // stalled / (played + stalled)
	AverageBitRate    float64 `json:"average_bit_rate"`
	SwitchesPerMinute float64 `json:"switches_per_minute"`

	Errors map[string]int64 `json:"errors"`
}

// seen is what is counted while listeners listen.
type seen struct {
	active, plays, failedPlays, completed, skipped, switches atomic.Int64
	requests, bytes, segments, hits, faults                  atomic.Int64
	playedFor, stalledFor                                    atomic.Int64 // nanoseconds, as told segment by segment
	starting, starving                                       atomic.Int64 // listeners now
	weighted, fetched                                        atomic.Int64 // declared bits and nanoseconds of sound

	started, asked, firstByte spread

	mu            sync.Mutex
	played        time.Duration // of plays that are over
	stalled       time.Duration
	stalls        int64
	faultsByKind  map[string]int64
	last          totals
	window        []totals
	held, brokeAt int
}

// totals are counters at one time.
type totals struct {
	listeners, requests, bytes, segments, hits, faults int64
	played, stalled                                    time.Duration
	starting, starving                                 int64 // listeners, added up second by second
	started                                            counts
}

const (
	windowLength = 5     // seconds that have to be good
	tolerated    = 0.001 // of requests, and of play time
	mayStart     = 0.1   // of listeners wait for a track to begin
	mostKinds    = 50
)

func newSeen() *seen { return &seen{faultsByKind: map[string]int64{}} }

// request counts one try at an address.
func (s *seen) request(a answer, err error, text bool) {
	s.requests.Add(1)
	s.bytes.Add(a.bytes)
	switch {
	case err != nil:
		s.fault(kind(err))
	case a.status >= 400:
		s.fault(strings.TrimSpace(fmt.Sprint(a.status, " ", a.code)))
	case !text:
		s.segments.Add(1)
		s.firstByte.add(a.firstByte)
		if hit(a.cache) {
			s.hits.Add(1)
		}
	}
}

// hit reads Cache-Status: the member of the cache nearest to us is the last one (RFC
// 9211 §2).
func hit(status string) bool {
	last := status[strings.LastIndex(status, ",")+1:]
	for parameter := range strings.SplitSeq(last, ";") {
		if strings.TrimSpace(parameter) == "hit" {
			return true
		}
	}
	return false
}

// kind is an error without what differs from one to the next, such as ports.
func kind(err error) string {
	text := err.Error()
	if e, ok := err.(interface{ Timeout() bool }); ok && e.Timeout() {
		return "timeout"
	}
	return text[strings.LastIndex(text, ": ")+1:]
}

func (s *seen) fault(what string) {
	s.faults.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	what = strings.TrimSpace(what)
	if _, known := s.faultsByKind[what]; !known && len(s.faultsByKind) >= mostKinds {
		what = "others"
	}
	s.faultsByKind[what]++
}

func (s *seen) progress(played, stalled time.Duration) {
	s.playedFor.Add(int64(played))
	s.stalledFor.Add(int64(stalled))
}

func (s *seen) rated(length time.Duration, rate int64) {
	s.weighted.Add(int64(length.Seconds() * float64(rate)))
	s.fetched.Add(int64(length))
}

func (s *seen) over(skipped bool) {
	if skipped {
		s.skipped.Add(1)
	} else {
		s.completed.Add(1)
	}
}

// heard adds up a play that is over.
func (s *seen) heard(p *player) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.played += p.played
	s.stalled += p.stalled
	s.stalls += int64(p.stalls)
}

func (s *seen) now() totals {
	return totals{
		listeners: s.active.Load(), requests: s.requests.Load(), bytes: s.bytes.Load(), segments: s.segments.Load(),
		hits: s.hits.Load(), faults: s.faults.Load(), played: time.Duration(s.playedFor.Load()),
		stalled: time.Duration(s.stalledFor.Load()), started: s.started.counts(),
	}
}

// second closes one second and tells of it.
func (s *seen) second(at time.Duration) Second {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.last
	now.starting, now.starving = before.starting+s.starting.Load(), before.starving+s.starving.Load()
	s.last = now
	s.judge(now)
	out := Second{
		At: at, Listeners: int(now.listeners), Requests: now.requests - before.requests, Bytes: now.bytes - before.bytes,
		Startup: now.started.minus(before.started).spread(), Stalled: now.stalled - before.stalled,
		Faults: now.faults - before.faults, HitRatio: -1, Held: s.held,
	}
	if n := now.segments - before.segments; n > 0 {
		out.HitRatio = float64(now.hits-before.hits) / float64(n)
	}
	return out
}

// judge decides whether the last seconds were good. The caller holds mu.
func (s *seen) judge(now totals) {
	s.window = append(s.window, now)
	if len(s.window) <= windowLength {
		return
	}
	first := s.window[0]
	s.window = s.window[1:]
	least := now.listeners
	for _, one := range s.window {
		least = min(least, one.listeners)
	}
	good := now.since(first).good()
	switch {
	case good && now.requests > first.requests:
		s.held = max(s.held, int(least))
	case !good && s.brokeAt == 0 && s.held > 0:
		s.brokeAt = int(now.listeners)
	}
}

// since is what came between; listeners are those of the end.
func (t totals) since(o totals) totals {
	t.requests -= o.requests
	t.faults -= o.faults
	t.played -= o.played
	t.stalled -= o.stalled
	t.starting -= o.starting
	t.starving -= o.starving
	return t
}

func (t totals) good() bool {
	return float64(t.faults) <= tolerated*float64(t.requests) &&
		float64(t.stalled) <= tolerated*float64(t.played+t.stalled) &&
		float64(t.starving) <= tolerated*float64(windowLength*t.listeners) && // what they stalled is told when it is over
		float64(t.starting) <= mayStart*float64(windowLength*t.listeners)
}

func (s *seen) report(c Config, took time.Duration) Report {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	r := Report{
		Seconds: took.Seconds(), Listeners: c.Listeners, Held: s.held, Broke: s.brokeAt,
		Requests: now.requests, Bytes: now.bytes,
		RequestsPerSecond: per(float64(now.requests), took.Seconds()), MegabitsPerSecond: per(float64(now.bytes)*8/1e6, took.Seconds()),
		HitRatio: per(float64(now.hits), float64(now.segments)),
		Plays:    s.plays.Load(), Completed: s.completed.Load(), Skipped: s.skipped.Load(), FailedPlays: s.failedPlays.Load(),
		Startup: now.started.spread(), Admission: s.asked.counts().spread(), FirstByte: s.firstByte.counts().spread(),
		PlayHours: s.played.Hours(), Stalls: s.stalls, StallsPerHour: per(float64(s.stalls), s.played.Hours()),
		StallRatio:        per(s.stalled.Seconds(), (s.played + s.stalled).Seconds()),
		AverageBitRate:    per(float64(s.weighted.Load()), time.Duration(s.fetched.Load()).Seconds()),
		SwitchesPerMinute: per(float64(s.switches.Load()), s.played.Minutes()),
		Errors:            maps.Clone(s.faultsByKind),
	}
	return r
}

// per is a/b, and 0 of nothing.
func per(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// spread counts durations in classes that are 3 per cent wide.
type spread [spreadClasses]atomic.Int64

type counts [spreadClasses]int64

const (
	spreadClasses = 600
	spreadStep    = 1.03
	spreadUnit    = 10 * time.Microsecond // the first class
)

func (s *spread) add(d time.Duration) {
	class := 0
	if d > spreadUnit {
		class = int(math.Ceil(math.Log(float64(d)/float64(spreadUnit)) / math.Log(spreadStep)))
	}
	s[min(class, spreadClasses-1)].Add(1)
}

func (s *spread) counts() (c counts) {
	for i := range s {
		c[i] = s[i].Load()
	}
	return c
}

func (c counts) minus(o counts) counts {
	for i := range c {
		c[i] -= o[i]
	}
	return c
}

func (c counts) spread() Spread {
	var n int64
	for _, one := range c {
		n += one
	}
	return Spread{P50: c.at(n, 0.5), P95: c.at(n, 0.95), P99: c.at(n, 0.99), Max: c.at(n, 1), N: n}
}

// at is the upper end, in milliseconds, of the class in which a part of n lies.
func (c counts) at(n int64, part float64) float64 {
	need := int64(math.Ceil(part * float64(n)))
	if n == 0 {
		return 0
	}
	var sum int64
	for i, one := range c {
		if sum += one; sum >= need {
			return math.Pow(spreadStep, float64(i)) * float64(spreadUnit) / float64(time.Millisecond)
		}
	}
	return 0
}
