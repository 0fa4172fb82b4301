// Package features derives what listeners see of a track from its samples,
// while they are decoded for other purposes.
package features

import (
	"encoding/binary"

	"github.com/tphakala/simd/f32"

	"github.com/melodyud/melodyud/transcode/pcm"
)

// The waveform's levels: each begins fine and halves whenever it is full, so that
// its size is bounded without knowing the track's length.
const (
	detailZoom   = 512     // samples per pixel
	detailPixels = 1 << 16 // 12 minutes at 44.1 kHz
	fineZoom     = 16
	finePixels   = 1 << 15
	overview     = 1000 // pixels
)

// Waveform collects the outline of a track: the lowest and the highest value of
// all channels' mean in each stretch of samples.
type Waveform struct {
	rate    int
	samples int64
	detail  outline
	fine    outline // what the overview is made of
	mix     []float32
}

// outline is the extremes of successive stretches of zoom samples.
type outline struct {
	zoom, most int
	pixels     []pixel
	filled     int // samples in the last pixel
}

type pixel struct{ low, high float32 }

// NewWaveform returns the Waveform of sound of the given format.
func NewWaveform(f pcm.Format) *Waveform {
	return &Waveform{
		rate:   f.Rate,
		detail: outline{zoom: detailZoom, most: detailPixels, filled: detailZoom},
		fine:   outline{zoom: fineZoom, most: finePixels, filled: fineZoom},
	}
}

// Write takes the next samples.
func (w *Waveform) Write(b pcm.Block) {
	x := w.mean(b)
	w.samples += int64(len(x))
	w.detail.write(x)
	w.fine.write(x)
}

func (o *outline) write(x []float32) {
	for len(x) > 0 {
		if o.filled == o.zoom {
			o.next(x[0])
			continue // the zoom may have changed
		}
		n := min(len(x), o.zoom-o.filled)
		o.pixels[len(o.pixels)-1].add(x[:n])
		o.filled += n
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
func (o *outline) next(v float32) {
	if len(o.pixels) == o.most {
		for i := range o.most / 2 {
			o.pixels[i] = join(o.pixels[2*i : 2*i+2])
		}
		o.pixels = o.pixels[:o.most/2]
		o.zoom *= 2
	}
	o.pixels = append(o.pixels, pixel{v, v})
	o.filled = 0
}

// join returns the extremes of all pixels.
func join(pixels []pixel) pixel {
	all := pixels[0]
	for _, p := range pixels[1:] {
		all = pixel{min(all.low, p.low), max(all.high, p.high)}
	}
	return all
}

func (p *pixel) add(x []float32) {
	p.low, p.high = min(p.low, f32.Min(x)), max(p.high, f32.Max(x))
}

// Encode returns the outline in the binary form of BBC audiowaveform, version 2:
// 8 bits, one channel. The last pixel may stand for fewer samples.
func (w *Waveform) Encode() []byte { return w.encode(w.detail.zoom, w.detail.pixels) }

// Overview is Encode with exactly 1,000 pixels for the whole track, each at most a
// 65th of a pixel from its place. Those of less than 16,000 samples repeat some.
// There are none of no samples.
func (w *Waveform) Overview() []byte {
	var pixels []pixel
	if n := len(w.fine.pixels); n > 0 {
		for i := range overview {
			from := min(n-1, w.fineAt(i))
			pixels = append(pixels, join(w.fine.pixels[from:max(from+1, min(n, w.fineAt(i+1)))]))
		}
	}
	return w.encode(int((w.samples+overview/2)/overview), pixels)
}

// fineAt is the fine pixel where pixel i of the overview begins.
func (w *Waveform) fineAt(i int) int {
	return int((int64(i)*w.samples/overview + int64(w.fine.zoom)/2) / int64(w.fine.zoom))
}

func (w *Waveform) encode(zoom int, pixels []pixel) []byte {
	const version, eightBits, channels = 2, 1, 1
	out := make([]byte, 0, 24+2*len(pixels))
	for _, v := range []int{version, eightBits, w.rate, max(1, zoom), len(pixels), channels} {
		out = binary.LittleEndian.AppendUint32(out, uint32(v))
	}
	for _, p := range pixels {
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
