package catalog

import (
	"context"
	"sync"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/database"
)

// feed tells the event streams of this process which tracks changed. It polls the
// rows, because other processes change them too, and only while somebody listens.
type feed struct {
	nudge chan struct{} // a row was changed here, or a first stream opened
	done  chan struct{} // closed when Run ends
	most  int

	mu      sync.Mutex
	streams map[*stream]struct{}
	byUser  map[melodyud.UserID]int
}

// stream is one listener to changes. It holds at most streamRoom changed tracks:
// a later change of a track replaces the earlier one, and a client that reads too
// slowly is cut off, to come back and be told the present state.
type stream struct {
	user  melodyud.UserID
	track melodyud.TrackID // only this one; empty: all of user's
	wake  chan struct{}

	mu      sync.Mutex
	changed map[melodyud.TrackID]*row
	cut     bool
}

const (
	streamRoom     = 256
	streamsPerUser = 16
	// overlap is how far back changed rows are looked for again: the clocks of the
	// processes that write them disagree by up to this much (faults.md B10).
	overlap   = 30 * time.Second
	feedBatch = 2000
	quickest  = 100 * time.Millisecond // between two polls
)

func newFeed(most int) *feed {
	return &feed{
		nudge: make(chan struct{}, 1), done: make(chan struct{}), most: most,
		streams: map[*stream]struct{}{}, byUser: map[melodyud.UserID]int{},
	}
}

// poke makes the next poll come soon.
func (f *feed) poke() {
	select {
	case f.nudge <- struct{}{}:
	default:
	}
}

var errStreams = melodyud.Refuse(melodyud.ErrLimited, "events.limit",
	"Too many windows follow your tracks at once. Close some of them.")

func (f *feed) open(user melodyud.UserID, track melodyud.TrackID) (*stream, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.streams) >= f.most || f.byUser[user] >= streamsPerUser {
		return nil, errStreams
	}
	st := &stream{user: user, track: track, wake: make(chan struct{}, 1), changed: map[melodyud.TrackID]*row{}}
	f.streams[st] = struct{}{}
	f.byUser[user]++
	f.poke()
	return st, nil
}

func (f *feed) close(st *stream) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.streams, st)
	if f.byUser[st.user]--; f.byUser[st.user] <= 0 {
		delete(f.byUser, st.user)
	}
}

func (f *feed) idle() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.streams) == 0
}

func (f *feed) deliver(r *row) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for st := range f.streams {
		if st.track == r.ID || st.track == "" && st.user == r.Owner {
			st.put(r)
		}
	}
}

func (st *stream) put(r *row) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if old, ok := st.changed[r.ID]; ok && old.version >= r.version {
		return
	}
	if len(st.changed) >= streamRoom {
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
func (st *stream) take() (changed []*row, ok bool) {
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
func (s *Service) Run(ctx context.Context) error {
	defer close(s.feed.done)
	p := poller{s: s}
	tick := time.NewTicker(s.c.EventPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-s.feed.nudge:
		}
		p.poll(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(min(quickest, s.c.EventPoll)):
		}
	}
}

// poller remembers what it has told already.
type poller struct {
	s    *Service
	from time.Time                  // everything before was told
	seen map[melodyud.TrackID]int64 // versions told of rows changed since from
}

func (p *poller) poll(ctx context.Context) {
	now := p.s.c.Now()
	if p.s.feed.idle() {
		p.from, p.seen = time.Time{}, nil
		return
	}
	if p.from.IsZero() {
		p.from, p.seen = now.Add(-overlap), map[melodyud.TrackID]int64{}
	}
	rows, err := p.changed(ctx)
	if err != nil {
		if ctx.Err() == nil {
			p.s.c.Logger.WarnContext(ctx, "changed tracks unknown", "error", err)
		}
		return
	}
	p.tell(rows)
	p.advance(rows, now)
}

func (p *poller) changed(ctx context.Context) ([]*row, error) {
	return loadAll(ctx, p.s.c.Database, `WHERE t.updated >= ? ORDER BY t.updated, t.id LIMIT ?`,
		database.Millis(p.from), feedBatch)
}

func (p *poller) tell(rows []*row) {
	for _, r := range rows {
		if p.seen[r.ID] < r.version {
			p.seen[r.ID] = r.version
			p.s.feed.deliver(r)
		}
	}
}

// advance moves the window. A full batch was not the whole window, so the next
// poll goes on from its end.
func (p *poller) advance(rows []*row, now time.Time) {
	p.from = now.Add(-overlap)
	if len(rows) == feedBatch {
		p.from = rows[len(rows)-1].Updated
		p.s.feed.poke()
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
