package aac

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestTheMDCTIsTheOneOfTheStandard(t *testing.T) { // ISO/IEC 14496-3 §4.6.11
	t.Parallel()
	for _, size := range []int{8, 128, 1024} {
		m := newMDCT(size)
		x, got := make([]float64, 2*size), make([]float64, size)
		for i := range x {
			x[i] = rand.Float64()*2 - 1
		}
		m.forward(got, x)
		for k := range got {
			want := 0.0
			for n, v := range x {
				want += 2 * v * math.Cos(math.Pi/float64(size)*(float64(n)+0.5+float64(size)/2)*(float64(k)+0.5))
			}
			if math.Abs(got[k]-want) > 1e-8*float64(size) {
				t.Fatalf("size %d, line %d: %v, want %v", size, k, got[k], want)
			}
		}
	}
}

func TestTheFilterbankReconstructsPerfectly(t *testing.T) {
	t.Parallel()
	for _, size := range []int{128, 1024} {
		for name, window := range map[string][]float64{"sine": sineWindow(size), "kbd": kbdWindow(size, 4)} {
			x := make([]float64, 6*size)
			for i := range x {
				x[i] = rand.Float64()*2 - 1
			}
			m, back := newMDCT(size), make([]float64, len(x))
			for from := 0; from+2*size <= len(x); from += size {
				in, lines := make([]float64, 2*size), make([]float64, size)
				for i := range in {
					in[i] = x[from+i] * both(window, i)
				}
				m.forward(lines, in)
				for i, v := range inverse(m, lines) {
					back[from+i] += v * both(window, i)
				}
			}
			for i := size; i < len(x)-size; i++ {
				if math.Abs(back[i]-x[i]) > 1e-9 {
					t.Fatalf("%s %d: sample %d differs by %v", name, size, i, back[i]-x[i])
				}
			}
		}
	}
}

func both(window []float64, i int) float64 {
	if i < len(window) {
		return window[i]
	}
	return window[2*len(window)-1-i]
}

// inverse returns the 2·size samples that lines alone give.
func inverse(m *mdct, lines []float64) []float64 {
	n, h := m.size, m.size/2
	u := make([]float64, n)
	m.dct4(u, lines)
	out := make([]float64, 2*n)
	for i := range h {
		out[i], out[n-1-i] = u[h+i], -u[h+i]
		out[n+h-1-i], out[n+h+i] = -u[i], -u[i]
	}
	for i := range out {
		out[i] /= 2 * 2 * float64(n) / 2
	}
	return out
}

func BenchmarkMDCT(b *testing.B) {
	m := newMDCT(1024)
	x, lines := make([]float64, 2048), make([]float64, 1024)
	for i := range x {
		x[i] = rand.Float64()
	}
	for b.Loop() {
		m.forward(lines, x)
	}
}
