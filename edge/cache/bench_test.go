package cache_test

import (
	"context"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/melodyud/melodyud/edge/cache"
	"github.com/melodyud/melodyud/internal/objectstore"
)

// BenchmarkCrowdOnAColdTrack has 10,000 readers want the same four blocks of a cold
// object at once, from a store that answers after 20 ms and gives 16 KiB at a time.
func BenchmarkCrowdOnAColdTrack(b *testing.B) {
	const readers, size = 10_000, 1 << 20
	var waits []time.Duration
	var opens int64
	for b.Loop() {
		origin := &shelf{size: size, body: func(_ int64, r io.Reader) io.Reader { return slow{r} }}
		origin.object("k")
		c, err := cache.New(cache.Config{Origin: late{origin}})
		if err != nil {
			b.Fatal(err)
		}
		first := make([]time.Duration, readers)
		start := make(chan struct{})
		var all sync.WaitGroup
		for i := range readers {
			all.Go(func() {
				<-start
				began := time.Now()
				r := c.Reader(b.Context(), "k", size, 0, size)
				_, err := r.Read(make([]byte, 1))
				first[i] = time.Since(began)
				if _, err2 := r.CopyN(io.Discard, size); err != nil || err2 != nil {
					b.Error(err, err2)
				}
			})
		}
		close(start)
		all.Wait()
		c.Close()
		waits, opens = append(waits, first...), origin.opens.Load()
	}
	slices.Sort(waits)
	b.ReportMetric(float64(waits[len(waits)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(opens), "fetches")
}

// late is a store that is far away.
type late struct{ *shelf }

func (l late) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, objectstore.Info, error) {
	time.Sleep(20 * time.Millisecond)
	return l.shelf.Open(ctx, key, off, n)
}

type slow struct{ io.Reader }

func (s slow) Read(p []byte) (int, error) { return s.Reader.Read(p[:min(len(p), 16*kib)]) }
