package edge_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/melodyud/melodyud/edge/load"
	"github.com/melodyud/melodyud/internal/ticket"
)

func TestAHerdOnAColdTrackAsksTheStoreOnceForABlock(t *testing.T) { // faults C1
	t.Parallel()
	s := newStage(t)
	s.shelf.slow.Store(int64(50 * time.Millisecond))
	server := httptest.NewServer(s.handler)
	defer server.Close()
	address := server.URL + s.base(t, ticket.Premium) + "index.m3u8"
	players := 500
	if testing.Short() {
		players = 200
	}
	r, err := load.Herd(t.Context(), load.Config{
		Tracks: 1, Listeners: players, Start: func(context.Context, int) (string, error) { return address, nil },
	})
	if err != nil || r.Startup.N != int64(players) || len(r.Errors) != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	s.shelf.mu.Lock()
	defer s.shelf.mu.Unlock()
	for key, n := range s.shelf.opens {
		if strings.HasPrefix(key, "media/") && n != 1 || n > 2 {
			t.Errorf("%s was read %d times", key, n)
		}
	}
}
