package spectrum

import (
	"math"
	"slices"

	"github.com/tphakala/simd/f32"
)

// A halver halves a rate by a linear-phase half-band filter of 4*halfPairs-1 taps
// whose delay is taken out: flat within 0.1 dB to 0.2 of the higher rate, 60 dB
// down from 0.3 of it on. n samples become ceil(n/2).
type halver struct {
	held []float32 // input from 2*halfPairs-1 samples before the next output's
	give []float32

	even, odd, sum []float32 // scratch
	in             int
	out            int
}

const (
	halfPairs = 10
	halfReach = 2*halfPairs - 1
	halfBeta  = 6.0 // Kaiser's
)

// halfTaps holds the taps at odd distances from the middle one, which is 1/2.
// Those at even distances are 0.
var halfTaps = newHalfTaps()

func newHalfTaps() (taps [halfPairs]float32) {
	var exact [halfPairs]float64
	sum := 0.0
	for i := range exact {
		d := float64(2*i + 1)
		x := d / (halfReach + 1)
		exact[i] = math.Sin(math.Pi*d/2) / (math.Pi * d) * bessel0(halfBeta*math.Sqrt(1-x*x)) / bessel0(halfBeta)
		sum += 2 * exact[i]
	}
	for i, v := range exact {
		taps[i] = float32(v / sum / 2) // all taps add up to 1
	}
	return taps
}

// bessel0 is the modified Bessel function of order zero.
func bessel0(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*1e-16; k++ {
		term *= x / (2 * k) * (x / (2 * k))
		sum += term
	}
	return sum
}

func newHalver() *halver { return &halver{held: make([]float32, halfReach)} }

// write takes the next samples and returns those that have become known. The
// result is valid until the next call.
func (h *halver) write(x []float32) []float32 {
	h.in += len(x)
	h.held = append(h.held, x...)
	n := len(h.held)/2 - halfReach
	return h.emit(max(0, n))
}

// flush returns the last samples.
func (h *halver) flush() []float32 {
	h.held = append(h.held, make([]float32, 2*halfReach+2)...)
	return h.emit((h.in+1)/2 - h.out)
}

// emit filters vector by vector. Only sums and products of single elements are used,
// which come to the same bits on vectors of any width.
func (h *halver) emit(n int) []float32 {
	h.give = slices.Grow(h.give[:0], n)[:n]
	if n == 0 {
		return h.give
	}
	reach := n + halfReach
	h.even, h.odd, h.sum = slices.Grow(h.even[:0], reach)[:reach], slices.Grow(h.odd[:0], reach)[:reach], slices.Grow(h.sum[:0], n)[:n]
	f32.Deinterleave2(h.even, h.odd, h.held)
	f32.Scale(h.give, h.odd[halfPairs-1:][:n], 0.5)
	for j, tap := range halfTaps {
		f32.Add(h.sum, h.even[halfPairs-1-j:][:n], h.even[halfPairs+j:][:n])
		f32.Scale(h.sum, h.sum, tap)
		f32.Add(h.give, h.give, h.sum)
	}
	h.held = h.held[:copy(h.held, h.held[2*n:])]
	h.out += n
	return h.give
}
