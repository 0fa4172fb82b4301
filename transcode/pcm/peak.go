package pcm

import (
	"github.com/tphakala/simd/f32"
)

// The true-peak interpolator: a windowed sinc at half the rate (LOUD-4).
const (
	peakHalf        = 12
	peakAttenuation = 70.0
	peakChunk       = 1024
)

// peakMeter finds the highest sample and the highest value of the sound between
// samples. Most chunks cannot beat the peak found before and are not filtered.
type peakMeter struct {
	kernels    [][]float32 // the phases between samples
	gain       float32     // the most a kernel can make of samples of 1
	window     [][]float32 // 2*peakHalf-1 old samples, then up to a chunk of new ones
	between    [peakChunk]float32
	product    [peakChunk]float32
	truePeak   float32
	samplePeak float32
}

func newPeakMeter(f Format) *peakMeter {
	p := &peakMeter{}
	times := oversampling(f.Rate)
	for phase := 1; phase < times; phase++ {
		var row []float32
		for _, tap := range sincRow(float64(phase)/float64(times), peakHalf, 0.5, peakAttenuation) {
			row = append(row, float32(tap))
		}
		p.kernels = append(p.kernels, row)
		p.gain = max(p.gain, absoluteSum(row))
	}
	for range f.Channels {
		p.window = append(p.window, make([]float32, 2*peakHalf-1, 2*peakHalf-1+peakChunk))
	}
	return p
}

func oversampling(rate int) int {
	switch {
	case rate < 96_000:
		return 4
	case rate < 192_000:
		return 2
	}
	return 1
}

func absoluteSum(row []float32) float32 {
	sum := float32(0)
	for _, v := range row {
		sum += max(v, -v)
	}
	return sum
}

func (p *peakMeter) write(b Block) {
	for from, n := 0, b.Len(); from < n; from += peakChunk {
		to := min(n, from+peakChunk)
		for c := range p.window {
			p.chunk(c, b.Samples[c][from:to])
		}
	}
}

func (p *peakMeter) chunk(c int, x []float32) {
	const keep = 2*peakHalf - 1
	w := append(p.window[c][:keep], x...)
	p.samplePeak = max(p.samplePeak, f32.MaxAbs(x))
	p.truePeak = max(p.truePeak, p.samplePeak)
	if len(p.kernels) > 0 && f32.MaxAbs(w)*p.gain > p.truePeak {
		p.interpolate(w)
	}
	copy(w, w[len(w)-keep:])
}

// interpolate looks between the samples of w, tap by tap over the whole chunk,
// which vectors do many times faster than sample by sample. Products are rounded
// before they are added, so that every machine finds the same peak.
func (p *peakMeter) interpolate(w []float32) {
	sum := p.between[:len(w)-2*peakHalf+1]
	product := p.product[:len(sum)]
	for _, kernel := range p.kernels {
		f32.Scale(sum, w[:len(sum)], kernel[0])
		for j, tap := range kernel[1:] {
			f32.Scale(product, w[j+1:j+1+len(sum)], tap)
			f32.Add(sum, sum, product)
		}
		p.truePeak = max(p.truePeak, f32.MaxAbs(sum))
	}
}

// flush lets the sound ring out.
func (p *peakMeter) flush() {
	for c := range p.window {
		p.chunk(c, make([]float32, 2*peakHalf))
	}
}
