package catalog_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api/apitest"
	"github.com/melodyud/melodyud/internal/catalog"
	"github.com/melodyud/melodyud/internal/catalog/catalogtest"
	"github.com/melodyud/melodyud/internal/database/databasetest"
	"github.com/melodyud/melodyud/internal/queue"
)

var nora, emil, lisa, paul, olga = apitest.Nora, apitest.Emil, apitest.Lisa, apitest.Paul, apitest.Olga

// bell remembers what was rung.
type bell struct {
	mu   sync.Mutex
	rung []string
	err  error
}

func (b *bell) Ring(_ context.Context, t queue.Task) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rung = append(b.rung, t.Type)
	return b.err
}

func (b *bell) heard() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.rung)
}

type world struct {
	*catalogtest.World
	t    *testing.T
	bell *bell
}

func newWorld(t *testing.T, change ...func(*catalog.Config)) *world {
	t.Helper()
	w := &world{t: t, bell: &bell{}}
	heard := func(c *catalog.Config) { c.Bell, c.Jitter = w.bell, func() float64 { return 0 } }
	w.World = catalogtest.New(t, databasetest.OpenReal(t), append([]func(*catalog.Config){heard}, change...)...)
	return w
}

func (w *world) track(id melodyud.TrackID) melodyud.Track {
	w.t.Helper()
	track, err := w.Track(w.t.Context(), olga, id)
	w.Must(err)
	return track
}

func (w *world) due() []melodyud.Owed {
	w.t.Helper()
	owed, err := w.Due(w.t.Context(), w.Clock.Now(), 100)
	w.Must(err)
	return owed
}

// facts returns the types of the facts written about tracks so far, in order.
func (w *world) facts() []string {
	w.t.Helper()
	rows, err := w.DB.Query(w.t.Context(), `SELECT event FROM outbox WHERE topic = 'tracks' ORDER BY seq`)
	w.Must(err)
	defer rows.Close()
	var all []string
	for rows.Next() {
		var body string
		w.Must(rows.Scan(&body))
		_, rest, _ := strings.Cut(body, `com.melodyud.track.`)
		name, _, _ := strings.Cut(rest, `.v1`)
		all = append(all, name)
	}
	w.Must(rows.Err())
	return all
}
