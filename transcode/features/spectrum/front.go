package spectrum

import (
	"fmt"

	"github.com/melodyud/melodyud/transcode/pcm"
)

// Front makes mono of any track's sound, the mean of its channels, at RateR and
// RateT. Sample k of either is the sound at time k/rate. Memory is bounded by the
// blocks that are written.
type Front struct {
	channels int
	mono     []float32
	halves   []*halver      // down to the lowest rate that is not below RateR
	exact    *pcm.Resampler // from there to RateR; nil where it is RateR
	last     *halver        // from RateR to RateT
}

// NewFront returns a Front for sound of a format.
func NewFront(f pcm.Format) (*Front, error) {
	if f.Rate <= 0 || f.Channels <= 0 {
		return nil, fmt.Errorf("front end for %d channels at %d Hz: must be positive", f.Channels, f.Rate)
	}
	front := &Front{channels: f.Channels, last: newHalver()}
	rate := f.Rate
	for ; rate%2 == 0 && rate/2 >= RateR; rate /= 2 {
		front.halves = append(front.halves, newHalver())
	}
	if rate != RateR {
		var err error
		if front.exact, err = pcm.NewResampler(rate, RateR, 1); err != nil {
			return nil, fmt.Errorf("front end for %d Hz: %w", f.Rate, err)
		}
	}
	return front, nil
}

// Write takes the next sound and gives what has become known at RateR to r and at
// RateT to t. The slices are valid only during the calls.
func (f *Front) Write(b pcm.Block, r, t func(mono []float32)) {
	if b.Len() == 0 {
		return
	}
	x := f.mix(b)
	for _, h := range f.halves {
		x = h.write(x)
	}
	if f.exact != nil {
		x = f.exact.Process(pcm.Block{Samples: [][]float32{x}}).Samples[0]
	}
	r(x)
	t(f.last.write(x))
}

// Close gives the last samples. Nothing may follow.
func (f *Front) Close(r, t func(mono []float32)) {
	var tail []float32
	for _, h := range f.halves {
		tail = append(append([]float32(nil), h.write(tail)...), h.flush()...)
	}
	if f.exact != nil {
		head := f.exact.Process(pcm.Block{Samples: [][]float32{tail}}).Samples[0]
		tail = append(append([]float32(nil), head...), f.exact.Flush().Samples[0]...)
	}
	r(tail)
	t(f.last.write(tail))
	t(f.last.flush())
}

// mix returns the mean of a block's channels.
func (f *Front) mix(b pcm.Block) []float32 {
	if f.channels == 1 {
		return b.Samples[0]
	}
	n := b.Len()
	if cap(f.mono) < n {
		f.mono = make([]float32, n)
	}
	mono, gain := f.mono[:n], 1/float32(f.channels)
	left, right := b.Samples[0][:n], b.Samples[1][:n]
	for i := range mono {
		mono[i] = left[i] + right[i]
	}
	for _, c := range b.Samples[2:] {
		for i, v := range c[:n] {
			mono[i] += v
		}
	}
	for i := range mono {
		mono[i] *= gain
	}
	return mono
}
