package direct_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/ingest"
	"github.com/melodyud/melodyud/ingest/direct"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/databasetest"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/objectstore/dir"
	"github.com/melodyud/melodyud/internal/objectstore/s3"
	"github.com/melodyud/melodyud/internal/realtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type catalog struct {
	mu   sync.Mutex
	got  []melodyud.Receipt
	deny error
}

func (c *catalog) Receive(_ context.Context, r melodyud.Receipt) (melodyud.Track, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deny != nil {
		return melodyud.Track{}, c.deny
	}
	c.got = append(c.got, r)
	return melodyud.Track{ID: r.Track}, nil
}

func (c *catalog) Replaceable(context.Context, melodyud.UserID, melodyud.TrackID) error {
	return melodyud.ErrNotFound
}

// Twin finds what was received of the same bytes.
func (c *catalog) Twin(_ context.Context, owner melodyud.UserID, sha256 string, than melodyud.TrackID) (melodyud.TrackID, error) {
	for _, r := range c.receipts() {
		if r.Owner == owner && r.Master.SHA256 == sha256 && r.Track != than {
			return r.Track, nil
		}
	}
	return "", nil
}

func (c *catalog) receipts() []melodyud.Receipt {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]melodyud.Receipt(nil), c.got...)
}

type people struct{}

func (people) Authenticate(_ context.Context, secret string) (api.Principal, error) {
	return api.Principal{User: melodyud.UserID("usr_" + secret), Roles: []api.Role{api.RoleCreator}}, nil
}

// fixture is a server with a bucket beside it, and a small client of both.
type fixture struct {
	t       *testing.T
	url     string
	key     string
	db      database.DB
	store   objectstore.Store
	bucket  direct.Bucket
	uploads *ingest.Service
	service *direct.Service
	catalog *catalog
	now     atomic.Int64
}

func start(t *testing.T) *fixture {
	t.Helper()
	path := t.TempDir()
	store, err := dir.Open(dir.Config{Path: filepath.Join(path, "objects")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	f := &fixture{t: t, key: "ada", db: databasetest.Open(t), store: store, catalog: &catalog{}}
	f.now.Store(time.Now().UnixMilli())
	bucket, err := dir.Open(dir.Config{Path: filepath.Join(path, "direct"), Now: f.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bucket.Close() })
	f.bucket = bucket
	f.serve(func(r *api.Router) {
		r.Mux.Handle("PUT "+dir.PartsPath, bucket.PartsHandler())
		r.Mux.Handle("OPTIONS "+dir.PartsPath, bucket.PartsHandler())
	})
	return f
}

// startOnMinIO has the masters in one bucket and the parts in another, whose key
// reaches nothing else.
func startOnMinIO(t *testing.T) (f *fixture, masters string) {
	t.Helper()
	masters = realtest.MinIO(t)
	f = &fixture{t: t, key: "ada", db: databasetest.Open(t), catalog: &catalog{}}
	f.now.Store(time.Now().UnixMilli())
	f.store = openS3(t, masters)
	f.bucket = openS3(t, realtest.MinIOAlone(t, realtest.MinIO(t)))
	f.serve(func(*api.Router) {})
	return f, masters
}

func openS3(t *testing.T, address string) *s3.Store {
	t.Helper()
	store, err := s3.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func (f *fixture) clock() time.Time { return time.UnixMilli(f.now.Load()) }

func (f *fixture) serve(more func(*api.Router)) {
	f.t.Helper()
	var err error
	logger := slog.New(slog.NewTextHandler(f.t.Output(), nil))
	f.uploads, err = ingest.New(ingest.Config{DB: f.db, Store: f.store, Tracks: f.catalog, Library: f.catalog, PartSize: 1 << 20, Sweep: time.Millisecond, Now: f.clock, Logger: logger})
	if err != nil {
		f.t.Fatal(err)
	}
	f.service, err = direct.New(direct.Config{DB: f.db, Bucket: f.bucket, Uploads: f.uploads, Sweep: 2 * time.Millisecond, Now: f.clock, Logger: logger})
	if err != nil {
		f.t.Fatal(err)
	}
	r, err := api.NewRouter(api.Config{Auth: people{}})
	if err != nil {
		f.t.Fatal(err)
	}
	f.service.Register(r)
	f.uploads.Register(r)
	more(r)
	server := httptest.NewServer(r.Handler())
	f.t.Cleanup(server.Close)
	f.url = server.URL
}

// run runs the janitors until the returned function is called.
func (f *fixture) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- f.service.Run(ctx) }()
	go func() { done <- f.uploads.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := errors.Join(<-done, <-done); err != nil {
			f.t.Error(err)
		}
	})
}

// do sends JSON and reads JSON.
func (f *fixture) do(method, path string, in, out any, headers ...string) (status int, p api.Problem) {
	f.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		f.t.Fatal(err)
	}
	req, err := http.NewRequest(method, f.url+path, bytes.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+f.key)
	req.Header.Set("Content-Type", "application/json")
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
	if res.StatusCode >= 400 {
		_ = json.Unmarshal(raw, &p)
		return res.StatusCode, p
	}
	if out != nil {
		if err := json.Unmarshal(raw, out); err != nil {
			f.t.Fatalf("%s: %v", raw, err)
		}
	}
	return res.StatusCode, p
}

func (f *fixture) want(status int, code string) func(int, api.Problem) {
	return func(got int, p api.Problem) {
		f.t.Helper()
		if got != status || p.Code != code {
			f.t.Errorf("%d %s %q, want %d %s", got, p.Code, p.Detail, status, code)
		}
	}
}

func (f *fixture) create(in map[string]any) (u direct.DirectUpload) {
	f.t.Helper()
	f.want(201, "")(f.do("POST", "/v1/direct", in, &u))
	return u
}

func (f *fixture) get(id melodyud.UploadID) (u direct.DirectUpload) {
	f.t.Helper()
	f.want(200, "")(f.do("GET", "/v1/direct/"+string(id), nil, &u))
	return u
}

func (f *fixture) address(id melodyud.UploadID, number int) string {
	f.t.Helper()
	var out struct{ Parts []direct.DirectAddress }
	f.want(200, "")(f.do("POST", "/v1/direct/"+string(id)+"/parts", map[string]any{"numbers": []int{number}}, &out))
	if len(out.Parts) != 1 {
		f.t.Fatalf("%+v", out)
	}
	base, _ := url.Parse(f.url)
	at, err := base.Parse(out.Parts[0].URL)
	if err != nil {
		f.t.Fatal(err)
	}
	return at.String()
}

// put sends a body to an address as any client would.
func (f *fixture) put(at string, body []byte, headers ...string) *http.Response {
	f.t.Helper()
	req, err := http.NewRequest("PUT", at, bytes.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	return res
}

// send is the whole client: it puts the parts that have not arrived yet and
// completes the upload.
func (f *fixture) send(u direct.DirectUpload, file []byte) {
	f.t.Helper()
	etags := f.sendParts(u, file)
	f.want(202, "")(f.do("POST", "/v1/direct/"+string(u.ID)+"/complete", map[string]any{"parts": etags}, nil))
}

func (f *fixture) sendParts(u direct.DirectUpload, file []byte) (etags []direct.DirectPart) {
	f.t.Helper()
	there := map[int]string{}
	for _, p := range f.get(u.ID).Arrived {
		there[p.Number] = p.ETag
	}
	for n := 1; n <= u.Parts; n++ {
		if there[n] == "" {
			from := int64(n-1) * u.PartSize
			res := f.put(f.address(u.ID, n), file[from:min(from+u.PartSize, int64(len(file)))])
			if res.StatusCode != 200 {
				f.t.Fatalf("part %d: %s", n, res.Status)
			}
			there[n] = res.Header.Get("ETag")
		}
		etags = append(etags, direct.DirectPart{Number: n, ETag: there[n]})
	}
	return etags
}

func (f *fixture) await(id melodyud.UploadID, state ingest.State) ingest.View {
	f.t.Helper()
	var v ingest.View
	for range 10_000 {
		f.want(200, "")(f.do("GET", "/v1/uploads/"+string(id), nil, &v))
		if v.State == state {
			return v
		}
		time.Sleep(3 * time.Millisecond)
	}
	f.t.Fatalf("upload is %+v, want %s", v, state)
	return v
}

// awaitEmpty waits until nothing of any upload is in the bucket.
func (f *fixture) awaitEmpty() {
	f.t.Helper()
	var left []string
	for range 3000 {
		left = nil
		for info, err := range f.bucket.List(f.t.Context(), "") {
			if err != nil {
				f.t.Fatal(err)
			}
			left = append(left, info.Key)
		}
		var rows int
		if err := f.db.QueryRow(f.t.Context(), `SELECT COUNT(*) FROM direct_uploads`, nil, &rows); err != nil {
			f.t.Fatal(err)
		}
		if len(left) == 0 && rows == 0 {
			return
		}
		time.Sleep(3 * time.Millisecond)
		f.now.Add(3)
	}
	f.t.Errorf("left in the bucket: %v", left)
}

func (f *fixture) wantMaster(file []byte, name string) {
	f.t.Helper()
	got := f.catalog.receipts()
	if len(got) != 1 || got[0].Master.SHA256 != sumOf(file) || got[0].FileName != name || got[0].Owner != "usr_ada" {
		f.t.Fatalf("%+v", got)
	}
	r, _, err := f.store.Open(f.t.Context(), "masters/"+sumOf(file), 0, -1)
	if err != nil {
		f.t.Fatal(err)
	}
	defer r.Close()
	if stored, err := io.ReadAll(r); err != nil || !bytes.Equal(stored, file) {
		f.t.Errorf("the master is not the file: %v", err)
	}
}

func sumOf(file []byte) string {
	sum := sha256.Sum256(file)
	return hex.EncodeToString(sum[:])
}

// noise is n bytes that repeat with no part's size.
func noise(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i % 251)
	}
	return data
}

const partSize = 8 << 20

func TestAFileGoesStraightToTheBucketAndBecomesATrack(t *testing.T) { // S3-1, S3-5
	t.Parallel()
	f := start(t)
	defer f.run()()
	file := noise(2*partSize + 12345)
	u := f.create(map[string]any{"file_name": "C:\\songs\\song.wav", "size": len(file), "sha256": strings.ToUpper(sumOf(file)),
		"title": "Słońce", "artist": "Ada", "album": "First", "disc": 1, "number": 7})
	if u.PartSize != partSize || u.Parts != 3 || u.Expires == nil {
		t.Fatalf("%+v", u)
	}
	res := f.put(f.address(u.ID, 2), file[partSize:2*partSize]) // then the client is restarted
	if res.StatusCode != 200 || res.Header.Get("Access-Control-Expose-Headers") != "ETag" {
		t.Errorf("%s %v", res.Status, res.Header)
	}
	if got := f.get(u.ID); len(got.Arrived) != 1 || got.Arrived[0].Number != 2 || got.Arrived[0].Size != partSize {
		t.Errorf("%+v", got)
	}
	f.send(u, file)
	f.await(u.ID, ingest.StateReceived)
	f.wantMaster(file, "song.wav")
	want := melodyud.Tags{Title: "Słońce", Artist: "Ada", Album: "First", Disc: 1, Number: 7}
	if r := f.catalog.receipts()[0]; r.Track != u.Track || r.Tags != want {
		t.Errorf("%+v", r)
	}
	f.awaitEmpty()
	f.want(202, "")(f.do("POST", "/v1/direct/"+string(u.ID)+"/complete", map[string]any{"parts": []direct.DirectPart{{Number: 1, ETag: "x"}}}, nil)) // the answer was lost
	f.want(409, "direct.completed")(f.do("POST", "/v1/direct/"+string(u.ID)+"/parts", map[string]any{"numbers": []int{1}}, nil))
	again := map[string]any{"file_name": "again.wav", "size": len(file), "sha256": sumOf(file)}
	f.want(409, "upload.duplicate")(f.do("POST", "/v1/direct", again, nil))
	again["keep_both"] = true
	f.want(201, "")(f.do("POST", "/v1/direct", again, nil))
}

func TestWhatIsCompletedIsHeldAgainstWhatWasAnnounced(t *testing.T) {
	t.Parallel()
	f := start(t)
	file := noise(partSize + 10)
	u := f.create(map[string]any{"file_name": "a.wav", "size": len(file)})
	path := "/v1/direct/" + string(u.ID)
	complete := func(parts ...direct.DirectPart) (int, api.Problem) {
		return f.do("POST", path+"/complete", map[string]any{"parts": parts}, nil)
	}
	f.want(400, "direct.missing")(complete(direct.DirectPart{Number: 1, ETag: "x"}))
	etags := f.sendParts(u, file)
	f.want(400, "direct.etag")(complete(etags[0], direct.DirectPart{Number: 2, ETag: "x"}))
	f.want(400, "direct.etag")(complete(etags[0]))
	f.want(400, "direct.parts")(complete(etags[0], etags[1], direct.DirectPart{Number: 3, ETag: "x"}))
	for _, number := range []int{0, 3, -1} {
		f.want(400, "direct.number")(f.do("POST", path+"/parts", map[string]any{"numbers": []int{number}}, nil))
	}
	at := f.address(u.ID, 2)
	for _, body := range [][]byte{noise(9), noise(11), nil} {
		if res := f.put(at, body); res.StatusCode < 400 {
			t.Errorf("%d bytes instead of 10: %s", len(body), res.Status)
		}
	}
	if res := f.put(strings.Replace(at, "size=10", "size=11", 1), noise(11)); res.StatusCode != 403 {
		t.Errorf("an address for another size: %s", res.Status)
	}
	f.now.Add((16 * time.Minute).Milliseconds())
	if res := f.put(at, file[partSize:]); res.StatusCode != 403 {
		t.Errorf("an address of 16 minutes ago: %s", res.Status)
	}
	f.want(202, "")(complete(etags...))
	defer f.run()()
	f.await(u.ID, ingest.StateReceived)
	f.wantMaster(file, "a.wav")
}

func TestAFileOfAnotherHashIsRefused(t *testing.T) {
	t.Parallel()
	f := start(t)
	defer f.run()()
	file := noise(1000)
	u := f.create(map[string]any{"file_name": "a.wav", "size": len(file), "sha256": strings.Repeat("0", 64)})
	f.send(u, file)
	if v := f.await(u.ID, ingest.StateRefused); v.Refusal.Code != "upload.sha256" {
		t.Errorf("%+v", v)
	}
	f.awaitEmpty()
	if got := f.catalog.receipts(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestBadAnnouncementsAreRefusedBeforeAnyByte(t *testing.T) {
	t.Parallel()
	f := start(t)
	for code, in := range map[string]map[string]any{
		"upload.empty":       {"file_name": "a.wav", "size": 0},
		"upload.too-large":   {"file_name": "a.wav", "size": int64(1) << 40},
		"upload.sha256-form": {"file_name": "a.wav", "size": 1, "sha256": "zz"},
	} {
		if _, p := f.do("POST", "/v1/direct", in, nil); p.Code != code {
			t.Errorf("%+v, want %s", p, code)
		}
	}
	f.awaitEmpty()
}

func TestOthersUploadsAreUnknown(t *testing.T) { // TUS-6
	t.Parallel()
	f := start(t)
	u := f.create(map[string]any{"file_name": "a.wav", "size": 10})
	f.key = "bob"
	path := "/v1/direct/" + string(u.ID)
	f.want(404, "upload.unknown")(f.do("GET", path, nil, nil))
	f.want(404, "upload.unknown")(f.do("POST", path+"/parts", map[string]any{"numbers": []int{1}}, nil))
	f.want(404, "upload.unknown")(f.do("POST", path+"/complete", map[string]any{"parts": []direct.DirectPart{{Number: 1, ETag: "x"}}}, nil))
	f.want(404, "upload.unknown")(f.do("DELETE", path, nil, nil))
}

func TestTheTwoWaysDoNotMix(t *testing.T) {
	t.Parallel()
	f := start(t)
	u := f.create(map[string]any{"file_name": "a.wav", "size": 10})
	f.want(403, "upload.elsewhere")(f.do("PATCH", "/v1/uploads/"+string(u.ID), nil, nil,
		"Tus-Resumable", "1.0.0", "Upload-Offset", "0", "Content-Type", "application/offset+octet-stream"))
	f.do("POST", "/v1/uploads", nil, nil, "Tus-Resumable", "1.0.0", "Upload-Length", "10", "Content-Type", "text/plain")
	var id string
	err := f.db.QueryRow(t.Context(), `SELECT id FROM uploads WHERE via = ''`, nil, &id)
	if err != nil {
		t.Fatal(err)
	}
	f.want(404, "direct.other-way")(f.do("GET", "/v1/direct/"+id, nil, nil))
}

func TestAbandonedAndAbortedUploadsFreeTheirParts(t *testing.T) { // faults.md A9
	t.Parallel()
	for name, end := range map[string]func(f *fixture, u direct.DirectUpload){
		"aborted": func(f *fixture, u direct.DirectUpload) {
			f.want(204, "")(f.do("DELETE", "/v1/direct/"+string(u.ID), nil, nil))
		},
		"deleted by tus": func(f *fixture, u direct.DirectUpload) {
			f.want(204, "")(f.do("DELETE", "/v1/uploads/"+string(u.ID), nil, nil, "Tus-Resumable", "1.0.0"))
			f.now.Add(time.Hour.Milliseconds())
		},
		"abandoned": func(f *fixture, _ direct.DirectUpload) { f.now.Add((25 * time.Hour).Milliseconds()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t)
			u := f.create(map[string]any{"file_name": "a.wav", "size": partSize + 1})
			at := f.address(u.ID, 2)
			f.put(at, []byte("x"))
			end(f, u)
			defer f.run()()
			f.awaitEmpty()
			if res := f.put(at, []byte("x")); res.StatusCode < 400 {
				t.Errorf("a part after the end: %s", res.Status)
			}
			f.want(404, "upload.gone")(f.do("GET", "/v1/direct/"+string(u.ID), nil, nil))
		})
	}
}

func TestWhatIsCompleteSurvivesALongOutage(t *testing.T) {
	t.Parallel()
	f := start(t)
	file := noise(5000)
	u := f.create(map[string]any{"file_name": "a.wav", "size": len(file)})
	f.send(u, file)
	f.now.Add((40 * 24 * time.Hour).Milliseconds()) // nothing ran
	f.catalog.deny = fmt.Errorf("catalog: %w", melodyud.ErrUnavailable)
	stop := f.run()
	f.await(u.ID, ingest.StateComplete)
	f.awaitEmpty()
	stop()
	f.catalog.deny = nil
	defer f.run()()
	f.now.Add(time.Hour.Milliseconds())
	f.await(u.ID, ingest.StateReceived)
	f.wantMaster(file, "a.wav")
}

func TestTwoProcessesBringOneFileInOnce(t *testing.T) {
	t.Parallel()
	f := start(t)
	file := noise(3 << 20)
	u := f.create(map[string]any{"file_name": "a.wav", "size": len(file)})
	f.send(u, file)
	for range 3 {
		defer f.run()()
	}
	f.await(u.ID, ingest.StateReceived)
	f.awaitEmpty()
	f.wantMaster(file, "a.wav")
}

func bucketOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.Trim(u.Path, "/")
}

func md5Of(data []byte) string {
	sum := md5.Sum(data)
	return hex.EncodeToString(sum[:])
}
