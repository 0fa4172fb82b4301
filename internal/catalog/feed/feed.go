// Package feed tells creators' open pages which of their tracks changed: one poll of
// the rows for all streams of a process, and server-sent events for each.
package feed

import (
	"context"
	"log/slog"
	"sync"
	"time"

	melodyud "github.com/melodyud/melodyud"
)

// Change is a track as it is now, and which of its versions that is.
type Change struct {
	melodyud.Track
	Version int64
}

// Config configures a Feed.
type Config struct {
	// Changed returns up to limit tracks that changed at since or later, the
	// earliest first. Required.
	Changed func(ctx context.Context, since time.Time, limit int) ([]Change, error)
	// Show returns a track's JSON form. Required.
	Show func(melodyud.Track) any

	Poll      time.Duration // how often Changed is asked while somebody listens; required
	Heartbeat time.Duration // comment on an idle stream; required
	Streams   int           // most streams at once; required

	Logger *slog.Logger     // required
	Now    func() time.Time // required
}

// Feed tells the event streams of this process which tracks changed. It polls the
// rows, because other processes change them too, and only while somebody listens.
type Feed struct {
	c     Config
	nudge chan struct{} // a row was changed here, or a first stream opened
	done  chan struct{} // closed when Run ends

	mu      sync.Mutex
	streams map[*Stream]struct{}
	byUser  map[melodyud.UserID]int
}

// Stream is one listener to changes. It holds at most Room changed tracks:
// a later change of a track replaces the earlier one, and a client that reads too
// slowly is cut off, to come back and be told the present state.
type Stream struct {
	feed  *Feed
	user  melodyud.UserID
	track melodyud.TrackID // only this one; empty: all of user's
	wake  chan struct{}

	mu      sync.Mutex
	changed map[melodyud.TrackID]Change
	cut     bool
}

const (
	// Room is how many changed tracks wait for one stream.
	Room = 256

	streamsPerUser = 16
	// Overlap is how far back changed rows are looked for again: the clocks of the
	// processes that write them disagree by up to this much (faults.md B10).
	Overlap   = 30 * time.Second
	feedBatch = 2000
	quickest  = 100 * time.Millisecond // between two polls
)

// New returns a Feed. Nothing is told until Run.
func New(c Config) *Feed {
	return &Feed{
		c: c, nudge: make(chan struct{}, 1), done: make(chan struct{}),
		streams: map[*Stream]struct{}{}, byUser: map[melodyud.UserID]int{},
	}
}

// Poke makes the next poll come soon.
func (f *Feed) Poke() {
	select {
	case f.nudge <- struct{}{}:
	default:
	}
}

var errStreams = melodyud.Refuse(melodyud.ErrLimited, "events.limit",
	"Too many windows follow your tracks at once. Close some of them.")

// Open adds a stream for user's tracks, or for one track only. Too many at once are
// ErrLimited. The caller closes it.
func (f *Feed) Open(user melodyud.UserID, track melodyud.TrackID) (*Stream, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.streams) >= f.c.Streams || f.byUser[user] >= streamsPerUser {
		return nil, errStreams
	}
	st := &Stream{feed: f, user: user, track: track, wake: make(chan struct{}, 1), changed: map[melodyud.TrackID]Change{}}
	f.streams[st] = struct{}{}
	f.byUser[user]++
	f.Poke()
	return st, nil
}

// Close ends the stream.
func (st *Stream) Close() {
	f := st.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.streams, st)
	if f.byUser[st.user]--; f.byUser[st.user] <= 0 {
		delete(f.byUser, st.user)
	}
}

func (f *Feed) idle() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.streams) == 0
}

func (f *Feed) deliver(r Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for st := range f.streams {
		if st.track == r.ID || st.track == "" && st.user == r.Owner {
			st.put(r)
		}
	}
}

func (st *Stream) put(r Change) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if old, ok := st.changed[r.ID]; ok && old.Version >= r.Version {
		return
	}
	if len(st.changed) >= Room {
		st.cut = true
	} else {
		st.changed[r.ID] = r
	}
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

// take returns what changed since the last call; ok is false when the stream was
// too slow and has to end.
func (st *Stream) take() (changed []Change, ok bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, r := range st.changed {
		changed = append(changed, r)
	}
	clear(st.changed)
	return changed, !st.cut
}

// Run tells the event streams about changes until ctx ends, and ends them then. It
// is called once. A database that is away for a while only delays it.
func (f *Feed) Run(ctx context.Context) error {
	defer close(f.done)
	p := poller{f: f}
	tick := time.NewTicker(f.c.Poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-f.nudge:
		}
		p.poll(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(min(quickest, f.c.Poll)):
		}
	}
}

// poller remembers what it has told already.
type poller struct {
	f    *Feed
	from time.Time                  // everything before was told
	seen map[melodyud.TrackID]int64 // versions told of rows changed since from
}

func (p *poller) poll(ctx context.Context) {
	now := p.f.c.Now()
	if p.f.idle() {
		p.from, p.seen = time.Time{}, nil
		return
	}
	if p.from.IsZero() {
		p.from, p.seen = now.Add(-Overlap), map[melodyud.TrackID]int64{}
	}
	rows, err := p.f.c.Changed(ctx, p.from, feedBatch)
	if err != nil {
		if ctx.Err() == nil {
			p.f.c.Logger.WarnContext(ctx, "changed tracks unknown", "error", err)
		}
		return
	}
	p.tell(rows)
	p.advance(rows, now)
}

func (p *poller) tell(rows []Change) {
	for _, r := range rows {
		if p.seen[r.ID] < r.Version {
			p.seen[r.ID] = r.Version
			p.f.deliver(r)
		}
	}
}

// advance moves the window. A full batch was not the whole window, so the next
// poll goes on from its end.
func (p *poller) advance(rows []Change, now time.Time) {
	p.from = now.Add(-Overlap)
	if len(rows) == feedBatch {
		p.from = rows[len(rows)-1].Updated
		p.f.Poke()
	}
	inWindow := make(map[melodyud.TrackID]bool, len(rows))
	for _, r := range rows {
		inWindow[r.ID] = true
	}
	for id := range p.seen {
		if !inWindow[id] {
			delete(p.seen, id)
		}
	}
}
