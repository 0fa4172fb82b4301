package playback_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
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
	"github.com/melodyud/melodyud/internal/playback"
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

// silent rings for nobody.
type silent struct{}

func (silent) Ring(context.Context, queue.Task) error { return nil }

// world is a playback service over a catalog.
type world struct {
	*catalog.Service
	plays *playback.Service
	t     *testing.T
	db    database.DB
	store objectstore.Store
	clock *clock
	keys  *ticket.Keyring
	names *ticket.Listeners
	ads   policy
}

func newWorld(t *testing.T, change ...func(*playback.Config)) *world {
	t.Helper()
	store, err := dir.Open(dir.Config{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	keys, err := ticket.NewKeyring(ticket.Key{ID: "k1", Secret: []byte(strings.Repeat("k", 32))})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, db: databasetest.Open(t), store: store, keys: keys,
		clock: &clock{now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}}
	if w.Service, err = catalog.New(catalog.Config{Database: w.db, Store: store, Bell: silent{}, Now: w.clock.Now}); err != nil {
		t.Fatal(err)
	}
	if w.names, err = ticket.NewListeners(ticket.Key{ID: "l1", Secret: []byte(strings.Repeat("l", 32))}); err != nil {
		t.Fatal(err)
	}
	c := playback.Config{Database: w.db, Library: w.Service, Store: store, Tickets: keys, Names: w.names, Ads: &w.ads, Now: w.clock.Now}
	for _, f := range change {
		f(&c)
	}
	if w.plays, err = playback.New(c); err != nil {
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
	return w.tagged(id, melodyud.Tags{Artist: "From the file"})
}

// tagged is publish for a file with tags.
func (w *world) tagged(id melodyud.TrackID, tags melodyud.Tags) melodyud.Track {
	w.t.Helper()
	c := w.claim(id, melodyud.StepRender)
	w.must(w.Storing(w.t.Context(), c, renderHash))
	w.must(w.Rendered(w.t.Context(), c, melodyud.Rendering{Hash: renderHash, Tags: tags}))
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

// people signs in everybody by their name.
type people []api.Principal

func (all people) Authenticate(_ context.Context, secret string) (api.Principal, error) {
	for _, p := range all {
		if p.Name == secret {
			return p, nil
		}
	}
	return api.Principal{}, melodyud.ErrUnauthenticated
}

// serve starts the API over the catalog and its playback.
func (w *world) serve(who ...api.Principal) *httptest.Server {
	w.t.Helper()
	router, err := api.NewRouter(api.Config{Auth: append(people{nora, emil, lisa, paul, olga}, who...), Now: w.clock.Now})
	w.must(err)
	w.Register(router)
	w.plays.Register(router)
	server := httptest.NewServer(router.Handler())
	w.t.Cleanup(server.Close)
	return server
}

func (w *world) do(server *httptest.Server, who, method, path, body string, header ...string) (int, string, http.Header) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, server.URL+path, strings.NewReader(body))
	w.must(err)
	if who != "" {
		req.Header.Set("Authorization", "Bearer "+who)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := server.Client().Do(req)
	w.must(err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	w.must(err)
	return res.StatusCode, string(raw), res.Header
}

// segment is what 48 kHz tracks are cut into.
const segment = 192512.0 / 48000

// putRelease stores what previews and offline files are made from: a track of 200 s
// in segments of about 4 s, whose preview had best begin at highlight.
func (w *world) putRelease(highlight float64) {
	w.t.Helper()
	m := melodyud.Manifest{Version: melodyud.ManifestVersion, SampleRate: 48000, Samples: 200 * 48000, TargetDuration: 4}
	for rest := m.Samples; rest > 0; rest -= 192512 {
		m.Segments = append(m.Segments, min(rest, 192512))
	}
	for _, name := range []string{"aac-64", "aac-256", "flac"} {
		r := melodyud.Rendition{Name: name, Codec: melodyud.CodecAAC, Size: 1000, SHA256: strings.Repeat("5", 64)}
		if name == "flac" {
			r.Codec = melodyud.CodecFLAC
		}
		m.Renditions = append(m.Renditions, r)
	}
	f := melodyud.Features{Version: "1", Duration: 200}
	if highlight >= 0 {
		f.PreviewStart = &highlight
	}
	for name, v := range map[string]any{"manifest.json": m, "features.json": f} {
		raw, err := json.Marshal(v)
		w.must(err)
		_, err = w.store.Put(w.t.Context(), "media/"+renderHash+"/"+name, strings.NewReader(string(raw)), int64(len(raw)), objectstore.PutOptions{})
		w.must(err)
	}
}

// protected is a world with media keys of one secret.
func protected(t *testing.T, change ...func(*playback.Config)) (*world, *ticket.MediaKeys) {
	t.Helper()
	keys, err := ticket.NewMediaKeys(ticket.Key{ID: "m1", Secret: []byte(strings.Repeat("m", 32))})
	if err != nil {
		t.Fatal(err)
	}
	return newWorld(t, append(change, func(c *playback.Config) { c.MediaKeys = keys })...), keys
}

// ask posts to one of a track's addresses and reads the answer into out.
func (w *world) ask(server *httptest.Server, who, path, body string, out any) http.Header {
	w.t.Helper()
	status, answer, header := w.do(server, who, "POST", path, body)
	if status != 200 {
		w.t.Fatalf("%s as %s: %d %s", path, who, status, answer)
	}
	if cc := header.Get("Cache-Control"); !strings.Contains(cc, "no-store") {
		w.t.Errorf("%s: Cache-Control %q", path, cc)
	}
	w.must(json.Unmarshal([]byte(answer), out))
	return header
}

// prefix returns what the ticket in a playback address opens.
func (w *world) claims(address string) ticket.Claims {
	w.t.Helper()
	_, rest, _ := strings.Cut(address, "/p/")
	signed, path, _ := strings.Cut(rest, "/")
	claims, err := w.keys.Verify(signed, "/"+path, w.clock.Now())
	w.must(err)
	return claims
}
