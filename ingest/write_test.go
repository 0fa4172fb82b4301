package ingest_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/melodyud/melodyud/ingest"
	"github.com/melodyud/melodyud/internal/objectstore/objectstoretest"
)

// raw opens a connection and sends, in one piece, the head of a PATCH that
// announces size bytes and the first of them.
func (f *fixture) raw(path string, offset, size int, first []byte, headers ...string) net.Conn {
	f.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "PATCH %s HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nAuthorization: Bearer ada\r\nContent-Type: %s\r\n"+
		"Upload-Offset: %d\r\nContent-Length: %d\r\n%s\r\n%s", path, octets, offset, size, strings.Join(headers, ""), first)
	if err != nil {
		f.t.Fatal(err)
	}
	return conn
}

func (f *fixture) send(conn net.Conn, data []byte) {
	f.t.Helper()
	if _, err := conn.Write(data); err != nil {
		f.t.Fatal(err)
	}
}

// awaitOffset waits until the upload's row says n.
func (f *fixture) awaitOffset(path string, n int64) {
	f.t.Helper()
	for range patience {
		if f.view(path).Offset == n {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	f.t.Fatalf("offset %d, want %d", f.view(path).Offset, n)
}

func TestBytesOfABrokenConnectionAreKept(t *testing.T) { // TUS-1, faults.md A1
	t.Parallel()
	f := newFixture(t)
	data := noise(3*partSize, 3)
	path := f.create(len(data))
	conn := f.raw(path, 0, len(data), data[:partSize+99])
	f.awaitOffset(path, partSize)
	_ = conn.Close()
	f.awaitOffset(path, partSize+99)
	if a := f.patch(path, partSize+99, data[partSize+99:]); a.StatusCode != 204 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	f.wantMaster(data)
}

func TestBrokenChunkWithChecksumIsNotApplied(t *testing.T) { // TUS-1
	t.Parallel()
	for name, store := range stores {
		for _, kept := range []int{0, 100} {
			t.Run(fmt.Sprintf("%s after %d bytes", name, kept), func(t *testing.T) {
				t.Parallel()
				f := newFixture(t, store)
				data := noise(3*partSize, 4)
				path := f.create(len(data))
				f.patch(path, 0, data[:kept])
				conn := f.raw(path, kept, len(data)-kept, data[kept:2*partSize+kept], "Upload-Checksum: "+sum("sha1", string(data))+"\r\n")
				f.awaitStored(func(n int64) bool { return n >= 2*partSize })
				_ = conn.Close()
				f.awaitStored(func(n int64) bool { return n == int64(kept) })
				if a := f.patch(path, kept, data[kept:]); a.StatusCode != 204 {
					t.Errorf("%d %s", a.StatusCode, a.body)
				}
				f.wantMaster(data)
			})
		}
	}
}

// awaitStored waits until the bytes of all parts are as many as wanted.
func (f *fixture) awaitStored(enough func(int64) bool) {
	f.t.Helper()
	var sum int64
	for range patience {
		sum = 0
		for info := range f.store.List(f.t.Context(), "uploads/") {
			sum += info.Size
		}
		if enough(sum) {
			return
		}
		time.Sleep(time.Millisecond)
	}
	f.t.Fatalf("%d bytes are stored", sum)
}

func TestNewerRequestTakesOverFromAStuckOne(t *testing.T) { // TUS-2, faults.md A2
	t.Parallel()
	for _, method := range []string{"HEAD", "PATCH", "DELETE"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			data := noise(3*partSize, 5)
			path := f.create(len(data))
			conn := f.raw(path, 0, len(data), data[:partSize+7])
			f.awaitOffset(path, partSize)
			want := map[string]int{"HEAD": 200, "PATCH": 409, "DELETE": 204}[method]
			a := f.do(method, path, nil, "Content-Type", octets, "Upload-Offset", "0")
			if a.StatusCode != want {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
			reply := make([]byte, 12)
			if _, err := io.ReadFull(conn, reply); err != nil || string(reply) != "HTTP/1.1 423" {
				t.Errorf("the older request got %q, %v", reply, err)
			}
			if method == "DELETE" {
				return
			}
			at := int(f.view(path).Offset)
			if method == "HEAD" && a.Header.Get("Upload-Offset") != strconv.Itoa(at) {
				t.Errorf("HEAD says %s, the upload stands at %d", a.Header.Get("Upload-Offset"), at)
			}
			if a := f.patch(path, at, data[at:]); a.StatusCode != 204 {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
			f.wantMaster(data)
		})
	}
}

func TestAnotherCreatorCannotInterrupt(t *testing.T) { // TUS-6
	t.Parallel()
	f := newFixture(t)
	path := f.create(2 * partSize)
	conn := f.raw(path, 0, 2*partSize, make([]byte, partSize+1))
	f.awaitOffset(path, partSize)
	for _, method := range []string{"HEAD", "DELETE", "PATCH"} {
		if a := f.do(method, path, nil, "Authorization", "Bearer bob", "Content-Type", octets, "Upload-Offset", "0"); a.StatusCode != 404 {
			t.Errorf("%s: %d", method, a.StatusCode)
		}
	}
	f.send(conn, make([]byte, partSize-1))
	f.await(path, ingest.StateReceived)
}

func TestSilentClientIsCutOffAndItsBytesKept(t *testing.T) { // faults.md C7
	t.Parallel()
	f := newFixture(t, func(c *ingest.Config) { c.ReadTimeout = 50 * time.Millisecond })
	path := f.create(2 * partSize)
	conn := f.raw(path, 0, 2*partSize, make([]byte, 10))
	reply, err := io.ReadAll(conn) // until the server closes
	if err != nil || !strings.HasPrefix(string(reply), "HTTP/1.1 503") || !strings.Contains(string(reply), "upload.interrupted") {
		t.Errorf("%s %v", reply, err)
	}
	f.awaitOffset(path, 10)
}

func TestConnectionServesTheNextRequestAfterAnUpload(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *ingest.Config) { c.ReadTimeout = 50 * time.Millisecond })
	path := f.create(20)
	conn := f.raw(path, 0, 10, make([]byte, 10))
	reply := make([]byte, 12)
	if _, err := io.ReadFull(conn, reply); err != nil || string(reply) != "HTTP/1.1 204" {
		t.Fatalf("%s %v", reply, err)
	}
	time.Sleep(100 * time.Millisecond) // longer than the body's deadline
	f.send(conn, []byte("HEAD "+path+" HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nAuthorization: Bearer ada\r\nConnection: close\r\n\r\n"))
	if rest, err := io.ReadAll(conn); err != nil || !strings.Contains(string(rest), "HTTP/1.1 200") {
		t.Errorf("%s %v", rest, err)
	}
}

func TestRacingPatchesNeverInterleave(t *testing.T) { // TUS-2, faults.md A2
	t.Parallel()
	const rounds, racers, size = 20, 4, 3*partSize + 100
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, store)
			urls := []string{f.url}
			if name == "growing object" || !testing.Short() {
				f.start(store) // a second process
				urls = append(urls, f.url)
			}
			for round := range rounds {
				f.race(urls, round, racers, size)
			}
		})
	}
}

// race lets racers write one upload, each with bytes of its own, until it is
// full; what was acknowledged to one must be its bytes.
func (f *fixture) race(urls []string, round, racers, size int) {
	f.t.Helper()
	path := f.create(size)
	var acked sync.Map // start offset -> [2]int{end, racer}
	var group sync.WaitGroup
	for r := range racers {
		group.Go(func() {
			g := &fixture{t: f.t, url: urls[r%len(urls)]}
			for range 1000 {
				a := g.do("HEAD", path, nil)
				from, _ := strconv.Atoi(a.Header.Get("Upload-Offset"))
				if from == size {
					return
				}
				to := min(size, from+1+(round*977+r*313)%(2*partSize))
				a = g.patch(path, from, bytes.Repeat([]byte{byte(r + 1)}, to-from))
				switch a.StatusCode {
				case 204:
					acked.Store(from, [2]int{to, r + 1})
				case 409, 423:
				default:
					f.t.Errorf("PATCH: %d %s", a.StatusCode, a.body)
				}
			}
			f.t.Error("never finished")
		})
	}
	group.Wait()
	f.await(path, ingest.StateReceived)
	data := f.object("masters/" + f.view(path).SHA256)
	acked.Range(func(from, value any) bool {
		to, r := value.([2]int)[0], value.([2]int)[1]
		if want := bytes.Repeat([]byte{byte(r)}, to-from.(int)); !bytes.Equal(data[from.(int):to], want) {
			f.t.Errorf("bytes %d to %d were acknowledged to %d and are not its own", from, to, r)
		}
		return true
	})
	if len(data) != size || len(f.parts()) != 0 {
		f.t.Errorf("%d bytes, parts %v", len(data), f.parts())
	}
}

func TestMasterEqualsTheFileHoweverItIsCut(t *testing.T) { // faults.md A3
	t.Parallel()
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newFixture(t, store).cutAnyhow()
		})
	}
}

func (f *fixture) cutAnyhow() {
	rapid.Check(f.t.(*testing.T), func(r *rapid.T) {
		data := noise(rapid.IntRange(1, 5*partSize).Draw(r, "size"), rapid.Uint64().Draw(r, "seed"))
		deferred := rapid.Bool().Draw(r, "deferred")
		f.catalog.mu.Lock()
		clear(f.catalog.got)
		f.catalog.mu.Unlock()
		length := len(data)
		if deferred {
			length = -1
		}
		path := f.create(length)
		cuts := rapid.SliceOfN(rapid.IntRange(0, len(data)), 0, 5).Draw(r, "cuts")
		slices.Sort(cuts)
		at := 0
		for _, cut := range append(cuts, len(data)) {
			n := cut - at
			send := f.patch
			if rapid.Bool().Draw(r, "chunked") {
				send = f.patchChunked
			}
			var headers []string
			if rapid.Bool().Draw(r, "checksum") {
				headers = []string{"Upload-Checksum", sum("md5", string(data[at:at+n]))}
			}
			if a := send(path, at, data[at:at+n], headers...); a.StatusCode != 204 || a.Header.Get("Upload-Offset") != strconv.Itoa(at+n) {
				r.Fatalf("%d %s", a.StatusCode, a.body)
			}
			at = cut
		}
		if deferred {
			f.patch(path, len(data), nil, "Upload-Length", strconv.Itoa(len(data)))
		}
		f.wantMaster(data)
		if len(f.parts()) != 0 {
			r.Fatalf("parts stay: %v", f.parts())
		}
	})
}

func TestTinyRequestsDoNotMakeManyObjects(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]func(i int) int{
		"equal":    func(int) int { return 7 },
		"falling":  func(i int) int { return max(1, 240-2*i) },
		"rising":   func(i int) int { return 1 + i/2 },
		"changing": func(i int) int { return 1 + i*i*37%300 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, plain)
			var data []byte
			path := f.create(-1)
			for i := range 120 {
				next := noise(size(i), uint64(i))
				if a := f.patch(path, len(data), next); a.StatusCode != 204 {
					t.Fatalf("%d %s", a.StatusCode, a.body)
				}
				data = append(data, next...)
				if n, most := len(f.parts()), 2*len(data)/partSize+12; n > most {
					t.Fatalf("%d objects after %d requests and %d bytes", n, i+1, len(data))
				}
			}
			f.patch(path, len(data), nil, "Upload-Length", strconv.Itoa(len(data)))
			f.wantMaster(data)
		})
	}
}

func TestWritersAreBoundedAndEachCreatorHasHalf(t *testing.T) { // faults.md A14
	t.Parallel()
	f := newFixture(t, func(c *ingest.Config) { c.MaxWriters = 4 })
	for range 2 {
		path := f.create(2 * partSize)
		f.raw(path, 0, 2*partSize, make([]byte, partSize))
		f.awaitOffset(path, partSize)
	}
	path := f.create(5)
	a := f.patch(path, 0, []byte("12345"))
	if a.StatusCode != 503 || a.code() != "upload.busy" || a.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	bob := f.do("POST", "/v1/uploads", strings.NewReader("12345"), "Authorization", "Bearer bob", "Upload-Length", "5", "Content-Type", octets)
	if bob.StatusCode != 201 || bob.Header.Get("Upload-Offset") != "5" {
		t.Errorf("one creator kept another out: %d %s", bob.StatusCode, bob.body)
	}
}

func TestOpenUploadsOfACreatorAreBounded(t *testing.T) { // faults.md A14
	t.Parallel()
	f := newFixture(t, func(c *ingest.Config) { c.MaxOpen = 3 })
	var group sync.WaitGroup
	var made, limited atomic.Int32
	for range 12 {
		group.Go(func() {
			switch a := f.do("POST", "/v1/uploads", nil, "Upload-Length", "5"); {
			case a.StatusCode == 201:
				made.Add(1)
			case a.StatusCode == 429 && a.code() == "upload.too-many" && a.Header.Get("Retry-After") != "":
				limited.Add(1)
			default:
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
		})
	}
	group.Wait()
	if made.Load() != 3 || limited.Load() != 9 {
		t.Errorf("%d made, %d limited", made.Load(), limited.Load())
	}
	if a := f.do("POST", "/v1/uploads", nil, "Upload-Length", "5", "Authorization", "Bearer bob"); a.StatusCode != 201 {
		t.Errorf("another creator: %d", a.StatusCode)
	}
}

func TestFinishedUploadsDoNotCountAsOpen(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *ingest.Config) { c.MaxOpen = 1 })
	for range 3 {
		f.patch(f.create(1), 0, []byte("x"))
	}
	f.do("DELETE", f.create(1), nil)
	f.create(1)
}

func TestDrainingStoresWhatArrivedAndTurnsNewBytesAway(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	path := f.create(2 * partSize)
	conn := f.raw(path, 0, 2*partSize, make([]byte, partSize+9))
	f.awaitOffset(path, partSize)
	f.Drain()
	reply := make([]byte, 12)
	if _, err := io.ReadFull(conn, reply); err != nil || string(reply) != "HTTP/1.1 503" {
		t.Errorf("%s %v", reply, err)
	}
	at := int(f.view(path).Offset)
	if a := f.patch(path, at, make([]byte, 3)); at < partSize || a.StatusCode != 503 || a.code() != "upload.stopping" {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

func TestStoreOutageLosesNothingAcknowledged(t *testing.T) { // faults.md A7, A8
	t.Parallel()
	var down atomic.Value
	down.Store("")
	flaky := &objectstoretest.Flaky{Fail: func(call objectstoretest.Call, key string) bool {
		return down.Load() != "" && strings.HasPrefix(string(call)+" "+key, down.Load().(string))
	}}
	f := newFixture(t, func(c *ingest.Config) { flaky.Store, c.Store = c.Store, flaky })
	stop := f.run()
	defer stop()
	data := noise(2*partSize+5, 9)
	path := f.create(len(data))
	down.Store("Put uploads/")
	if a := f.patch(path, 0, data[:100]); a.StatusCode != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	down.Store("")
	if f.offset(path) != "0" {
		t.Error("bytes that were not stored were acknowledged")
	}
	f.patch(path, 0, data[:100])
	down.Store("Open uploads/") // what is needed to merge short parts
	if a := f.patch(path, 100, data[100:200]); a.StatusCode != 503 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	down.Store("Delete uploads/") // replaced parts stay behind
	if a := f.patch(path, 100, data[100:200]); a.StatusCode != 204 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	down.Store("Put masters/")
	if a := f.patch(path, 200, data[200:]); a.StatusCode != 204 {
		t.Errorf("the last bytes are durable, and yet: %d %s", a.StatusCode, a.body)
	}
	if v := f.view(path); v.State != ingest.StateComplete {
		t.Errorf("%+v", v)
	}
	down.Store("")
	f.clock.Pass(time.Minute)
	f.await(path, ingest.StateReceived)
	f.wantMaster(data)
}

func TestHashOfTheUploadIsThatOfItsBytes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	data := noise(partSize+1, 6)
	path := f.create(len(data))
	f.patch(path, 0, data)
	want := sha256.Sum256(data)
	if got := f.view(path).SHA256; got != hex.EncodeToString(want[:]) {
		t.Errorf("%s", got)
	}
}

func TestLargeUploadIsLeftToTheJanitor(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *ingest.Config) { c.InlineSize, c.Sweep = 10, time.Hour })
	data := noise(11, 7)
	path := f.create(len(data))
	stop := f.run()
	defer stop()
	if a := f.patch(path, 0, data); a.StatusCode != 204 {
		t.Fatalf("%d", a.StatusCode)
	}
	f.await(path, ingest.StateReceived) // woken, although the next sweep is an hour away
	f.wantMaster(data)
}

func TestServiceWithoutItsBackendsIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := ingest.New(ingest.Config{}); err == nil {
		t.Error("accepted")
	}
	f := newFixture(t)
	if _, err := ingest.New(ingest.Config{DB: f.db, Store: f.store, Tracks: f.catalog, MaxSize: -1}); err == nil {
		t.Error("a negative limit was accepted")
	}
}

func TestUploadInManyRequestsIsOneFileThatBecomesTheMaster(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *ingest.Config) { c.InlineSize, c.Sweep = 1, time.Hour })
	data := noise(3*partSize+77, 8)
	path := f.create(len(data))
	for at := 0; at < len(data); at += 1000 {
		if len(f.parts()) > 1 {
			t.Fatalf("parts %v", f.parts())
		}
		f.patch(path, at, data[at:min(len(data), at+1000)])
	}
	before, err := f.store.Stat(t.Context(), f.parts()[0])
	if err != nil {
		t.Fatal(err)
	}
	stop := f.run()
	defer stop()
	f.await(path, ingest.StateReceived)
	after, err := f.store.Stat(t.Context(), "masters/"+f.view(path).SHA256)
	if err != nil || !after.Modified.Equal(before.Modified) {
		t.Errorf("the master was copied: %v %v %v", before.Modified, after.Modified, err)
	}
	f.wantMaster(data)
}

func TestBytesOfACrashBehindTheOffsetAreLeftAside(t *testing.T) { // faults.md A6, point 3
	t.Parallel()
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, store)
			data := noise(300, 9)
			path := f.create(len(data))
			f.patch(path, 0, data[:100])
			key := f.parts()[0]
			f.overwrite(key, append(f.object(key), "never acknowledged"...))
			f.patch(path, 100, data[100:])
			f.wantMaster(data)
		})
	}
}
