package features_test

import (
	"runtime"
	"testing"

	"github.com/melodyud/melodyud/transcode/features"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// TestTenMinutesAreHeardInLittleMemory runs alone: what others allocate would be
// counted in.
func TestTenMinutesAreHeardInLittleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("ten minutes of sound")
	}
	const most = 64 << 20
	format := pcm.Format{Rate: 44100, Channels: 2, BitDepth: 16}
	x := song(44100, 30)
	before := memory()
	a, err := features.New(format, features.Source{Lossless: true, BitDepth: 16}, features.Config{})
	if err != nil {
		t.Fatal(err)
	}
	m := pcm.NewMeter(format)
	for range 20 {
		for rest := (pcm.Block{Samples: [][]float32{x, x}}); rest.Len() > 0; {
			var head pcm.Block
			head, rest = rest.Cut(8192)
			m.Write(head)
			a.Write(head)
		}
	}
	held := memory() - before
	runtime.KeepAlive(x) // it was there before
	loudness := m.Loudness()
	var start, end runtime.MemStats
	runtime.ReadMemStats(&start)
	f, d := a.Close(features.Measured{Loudness: loudness, ShortTerm: m.ShortTerm()})
	runtime.ReadMemStats(&end)
	if f.Duration != 600 || len(d.Print) == 0 {
		t.Errorf("heard %v s and %d items", f.Duration, len(d.Print))
	}
	// What closing allocates is counted as if nothing of it were freed before its end.
	closing := int64(end.TotalAlloc - start.TotalAlloc)
	t.Logf("%.1f MB are held, closing takes %.1f MB", float64(held)/1e6, float64(closing)/1e6)
	if held+closing > most {
		t.Errorf("ten minutes take %d + %d bytes, more than %d", held, closing, most)
	}
}

// memory is what is on the heap after a collection.
func memory() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
