package ingest_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/ingest"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/objectstore"
)

func TestReceiptNamesTrackOwnerAndTags(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	path := f.create(4, "Upload-Metadata", metadataOf("filename", "demo.wav", "title", "Słońce", "artist", "Ada", "album", "First", "filetype", "audio/wav"))
	track := f.do("HEAD", path, nil).Header.Get("Melodyud-Track")
	f.patch(path, 0, []byte("RIFF"))
	f.wantMaster([]byte("RIFF"))
	r := f.catalog.receipts()[0]
	want := melodyud.Tags{Title: "Słońce", Artist: "Ada", Album: "First"}
	if r.Owner != "usr_ada" || string(r.Upload) != id(path) || string(r.Track) != track || r.FileName != "demo.wav" || r.Tags != want {
		t.Errorf("%+v", r)
	}
}

func metadataOf(pairs ...string) string {
	var all []string
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, pairs[i]+" "+base64.StdEncoding.EncodeToString([]byte(pairs[i+1])))
	}
	return strings.Join(all, ",")
}

func TestHostileNamesBecomeHarmlessText(t *testing.T) { // TUS-6, faults.md A13
	t.Parallel()
	f := newFixture(t)
	for _, hostile := range []string{
		"../../../etc/passwd", `C:\Windows\system32\x.wav`, "/abs", "..", ".", "", "a\x00b", "line\r\nSet-Cookie: x=1", "\u202egnp.exe",
		"<script>alert(1)</script>.wav", strings.Repeat("é", 5000), "\xff\xfe", "e\u0301", "tab\there", "\u2028\u2029", "'; DROP TABLE uploads; --",
		"🎵.flac", "con", "\ufeffbom", " spaced  out ", "\x1b[31mred", "%2e%2e%2f", "$(reboot)",
	} {
		path := f.create(1, "Upload-Metadata", metadataOf("filename", hostile, "title", hostile, "artist", hostile, "album", hostile))
		if a := f.patch(path, 0, []byte("x")); a.StatusCode != 204 {
			t.Fatalf("%q: %d %s", hostile, a.StatusCode, a.body)
		}
	}
	got := f.catalog.receipts()
	if len(got) != 23 {
		t.Fatalf("%d receipts", len(got))
	}
	for _, r := range got {
		if strings.ContainsAny(r.FileName, `/\`) {
			t.Errorf("file name %q is a path", r.FileName)
		}
		for _, text := range []string{r.FileName, r.Tags.Title, r.Tags.Artist, r.Tags.Album} {
			if !utf8.ValidString(text) || utf8.RuneCountInString(text) > 300 || strings.TrimSpace(text) != text ||
				strings.ContainsFunc(text, func(c rune) bool { return unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c) }) {
				t.Errorf("%q", text)
			}
		}
		if r.Tags.Title == "e\u0301" {
			t.Error("text is not in NFC")
		}
		if objectstore.CheckKey("masters/"+r.Master.SHA256) != nil {
			t.Errorf("master %q", r.Master.SHA256)
		}
	}
}

func TestMasterThatIsThereIsNotCopiedAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	data := []byte("the same file twice")
	f.patch(f.create(len(data)), 0, data)
	key := "masters/" + f.catalog.receipts()[0].Master.SHA256
	before, err := f.store.Stat(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Millisecond) // so that a copy would have another time
	f.patch(f.create(len(data)), 0, data)
	after, err := f.store.Stat(t.Context(), key)
	if err != nil || !after.Modified.Equal(before.Modified) || len(f.catalog.receipts()) != 2 {
		t.Errorf("%v %v, %v, %d receipts", before.Modified, after.Modified, err, len(f.catalog.receipts()))
	}
}

func TestMasterCollectedMeanwhileIsStoredAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	collected := false
	f.catalog.refuse(func(r melodyud.Receipt) error {
		if collected {
			return nil
		}
		collected = true
		return errors.Join(melodyud.ErrUnavailable, f.store.Delete(t.Context(), "masters/"+r.Master.SHA256))
	})
	path := f.create(5)
	f.patch(path, 0, []byte("12345"))
	if f.view(path).State != ingest.StateReceived {
		t.Errorf("%+v", f.view(path))
	}
	f.wantMaster([]byte("12345"))
}

func TestCatalogThatIsAwayIsAskedAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var asked atomic.Int32
	f.catalog.refuse(func(melodyud.Receipt) error {
		if asked.Add(1) < 8 {
			return fmt.Errorf("catalog: %w", melodyud.ErrUnavailable)
		}
		return nil
	})
	path := f.create(5)
	if a := f.patch(path, 0, []byte("12345")); a.StatusCode != 204 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if f.view(path).State != ingest.StateComplete || len(f.parts()) != 1 {
		t.Errorf("%+v %v", f.view(path), f.parts())
	}
	stop := f.run()
	defer stop()
	for range patience {
		if f.view(path).State == ingest.StateReceived {
			break
		}
		f.clock.Pass(time.Second)
		time.Sleep(2 * time.Millisecond)
	}
	f.wantMaster([]byte("12345"))
}

func TestRefusalOfTheCatalogIsToldAndFinal(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.catalog.refuse(func(melodyud.Receipt) error {
		return fmt.Errorf("receive: %w", melodyud.Refuse(melodyud.ErrForbidden, "account.full", "Your account is full."))
	})
	path := f.create(5)
	if a := f.patch(path, 0, []byte("12345")); a.StatusCode != 204 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	v := f.view(path)
	if v.State != ingest.StateRefused || v.Refusal == nil || v.Refusal.Code != "account.full" || v.Refusal.Text != "Your account is full." {
		t.Errorf("%+v", v)
	}
	if len(f.parts()) != 0 {
		t.Errorf("parts stay: %v", f.parts())
	}
}

func TestDamagedPartsNeverBecomeAMaster(t *testing.T) { // faults.md A4
	t.Parallel()
	for name, damage := range map[string]func(f *fixture, key string){
		"flipped bit": func(f *fixture, key string) {
			data := f.object(key)
			data[len(data)/2] ^= 1
			f.overwrite(key, data)
		},
		"cut short": func(f *fixture, key string) { f.overwrite(key, f.object(key)[1:]) },
		"missing": func(f *fixture, key string) {
			if err := f.store.Delete(f.t.Context(), key); err != nil {
				f.t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, plain)
			if name == "flipped bit" {
				f = newFixture(t)
			}
			f.catalog.refuse(func(melodyud.Receipt) error { t.Error("a damaged master was handed over"); return nil })
			path := f.create(partSize + 100)
			f.patch(path, 0, noise(partSize, 1))
			damage(f, f.parts()[0])
			if a := f.patch(path, partSize, noise(100, 2)); a.StatusCode != 204 {
				t.Fatalf("%d %s", a.StatusCode, a.body)
			}
			stop := f.run()
			for range patience {
				if f.view(path).State == ingest.StateRefused {
					break
				}
				f.clock.Pass(time.Minute)
				time.Sleep(2 * time.Millisecond)
			}
			stop()
			if v := f.view(path); v.Refusal == nil || v.Refusal.Code != "upload.damaged" {
				t.Errorf("%+v", v)
			}
			for info := range f.store.List(t.Context(), "masters/") {
				t.Errorf("%s was made", info.Key)
			}
		})
	}
}

func (f *fixture) overwrite(key string, data []byte) {
	f.t.Helper()
	if _, err := f.store.Put(f.t.Context(), key, bytes.NewReader(data), int64(len(data)), objectstore.PutOptions{}); err != nil {
		f.t.Fatal(err)
	}
}

func TestTwoProcessesHandOverOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var calls atomic.Int32
	f.catalog.refuse(func(melodyud.Receipt) error {
		if calls.Add(1) == 1 {
			return errors.New("crash")
		}
		time.Sleep(20 * time.Millisecond)
		return nil
	})
	path := f.create(5)
	f.patch(path, 0, []byte("12345"))
	for range 3 {
		stop := f.run()
		defer stop()
		f.start()
	}
	f.clock.Pass(time.Minute)
	f.await(path, ingest.StateReceived)
	if calls.Load() != 2 {
		t.Errorf("handed over %d times", calls.Load())
	}
	f.wantMaster([]byte("12345"))
}

func TestOrphanedPartsGoAndLivePartsStay(t *testing.T) { // faults.md A9
	t.Parallel()
	f := newFixture(t, plain)
	path := f.create(100)
	f.patch(path, 0, make([]byte, 50))
	f.overwrite("uploads/"+id(path)+"/0-50-CRASHED", make([]byte, 50))
	f.overwrite("uploads/upl_01ARZ3NDEKTSV4RRFFQ69G5FAV/0-9-LOST", make([]byte, 9))
	f.overwrite("uploads/odd", nil)
	stop := f.run()
	time.Sleep(20 * time.Millisecond)
	stop()
	if len(f.parts()) != 4 {
		t.Errorf("young parts were deleted: %v", f.parts())
	}
	f.clock.Pass(20 * time.Hour)
	f.patch(path, 50, make([]byte, 10)) // keeps the upload alive
	live := ""
	for _, key := range f.parts() {
		if strings.Contains(key, "/0-60-") || strings.Contains(key, "/50-60-") {
			live = key
		}
	}
	f.clock.Pass(10 * time.Hour)
	stop = f.run()
	for range patience {
		if len(f.parts()) <= 2 {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	stop()
	left := strings.Join(f.parts(), " ")
	if strings.Contains(left, "CRASHED") || strings.Contains(left, "LOST") || strings.Contains(left, "odd") || live == "" || !strings.Contains(left, live) {
		t.Errorf("%s is left", left)
	}
	if a := f.patch(path, 60, make([]byte, 40)); a.StatusCode != 204 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	f.wantMaster(make([]byte, 100))
}

func TestFinishedUploadsAreForgottenInTheEnd(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	path := f.create(1)
	f.patch(path, 0, []byte("x"))
	stop := f.run()
	defer stop()
	f.clock.Pass(29 * 24 * time.Hour)
	time.Sleep(30 * time.Millisecond)
	if a := f.do("HEAD", path, nil); a.StatusCode != 200 {
		t.Errorf("forgotten too early: %d", a.StatusCode)
	}
	f.clock.Pass(2 * 24 * time.Hour)
	for range patience {
		if f.do("HEAD", path, nil).StatusCode == 404 {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	var rows int
	if err := f.db.QueryRow(t.Context(), `SELECT COUNT(*) FROM uploads`, nil, &rows); err != nil || rows != 0 {
		t.Errorf("%d rows, %v", rows, err)
	}
}

func TestEveryRowOfAPartNamesAnObject(t *testing.T) {
	t.Parallel()
	f := newFixture(t, plain)
	path := f.create(-1)
	at := 0
	for _, n := range []int{3, 3, 6, 5000, 1, 1, 1, 200, 4096} {
		f.patch(path, at, make([]byte, n))
		at += n
	}
	wantPartsMatch(t, f.db, f.parts())
}

// wantPartsMatch fails unless rows and objects name the same parts, without gaps.
func wantPartsMatch(t *testing.T, db database.DB, objects []string) {
	t.Helper()
	rows, err := db.Query(t.Context(), `SELECT start, size, name FROM upload_parts ORDER BY upload, start`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	named := map[string]bool{}
	for rows.Next() {
		var start, size int64
		var name string
		if err := rows.Scan(&start, &size, &name); err != nil {
			t.Fatal(err)
		}
		named[name] = true
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for _, key := range objects {
		if !named[key] {
			t.Errorf("no row names %s", key)
		}
	}
	if len(named) != len(objects) {
		t.Errorf("%d rows, %d objects", len(named), len(objects))
	}
}
