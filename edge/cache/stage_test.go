package cache_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge/cache"
	"github.com/melodyud/melodyud/internal/objectstore"
)

// shelf is an origin of objects of one size, each with bytes of its own.
type shelf struct {
	size  int64
	opens atomic.Int64
	body  func(open int64, r io.Reader) io.Reader // what becomes of a body; nil: nothing
	err   atomic.Pointer[error]                   // of Open

	closed func() // of a body; nil: nothing

	mu    sync.Mutex
	asked []string // "key offset length"
	whole map[string][]byte
}

func (s *shelf) object(key string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.whole == nil {
		s.whole = map[string][]byte{}
	}
	if s.whole[key] == nil {
		s.whole[key] = contents(key, s.size)
	}
	return s.whole[key]
}

type body struct {
	io.Reader
	closed func()
}

func (b body) Close() error {
	if b.closed != nil {
		b.closed()
	}
	return nil
}

func (s *shelf) fail(err error) { s.err.Store(&err) }

func (s *shelf) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, objectstore.Info, error) {
	open := s.opens.Add(1)
	s.mu.Lock()
	s.asked = append(s.asked, fmt.Sprint(key, " ", off, " ", n))
	s.mu.Unlock()
	if err := s.err.Load(); err != nil && *err != nil {
		return nil, objectstore.Info{}, *err
	}
	var r io.Reader = bytes.NewReader(s.object(key)[off : off+n])
	if s.body != nil {
		r = s.body(open, r)
	}
	return body{r, s.closed}, objectstore.Info{Key: key, Size: s.size}, ctx.Err()
}

// contents are the bytes of an object.
func contents(key string, size int64) []byte {
	data := make([]byte, size)
	var seed int
	for _, c := range []byte(key) {
		seed = seed*31 + int(c)
	}
	for i := range data {
		data[i] = byte(seed + i*7/3)
	}
	return data
}

// gate is a body that stops after some bytes until it is opened.
type gate struct {
	io.Reader
	left int
	open chan struct{}
}

func (g *gate) Read(p []byte) (int, error) {
	if g.left == 0 {
		<-g.open
		return g.Reader.Read(p)
	}
	n, err := g.Reader.Read(p[:min(len(p), g.left)])
	g.left -= n
	return n, err
}

// clock is a time that a test moves.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()) }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

// stage is a cache with the numbers it counts and the lines it logs.
type stage struct {
	*cache.Cache
	clock   *clock
	metrics *prometheus.Registry
	log     *lines
	stop    func() // ends Run and closes
}

const kib = 1 << 10

// build runs a cache over an origin with small blocks, until the test ends.
func build(t *testing.T, origin *shelf, change func(*cache.Config)) *stage {
	t.Helper()
	s := &stage{clock: newClock(), metrics: prometheus.NewRegistry(), log: &lines{}}
	config := cache.Config{
		Origin: origin, Block: 4 * kib, Bytes: 1 << 20, Metrics: s.metrics, Now: s.clock.now,
		Logger: slog.New(slog.NewTextHandler(s.log, nil)),
	}
	if change != nil {
		change(&config)
	}
	c, err := cache.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	s.Cache = c
	s.stop = sync.OnceFunc(func() {
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		c.Close()
	})
	t.Cleanup(s.stop)
	return s
}

// read returns a whole object, which it checks, and how its first block was had.
func (s *stage) read(t *testing.T, key string, size int64) cache.Status {
	t.Helper()
	r := s.Reader(t.Context(), key, size, 0, size)
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, contents(key, size)) {
		t.Fatalf("object %s: %d bytes, %v", key, len(got), err)
	}
	return r.Status()
}

// meter is the value of a counter or gauge, of all its labels or of the one given.
func (s *stage) meter(t *testing.T, name, label string) (sum float64) {
	t.Helper()
	families, err := s.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "melodyud_edge_cache_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			if label == "" || hasLabel(m, label) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func hasLabel(m *dto.Metric, value string) bool {
	for _, l := range m.GetLabel() {
		if l.GetValue() == value {
			return true
		}
	}
	return false
}

// until waits for something that happens behind.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still not: %s", what)
		}
	}
}

// lines are what was logged.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Count(l.text.Bytes(), []byte(part))
}

var errAway = fmt.Errorf("%w: the store is away", melodyud.ErrUnavailable)
