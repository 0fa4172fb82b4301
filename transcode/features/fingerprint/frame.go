package fingerprint

import (
	"math"

	"github.com/tphakala/simd/f32"

	"github.com/melodyud/melodyud/transcode/features/spectrum"
)

const (
	size = 4096 // samples a frame
	hop  = size / 3
)

// framer cuts mono sound at Rate into windowed frames and hands on their power.
type framer struct {
	fft    *spectrum.FFT
	window []float32
	held   []int16 // fewer than size
	x      []float32
	power  []float32
	next   func(power []float32)
}

func newFramer(next func(power []float32)) *framer {
	f := &framer{
		fft: spectrum.NewFFT(size), window: make([]float32, size), held: make([]int16, 0, 2*size),
		x: make([]float32, size), power: make([]float32, size/2+1), next: next,
	}
	for i := range f.window {
		f.window[i] = float32((0.54 - 0.46*math.Cos(float64(i)*2*math.Pi/(size-1))) / math.MaxInt16)
	}
	return f
}

func (f *framer) write(x []int16) {
	for len(x) > 0 {
		n := min(len(x), cap(f.held)-len(f.held))
		f.held = append(f.held, x[:n]...)
		x = x[n:]
		at := 0
		for ; at+size <= len(f.held); at += hop {
			f.frame(f.held[at:])
		}
		f.held = f.held[:copy(f.held, f.held[at:])]
	}
}

func (f *framer) frame(x []int16) {
	f32.Int16ToFloat32Scale(f.x, x[:size], 1)
	f32.Mul(f.x, f.x, f.window)
	f.fft.Power(f.power, f.x)
	f.next(f.power)
}
