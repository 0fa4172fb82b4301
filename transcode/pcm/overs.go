package pcm

import "github.com/tphakala/simd/f32"

// Overs finds where the sound between samples goes over full scale, though no sample
// does: players that convert without head room distort there. It uses the true-peak
// interpolator (LOUD-4).
type Overs struct {
	kernels [][]float32
	window  [][]float32 // 2*peakHalf-1 old samples, then new ones
	at      int64       // samples taken
}

// loudEnough is the level below which a sample has no over beside it.
const loudEnough = 0.7

// NewOvers returns an Overs for sound of the given format.
func NewOvers(f Format) *Overs {
	p := newPeakMeter(f)
	return &Overs{kernels: p.kernels, window: p.window, at: -peakHalf}
}

// Write takes the next samples and calls over with the position of every peak of any
// channel beside which the sound goes over full scale.
func (o *Overs) Write(b Block, over func(at int64)) {
	for from, n := 0, b.Len(); from < n; from += peakChunk {
		to := min(n, from+peakChunk)
		for c := range o.window {
			o.chunk(c, b.Samples[c][from:to], over)
		}
		o.at += int64(to - from)
	}
}

func (o *Overs) chunk(c int, x []float32, over func(at int64)) {
	const keep = 2*peakHalf - 1
	w := append(o.window[c][:keep], x...)
	if f32.MaxAbs(w) >= loudEnough {
		for i := peakHalf - 1; i+peakHalf < len(w); i++ {
			if o.peaks(w, i) && o.exceeds(w, i) {
				over(o.at + int64(i-peakHalf+1))
			}
		}
	}
	copy(w, w[len(w)-keep:])
}

// peaks reports whether sample i of w is loud and no neighbour is farther from zero.
func (o *Overs) peaks(w []float32, i int) bool {
	v, before, after := w[i], w[i-1], w[i+1]
	if v < 0 {
		v, before, after = -v, -before, -after
	}
	return v >= loudEnough && v > before && v >= after
}

// exceeds reports whether the sound goes over full scale between sample i of w and
// one of its neighbours.
func (o *Overs) exceeds(w []float32, i int) bool {
	for from := max(0, i-peakHalf); from <= i-peakHalf+1; from++ {
		for _, k := range o.kernels {
			if v := f32.DotProduct(w[from:from+2*peakHalf], k); v > 1 || v < -1 {
				return true
			}
		}
	}
	return false
}
