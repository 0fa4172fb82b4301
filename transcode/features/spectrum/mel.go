package spectrum

import "math"

// Mel sums a power spectrum in overlapping triangular bands, evenly spaced on
// the mel scale 2595 log10(1 + f/700). Each triangle rises from its lower
// neighbour's middle to 1 at its own and falls to its upper neighbour's, straight in
// Hz.
type Mel struct {
	bands int
	spans []span // bands+1: between neighbouring middles
}

// span is the bins between two middles: their weights in the upper of the two
// bands. What is missing to 1 belongs to the lower.
type span struct {
	first int
	up    []float32
}

// NewMel returns the bands between low and high Hz of spectra of size samples at
// a rate in Hz.
func NewMel(rate, size, bands int, low, high float64) *Mel {
	m := &Mel{bands: bands}
	lo, hi := toMel(low), toMel(high)
	middle := func(i int) float64 { // in bins
		return fromMel(lo+(hi-lo)*float64(i)/float64(bands+1)) * float64(size) / float64(rate)
	}
	for i := range bands + 1 {
		a, b := middle(i), middle(i+1)
		s := span{first: int(math.Ceil(a))}
		for k := s.first; float64(k) < b && k <= size/2; k++ {
			s.up = append(s.up, float32((float64(k)-a)/(b-a)))
		}
		m.spans = append(m.spans, s)
	}
	return m
}

func toMel(hz float64) float64    { return 2595 * math.Log10(1+hz/700) }
func fromMel(mel float64) float64 { return 700 * (math.Pow(10, mel/2595) - 1) }

// Bands sets dst, one value a band, to the weighted sums of power.
func (m *Mel) Bands(dst, power []float32) {
	var carry float32 // the falling side of the band before
	for i := range m.spans {
		s := &m.spans[i]
		p := power[s.first:][:len(s.up)]
		var up, down float32
		for k, w := range s.up {
			part := float32(p[k] * w)
			up += part
			down += p[k] - part
		}
		if i > 0 {
			dst[i-1] = carry + down
		}
		carry = up
	}
}
