// Package features derives what listeners see of a track from its samples,
// while they are decoded for other purposes.
package features

import (
	"encoding/binary"

	"github.com/tphakala/simd/f32"

	"github.com/melodyud/melodyud/transcode/pcm"
)

// The waveform's resolution: it begins fine and halves whenever it is full, so
// that its size is bounded without knowing the track's length.
const (
	finestZoom = 256 // samples per pixel
	maxPixels  = 1 << 15
)

// Waveform collects the outline of a track: the lowest and the highest value of
// all channels' mean in each stretch of samples.
type Waveform struct {
	rate   int
	zoom   int // samples per pixel
	pixels []pixel
	filled int // samples in the last pixel
	mix    []float32
}

type pixel struct{ low, high float32 }

// NewWaveform returns the Waveform of sound of the given format.
func NewWaveform(f pcm.Format) *Waveform {
	return &Waveform{rate: f.Rate, zoom: finestZoom, filled: finestZoom}
}

// Write takes the next samples.
func (w *Waveform) Write(b pcm.Block) {
	x := w.mean(b)
	for len(x) > 0 {
		if w.filled == w.zoom {
			w.next(x[0])
			continue // the zoom may have changed
		}
		n := min(len(x), w.zoom-w.filled)
		w.pixels[len(w.pixels)-1].add(x[:n])
		w.filled += n
		x = x[n:]
	}
}

// mean returns the mean of b's channels.
func (w *Waveform) mean(b pcm.Block) []float32 {
	if len(b.Samples) == 1 {
		return b.Samples[0]
	}
	w.mix = append(w.mix[:0], b.Samples[0]...)
	for _, s := range b.Samples[1:] {
		f32.Add(w.mix, w.mix, s)
	}
	f32.Scale(w.mix, w.mix, 1/float32(len(b.Samples)))
	return w.mix
}

// next begins a pixel at the value v, joining pixels in pairs when all are used.
func (w *Waveform) next(v float32) {
	if len(w.pixels) == maxPixels {
		for i := range maxPixels / 2 {
			a, b := w.pixels[2*i], w.pixels[2*i+1]
			w.pixels[i] = pixel{min(a.low, b.low), max(a.high, b.high)}
		}
		w.pixels = w.pixels[:maxPixels/2]
		w.zoom *= 2
	}
	w.pixels = append(w.pixels, pixel{v, v})
	w.filled = 0
}

func (p *pixel) add(x []float32) {
	p.low, p.high = min(p.low, f32.Min(x)), max(p.high, f32.Max(x))
}

// Encode returns the outline in the binary form of BBC audiowaveform, version 2:
// 8 bits, one channel. The last pixel may stand for fewer samples.
func (w *Waveform) Encode() []byte {
	const version, eightBits, channels = 2, 1, 1
	out := make([]byte, 0, 24+2*len(w.pixels))
	for _, v := range []int{version, eightBits, w.rate, w.zoom, len(w.pixels), channels} {
		out = binary.LittleEndian.AppendUint32(out, uint32(v))
	}
	for _, p := range w.pixels {
		out = append(out, eight(p.low), eight(p.high))
	}
	return out
}

// eight makes 8 bits of a sample the way audiowaveform does: 16 bits first, then
// a division that rounds towards zero.
func eight(v float32) byte {
	wide := int(min(max(v, -1), 1) * 32767)
	return byte(int8(wide / 256))
}
