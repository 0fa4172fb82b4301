package quota_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/ingest"
	"github.com/melodyud/melodyud/ingest/quota"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/databasetest"
	"github.com/melodyud/melodyud/internal/objectstore/dir"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// catalog keeps what it receives, and says how long it sounds once told.
type catalog struct {
	mu     sync.Mutex
	got    map[melodyud.TrackID]melodyud.Receipt
	sound  map[melodyud.TrackID]time.Duration // of what is rendered
	refuse error
}

func (c *catalog) Receive(_ context.Context, r melodyud.Receipt) (melodyud.Track, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse != nil {
		return melodyud.Track{}, c.refuse
	}
	c.got[r.Track] = r
	return melodyud.Track{ID: r.Track}, nil
}

func (c *catalog) Stored(_ context.Context, _ database.Querier, owner melodyud.UserID, uploads []melodyud.UploadID) (
	bytes, unmeasured int64, sound time.Duration, among []melodyud.UploadID, err error,
) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, r := range c.got {
		if r.Owner != owner {
			continue
		}
		bytes += r.Master.Size
		if slices.Contains(uploads, r.Upload) {
			among = append(among, r.Upload)
		}
		if d, ok := c.sound[id]; ok {
			sound += d
		} else {
			unmeasured += r.Master.Size
		}
	}
	return bytes, unmeasured, sound, among, nil
}

// withdraw forgets every track.
func (c *catalog) withdraw() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.got)
}

// render makes every track last d.
func (c *catalog) render(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.got {
		c.sound[id] = d
	}
}

type people struct{}

func (people) Authenticate(_ context.Context, secret string) (api.Principal, error) {
	roles := map[string][]api.Role{"ada": {api.RoleCreator}, "bob": {api.RoleCreator}, "ops": {api.RoleOps}}
	if roles[secret] == nil {
		return api.Principal{}, melodyud.ErrUnauthenticated
	}
	return api.Principal{User: melodyud.UserID("usr_" + secret), Roles: roles[secret]}, nil
}

type fixture struct {
	t       *testing.T
	url     string
	quota   *quota.Service
	uploads *ingest.Service
	catalog *catalog
	now     atomic.Int64 // unix ms
}

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func start(t *testing.T, l quota.Limits) *fixture {
	t.Helper()
	f := &fixture{t: t, catalog: &catalog{got: map[melodyud.TrackID]melodyud.Receipt{}, sound: map[melodyud.TrackID]time.Duration{}}}
	f.now.Store(noon.UnixMilli())
	clock := func() time.Time { return time.UnixMilli(f.now.Load()) }
	db := databasetest.Open(t)
	store, err := dir.Open(dir.Config{Path: filepath.Join(t.TempDir(), "objects")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	f.quota, err = quota.New(quota.Config{DB: db, Tracks: f.catalog, Default: l, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	f.uploads, err = ingest.New(ingest.Config{DB: db, Store: store, Tracks: f.catalog, Quotas: f.quota, PartSize: 1 << 10, Sweep: time.Millisecond, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	r, err := api.NewRouter(api.Config{Auth: people{}})
	if err != nil {
		t.Fatal(err)
	}
	f.quota.Register(r)
	f.uploads.Register(r)
	server := httptest.NewServer(r.Handler())
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

type answer struct {
	*http.Response
	body []byte
}

func (a answer) problem() (p api.Problem) {
	_ = json.Unmarshal(a.body, &p)
	return p
}

func (f *fixture) do(who, method, path, body string, headers ...string) answer {
	f.t.Helper()
	req, err := http.NewRequest(method, f.url+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+who)
	req.Header.Set("Tus-Resumable", "1.0.0")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return answer{res, raw}
}

func (f *fixture) create(who string, n int) answer {
	f.t.Helper()
	return f.do(who, "POST", "/v1/uploads", "", "Upload-Length", strconv.Itoa(n))
}

func (f *fixture) patch(path string, offset, n int, headers ...string) answer {
	f.t.Helper()
	return f.do("ada", "PATCH", path, strings.Repeat("x", n), append([]string{
		"Content-Type", "application/offset+octet-stream", "Upload-Offset", strconv.Itoa(offset)}, headers...)...)
}

// upload sends n bytes whole, as Ada.
func (f *fixture) upload(n int) {
	f.t.Helper()
	a := f.create("ada", n)
	if a.StatusCode != http.StatusCreated {
		f.t.Fatalf("create: %d %s", a.StatusCode, a.body)
	}
	if a := f.patch(a.Header.Get("Location"), 0, n); a.StatusCode != http.StatusNoContent {
		f.t.Fatalf("patch: %d %s", a.StatusCode, a.body)
	}
}

func (f *fixture) view(who string) (v quota.Quota) {
	f.t.Helper()
	a := f.do(who, "GET", "/v1/quota", "")
	if err := json.Unmarshal(a.body, &v); err != nil || a.StatusCode != http.StatusOK {
		f.t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	return v
}

func (f *fixture) refused(a answer, status int, code string, says ...string) {
	f.t.Helper()
	p := a.problem()
	if a.StatusCode != status || p.Code != code {
		f.t.Errorf("%d %s, want %d %s", a.StatusCode, a.body, status, code)
	}
	for _, s := range says {
		if !strings.Contains(p.Detail, s) {
			f.t.Errorf("%q does not say %q", p.Detail, s)
		}
	}
}

func TestAnUploadReservesItsSizeAndATrackKeepsIt(t *testing.T) {
	t.Parallel()
	f := start(t, quota.Limits{Bytes: 10_000})
	path := f.create("ada", 6000).Header.Get("Location")
	if v := f.view("ada"); v.Bytes.Used != 0 || v.Bytes.Reserved != 6000 || *v.Bytes.Limit != 10_000 || v.Uploads.Used != 1 || v.Uploads.Limit != nil || v.Hours.Limit != nil {
		t.Errorf("%+v", v)
	}
	f.refused(f.create("ada", 4001), 403, "quota.bytes", "takes 4 kB", "your 10 kB only 4 kB are left", "6 kB of your unfinished uploads")
	if a := f.create("bob", 10_000); a.StatusCode != 201 {
		t.Errorf("another creator's use counts: %s", a.body)
	}
	f.patch(path, 0, 6000)
	if v := f.view("ada"); v.Bytes.Used != 6000 || v.Bytes.Reserved != 0 {
		t.Errorf("%+v", v)
	}
	f.refused(f.create("ada", 4001), 403, "quota.bytes", "only 4 kB are left.")
	if a := f.create("ada", 4000); a.StatusCode != 201 {
		t.Errorf("the last byte cannot be used: %s", a.body)
	}
}

func TestWhatCameToNothingGivesItsRoomBack(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(f *fixture, path string){
		"cancelled": func(f *fixture, path string) { f.do("ada", "DELETE", path, "") },
		"expired": func(f *fixture, path string) {
			f.now.Add((25 * time.Hour).Milliseconds())
			ctx, stop := context.WithCancel(f.t.Context())
			done := make(chan error, 1)
			go func() { done <- f.uploads.Run(ctx) }()
			for range 5000 {
				if f.view("ada").Bytes.Reserved == 0 {
					break
				}
				time.Sleep(2 * time.Millisecond)
			}
			stop()
			if err := <-done; err != nil {
				f.t.Error(err)
			}
		},
		"refused": func(f *fixture, path string) {
			f.catalog.refuse = melodyud.Refuse(melodyud.ErrInvalid, "audio.odd", "No.")
			f.patch(path, 0, 1000)
		},
		"withdrawn": func(f *fixture, path string) {
			f.patch(path, 0, 1000)
			f.catalog.withdraw()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t, quota.Limits{Bytes: 1000})
			path := f.create("ada", 1000).Header.Get("Location")
			f.refused(f.create("ada", 1), 403, "quota.bytes", "only 0 bytes are left")
			end(f, path)
			v := f.view("ada")
			if v.Bytes.Used+v.Bytes.Reserved != 0 || v.Hours.Used+v.Hours.Reserved != 0 {
				t.Errorf("%+v", v)
			}
			if spent := name == "withdrawn"; (v.Uploads.Used == 1) != spent { // or one could upload and withdraw without end
				t.Errorf("%d uploads today", v.Uploads.Used)
			}
		})
	}
}

func TestOfManyAtOnceOnlyWhatFitsIsTaken(t *testing.T) { // faults.md A14
	t.Parallel()
	f := start(t, quota.Limits{Bytes: 1000, Uploads: 1000})
	var created, refused atomic.Int32
	var all sync.WaitGroup
	for range 24 {
		all.Go(func() {
			a := f.create("ada", 150)
			for a.StatusCode == http.StatusServiceUnavailable { // the database was overrun
				a = f.create("ada", 150)
			}
			switch a.StatusCode {
			case http.StatusCreated:
				created.Add(1)
			case http.StatusForbidden:
				refused.Add(1)
			}
		})
	}
	all.Wait()
	if created.Load() != 6 || refused.Load() != 18 {
		t.Errorf("%d created, %d refused; 6 fit", created.Load(), refused.Load())
	}
}

func TestALengthDeclaredLateIsReservedThen(t *testing.T) {
	t.Parallel()
	f := start(t, quota.Limits{Bytes: 5000})
	path := f.do("ada", "POST", "/v1/uploads", "", "Upload-Defer-Length", "1").Header.Get("Location")
	if a := f.patch(path, 0, 3000); a.StatusCode != 204 || f.view("ada").Bytes.Reserved != 3000 {
		t.Fatalf("%d %+v", a.StatusCode, f.view("ada"))
	}
	f.refused(f.patch(path, 3000, 1, "Upload-Length", "6000"), 403, "quota.bytes")
	f.refused(f.patch(path, 3000, 2500), 403, "quota.bytes", "only")
	if v := f.view("ada"); v.Bytes.Reserved < 3000 || v.Bytes.Reserved > 5000 { // parts that fit were kept
		t.Errorf("%+v", v)
	}
	at, err := strconv.Atoi(f.do("ada", "HEAD", path, "").Header.Get("Upload-Offset"))
	if err != nil {
		t.Fatal(err)
	}
	if a := f.patch(path, at, 5000-at, "Upload-Length", "5000"); a.StatusCode != 204 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if v := f.view("ada"); v.Bytes.Used != 5000 || v.Bytes.Reserved != 0 {
		t.Errorf("%+v", v)
	}
}

func TestHoursAreGuessedUntilTheyAreKnown(t *testing.T) {
	t.Parallel()
	const second = 44100 * 4
	f := start(t, quota.Limits{Sound: 100 * time.Second})
	f.upload(20 * second)
	near := func(got, seconds float64) bool { return got > (seconds-0.001)/3600 && got < (seconds+0.001)/3600 }
	if v := f.view("ada"); !near(v.Hours.Reserved, 20) || v.Hours.Used != 0 {
		t.Errorf("%+v", v)
	}
	f.catalog.render(95 * time.Second) // an MP3
	if v := f.view("ada"); !near(v.Hours.Used, 95) || v.Hours.Reserved != 0 || !near(*v.Hours.Limit, 100) {
		t.Errorf("%+v", v)
	}
	f.refused(f.create("ada", 6*second), 403, "quota.hours", "about 6 s", "your 1 min of sound only 5 s are left")
	if a := f.create("ada", 5*second); a.StatusCode != 201 {
		t.Errorf("%s", a.body)
	}
}

func TestUploadsAreCountedByTheDay(t *testing.T) {
	t.Parallel()
	f := start(t, quota.Limits{Uploads: 2})
	first := f.create("ada", 1)
	f.create("ada", 1)
	a := f.create("ada", 1)
	f.refused(a, 429, "quota.uploads", "all of your 2 uploads", "in 12 h")
	if a.Header.Get("Retry-After") != strconv.Itoa(12*3600) {
		t.Errorf("Retry-After: %s", a.Header.Get("Retry-After"))
	}
	f.do("ada", "DELETE", first.Header.Get("Location"), "")
	if a := f.create("ada", 1); a.StatusCode != 201 {
		t.Errorf("a cancelled upload counts: %s", a.body)
	}
	f.now.Store(noon.Add(12 * time.Hour).UnixMilli())
	if v := f.view("ada"); v.Uploads.Used != 0 || !v.Uploads.Resets.Equal(noon.Add(36*time.Hour)) {
		t.Errorf("%+v", v)
	}
	if a := f.create("ada", 1); a.StatusCode != 201 {
		t.Errorf("the next day: %s", a.body)
	}
}

func TestPiecesOfOneFileAreOneUpload(t *testing.T) { // TUS-5
	t.Parallel()
	f := start(t, quota.Limits{Bytes: 1000, Uploads: 1})
	var pieces []string
	for range 2 {
		a := f.do("ada", "POST", "/v1/uploads", "", "Upload-Length", "400", "Upload-Concat", "partial")
		if a.StatusCode != 201 {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
		pieces = append(pieces, a.Header.Get("Location"))
	}
	f.refused(f.do("ada", "POST", "/v1/uploads", "", "Upload-Length", "400", "Upload-Concat", "partial"), 403, "quota.bytes")
	for _, path := range pieces {
		f.patch(path, 0, 400)
	}
	if a := f.do("ada", "POST", "/v1/uploads", "", "Upload-Concat", "final;"+strings.Join(pieces, " ")); a.StatusCode != 201 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if v := f.view("ada"); v.Uploads.Used != 1 || v.Bytes.Used != 800 {
		t.Errorf("%+v", v)
	}
	f.refused(f.create("ada", 1), 429, "quota.uploads")
}

func TestOperatorsGiveACreatorLimitsOfTheirOwn(t *testing.T) {
	t.Parallel()
	f := start(t, quota.Limits{Bytes: 10, Uploads: 5})
	const path = "/v1/ops/quotas/usr_ada"
	for _, who := range []string{"ada", "nobody"} {
		if a := f.do(who, "PUT", path, `{"bytes":0}`, "Content-Type", "application/json"); a.StatusCode != 403 && a.StatusCode != 401 {
			t.Errorf("%s sets quotas: %d", who, a.StatusCode)
		}
	}
	if a := f.do("ops", "PUT", path, `{"bytes":0,"hours":0.5}`, "Content-Type", "application/json"); a.StatusCode != 200 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	if v := f.view("ada"); v.Bytes.Limit != nil || *v.Hours.Limit != 0.5 || *v.Uploads.Limit != 5 {
		t.Errorf("%+v", v)
	}
	if a := f.create("ada", 100); a.StatusCode != 201 {
		t.Errorf("%s", a.body)
	}
	f.refused(f.create("bob", 100), 403, "quota.bytes")
	if a := f.do("ops", "DELETE", path, ""); a.StatusCode != 204 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	f.refused(f.create("ada", 100), 403, "quota.bytes")
	if a := f.do("ops", "GET", path, ""); a.StatusCode != 200 || !strings.Contains(string(a.body), `"reserved":100`) {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	for _, bad := range []string{`{"bytes":-1}`, `{"hours":1e300}`, `{"byte":1}`} {
		if a := f.do("ops", "PUT", path, bad, "Content-Type", "application/json"); a.StatusCode != 422 {
			t.Errorf("%s: %d", bad, a.StatusCode)
		}
	}
}

func TestANegativeDefaultIsInvalid(t *testing.T) {
	t.Parallel()
	_, err := quota.New(quota.Config{DB: databasetest.Open(t), Tracks: &catalog{}, Default: quota.Limits{Bytes: -1}})
	if !errors.Is(err, melodyud.ErrInvalid) {
		t.Errorf("%v", err)
	}
}
