package edge_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/ticket"
)

// BenchmarkSegmentHit fetches cached segments over loopback, by turns from the edge
// and from a handler that does nothing but http.ServeFile.
func BenchmarkSegmentHit(b *testing.B) {
	for _, size := range []int{64 << 10, 500 << 10} {
		b.Run(fmt.Sprintf("%dKB", size>>10), func(b *testing.B) {
			s := newStage(b)
			path := s.segmentOf(b, size)
			name := filepath.Join(b.TempDir(), "segment.m4s")
			if err := os.WriteFile(name, make([]byte, size), 0o600); err != nil {
				b.Fatal(err)
			}
			edge, plain := httptest.NewServer(s.handler), httptest.NewServer(http.HandlerFunc(
				func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, name) }))
			defer edge.Close()
			defer plain.Close()
			fetch(b, edge.URL+path, size) // fills the cache
			var took, plainTook time.Duration
			for b.Loop() {
				took += fetch(b, edge.URL+path, size)
				plainTook += fetch(b, plain.URL, size)
			}
			b.ReportMetric(float64(b.N)*volley/took.Seconds(), "edge-req/s")
			b.ReportMetric(float64(b.N)*volley/plainTook.Seconds(), "file-req/s")
			b.ReportMetric(plainTook.Seconds()/took.Seconds(), "edge/file")
			http.DefaultClient.CloseIdleConnections()
		})
	}
}

// segmentOf publishes a track whose first AAC segment has size bytes and returns its
// path.
func (s *stage) segmentOf(b *testing.B, size int) string {
	b.Helper()
	var m melodyud.Manifest
	if err := json.Unmarshal(s.shelf.objects[s.manifestKey()], &m); err != nil {
		b.Fatal(err)
	}
	r := &m.Renditions[0]
	r.Sizes[0] = int64(size)
	r.Size = r.InitSize + r.IndexSize + r.Sizes[0] + r.Sizes[1] + r.Sizes[2]
	raw, err := json.Marshal(m)
	if err != nil {
		b.Fatal(err)
	}
	s.shelf.put(s.manifestKey(), raw)
	s.shelf.put("media/"+m.RenderHash+"/"+r.File, make([]byte, r.Size))
	return s.base(b, ticket.Premium) + "aac-64/s/0.m4s"
}

const volley = 200 // requests in one go, by two listeners

func fetch(b *testing.B, url string, size int) time.Duration {
	began := time.Now()
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range volley / 2 {
				res, err := http.Get(url)
				if err != nil {
					b.Error(err)
					return
				}
				n, err := io.Copy(io.Discard, res.Body)
				if res.Body.Close(); err != nil || res.StatusCode != 200 || n != int64(size) {
					b.Errorf("%d, %d bytes, %v", res.StatusCode, n, err)
				}
			}
		})
	}
	wg.Wait()
	return time.Since(began)
}
