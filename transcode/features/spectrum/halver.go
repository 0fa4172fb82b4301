package spectrum

import "math"

// A halver halves a rate by a linear-phase half-band filter of 4*halfPairs-1 taps
// whose delay is taken out: flat within 0.1 dB to 0.2 of the higher rate, 60 dB
// down from 0.3 of it on. n samples become ceil(n/2).
type halver struct {
	held []float32 // input from 2*halfPairs-1 samples before the next output's
	give []float32
	in   int
	out  int
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
	n := (len(h.held) - 2*halfReach + 1) / 2
	return h.emit(max(0, n))
}

// flush returns the last samples.
func (h *halver) flush() []float32 {
	h.held = append(h.held, make([]float32, 2*halfReach+1)...)
	return h.emit((h.in+1)/2 - h.out)
}

func (h *halver) emit(n int) []float32 {
	if cap(h.give) < n {
		h.give = make([]float32, n)
	}
	give := h.give[:n]
	x := h.held
	for i := range give {
		w := (*[2*halfReach + 1]float32)(x[2*i:])
		sum := float32(w[halfReach] * 0.5)
		for j, tap := range &halfTaps {
			sum += float32(tap * (w[halfReach-1-2*j] + w[halfReach+1+2*j]))
		}
		give[i] = sum
	}
	h.held = h.held[:copy(h.held, h.held[2*n:])]
	h.out += n
	return give
}
