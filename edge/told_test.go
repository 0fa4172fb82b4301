package edge_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/melodyud/melodyud/edge"
	"github.com/melodyud/melodyud/edge/cache"
	"github.com/melodyud/melodyud/edge/telemetry"
	"github.com/melodyud/melodyud/internal/ticket"
)

// tale is what was told of segments.
type tale struct {
	mu  sync.Mutex
	all []telemetry.Segment
}

func (t *tale) Segment(s telemetry.Segment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, s)
}

// neighbour is another edge, which has all that the stage's store has in its memory.
func (s *stage) neighbour(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var size, offset, length int
		path := strings.TrimPrefix(r.URL.Path, cache.PeerPath)
		if n, err := fmt.Sscanf(path, "%d/%d/%d/", &size, &offset, &length); n != 3 {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		key := strings.SplitN(path, "/", 4)[3]
		s.shelf.mu.Lock()
		defer s.shelf.mu.Unlock()
		w.Header().Set("Cache-Status", "melodyud-peer; hit")
		w.Header().Set("Content-Length", strconv.Itoa(length))
		_, _ = w.Write(s.shelf.objects[key][offset : offset+length])
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestASegmentOfAnotherEdgesMemoryIsNoHitHere(t *testing.T) { // EDGE-11
	t.Parallel()
	s := newStage(t)
	told := &tale{}
	_, handler := s.another(t, edge.Config{Segments: told, Peers: cache.PeersConfig{
		URLs: []string{s.neighbour(t)}, Secrets: func() [][]byte { return [][]byte{bytes.Repeat([]byte{4}, 16)} },
	}})
	get := func() string {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, s.base(t, ticket.Premium)+segmentPath, nil))
		return w.Header().Get("Cache-Status")
	}
	if got := get(); got != "melodyud-peer; hit, melodyud-edge; fwd=uri-miss; stored" {
		t.Fatalf("Cache-Status %q", got)
	}
	for deadline := time.Now().Add(5 * time.Second); get() != "melodyud-edge; hit" && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond) // the block is on its way into memory
	}
	if n := len(told.all); told.all[0].Hit || !told.all[n-1].Hit {
		t.Errorf("told of %+v", told.all)
	}
}
