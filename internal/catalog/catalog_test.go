package catalog_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/catalog"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/databasetest"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/objectstore/dir"
	"github.com/melodyud/melodyud/internal/queue"
	"github.com/melodyud/melodyud/internal/ticket"
)

var (
	nora = api.Principal{User: "usr_01NORA", Name: "Nora", Roles: []api.Role{api.RoleCreator}, Tier: ticket.Free}
	emil = api.Principal{User: "usr_01EMIL", Name: "Emil", Roles: []api.Role{api.RoleCreator}, Tier: ticket.Free}
	lisa = api.Principal{User: "usr_01LISA", Name: "Lisa", Roles: []api.Role{api.RoleListener}, Tier: ticket.Free}
	paul = api.Principal{User: "usr_01PAUL", Name: "Paul", Roles: []api.Role{api.RoleListener}, Tier: ticket.Premium}
	olga = api.Principal{User: "usr_01OLGA", Name: "Olga", Roles: []api.Role{api.RoleOps}, Tier: ticket.Free}
)

// clock is a hand-moved clock.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

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
	*catalog.Service
	t     *testing.T
	db    database.DB
	store objectstore.Store
	bell  *bell
	clock *clock
}

func newWorld(t *testing.T, change ...func(*catalog.Config)) *world {
	t.Helper()
	store, err := dir.Open(dir.Config{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	w := &world{t: t, db: databasetest.OpenReal(t), store: store, bell: &bell{},
		clock: &clock{now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}}
	c := catalog.Config{Database: w.db, Store: store, Bell: w.bell,
		Now: w.clock.Now, Jitter: func() float64 { return 0 }}
	for _, f := range change {
		f(&c)
	}
	if w.Service, err = catalog.New(c); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) master(bytes string) melodyud.Master {
	w.t.Helper()
	sum := sha256.Sum256([]byte(bytes))
	m := melodyud.Master{SHA256: hex.EncodeToString(sum[:]), Size: int64(len(bytes))}
	_, err := w.store.Put(w.t.Context(), "masters/"+m.SHA256, strings.NewReader(bytes), m.Size, objectstore.PutOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

func (w *world) receipt(owner api.Principal) melodyud.Receipt {
	return melodyud.Receipt{
		Track: melodyud.NewTrackID(w.clock.Now()), Owner: owner.User, Upload: melodyud.NewUploadID(w.clock.Now()),
		FileName: "Morning Light.flac", Master: w.master("the sound"),
	}
}

func (w *world) receive(owner api.Principal) melodyud.Track {
	w.t.Helper()
	track, err := w.Receive(w.t.Context(), w.receipt(owner))
	if err != nil {
		w.t.Fatal(err)
	}
	return track
}

func (w *world) claim(id melodyud.TrackID, step melodyud.Step) melodyud.Claim {
	w.t.Helper()
	c, err := w.Claim(w.t.Context(), id, step, "worker")
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// publish takes a track through both steps.
func (w *world) publish(id melodyud.TrackID) melodyud.Track {
	w.t.Helper()
	c := w.claim(id, melodyud.StepRender)
	w.must(w.Storing(w.t.Context(), c, renderHash))
	w.must(w.Rendered(w.t.Context(), c, melodyud.Rendering{Hash: renderHash, Tags: melodyud.Tags{Artist: "From the file"}}))
	c = w.claim(id, melodyud.StepPublish)
	track, err := w.Publish(w.t.Context(), c, releaseOf(c))
	w.must(err)
	return track
}

const renderHash = "0123456789abcdef0123456789abcdef"

func releaseOf(c melodyud.Claim) melodyud.Release {
	return melodyud.Release{ID: c.Release, RenderHash: c.RenderHash, Duration: 200 * time.Second, HasCover: true}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) wants(kind, err error) {
	w.t.Helper()
	if !errors.Is(err, kind) {
		w.t.Fatalf("got error %v, want kind %v", err, kind)
	}
}

func (w *world) track(id melodyud.TrackID) melodyud.Track {
	w.t.Helper()
	track, err := w.Track(w.t.Context(), olga, id)
	w.must(err)
	return track
}

func (w *world) due() []melodyud.Owed {
	w.t.Helper()
	owed, err := w.Due(w.t.Context(), w.clock.Now(), 100)
	w.must(err)
	return owed
}

// facts returns the types of the facts written about tracks so far, in order.
func (w *world) facts() []string {
	w.t.Helper()
	rows, err := w.db.Query(w.t.Context(), `SELECT event FROM outbox WHERE topic = 'tracks' ORDER BY seq`)
	w.must(err)
	defer rows.Close()
	var all []string
	for rows.Next() {
		var body string
		w.must(rows.Scan(&body))
		_, rest, _ := strings.Cut(body, `com.melodyud.track.`)
		name, _, _ := strings.Cut(rest, `.v1`)
		all = append(all, name)
	}
	w.must(rows.Err())
	return all
}
