package ingest_test

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/ingest"
)

// piece uploads data as a partial upload and returns its path.
func (f *fixture) piece(data []byte) string {
	f.t.Helper()
	path := f.create(len(data), "Upload-Concat", "partial")
	if a := f.patch(path, 0, data); a.StatusCode != 204 {
		f.t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	return path
}

// join makes a final upload of pieces and returns its path.
func (f *fixture) join(pieces []string, headers ...string) string {
	f.t.Helper()
	a := f.do("POST", "/v1/uploads", nil, append([]string{"Upload-Concat", "final;" + strings.Join(pieces, " ")}, headers...)...)
	if a.StatusCode != 201 {
		f.t.Fatalf("join: %d %s", a.StatusCode, a.body)
	}
	return a.Header.Get("Location")
}

func TestPiecesBecomeTheFileInTheOrderTheFinalNamesThem(t *testing.T) { // TUS-5
	t.Parallel()
	f := newFixture(t)
	rapid.Check(t, func(r *rapid.T) {
		f.catalog.mu.Lock()
		clear(f.catalog.got)
		f.catalog.mu.Unlock()
		var paths []string
		var pieces [][]byte
		for range rapid.IntRange(1, 4).Draw(r, "pieces") {
			data := noise(rapid.IntRange(0, 2*partSize).Draw(r, "size"), rapid.Uint64().Draw(r, "seed"))
			paths, pieces = append(paths, f.piece(data)), append(pieces, data)
		}
		if len(f.catalog.receipts()) != 0 {
			r.Fatal("a piece became a track")
		}
		var order []string
		var file []byte
		for _, i := range append([]int{0}, rapid.SliceOfN(rapid.IntRange(0, len(pieces)-1), 0, 5).Draw(r, "order")...) {
			order, file = append(order, paths[i]), append(file, pieces[i]...)
		}
		if len(file) == 0 {
			return
		}
		path := f.join(order, "Upload-Metadata", metadataOf("title", "Whole"))
		f.wantMaster(file)
		if got := f.catalog.receipts()[0]; got.Tags.Title != "Whole" || string(got.Upload) != id(path) {
			r.Fatalf("%+v", got)
		}
	})
}

func TestPiecesAreKeptUntilTheirFinalIsHandedOver(t *testing.T) { // TUS-5
	t.Parallel()
	for name, lose := range map[string]func(f *fixture, piece string){
		"cancelled": func(f *fixture, piece string) { f.do("DELETE", piece, nil) },
		"expired":   func(f *fixture, _ string) { f.clock.Pass(40 * 24 * time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			var up atomic.Bool
			f.catalog.refuse(func(melodyud.Receipt) error {
				if up.Load() {
					return nil
				}
				return errors.New("the catalog is away")
			})
			data := noise(partSize+100, 8)
			pieces := []string{f.piece(data[:50]), f.piece(data[50:])}
			path := f.join(pieces)
			if v := f.view(path); v.State != ingest.StateComplete || v.Offset != int64(len(data)) {
				t.Errorf("%+v", v)
			}
			for _, p := range pieces {
				lose(f, p)
			}
			stop := f.run()
			defer stop()
			time.Sleep(50 * time.Millisecond)
			up.Store(true)
			for n := 0; n < patience && f.view(path).State != ingest.StateReceived; n++ {
				f.clock.Pass(10 * time.Minute) // whatever pause the last failure asked for
				time.Sleep(10 * time.Millisecond)
			}
			f.await(path, ingest.StateReceived)
			f.wantMaster(data)
			f.awaitNoParts()
		})
	}
}

func (f *fixture) awaitNoParts() {
	f.t.Helper()
	for range patience {
		if len(f.parts()) == 0 {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
	f.t.Errorf("parts stay: %v", f.parts())
}

func TestJoinedPiecesGoSoonAndOthersAfterADay(t *testing.T) { // TUS-5, expiration
	t.Parallel()
	f := newFixture(t)
	used, spare := f.piece([]byte("used")), f.piece([]byte("spare"))
	f.join([]string{used})
	f.clock.Pass(59 * time.Minute)
	f.join([]string{used, used}) // as a client does that lost the first answer
	f.clock.Pass(61 * time.Minute)
	if a := f.do("HEAD", used, nil); a.StatusCode != 410 {
		t.Errorf("joined an hour ago: %d", a.StatusCode)
	}
	if a := f.do("HEAD", spare, nil); a.StatusCode != 200 || f.view(spare).State != ingest.StateStored || f.view(spare).Expires == nil {
		t.Errorf("never joined: %d %+v", a.StatusCode, f.view(spare))
	}
	f.clock.Pass(24 * time.Hour)
	stop := f.run()
	defer stop()
	f.awaitNoParts()
}

func TestDamagedPieceNeverBecomesAMaster(t *testing.T) { // TUS-5, faults.md A4
	t.Parallel()
	f := newFixture(t)
	f.catalog.refuse(func(melodyud.Receipt) error { t.Error("a damaged master was handed over"); return nil })
	pieces := []string{f.piece(noise(100, 1)), f.piece(noise(100, 2))}
	key := f.parts()[1]
	data := bytes.Clone(f.object(key))
	data[7] ^= 1
	f.overwrite(key, data)
	path := f.join(pieces)
	stop := f.run()
	defer stop()
	for range patience {
		if f.view(path).State == ingest.StateRefused {
			break
		}
		f.clock.Pass(time.Minute)
		time.Sleep(2 * time.Millisecond)
	}
	if v := f.view(path); v.Refusal == nil || v.Refusal.Code != "upload.damaged" {
		t.Errorf("%+v", v)
	}
}

func TestJoiningAndCancellingAtOnceNeverLosesAnAcceptedFile(t *testing.T) { // TUS-5
	t.Parallel()
	f := newFixture(t)
	for range 20 {
		piece := f.piece([]byte("piece"))
		var group sync.WaitGroup
		var joined answer
		group.Go(func() { joined = f.do("POST", "/v1/uploads", nil, "Upload-Concat", "final;"+piece) })
		group.Go(func() { f.do("DELETE", piece, nil) })
		group.Wait()
		switch joined.StatusCode {
		case 201:
			f.await(joined.Header.Get("Location"), ingest.StateReceived)
		case 400:
		default:
			t.Errorf("%d %s", joined.StatusCode, joined.body)
		}
	}
}

func TestPiecesCountAsUnfinishedUploadsUntilTheyAreJoined(t *testing.T) { // faults.md A14
	t.Parallel()
	f := newFixture(t, func(c *ingest.Config) { c.MaxOpen = 2 })
	pieces := []string{f.piece([]byte("1")), f.piece([]byte("2"))}
	if a := f.do("POST", "/v1/uploads", nil, "Upload-Length", "5", "Upload-Concat", "partial"); a.StatusCode != 429 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	f.join(pieces)
	f.piece([]byte("3"))
}

func TestJoiningAgainAfterALostAnswerGivesTheSameUpload(t *testing.T) { // TUS-5
	t.Parallel()
	f := newFixture(t)
	pieces := []string{f.piece([]byte("one ")), f.piece([]byte("two"))}
	var group sync.WaitGroup
	paths := make([]string, 4)
	for i := range paths {
		group.Go(func() { paths[i] = f.join(pieces, "Upload-Metadata", metadataOf("title", "Same")) })
	}
	group.Wait()
	for _, path := range paths {
		if path != paths[0] {
			t.Errorf("%v", paths)
		}
	}
	f.await(paths[0], ingest.StateReceived)
	f.wantMaster([]byte("one two"))
	if other := f.join(pieces, "Upload-Metadata", metadataOf("title", "Other")); other == paths[0] {
		t.Error("another track was taken for the same")
	}
}
