package edge_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/melodyud/melodyud/edge"
	"github.com/melodyud/melodyud/internal/ticket"
)

func TestWhatFollowsASegmentIsFetchedBeforeItIsAskedFor(t *testing.T) { // CMCD-9
	t.Parallel()
	for name, header := range map[string]string{"in the order of the track": "", "as the player says": `nor="2.m4s"`, "whatever the player says": `nor="../../../x"`} {
		s := newStage(t)
		e, handler := s.another(t, edge.Config{})
		stop := running(t, e)
		r := httptest.NewRequest(http.MethodGet, s.base(t, ticket.Premium)+"flac/s/0.m4s", nil)
		if header != "" {
			r.Header.Set("CMCD-Request", header)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Fatalf("%s: %d", name, w.Code)
		}
		// The file has three blocks; the segment lies in the first one.
		for deadline := time.Now().Add(10 * time.Second); s.opened("flac") < 3 && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		if n := s.opened("flac"); n != 3 {
			t.Errorf("%s: %d blocks of three were fetched", name, n)
		}
		stop()
	}
}

// running runs e's cache until stop is called.
func running(t *testing.T, e *edge.Edge) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.RunCache(ctx) }()
	return func() {
		cancel()
		<-done
	}
}

// opened is how often the file of a rendition was read from.
func (s *stage) opened(rendition string) (n int) {
	s.shelf.mu.Lock()
	defer s.shelf.mu.Unlock()
	for key, opens := range s.shelf.opens {
		if len(key) > len(rendition) && key[len(key)-len(rendition)-4:] == rendition+".mp4" {
			n += opens
		}
	}
	return n
}
