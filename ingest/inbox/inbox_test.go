package inbox_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/ingest"
	"github.com/melodyud/melodyud/ingest/inbox"
	"github.com/melodyud/melodyud/ingest/quota"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/databasetest"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/objectstore/dir"
	"github.com/melodyud/melodyud/internal/objectstore/s3"
	"github.com/melodyud/melodyud/internal/realtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// catalog receives tracks and judges them: what begins with "bad" is refused, the
// rest is published.
type catalog struct {
	mu    sync.Mutex
	got   []melodyud.Receipt
	asked atomic.Int32
	away  atomic.Bool
}

func (c *catalog) Receive(_ context.Context, r melodyud.Receipt) (melodyud.Track, error) {
	c.asked.Add(1)
	if c.away.Load() {
		return melodyud.Track{}, melodyud.ErrUnavailable
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, old := range c.got {
		if old.Track == r.Track {
			return melodyud.Track{ID: r.Track}, nil
		}
	}
	c.got = append(c.got, r)
	return melodyud.Track{ID: r.Track}, nil
}

func (c *catalog) Track(_ context.Context, who api.Principal, id melodyud.TrackID) (melodyud.Track, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.got {
		if r.Track == id && r.Owner == who.User {
			t := melodyud.Track{ID: id, State: melodyud.StatePublished}
			if strings.HasPrefix(r.FileName, "bad") {
				t.State, t.Refusal = melodyud.StateRefused, melodyud.Refuse(melodyud.ErrInvalid, "audio.odd", "No music.")
			}
			return t, nil
		}
	}
	return melodyud.Track{}, melodyud.ErrNotFound
}

func (c *catalog) Stored(context.Context, database.Querier, melodyud.UserID, []melodyud.UploadID) (
	bytes, unmeasured int64, sound time.Duration, among []melodyud.UploadID, err error,
) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.got {
		bytes += r.Master.Size
	}
	return bytes, 0, 0, nil, nil
}

func (c *catalog) receipts() map[string]melodyud.Receipt {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string]melodyud.Receipt{}
	for _, r := range c.got {
		all[r.FileName] = r
	}
	return all
}

func (c *catalog) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.got)
}

type people struct{}

func (people) IsCreator(_ context.Context, user melodyud.UserID) (bool, error) {
	return user == "usr_ada" || user == "usr_bob", nil
}

// fixture is an inbox with hands to drop files into it.
type fixture struct {
	t       *testing.T
	db      database.DB
	store   objectstore.Store
	box     objectstore.Inbox
	catalog *catalog
	limits  quota.Limits
	now     atomic.Int64
	settle  time.Duration
	scan    time.Duration
}

const ada = "usr_ada/"

func onDirectory(t *testing.T) (f *fixture, path string) {
	t.Helper()
	base := t.TempDir()
	store, err := dir.Open(dir.Config{Path: filepath.Join(base, "objects")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	path = filepath.Join(base, "objects", "inbox")
	box, err := dir.OpenInbox(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	return newFixture(t, store, box), path
}

func newFixture(t *testing.T, store objectstore.Store, box objectstore.Inbox) *fixture {
	t.Helper()
	f := &fixture{t: t, db: databasetest.Open(t), store: store, box: box, catalog: &catalog{}, settle: time.Nanosecond, scan: 5 * time.Millisecond}
	f.now.Store(time.Now().UnixNano())
	return f
}

func (f *fixture) clock() time.Time { return time.Unix(0, f.now.Load()) }

// run is another process that runs the inbox, until the returned function is called.
func (f *fixture) run() (stop func()) {
	f.t.Helper()
	logger := slog.New(slog.NewTextHandler(f.t.Output(), nil))
	quotas, err := quota.New(quota.Config{DB: f.db, Tracks: f.catalog, Default: f.limits, Now: f.clock})
	if err != nil {
		f.t.Fatal(err)
	}
	uploads, err := ingest.New(ingest.Config{
		DB: f.db, Store: f.store, Tracks: f.catalog, Quotas: quotas, PartSize: 64 << 10, Sweep: 2 * time.Millisecond, Now: f.clock, Logger: logger,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	s, err := inbox.New(inbox.Config{
		DB: f.db, Box: f.box, Uploads: uploads, Creators: people{}, Tracks: f.catalog, Logger: logger,
		Scan: f.scan, Settle: f.settle, Now: f.clock,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- s.Run(ctx) }()
	go func() { done <- uploads.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := errors.Join(<-done, <-done); err != nil {
			f.t.Error(err)
		}
	})
}

// drop puts a file into the inbox as some program would.
func (f *fixture) drop(name, content string) {
	f.t.Helper()
	if err := f.box.Put(f.t.Context(), name, []byte(content)); err != nil {
		f.t.Fatal(err)
	}
}

// names lists what is in the inbox.
func (f *fixture) names() (all []string) {
	f.t.Helper()
	for d, err := range f.box.List(f.t.Context()) {
		if err != nil {
			f.t.Fatal(err)
		}
		all = append(all, d.Name)
	}
	return all
}

func (f *fixture) has(name string) bool {
	for _, one := range f.names() {
		if one == name {
			return true
		}
	}
	return false
}

func (f *fixture) report(folder string) (r inbox.Report) {
	f.t.Helper()
	for d, err := range f.box.List(f.t.Context()) {
		if err != nil {
			f.t.Fatal(err)
		}
		if d.Name == folder+"/report.json" {
			body, err := f.box.Open(f.t.Context(), d, 0)
			if err != nil {
				return r // it is being written anew
			}
			defer body.Close()
			raw, err := io.ReadAll(body)
			if err == nil {
				err = json.Unmarshal(raw, &r)
			}
			if err != nil {
				f.t.Errorf("report %q: %v", raw, err)
			}
		}
	}
	return r
}

// says returns what the report tells of a file.
func (f *fixture) says(file string) inbox.Entry {
	f.t.Helper()
	for _, e := range f.report("usr_ada").Files {
		if e.File == file {
			return e
		}
	}
	return inbox.Entry{}
}

func (f *fixture) eventually(what string, ok func() bool) {
	f.t.Helper()
	for range 5000 {
		if ok() {
			return
		}
		time.Sleep(4 * time.Millisecond)
		f.now.Add(int64(4 * time.Millisecond))
	}
	f.t.Fatalf("waited for %s; in the inbox: %v; report: %+v", what, f.names(), f.report("usr_ada"))
}

func sum(content string) string {
	raw := sha256.Sum256([]byte(content))
	return hex.EncodeToString(raw[:])
}

func (f *fixture) wantMaster(file, content string) {
	f.t.Helper()
	r, ok := f.catalog.receipts()[file]
	if !ok || r.Master.SHA256 != sum(content) {
		f.t.Fatalf("%s: %+v", file, r)
	}
	body, _, err := f.store.Open(f.t.Context(), "masters/"+r.Master.SHA256, 0, -1)
	if err != nil {
		f.t.Fatal(err)
	}
	defer body.Close()
	if raw, err := io.ReadAll(body); err != nil || !bytes.Equal(raw, []byte(content)) {
		f.t.Errorf("%s: %d bytes, %v", file, len(raw), err)
	}
}

// everywhere runs a story on a directory and on MinIO.
func everywhere(t *testing.T, story func(t *testing.T, f *fixture)) {
	t.Helper()
	t.Parallel()
	t.Run("directory", func(t *testing.T) {
		t.Parallel()
		f, _ := onDirectory(t)
		story(t, f)
	})
	t.Run("MinIO", func(t *testing.T) {
		t.Parallel()
		store, err := s3.Open(t.Context(), realtest.MinIO(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		story(t, newFixture(t, store, store.Inbox("inbox/")))
	})
}

func TestADroppedFileBecomesATrackAndTheReportSaysSo(t *testing.T) {
	everywhere(t, func(t *testing.T, f *fixture) {
		defer f.run()()
		content := strings.Repeat("RIFF", 100_000)
		f.drop(ada+"Harbour/01 – Słońce.wav", content)
		f.eventually("the track", func() bool { return f.says("Harbour/01 – Słońce.wav").State == "published" })
		f.wantMaster("01 – Słońce.wav", content)
		f.eventually("the file to go", func() bool { return !f.has(ada + "Harbour/01 – Słońce.wav") })
		e := f.says("Harbour/01 – Słońce.wav")
		if r := f.catalog.receipts()["01 – Słońce.wav"]; r.Owner != "usr_ada" || e.Track != r.Track || e.Upload != r.Upload {
			t.Errorf("%+v %+v", e, r)
		}
	})
}

func TestMinIOWakesTheInbox(t *testing.T) {
	t.Parallel()
	store, err := s3.Open(t.Context(), realtest.MinIO(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	f := newFixture(t, store, store.Inbox("inbox/"))
	f.scan = time.Hour
	defer f.run()()
	n := 0
	f.eventually("a notification", func() bool { // the first ones may come before anybody listens
		n++
		f.drop(ada+strconv.Itoa(n)+".wav", strconv.Itoa(n))
		time.Sleep(100 * time.Millisecond)
		return f.catalog.count() > 0
	})
}

func TestSidecarsAndTablesSayHowFilesAreCalled(t *testing.T) {
	everywhere(t, func(t *testing.T, f *fixture) {
		f.drop(ada+"tracks.csv", "\ufeffFile;Title;Artist;Disc;Track\r\none.wav;\"Eins; zwei\";Ada;1;2\r\nsub/two.wav;Zwei;Ada;1;3\r\n")
		f.drop(ada+"one.wav", "one")
		f.drop(ada+"sub/two.wav", "two")
		f.drop(ada+"sub/two.wav.json", `{"title":"Better","album":"First"}`)
		f.drop(ada+"cover.jpg", "no music")
		f.drop(ada+"half.wav.part", "RI")
		f.drop(ada+".DS_Store", "x")
		defer f.run()()
		f.eventually("both tracks", func() bool { return f.catalog.count() == 2 })
		f.eventually("the inbox to be tidy", func() bool { return len(f.names()) == 4 })
		got := f.catalog.receipts()
		if tags := got["one.wav"].Tags; tags != (melodyud.Tags{Title: "Eins; zwei", Artist: "Ada", Disc: 1, Number: 2}) {
			t.Errorf("%+v", tags)
		}
		if tags := got["two.wav"].Tags; tags != (melodyud.Tags{Title: "Better", Artist: "Ada", Album: "First", Disc: 1, Number: 3}) {
			t.Errorf("%+v", tags)
		}
		f.eventually("the report", func() bool { return f.says("cover.jpg").State == "ignored" && f.says("one.wav").State == "published" })
	})
}

func TestMistakesInMetadataAreToldAndTheFilesWait(t *testing.T) {
	t.Parallel()
	f, _ := onDirectory(t)
	f.drop(ada+"a/list.csv", "name,title\nx.wav,X\n")
	f.drop(ada+"a/x.wav", "x")
	f.drop(ada+"b/y.wav", "y")
	f.drop(ada+"b/y.wav.json", `{"titel":"Y"}`)
	f.drop(ada+"c/z.wav", "z")
	f.drop(ada+"c/list.csv", "file,number\nz.wav,many\n")
	defer f.run()()
	for file, says := range map[string]string{"a/x.wav": `list.csv: The first row names no column "file"`, "b/y.wav": "y.wav.json: This is no JSON object", "c/z.wav": "Row 2 has a disc or number"} {
		f.eventually(file, func() bool { e := f.says(file); return e.State == "waiting" && strings.Contains(e.Text, says) })
		if e := f.says(file); e.Code != "inbox.metadata" {
			t.Errorf("%+v", e)
		}
	}
	f.drop(ada+"b/y.wav.json", `{"title":"Y"}`)
	f.eventually("the corrected one", func() bool { return f.catalog.receipts()["y.wav"].Tags.Title == "Y" })
	if n := f.catalog.count(); n != 1 {
		t.Errorf("%d tracks", n)
	}
}

func TestAFolderOfNobodyIsReportedAndNotTaken(t *testing.T) {
	everywhere(t, func(t *testing.T, f *fixture) {
		f.drop("usr_eve/song.wav", "x")
		defer f.run()()
		f.eventually("the report", func() bool {
			p := f.report("usr_eve").Problem
			return p != nil && p.Code == "inbox.creator" && strings.Contains(p.Text, "usr_")
		})
		if !f.has("usr_eve/song.wav") || f.catalog.count() != 0 {
			t.Errorf("%v, %d tracks", f.names(), f.catalog.count())
		}
	})
}

func TestAFileThatIsStillWrittenWaits(t *testing.T) {
	t.Parallel()
	f, path := onDirectory(t)
	f.settle = time.Minute
	if err := os.MkdirAll(filepath.Join(path, "usr_ada"), 0o750); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(path, "usr_ada", "song.wav"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	defer f.run()()
	want := ""
	for range 5 {
		if _, err := file.WriteString("RIFF"); err != nil {
			t.Fatal(err)
		}
		want += "RIFF"
		f.eventually("a look", func() bool { return f.says("song.wav").Code == "inbox.settling" })
		f.now.Add(int64(40 * time.Second)) // each time too short
		time.Sleep(15 * time.Millisecond)
	}
	f.now.Add(int64(2 * time.Minute)) // a long pause, but the program has not closed it
	time.Sleep(30 * time.Millisecond)
	if n := f.catalog.count(); n != 0 {
		t.Fatalf("%d tracks of a file that is open", n)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	f.now.Add(int64(2 * time.Minute))
	f.eventually("the track", func() bool { f.now.Add(int64(time.Minute)); return f.catalog.count() == 1 })
	f.wantMaster("song.wav", want)
}

func TestEveryRefusalIsInTheReport(t *testing.T) {
	t.Parallel()
	f, _ := onDirectory(t)
	f.drop(ada+"empty.wav", "")
	f.drop(ada+"bad.wav", "not judged before it is a track")
	defer f.run()()
	f.eventually("the empty file", func() bool { e := f.says("empty.wav"); return e.State == "refused" && e.Code == "upload.empty" })
	f.eventually("the track's refusal", func() bool {
		e := f.says("bad.wav")
		return e.State == "refused" && e.Code == "audio.odd" && e.Text == "No music."
	})
	if !f.has(ada + "empty.wav") {
		t.Error("a refused file is gone at once")
	}
	f.now.Add(int64(30*24*time.Hour + time.Hour))
	f.eventually("old refused files to go", func() bool { return !f.has(ada + "empty.wav") })
}

func TestQuotasApplyAndTheRestWaits(t *testing.T) {
	t.Parallel()
	f, _ := onDirectory(t)
	f.limits = quota.Limits{Bytes: 250}
	for _, name := range []string{"1.wav", "2.wav", "3.wav", "4.wav"} {
		f.drop(ada+name, strings.Repeat(name, 20))
	}
	stop := f.run()
	f.eventually("what fits", func() bool { return f.catalog.count() == 2 })
	f.eventually("the report", func() bool {
		n := 0
		for _, e := range f.report("usr_ada").Files {
			if e.State == "waiting" && e.Code == "quota.bytes" {
				n++
			}
		}
		return n == 2
	})
	stop()
	f.limits.Bytes = 1000
	defer f.run()()
	f.eventually("the rest", func() bool { return f.catalog.count() == 4 })
}

func TestAFileIsTakenOnceThoughTheProcessDiesInBetween(t *testing.T) {
	everywhere(t, func(t *testing.T, f *fixture) {
		f.drop(ada+"song.wav", "the song")
		f.catalog.away.Store(true)
		stop := f.run()
		f.eventually("the hand-over", func() bool { return f.catalog.asked.Load() > 0 })
		stop() // taken, not handed over
		if !f.has(ada + "song.wav") {
			t.Fatal("the file is gone before it is a track")
		}
		f.catalog.away.Store(false)
		stop = f.run()
		f.eventually("the track", func() bool { f.now.Add(int64(time.Second)); return f.catalog.count() == 1 })
		f.eventually("the file to go", func() bool { return !f.has(ada + "song.wav") })
		stop()
		f.drop(ada+"other.wav", "other")
		for range 3 { // processes at once
			defer f.run()()
		}
		f.eventually("the second track", func() bool { return !f.has(ada + "other.wav") })
		if n := f.catalog.count(); n != 2 {
			t.Errorf("%d tracks of two files", n)
		}
	})
}

func TestAFileThatIsReplacedWhileItIsTakenCountsAsItIsNow(t *testing.T) {
	t.Parallel()
	f, _ := onDirectory(t)
	f.drop(ada+"song.wav", "first version")
	held := &holding{Inbox: f.box, name: ada + "song.wav"}
	held.hold.Store(true)
	plain := f.box
	f.box = held
	defer f.run()()
	f.eventually("the first try", func() bool { return held.tries.Load() > 0 })
	if err := plain.Put(t.Context(), ada+"song.wav", []byte("second")); err != nil {
		t.Fatal(err)
	}
	held.hold.Store(false)
	f.eventually("the track", func() bool { return f.catalog.count() == 1 })
	f.wantMaster("song.wav", "second")
	f.eventually("the report", func() bool {
		for _, e := range f.report("usr_ada").Files {
			if e.State == "gone" && e.Code == "inbox.replaced" {
				return true
			}
		}
		return false
	})
}

// holding is an inbox of which one file cannot be read for a while.
type holding struct {
	objectstore.Inbox
	name  string
	hold  atomic.Bool
	tries atomic.Int32
}

func (h *holding) Open(ctx context.Context, d objectstore.Dropped, offset int64) (io.ReadCloser, error) {
	if d.Name == h.name && h.hold.Load() {
		h.tries.Add(1)
		return nil, melodyud.ErrUnavailable
	}
	return h.Inbox.Open(ctx, d, offset)
}
