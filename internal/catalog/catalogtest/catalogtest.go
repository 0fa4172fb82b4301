// Package catalogtest gives tests a catalog and takes tracks through it without any
// worker.
package catalogtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/catalog"
	"github.com/melodyud/melodyud/internal/clocktest"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/objectstore/dir"
	"github.com/melodyud/melodyud/internal/queue"
)

// RenderHash is that of whatever Finish renders.
const RenderHash = "0123456789abcdef0123456789abcdef"

// World is a catalog with what it stands on, for one test.
type World struct {
	*catalog.Service
	DB    database.DB
	Store objectstore.Store
	Clock *clocktest.Clock

	t testing.TB
}

// silent rings for nobody.
type silent struct{}

func (silent) Ring(context.Context, queue.Task) error { return nil }

// New returns a world on db, with a store of its own, on the first of May 2026. Nobody
// hears its bell unless change says so.
func New(t testing.TB, db database.DB, change ...func(*catalog.Config)) *World {
	t.Helper()
	store, err := dir.Open(dir.Config{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	w := &World{DB: db, Store: store, Clock: clocktest.New(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)), t: t}
	c := catalog.Config{Database: db, Store: store, Bell: silent{}, Now: w.Clock.Now}
	for _, f := range change {
		f(&c)
	}
	w.Service, err = catalog.New(c)
	w.Must(err)
	return w
}

// Master stores a master of these bytes.
func (w *World) Master(bytes string) melodyud.Master {
	w.t.Helper()
	sum := sha256.Sum256([]byte(bytes))
	m := melodyud.Master{SHA256: hex.EncodeToString(sum[:]), Size: int64(len(bytes))}
	_, err := w.Store.Put(w.t.Context(), "masters/"+m.SHA256, strings.NewReader(bytes), m.Size, objectstore.PutOptions{})
	w.Must(err)
	return m
}

// Receipt is of an upload of owner, of the same bytes as all others.
func (w *World) Receipt(owner api.Principal) melodyud.Receipt {
	return melodyud.Receipt{
		Track: melodyud.NewTrackID(w.Clock.Now()), Owner: owner.User, Upload: melodyud.NewUploadID(w.Clock.Now()),
		FileName: "Morning Light.flac", Master: w.Master("the sound"),
	}
}

// Upload has the catalog receive a track.
func (w *World) Upload(owner api.Principal) melodyud.Track {
	w.t.Helper()
	track, err := w.Receive(w.t.Context(), w.Receipt(owner))
	w.Must(err)
	return track
}

// Take claims a step of a track.
func (w *World) Take(id melodyud.TrackID, step melodyud.Step) melodyud.Claim {
	w.t.Helper()
	c, err := w.Claim(w.t.Context(), id, step, "worker")
	w.Must(err)
	return c
}

// Finish takes a track through both steps.
func (w *World) Finish(id melodyud.TrackID) melodyud.Track {
	w.t.Helper()
	return w.FinishAs(id, melodyud.Tags{Artist: "From the file"})
}

// FinishAs is Finish for a file with tags.
func (w *World) FinishAs(id melodyud.TrackID, tags melodyud.Tags) melodyud.Track {
	w.t.Helper()
	c := w.Take(id, melodyud.StepRender)
	w.Must(w.Storing(w.t.Context(), c, RenderHash))
	w.Must(w.Rendered(w.t.Context(), c, melodyud.Rendering{Hash: RenderHash, Tags: tags}))
	c = w.Take(id, melodyud.StepPublish)
	track, err := w.Publish(w.t.Context(), c, ReleaseOf(c))
	w.Must(err)
	return track
}

// ReleaseOf is the release, of 200 s, that a claim publishes.
func ReleaseOf(c melodyud.Claim) melodyud.Release {
	return melodyud.Release{ID: c.Release, RenderHash: c.RenderHash, Duration: 200 * time.Second, HasCover: true}
}

// Song publishes a track of owner with what its file's tags say.
func (w *World) Song(owner api.Principal, tags melodyud.Tags) melodyud.Track {
	w.t.Helper()
	defer w.Clock.Pass(time.Millisecond) // ids sort by age
	return w.FinishAs(w.Upload(owner).ID, tags)
}

// AlbumCalled finds an album by its title.
func (w *World) AlbumCalled(title string) catalog.Album {
	w.t.Helper()
	page, err := w.Albums(w.t.Context(), 0, "")
	w.Must(err)
	for _, a := range page.Albums {
		if a.Title == title {
			return a
		}
	}
	w.t.Fatalf("no album %q among %+v", title, page.Albums)
	return catalog.Album{}
}

// Must ends the test if there is an error.
func (w *World) Must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// Wants ends the test unless err is of the kind.
func (w *World) Wants(kind, err error) {
	w.t.Helper()
	if !errors.Is(err, kind) {
		w.t.Fatalf("got error %v, want kind %v", err, kind)
	}
}
