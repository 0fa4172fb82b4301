package edge_test

import (
	"testing"
	"time"

	"github.com/melodyud/melodyud/edge"
	"github.com/melodyud/melodyud/edge/cachestatus"
	"github.com/melodyud/melodyud/internal/ticket"
)

func (s *shelf) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// soon waits for what happens behind an answer.
func soon(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for range 5000 {
		if happened() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%s: not within five seconds", what)
}

// hotSegment puts an edge with these notices in the place of the stage's own and
// returns the path of a segment that it answers from memory.
func (s *stage) hotSegment(t *testing.T, b *board) (path string) {
	t.Helper()
	if b != nil {
		s.edge, s.handler = s.another(t, edge.Config{MediaKeys: s.media, Notices: b})
	}
	path = s.base(t, ticket.Premium) + "aac-64/s/0.m4s"
	if res, _ := ask(t, s.front(t), "GET", path); res.StatusCode != 200 {
		t.Fatal(res.Status)
	}
	if !s.kept(path) {
		t.Fatal("not answered from memory")
	}
	return path
}

func TestListenersOfAReleaseInDemandDoNotWaitForTheStore(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	path := s.hotSegment(t, nil)
	for round := range 10 {
		s.now.Add(int64(1600 * time.Millisecond))
		for range 100 {
			if !s.seen(path) {
				t.Fatalf("round %d: they wait", round)
			}
		}
		soon(t, "one question", func() bool { return s.shelf.asked() == round+1 })
	}
	s.now.Add(int64(2 * time.Second))
	if s.seen(path) {
		t.Error("two seconds after the last question")
	}
}

func TestWithNoticesAReleaseIsBelievedWhileItIsAskedAbout(t *testing.T) { // EDGE-3
	t.Parallel()
	for name, c := range map[string]struct {
		later              time.Duration
		current, withdrawn bool // what notices say
		believed           bool
	}{
		"a while later":         {later: 29 * time.Second, current: true, believed: true},
		"too late":              {later: 30 * time.Second, current: true},
		"notices do not come":   {later: 3 * time.Second},
		"not even asked about":  {later: time.Second, believed: true},
		"a notice withdraws it": {later: time.Second, current: true, withdrawn: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			b := board{current: c.current}
			path := s.hotSegment(t, &b)
			s.now.Add(int64(c.later))
			if c.withdrawn {
				b.track = string(s.track)
			}
			if got := s.seen(path); got != c.believed {
				t.Errorf("answered from memory: %v, want %v", got, c.believed)
			}
		})
	}
}

func TestAPlaylistOfABelievedReleaseIsTheSameFromMemoryAndFromTheHandler(t *testing.T) { // EDGE-11
	t.Parallel()
	s := newStage(t)
	s.hotSegment(t, &board{current: true})
	address, path := s.front(t), s.base(t, ticket.Premium)+"aac-64/index.m3u8"
	ask(t, address, "GET", path)
	if !s.kept(path) {
		t.Fatal("not answered from memory")
	}
	s.now.Add(int64(20 * time.Second))
	s.shelf.mu.Lock() // the store takes its time
	defer s.shelf.mu.Unlock()
	if !s.seen(path) {
		t.Error("not answered from memory")
	}
	for range 2 {
		memory, _ := ask(t, address, "GET", path)
		handler := s.get(t, path)
		if m, h := memory.Header.Get(cachestatus.Name), handler.Header.Get(cachestatus.Name); m != h || m != "melodyud-edge; hit" {
			t.Errorf("from memory %q, from the handler %q", m, h)
		}
	}
}

func TestAReleaseThatIsGoneIsNotBelievedOnceTheStoreWasAsked(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	path := s.hotSegment(t, &board{current: true})
	s.shelf.remove(s.manifestKey())
	s.now.Add(int64(10 * time.Second))
	if !s.seen(path) {
		t.Error("not believed while it is asked about")
	}
	soon(t, "the end", func() bool { return !s.seen(path) })
	if res := s.get(t, path); res.StatusCode != 404 {
		t.Error(res.Status)
	}
}

func TestAStoreThatIsAwayIsAskedSeldomWhoeverIsBelieved(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	path := s.hotSegment(t, &board{current: true})
	s.shelf.away.Store(true)
	for round := range 5 {
		s.now.Add(int64(2 * time.Second))
		soon(t, "a question", func() bool { return s.seen(path) && s.shelf.asked() == round+1 })
		for range 100 {
			if !s.seen(path) {
				t.Fatal("sound in memory is kept back")
			}
		}
	}
	if n := s.shelf.asked(); n > 5 {
		t.Errorf("asked %d times in ten seconds", n)
	}
}
