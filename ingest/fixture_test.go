package ingest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/ingest"
	"github.com/melodyud/melodyud/ingest/resumable"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/clocktest"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/databasetest"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/objectstore/dir"
	"github.com/melodyud/melodyud/internal/objectstore/s3"
	"github.com/melodyud/melodyud/internal/realtest"
)

// catalog takes tracks over and remembers them, as the real one does.
type catalog struct {
	mu     sync.Mutex
	got    map[melodyud.TrackID]melodyud.Receipt
	answer func(melodyud.Receipt) error // nil: accept
}

func (c *catalog) Receive(_ context.Context, r melodyud.Receipt) (melodyud.Track, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answer != nil {
		if err := c.answer(r); err != nil {
			return melodyud.Track{}, err
		}
	}
	if old, ok := c.got[r.Track]; ok && old != r && !r.Replaces {
		return melodyud.Track{}, melodyud.ErrConflict
	}
	c.got[r.Track] = r
	return melodyud.Track{ID: r.Track}, nil
}

func (c *catalog) refuse(answer func(melodyud.Receipt) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = answer
}

func (c *catalog) receipts() []melodyud.Receipt {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []melodyud.Receipt
	for _, r := range c.got {
		all = append(all, r)
	}
	return all
}

type people map[string]api.Principal

func (p people) Authenticate(_ context.Context, secret string) (api.Principal, error) {
	who, ok := p[secret]
	if !ok {
		return who, melodyud.ErrUnauthenticated
	}
	return who, nil
}

var everybody = people{
	"ada": {User: "usr_ada", Roles: []api.Role{api.RoleCreator}},
	"bob": {User: "usr_bob", Roles: []api.Role{api.RoleCreator}},
	"lin": {User: "usr_lin", Roles: []api.Role{api.RoleListener, api.RoleOps}},
}

// fixture is the service behind a real HTTP server.
type fixture struct {
	*ingest.Service
	t       testing.TB
	db      database.DB
	store   objectstore.Store
	catalog *catalog
	clock   *clocktest.Clock
	url     string
}

const partSize = 4096

// patience is how many looks, some milliseconds apart, a test takes before it
// gives up: far more than a loaded machine needs.
const patience = 10_000

func newFixture(t testing.TB, change ...func(*ingest.Config)) *fixture {
	t.Helper()
	return newFixtureOn(t, databasetest.Open(t), newStore(t), change...)
}

func newFixtureOn(t testing.TB, db database.DB, store objectstore.Store, change ...func(*ingest.Config)) *fixture {
	t.Helper()
	f := &fixture{
		t: t, db: db, store: store, catalog: &catalog{got: map[melodyud.TrackID]melodyud.Receipt{}}, clock: clocktest.New(time.Now()),
	}
	f.start(change...)
	return f
}

// newStore is a directory, or a bucket of MinIO if MELODYUD_TEST_STORE=s3.
func newStore(t testing.TB) objectstore.Store {
	t.Helper()
	if os.Getenv("MELODYUD_TEST_STORE") != "s3" {
		return dirStore(t, t.TempDir())
	}
	store, err := s3.Open(t.Context(), realtest.MinIO(t))
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// plain hides from the service that objects of its store could grow, as those of S3
// cannot.
func plain(c *ingest.Config) { c.Store = struct{ objectstore.Store }{c.Store} }

func asItIs(*ingest.Config) {}

// stores are the two ways in which bytes become durable.
var stores = map[string]func(*ingest.Config){"growing object": asItIs, "parts": plain}

func dirStore(t testing.TB, path string) objectstore.Store {
	t.Helper()
	store, err := dir.Open(dir.Config{Path: filepath.Join(path, "objects")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// start runs another process of the service on the fixture's backends.
func (f *fixture) start(change ...func(*ingest.Config)) {
	f.t.Helper()
	config := ingest.Config{DB: f.db, Store: f.store, Tracks: f.catalog, PartSize: partSize, Now: f.clock.Now, Sweep: 5 * time.Millisecond}
	for _, c := range change {
		c(&config)
	}
	server := httptest.NewServer(f.handler(config))
	f.t.Cleanup(server.Close)
	f.url = server.URL
}

// handler makes the service and what answers its requests.
func (f *fixture) handler(config ingest.Config) http.Handler {
	f.t.Helper()
	s, err := ingest.New(config)
	if err != nil {
		f.t.Fatal(err)
	}
	r, err := api.NewRouter(api.Config{Auth: everybody, Logger: slog.New(slog.NewTextHandler(f.t.Output(), nil))})
	if err != nil {
		f.t.Fatal(err)
	}
	s.Register(r)
	draft, err := resumable.New(resumable.Config{Uploads: s})
	if err != nil {
		f.t.Fatal(err)
	}
	draft.Register(r)
	f.Service = s
	return r.Handler()
}

// run runs the service's janitor until the returned function is called.
func (f *fixture) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	s, done := f.Service, make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Errorf("Run: %v", err)
		}
	}
}

type answer struct {
	*http.Response
	body string
}

// do sends a request as Ada speaking tus, unless headers say otherwise; an empty
// value removes a header.
func (f *fixture) do(method, path string, body io.Reader, headers ...string) answer {
	f.t.Helper()
	req, err := http.NewRequest(method, f.url+path, body)
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	req.Header.Set("Authorization", "Bearer ada")
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] == "" {
			req.Header.Del(headers[i])
		} else {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return answer{res, string(text)}
}

func (a answer) code() string {
	var p api.Problem
	_ = json.Unmarshal([]byte(a.body), &p)
	return p.Code
}

// create opens an upload of n bytes (-1: deferred) and returns its path.
func (f *fixture) create(n int, headers ...string) string {
	f.t.Helper()
	length := []string{"Upload-Length", strconv.Itoa(n)}
	if n < 0 {
		length = []string{"Upload-Defer-Length", "1"}
	}
	a := f.do("POST", "/v1/uploads", nil, append(length, headers...)...)
	if a.StatusCode != 201 {
		f.t.Fatalf("create: %d %s", a.StatusCode, a.body)
	}
	return a.Header.Get("Location")
}

func (f *fixture) patch(path string, offset int, data []byte, headers ...string) answer {
	f.t.Helper()
	headers = append([]string{"Content-Type", "application/offset+octet-stream", "Upload-Offset", strconv.Itoa(offset)}, headers...)
	return f.do("PATCH", path, bytes.NewReader(data), headers...)
}

func (f *fixture) offset(path string) string {
	f.t.Helper()
	a := f.do("HEAD", path, nil)
	if a.StatusCode != 200 {
		f.t.Errorf("HEAD: %d", a.StatusCode)
	}
	return a.Header.Get("Upload-Offset")
}

func (f *fixture) view(path string) ingest.View {
	f.t.Helper()
	var v ingest.View
	a := f.do("GET", path, nil)
	if err := json.Unmarshal([]byte(a.body), &v); err != nil || a.StatusCode != 200 {
		f.t.Errorf("GET: %d %s", a.StatusCode, a.body)
	}
	return v
}

// await waits until the upload is in state.
func (f *fixture) await(path string, state ingest.State) {
	f.t.Helper()
	for range patience {
		if f.view(path).State == state {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	f.t.Fatalf("upload is %+v, want %s", f.view(path), state)
}

// wantMaster fails unless exactly one receipt came, whose master is data.
func (f *fixture) wantMaster(data []byte) {
	f.t.Helper()
	got := f.catalog.receipts()
	if len(got) != 1 {
		f.t.Fatalf("%d receipts", len(got))
	}
	sum := sha256.Sum256(data)
	if m := got[0].Master; m.SHA256 != hex.EncodeToString(sum[:]) || m.Size != int64(len(data)) {
		f.t.Errorf("receipt %+v", got[0])
	}
	if stored := f.object("masters/" + got[0].Master.SHA256); !bytes.Equal(stored, data) {
		f.t.Errorf("the master's %d bytes are not those of the file", len(stored))
	}
}

func (f *fixture) object(key string) []byte {
	f.t.Helper()
	r, _, err := f.store.Open(context.Background(), key, 0, -1)
	if err != nil {
		f.t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		f.t.Fatal(err)
	}
	return data
}

// parts lists the objects below uploads/.
func (f *fixture) parts() []string {
	f.t.Helper()
	var keys []string
	for info, err := range f.store.List(context.Background(), "uploads/") {
		if err != nil {
			f.t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

func noise(n int, seed uint64) []byte {
	data := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	return data
}

func id(path string) string { return strings.TrimPrefix(path, "/v1/uploads/") }
