// Package objectstoretest is the contract of package objectstore as tests, and a
// wrapper that makes a store fail.
package objectstoretest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/objectstore"
)

// Run holds the stores that open gives to the contract. Each subtest opens its
// own empty store; open arranges its end with t.Cleanup. Subtests run one after the
// other, so that they can count goroutines and memory. A store that is a Presigner
// is held to that contract too.
func Run(t *testing.T, open func(t testing.TB) objectstore.Store) {
	for _, test := range []struct {
		promise string
		hold    func(*testing.T, objectstore.Store)
	}{
		{"what was put is read", puts},
		{"a put replaces the whole object", replaces},
		{"a failed put leaves nothing behind", failedPuts},
		{"a failed put leaves the older object alone", failedReplace},
		{"a cancelled put leaves nothing behind", cancelledPut},
		{"of many racing writers exactly one wins", racers},
		{"readers see one whole version or the other", versions},
		{"ranges are exact", ranges},
		{"any range of an empty object is empty", emptyRanges},
		{"an absent object is not found", absent},
		{"a key that not every store can hold is invalid", hostileKeys},
		{"an object below an object is readable or refused", nestedKeys},
		{"objects are listed in byte order of their keys", lists},
		{"a listing of thousands is complete", longLists},
		{"a listing that is left early leaks nothing", leftLists},
		{"a cancelled listing ends with an error", cancelledList},
		{"deleting is idempotent", deletes},
		{"deleting a directory's last object does not disturb a put", deletesBesidePuts},
		{"a long stream of unknown size needs little memory", streams},
		{"a presigned URL does what it says and nothing else", presigns},
		{"others put an object in parts of the size signed, and see nothing before it is whole", parts},
		{"parts that were dropped are gone and take no more", droppedParts},
	} {
		t.Run(test.promise, func(t *testing.T) { test.hold(t, open(t)) })
	}
}

func put(t *testing.T, s objectstore.Store, key, body string) objectstore.Info {
	t.Helper()
	info, err := s.Put(t.Context(), key, strings.NewReader(body), int64(len(body)), objectstore.PutOptions{})
	if err != nil {
		t.Fatalf("Put(%s): %v", key, err)
	}
	return info
}

func read(ctx context.Context, s objectstore.Store, key string, offset, length int64) (string, objectstore.Info, error) {
	r, info, err := s.Open(ctx, key, offset, length)
	if err != nil {
		return "", info, err
	}
	b, err := io.ReadAll(r)
	return string(b), info, errors.Join(err, r.Close())
}

func wantBody(t *testing.T, s objectstore.Store, key, want string) {
	t.Helper()
	got, info, err := read(t.Context(), s, key, 0, -1)
	if err != nil {
		t.Fatalf("read %s: %v", key, err)
	}
	if got != want || info.Size != int64(len(want)) || info.Key != key {
		t.Errorf("object %s: read %d bytes with info %+v, want %d bytes", key, len(got), info, len(want))
	}
}

func wantKind(t *testing.T, doing string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: %v, want %v", doing, err, kind)
	}
}

// wantKeys compares everything the store holds below prefix.
func wantKeys(t *testing.T, s objectstore.Store, prefix string, want ...string) {
	t.Helper()
	var got []string
	for info, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("List(%q): %v", prefix, err)
		}
		got = append(got, info.Key)
	}
	if !slices.Equal(got, want) {
		t.Errorf("List(%q) = %q, want %q", prefix, got, want)
	}
}

func puts(t *testing.T, s objectstore.Store) {
	for _, size := range []int64{-1, 11} {
		key := fmt.Sprintf("masters/of-%d", size)
		info, err := s.Put(t.Context(), key, strings.NewReader("hello there"), size, objectstore.PutOptions{ContentType: "audio/flac"})
		if err != nil {
			t.Fatal(err)
		}
		if info.Key != key || info.Size != 11 || info.Modified.IsZero() {
			t.Errorf("Put told %+v", info)
		}
		wantBody(t, s, key, "hello there")
		if stat, err := s.Stat(t.Context(), key); err != nil || stat.Key != key || stat.Size != 11 || stat.Modified.IsZero() {
			t.Errorf("Stat = %+v, %v", stat, err)
		}
	}
	put(t, s, "empty", "")
	wantBody(t, s, "empty", "")
	if _, err := s.Put(t.Context(), "empty-stream", strings.NewReader(""), -1, objectstore.PutOptions{}); err != nil {
		t.Error(err)
	}
	wantBody(t, s, "empty-stream", "")
}

func replaces(t *testing.T, s objectstore.Store) {
	put(t, s, "a/b", "a long first version")
	put(t, s, "a/b", "short")
	wantBody(t, s, "a/b", "short")
	wantKeys(t, s, "", "a/b")
}

var errReader = errors.New("the creator's line went dead")

// failing gives n bytes and then err.
func failing(n int64, err error) io.Reader {
	return io.MultiReader(io.LimitReader(&noise{}, n), errorReader{err})
}

type errorReader struct{ err error }

func (e errorReader) Read([]byte) (int, error) { return 0, e.err }

// noise never ends and never repeats in step with anything: its period is prime.
type noise struct{ at int }

var period = func() (p [65521]byte) {
	rand.NewChaCha8([32]byte{1}).Read(p[:])
	return p
}()

func (n *noise) Read(p []byte) (int, error) {
	for done := 0; done < len(p); {
		c := copy(p[done:], period[n.at:])
		done += c
		n.at = (n.at + c) % len(period)
	}
	return len(p), nil
}

// badPuts are all the ways in which a reader can fail its announcement. Long ones
// are longer than any adapter's part.
var badPuts = []struct {
	name string
	r    func() io.Reader
	size int64
	kind error
}{
	{"a reader that fails at once", func() io.Reader { return failing(0, errReader) }, 10, errReader},
	{"a reader that fails", func() io.Reader { return failing(5, errReader) }, 10, errReader},
	{"a stream that fails", func() io.Reader { return failing(5, errReader) }, -1, errReader},
	{"a long stream that fails", func() io.Reader { return failing(20<<20, errReader) }, -1, errReader},
	{"a long reader that fails", func() io.Reader { return failing(20<<20, errReader) }, 30 << 20, errReader},
	{"a stream that is cut", func() io.Reader { return failing(5, io.ErrUnexpectedEOF) }, -1, io.ErrUnexpectedEOF},
	{"a long stream that is cut", func() io.Reader { return failing(20<<20, io.ErrUnexpectedEOF) }, -1, io.ErrUnexpectedEOF},
	{"a short reader", func() io.Reader { return strings.NewReader("12345") }, 10, melodyud.ErrInvalid},
	{"a long short reader", func() io.Reader { return io.LimitReader(&noise{}, 20<<20) }, 30 << 20, melodyud.ErrInvalid},
	{"a reader with more", func() io.Reader { return strings.NewReader("12345") }, 4, melodyud.ErrInvalid},
	{"an endless reader", func() io.Reader { return &noise{} }, 17 << 20, melodyud.ErrInvalid},
	{"something where nothing was announced", func() io.Reader { return strings.NewReader("1") }, 0, melodyud.ErrInvalid},
}

func failedPuts(t *testing.T, s objectstore.Store) {
	for _, bad := range badPuts {
		_, err := s.Put(t.Context(), "d/k", bad.r(), bad.size, objectstore.PutOptions{})
		wantKind(t, "Put of "+bad.name, err, bad.kind)
		_, err = s.Stat(t.Context(), "d/k")
		wantKind(t, "Stat after "+bad.name, err, melodyud.ErrNotFound)
	}
	wantKeys(t, s, "")
}

func failedReplace(t *testing.T, s objectstore.Store) {
	put(t, s, "d/k", "the older object")
	for _, bad := range badPuts {
		_, err := s.Put(t.Context(), "d/k", bad.r(), bad.size, objectstore.PutOptions{})
		wantKind(t, "Put of "+bad.name, err, bad.kind)
		wantBody(t, s, "d/k", "the older object")
	}
}

// cancelling ends its context after n bytes and then goes on for ever.
type cancelling struct {
	noise
	cancel context.CancelFunc
	left   int
}

func (c *cancelling) Read(p []byte) (int, error) {
	if c.left -= len(p); c.left < 0 {
		c.cancel()
	}
	return c.noise.Read(p)
}

func cancelledPut(t *testing.T, s objectstore.Store) {
	for _, after := range []int{0, 1 << 20, 20 << 20} {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := s.Put(ctx, "d/k", &cancelling{cancel: cancel, left: after}, -1, objectstore.PutOptions{})
		wantKind(t, fmt.Sprintf("Put cancelled after %d bytes", after), err, context.Canceled)
		cancel()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Put(ctx, "d/k", strings.NewReader("late"), 4, objectstore.PutOptions{})
	wantKind(t, "Put after its context ended", err, context.Canceled)
	wantKeys(t, s, "")
}

func racers(t *testing.T, s objectstore.Store) {
	for _, size := range []int{100, 17 << 20} { // one request; several parts
		key := fmt.Sprintf("race/of-%d", size)
		bodies, won := race(t, s, key, size)
		wantBody(t, s, key, bodies[won])
		_, err := s.Put(t.Context(), key, strings.NewReader("late"), 4, objectstore.PutOptions{IfAbsent: true})
		wantKind(t, "a late put if absent", err, melodyud.ErrConflict)
		wantBody(t, s, key, bodies[won])
	}
}

// race lets writers of different bodies race and returns the bodies and the winner.
func race(t *testing.T, s objectstore.Store, key string, size int) ([]string, int) {
	t.Helper()
	writers := 32
	if size > 1<<20 {
		writers = 4
	}
	bodies := make([]string, writers)
	for i := range bodies {
		bodies[i] = strings.Repeat(string(rune('A'+i)), size)
	}
	var winners []int
	var mu sync.Mutex
	var all sync.WaitGroup
	start := make(chan struct{})
	for i, body := range bodies {
		all.Go(func() {
			<-start
			_, err := s.Put(t.Context(), key, strings.NewReader(body), int64(size), objectstore.PutOptions{IfAbsent: true})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				winners = append(winners, i)
			} else {
				wantKind(t, "a losing put", err, melodyud.ErrConflict)
			}
		})
	}
	close(start)
	all.Wait()
	if len(winners) != 1 {
		t.Fatalf("%d of %d racing writers won, want 1", len(winners), writers)
	}
	return bodies, winners[0]
}

func versions(t *testing.T, s objectstore.Store) {
	old, young := strings.Repeat("a", 300_000), strings.Repeat("b", 200_000)
	put(t, s, "v", old)
	var done atomic.Bool
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for !done.Load() {
				got, _, err := read(t.Context(), s, "v", 0, -1)
				if err != nil || got != old && got != young {
					t.Errorf("read %d bytes (%v) of neither version", len(got), err)
					return
				}
			}
		})
	}
	for range 10 {
		put(t, s, "v", young)
		put(t, s, "v", old)
	}
	done.Store(true)
	readers.Wait()
}

func ranges(t *testing.T, s objectstore.Store) {
	const body = "0123456789"
	put(t, s, "r", body)
	for _, c := range []struct {
		offset, length int64
		want           string
	}{
		{0, -1, body}, {0, 10, body}, {0, 1, "0"}, {9, 1, "9"}, {9, -1, "9"}, {3, 4, "3456"},
		{3, -1, "3456789"}, {5, 100, "56789"}, {0, 1 << 40, body}, {0, 0, ""}, {4, 0, ""},
	} {
		got, info, err := read(t.Context(), s, "r", c.offset, c.length)
		if err != nil || got != c.want || info.Size != 10 || info.Key != "r" || info.Modified.IsZero() {
			t.Errorf("Open(%d, %d) = %q, %+v, %v; want %q", c.offset, c.length, got, info, err, c.want)
		}
	}
	for _, c := range [][2]int64{{10, -1}, {10, 1}, {10, 0}, {11, -1}, {1 << 40, 5}, {-1, 5}, {0, -2}} {
		_, _, err := read(t.Context(), s, "r", c[0], c[1])
		wantKind(t, fmt.Sprintf("Open(%d, %d) of 10 bytes", c[0], c[1]), err, melodyud.ErrInvalid)
	}
}

func emptyRanges(t *testing.T, s objectstore.Store) {
	put(t, s, "none", "")
	for _, c := range [][2]int64{{0, -1}, {0, 0}, {0, 5}, {3, -1}, {3, 5}} {
		got, info, err := read(t.Context(), s, "none", c[0], c[1])
		if err != nil || got != "" || info.Size != 0 {
			t.Errorf("Open(%d, %d) of an empty object = %q, %+v, %v", c[0], c[1], got, info, err)
		}
	}
}

func absent(t *testing.T, s objectstore.Store) {
	put(t, s, "a/b", "x")
	for _, key := range []string{"b", "a", "a/c", "a/b/c", "z/y/x"} {
		_, err := s.Stat(t.Context(), key)
		wantKind(t, "Stat("+key+")", err, melodyud.ErrNotFound)
		_, _, err = s.Open(t.Context(), key, 0, -1)
		wantKind(t, "Open("+key+")", err, melodyud.ErrNotFound)
		_, _, err = s.Open(t.Context(), key, 3, 0)
		wantKind(t, "Open("+key+") of no bytes", err, melodyud.ErrNotFound)
	}
}

// hostile are keys that are no keys (A13).
var hostile = []string{
	"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/../b", "./a", "a/./b", "a/.",
	"a\x00b", "a\nb", "a\r\nb", "a b", "a\\b", "a%2e", "a~", "~tmp/x", "ä", "\u202eabc", "a?b", "a#b", "<script>", "a:b", "*",
	strings.Repeat("a", 201), strings.Repeat("a/", 100) + "ab",
}

func hostileKeys(t *testing.T, s objectstore.Store) {
	put(t, s, "good", "x")
	for _, key := range hostile {
		_, err := s.Put(t.Context(), key, strings.NewReader("x"), 1, objectstore.PutOptions{})
		wantKind(t, fmt.Sprintf("Put(%q)", key), err, melodyud.ErrInvalid)
		_, _, err = s.Open(t.Context(), key, 0, -1)
		wantKind(t, fmt.Sprintf("Open(%q)", key), err, melodyud.ErrInvalid)
		_, err = s.Stat(t.Context(), key)
		wantKind(t, fmt.Sprintf("Stat(%q)", key), err, melodyud.ErrInvalid)
		wantKind(t, fmt.Sprintf("Delete(good, %q)", key), s.Delete(t.Context(), "good", key), melodyud.ErrInvalid)
	}
	for _, prefix := range []string{"/", "..", "../", "./", "a//", "%", "~", "~tmp/", "\x00", strings.Repeat("a", 300)} {
		wantKeys(t, s, prefix)
	}
	wantBody(t, s, "good", "x")
	for _, key := range []string{strings.Repeat("k", 200), "..a", "a..", "...", "-", "_/.x", "A/a.B-c_9"} {
		put(t, s, key, key)
		wantBody(t, s, key, key)
	}
}

// nestedKeys are outside the contract but for this: no such Put may harm what is
// there. A store of files must refuse it; MinIO takes it and does not list the deeper object.
func nestedKeys(t *testing.T, s objectstore.Store) {
	want := []string{"a/b", "d/e/f"}
	put(t, s, "a/b", "a/b")
	put(t, s, "d/e/f", "d/e/f")
	for _, ifAbsent := range []bool{true, false} {
		for _, key := range []string{"a/b/c", "a/b/c/d", "d/e", "d"} {
			_, err := s.Put(t.Context(), key, strings.NewReader(key), -1, objectstore.PutOptions{IfAbsent: ifAbsent})
			switch {
			case err == nil:
				want = append(want, key)
			case ifAbsent || !slices.Contains(want, key):
				wantKind(t, "Put("+key+")", err, melodyud.ErrInvalid)
			}
		}
	}
	for _, key := range want {
		wantBody(t, s, key, key)
	}
}

func lists(t *testing.T, s objectstore.Store) {
	// "-" and "." sort before "/", digits and letters after it.
	keys := []string{
		"A", "a-b", "a.b", "a.b-", "a/0", "a/B", "a/b-c/d", "a/b.c", "a/b/c", "a/b0", "a/ba", "a0", "aa/b", "b", "b_", "c/d/e/f/g",
	}
	for _, i := range rand.Perm(len(keys)) {
		put(t, s, keys[i], keys[i])
	}
	for _, prefix := range []string{"", "a", "a/", "a/b", "a/b/", "a/b/c", "a.", "a0", "c/d/e", "c/d/e/f/g", "x", "a/x/", "a/0/", "b"} {
		var want []string
		for _, key := range keys {
			if strings.HasPrefix(key, prefix) {
				want = append(want, key)
			}
		}
		wantKeys(t, s, prefix, want...)
	}
	for info, err := range s.List(t.Context(), "") {
		if err != nil || info.Size != int64(len(info.Key)) || info.Modified.IsZero() {
			t.Errorf("List told %+v, %v", info, err)
		}
	}
}

// many puts n small objects below d/ and returns their keys in order.
func many(t *testing.T, s objectstore.Store, n int) []string {
	t.Helper()
	keys := make([]string, n)
	next := make(chan string)
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for key := range next {
				if _, err := s.Put(t.Context(), key, strings.NewReader("x"), 1, objectstore.PutOptions{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range keys {
		keys[i] = fmt.Sprintf("d/%06d", i)
		next <- keys[i]
	}
	close(next)
	writers.Wait()
	return keys
}

func longLists(t *testing.T, s objectstore.Store) {
	keys := many(t, s, 1300)
	put(t, s, "e", "x")
	wantKeys(t, s, "d/", keys...)
	wantKeys(t, s, "d/0011", keys[1100:1200]...)
	if err := s.Delete(t.Context(), keys...); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, s, "", "e")
}

func leftLists(t *testing.T, s objectstore.Store) {
	many(t, s, 50)
	for range s.List(t.Context(), "") { // opens the connections that stay
		break
	}
	before := goleak.IgnoreCurrent()
	for range 20 {
		for range s.List(t.Context(), "d/") {
			break
		}
	}
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

func cancelledList(t *testing.T, s objectstore.Store) {
	many(t, s, 20)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	seen := 0
	for _, err := range s.List(ctx, "") {
		seen++
		wantKind(t, "List after its context ended", err, context.Canceled)
	}
	if seen != 1 {
		t.Errorf("a cancelled listing yielded %d times, want one error", seen)
	}
}

func deletes(t *testing.T, s objectstore.Store) {
	put(t, s, "a/b/c", "x")
	put(t, s, "a/d", "x")
	put(t, s, "e", "x")
	for range 2 {
		if err := s.Delete(t.Context(), "a/b/c", "never/was", "e", "a"); err != nil {
			t.Errorf("Delete: %v", err)
		}
		wantKeys(t, s, "", "a/d")
	}
	for _, keys := range [][]string{{"a/b/c"}, {"a/b"}, {"a/d/x"}, {}} {
		if err := s.Delete(t.Context(), keys...); err != nil {
			t.Errorf("Delete(%q): %v", keys, err)
		}
	}
	wantBody(t, s, "a/d", "x")
}

func deletesBesidePuts(t *testing.T, s objectstore.Store) {
	var done atomic.Bool
	var deleter sync.WaitGroup
	deleter.Go(func() {
		for !done.Load() {
			if err := s.Delete(t.Context(), "x/y/z/gone"); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for i := range 100 {
		key := fmt.Sprintf("x/y/z/k%d", i)
		put(t, s, key, "x")
		wantBody(t, s, key, "x")
		if err := s.Delete(t.Context(), key); err != nil {
			t.Error(err)
		}
	}
	done.Store(true)
	deleter.Wait()
	wantKeys(t, s, "")
}

// streams allows what one part of a multipart upload needs, and no more; the
// object is a multiple of it.
func streams(t *testing.T, s objectstore.Store) {
	const size, allowed = 100 << 20, 64 << 20
	put(t, s, "warm", "x")
	allocated := allocation(func() {
		info, err := s.Put(t.Context(), "long", io.LimitReader(&noise{}, size), -1, objectstore.PutOptions{})
		if err != nil || info.Size != size {
			t.Errorf("Put = %+v, %v", info, err)
		}
	})
	if allocated > allowed {
		t.Errorf("a put of %d bytes allocated %d", size, allocated)
	}
	small := allocation(func() {
		for i := range 10 {
			if _, err := s.Put(t.Context(), fmt.Sprint("small", i), strings.NewReader("{}"), -1, objectstore.PutOptions{}); err != nil {
				t.Error(err)
			}
		}
	})
	if small > 16<<20 {
		t.Errorf("ten small puts of unknown size allocated %d bytes", small)
	}
	sameBytes(t, s, "long", size)
}

func allocation(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func sameBytes(t *testing.T, s objectstore.Store, key string, size int64) {
	t.Helper()
	r, _, err := s.Open(t.Context(), key, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	want, got := sha256.New(), sha256.New()
	_, _ = io.CopyN(want, &noise{}, size)
	if n, err := io.Copy(got, r); err != nil || n != size || string(got.Sum(nil)) != string(want.Sum(nil)) {
		t.Errorf("object %s: %d bytes (%v) are not the %d that were put", key, n, err, size)
	}
}
