package cache_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"go.uber.org/goleak"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge/cache"
	"github.com/melodyud/melodyud/internal/objectstore"
)

// memory is an origin that counts how often it is asked.
type memory struct {
	data  []byte
	opens atomic.Int64
	gate  chan struct{} // when set, reads wait for it
	fail  atomic.Bool
}

func (m *memory) Open(_ context.Context, _ string, off, n int64) (io.ReadCloser, objectstore.Info, error) {
	m.opens.Add(1)
	if m.gate != nil {
		<-m.gate
	}
	if m.fail.Load() {
		return nil, objectstore.Info{}, melodyud.ErrUnavailable
	}
	return io.NopCloser(bytes.NewReader(m.data[off : off+n])), objectstore.Info{Size: int64(len(m.data))}, nil
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func pattern(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i * 7 / 3)
	}
	return data
}

func open(t *testing.T, m *memory, block int64) *cache.Cache {
	t.Helper()
	c, err := cache.New(cache.Config{Origin: m, Block: block, Bytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestReadingBeyondTheObjectIsAnErrorAndNoMore(t *testing.T) {
	t.Parallel()
	m := &memory{data: pattern(100)}
	c := open(t, m, 64)
	if _, err := c.Reader(t.Context(), "k", 100, 200, 10).Read(make([]byte, 10)); err == nil {
		t.Error("read bytes that are not there")
	}
}

func TestEveryRangeReadsTheOriginsBytes(t *testing.T) { // EDGE-6, EDGE-7
	t.Parallel()
	m := &memory{data: pattern(1000)}
	c := open(t, m, 64)
	for range 500 {
		off := rand.Int64N(1000)
		n := rand.Int64N(1000 - off)
		got, err := io.ReadAll(c.Reader(t.Context(), "k", 1000, off, n))
		if err != nil || !bytes.Equal(got, m.data[off:off+n]) {
			t.Fatalf("[%d, %d): %v", off, off+n, err)
		}
	}
	if m.opens.Load() > 16 {
		t.Errorf("%d reads for 16 blocks", m.opens.Load())
	}
}

func TestReaderKeepsTheReadSeekerContract(t *testing.T) {
	t.Parallel()
	m := &memory{data: pattern(1000)}
	if err := iotest.TestReader(open(t, m, 64).Reader(t.Context(), "k", 1000, 100, 700), m.data[100:800]); err != nil {
		t.Error(err)
	}
}

func TestACrowdCausesOneFill(t *testing.T) { // EDGE-8, faults C1
	t.Parallel()
	m := &memory{data: pattern(64), gate: make(chan struct{})}
	c := open(t, m, 64)
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			got, err := io.ReadAll(c.Reader(t.Context(), "k", 64, 0, 64))
			if err != nil || !bytes.Equal(got, m.data) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	close(m.gate)
	wg.Wait()
	if n := m.opens.Load(); n != 1 {
		t.Errorf("%d fills", n)
	}
}

func TestACallerWhoHangsUpFailsNobodyElse(t *testing.T) { // EDGE-8
	t.Parallel()
	m := &memory{data: pattern(64), gate: make(chan struct{})}
	c := open(t, m, 64)
	ctx, hangUp := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := io.ReadAll(c.Reader(ctx, "k", 64, 0, 64))
		first <- err
	}()
	for m.opens.Load() == 0 { // until the first caller leads the fill
	}
	hangUp()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller who hung up got %v", err)
	}
	close(m.gate)
	got, err := io.ReadAll(c.Reader(t.Context(), "k", 64, 0, 64))
	if err != nil || !bytes.Equal(got, m.data) || m.opens.Load() != 1 {
		t.Errorf("%v after %d fills", err, m.opens.Load())
	}
}

func TestAFailedFillIsNotRemembered(t *testing.T) {
	t.Parallel()
	m := &memory{data: pattern(64)}
	c := open(t, m, 64)
	m.fail.Store(true)
	if _, err := io.ReadAll(c.Reader(t.Context(), "k", 64, 0, 64)); !errors.Is(err, melodyud.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	m.fail.Store(false)
	if _, err := io.ReadAll(c.Reader(t.Context(), "k", 64, 0, 64)); err != nil {
		t.Error(err)
	}
}

func TestMemoryStaysBounded(t *testing.T) { // EDGE-16
	t.Parallel()
	m := &memory{data: pattern(8 << 20)}
	c := open(t, m, 64<<10)
	if _, err := io.Copy(io.Discard, c.Reader(t.Context(), "k", 8<<20, 0, 8<<20)); err != nil {
		t.Fatal(err)
	}
	if n := c.Bytes(); n > 1<<20 {
		t.Errorf("%d bytes kept of 1 MiB allowed", n)
	}
}

func TestAnObjectOfAnotherSizeIsNotServed(t *testing.T) {
	t.Parallel()
	m := &memory{data: pattern(100)}
	if _, err := io.ReadAll(open(t, m, 64).Reader(t.Context(), "k", 90, 0, 64)); err == nil {
		t.Error("bytes of another object were served")
	}
}
