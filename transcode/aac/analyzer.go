package aac

import (
	"fmt"
	"math"
)

// FrameSize is how many samples a channel one access unit codes.
const FrameSize = 1024

// Priming is how many samples a decoder gives before the first real one.
const Priming = FrameSize

// Config says what is coded.
type Config struct {
	SampleRate int // 8,000 to 96,000 Hz, one of the twelve of MPEG-4
	Channels   int // 1 or 2
}

// Analyzer turns samples into Frames: filterbank, block switching, masking and the
// choice between left/right and mid/side, done once whatever the number of bit
// rates. It belongs to one goroutine.
type Analyzer struct {
	channels int
	long     *bandTable
	short    *bandTable
	mdct     [2]*mdct // of long and short windows
	windows  [2][2][]float64
	edges    []int16 // of long windows
	tnsBands [2]int
	input    [2][]float64
	taken    int // samples of input that came from the caller
	closed   bool
	units    int
	kinds    [2]blocks // of the next frame, and whether the one after is short
	where    [2]int    // sub-block of the attack
	detect   [2]transients
	kbd      bool // window shape of the last frame
	windowed [2 * FrameSize]float64
	raw      [2][FrameSize]float64
	masks    [2][bandsMost]float32
	past     [2][bandsMost]float32
}

// NewAnalyzer returns an Analyzer of cfg's sound.
func NewAnalyzer(cfg Config) (*Analyzer, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	layout := bandOffsets[cfg.SampleRate]
	a := &Analyzer{
		channels: cfg.Channels,
		long:     newBandTable(layout.long, FrameSize, cfg.SampleRate),
		short:    newBandTable(layout.short, subBlock, cfg.SampleRate),
		mdct:     [2]*mdct{newMDCT(FrameSize), newMDCT(subBlock)},
		edges:    layout.long,
	}
	a.tnsBands[1] = tnsTop[cfg.SampleRate]
	for a.tnsBands[0] < a.tnsBands[1] && int(layout.long[a.tnsBands[0]])*cfg.SampleRate < tnsFromHz*2*FrameSize {
		a.tnsBands[0]++
	}
	for i, size := range []int{FrameSize, subBlock} {
		a.windows[i] = [2][]float64{sineWindow(size), kbdWindow(size, []float64{4, 6}[i])}
	}
	for c := range a.channels {
		a.input[c] = make([]float64, FrameSize, 8*FrameSize) // the priming's silence
	}
	return a, nil
}

func (cfg Config) check() error {
	if _, known := bandOffsets[cfg.SampleRate]; !known {
		return fmt.Errorf("aac: %d Hz is none of MPEG-4's sampling frequencies from 8,000 to 96,000 Hz", cfg.SampleRate)
	}
	if cfg.Channels != 1 && cfg.Channels != 2 {
		return fmt.Errorf("aac: %d channels: want 1 or 2", cfg.Channels)
	}
	return nil
}

// Write takes the next samples, full scale 1, a slice a channel. What is beyond
// full scale is clipped to it, and what is no number is silence. They are kept
// until Next has used them.
func (a *Analyzer) Write(samples [][]float32) {
	for c := range a.channels {
		for _, v := range samples[c] {
			x := float64(v)
			if !(x >= -1) { // also what is no number
				x = max(x, -1)
				if x != x {
					x = 0
				}
			}
			a.input[c] = append(a.input[c], min(x, 1))
		}
	}
	a.taken += len(samples[0])
}

// Close says that no more samples come.
func (a *Analyzer) Close() { a.closed = true }

// Next fills f with the analysis of the next access unit. It reports false when
// more samples are needed, and after Close when the access units cover them all.
func (a *Analyzer) Next(f *Frame) bool {
	if a.closed {
		if a.units*FrameSize >= Priming+a.taken {
			return false
		}
		for c := range a.channels {
			a.input[c] = append(a.input[c], make([]float64, max(0, 3*FrameSize-len(a.input[c])))...)
		}
	}
	if len(a.input[0]) < 3*FrameSize {
		return false
	}
	a.analyze(f)
	for c := range a.channels {
		a.input[c] = append(a.input[c][:0], a.input[c][FrameSize:]...)
	}
	a.units++
	return true
}

// analyze fills f from the first 2,048 samples of the input, and looks ahead into
// the next 1,024.
func (a *Analyzer) analyze(f *Frame) {
	f.channels = a.channels
	a.switchBlocks(f)
	for c := range a.channels {
		a.transform(f, c)
		a.interleave(f, c)
	}
	a.weigh(f)
	for c := range f.channels {
		f.channel[c].shape(f.edges)
	}
}

// switchBlocks chooses the window sequence of f.
func (a *Analyzer) switchBlocks(f *Frame) {
	if a.units == 0 {
		a.kinds[0], a.where[0] = a.look(attackFrom)
	}

	next, at := a.look(FrameSize + attackFrom)
	kind := a.kinds[0]
	switch {
	case kind == eightShort:
	case next == eightShort && kind == longStop:
		kind, a.where[0] = eightShort, 7 // no window both rises short and falls short but these
	case next == eightShort:
		kind = longStart
	}
	f.sequence = kind
	f.layout, f.groups = a.long, oneGroup
	if kind == eightShort {
		f.layout, f.groups = a.short, groupings[a.where[0]]
	}
	a.kinds[0] = next
	if next != eightShort && kind == eightShort {
		a.kinds[0] = longStop
	}
	a.where[0] = at
	f.setEdges()
}

// look searches the input from a sample on for an attack: the block type that
// suits, and its sub-block.
func (a *Analyzer) look(from int) (blocks, int) {
	kind, at := onlyLong, 0
	for c := range a.channels {
		if i := a.detect[c].attack(a.input[c][from:][:FrameSize]); i >= 0 && (kind != eightShort || i < at) {
			kind, at = eightShort, i
		}
	}
	return kind, at
}

var oneGroup = []uint8{1}

func (f *Frame) setEdges() {
	f.edges = append(f.edges[:0], 0)
	at := int16(0)
	for _, n := range f.groups {
		for b := range f.layout.bands() {
			at += int16(n) * (f.layout.edges[b+1] - f.layout.edges[b])
			f.edges = append(f.edges, at)
		}
	}
}

// transform writes the lines of channel c to raw.
func (a *Analyzer) transform(f *Frame, c int) {
	x := a.input[c][:2*FrameSize]
	f.kbd = tune.kbd > 0
	before, after := a.windows[0][pick(a.kbd)], a.windows[0][pick(f.kbd)]
	sb, sa := a.windows[1][pick(a.kbd)], a.windows[1][pick(f.kbd)]
	if f.sequence == eightShort {
		for w := range 8 {
			part := x[448+w*subBlock:][:2*subBlock]
			for i := range subBlock {
				a.windowed[i] = part[i] * sb[i] * fullScale
				a.windowed[subBlock+i] = part[subBlock+i] * sa[subBlock-1-i] * fullScale
			}
			sb = sa
			a.mdct[1].forward(a.raw[c][w*subBlock:][:subBlock], a.windowed[:2*subBlock])
		}
	} else {
		rise(a.windowed[:FrameSize], x, before, sb, f.sequence == longStop)
		fall(a.windowed[FrameSize:], x[FrameSize:], after, sa, f.sequence == longStart)
		a.mdct[0].forward(a.raw[c][:], a.windowed[:])
	}
	if c == a.channels-1 {
		a.kbd = f.kbd
	}
}

func pick(kbd bool) int {
	if kbd {
		return 1
	}
	return 0
}

func rise(dst, x, long, short []float64, quick bool) {
	if !quick {
		for i := range dst {
			dst[i] = x[i] * long[i] * fullScale
		}
		return
	}
	clear(dst[:448])
	for i := range subBlock {
		dst[448+i] = x[448+i] * short[i] * fullScale
	}
	for i := 576; i < FrameSize; i++ {
		dst[i] = x[i] * fullScale
	}
}

func fall(dst, x, long, short []float64, quick bool) {
	if !quick {
		for i := range dst {
			dst[i] = x[i] * long[FrameSize-1-i] * fullScale
		}
		return
	}
	for i := range 448 {
		dst[i] = x[i] * fullScale
	}
	for i := range subBlock {
		dst[448+i] = x[448+i] * short[subBlock-1-i] * fullScale
	}
	clear(dst[576:])
}

// interleave brings the raw lines of channel c into coding order.
func (a *Analyzer) interleave(f *Frame, c int) {
	s := &f.channel[c]
	if f.sequence != eightShort {
		for i, v := range &a.raw[c] {
			s.lines[i] = float32(v)
		}
		return
	}
	at, window := 0, 0
	for _, n := range f.groups {
		for b := range f.layout.bands() {
			low, high := int(f.layout.edges[b]), int(f.layout.edges[b+1])
			for w := window; w < window+int(n); w++ {
				for _, v := range a.raw[c][w*subBlock+low : w*subBlock+high] {
					s.lines[at] = float32(v)
					at++
				}
			}
		}
		window += int(n)
	}
}

// weigh measures energies and thresholds, chooses mid/side by band and sets what
// noise costs in every band.
func (a *Analyzer) weigh(f *Frame) {
	n, bands := f.layout.bands(), f.bandCount()
	for c := range f.channels {
		s := &f.channel[c]
		s.measure(f.edges)
		for g, count := range f.groups {
			a.mask(f, c, g*n, (g+1)*n, float32(count))
		}
		for b := range bands {
			width := f.layout.width[b%n] * float32(f.groups[b/n])
			if f.sequence == eightShort {
				width /= 8
			}
			if tune.wexp != 1 {
				width = float32(math.Pow(float64(width), tune.wexp))
			}
			s.weight[b] = width / a.masks[c][b]
		}
	}
	for c := range f.channels {
		s := &f.channel[c]
		s.tns = tns{}
		if f.sequence != eightShort && tune.v[5] > 0 {
			a.shapeNoise(s, f.edges)
		}
		if s.tns.order > 0 {
			s.measure(f.edges)
			g := float32(math.Pow(float64(s.tns.gain), tune.v[6]))
			for b := a.tnsBands[0]; b < a.tnsBands[1]; b++ {
				s.weight[b] *= g
			}
		}
	}
	f.side = append(f.side[:0], make([]bool, bands)...)
	f.sides = false
	if f.channels == 2 && tune.ms > 0 {
		for b := range f.side {
			if f.midSide(b) {
				f.side[b], f.sides = true, true
			}
		}
	}
}

// mask writes the thresholds of the bands from..to, a group of count windows.
func (a *Analyzer) mask(f *Frame, c, from, to int, count float32) {
	var each [bandsMost]float32
	for b := from; b < to; b++ {
		each[b-from] = f.channel[c].energy[b] / count
	}
	f.layout.threshold(a.masks[c][from:to], each[:])
	for b := from; b < to; b++ {
		a.masks[c][b] *= count
	}
}

// measure sets the energies.
func (s *spectrum) measure(edges []int16) {
	for b, from := range edges[:len(edges)-1] {
		sum := float32(0)
		for _, v := range s.lines[from:edges[b+1]] {
			sum += float32(v * v)
		}
		s.energy[b] = sum
	}
}

// midSide turns band b to mid and side if that is cheaper, and reports it.
func (f *Frame) midSide(b int) bool {
	l, r := &f.channel[0], &f.channel[1]
	x, y := l.lines[f.edges[b]:f.edges[b+1]], r.lines[f.edges[b]:f.edges[b+1]]
	mid, side := float32(0), float32(0)
	for i, v := range x {
		m, s := (v+y[i])/2, (v-y[i])/2
		mid += float32(m * m)
		side += float32(s * s)
	}
	both := l.weight[b] + r.weight[b]
	noise := float32(len(x)) * 0.05
	apart := log2(1+l.energy[b]*l.weight[b]/noise) + log2(1+r.energy[b]*r.weight[b]/noise)
	joint := log2(1+mid*both/noise) + log2(1+side*both/noise)
	if joint >= apart {
		return false
	}
	for i, v := range x {
		x[i], y[i] = (v+y[i])/2, (v-y[i])/2
	}
	l.energy[b], r.energy[b] = mid, side
	l.weight[b], r.weight[b] = both, both
	return true
}

// shape derives from the lines what quantisation needs.
func (s *spectrum) shape(edges []int16) {
	for b, from := range edges[:len(edges)-1] {
		form, peak := float32(0), float32(0)
		for i := int(from); i < int(edges[b+1]); i++ {
			v := abs32(s.lines[i])
			root := sqrt32(v)
			p := sqrt32(v * root)
			s.size[i], s.power[i] = v, p
			form += root
			peak = max(peak, p)
		}
		s.form[b], s.peak[b] = form, peak
	}
}

func sqrt32(x float32) float32 { return float32(math.Sqrt(float64(x))) }
func abs32(x float32) float32  { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

// log2 returns the binary logarithm of a positive normal x to about 1e-3, from
// products and sums alone, so that it is the same everywhere.
func log2(x float32) float32 {
	bits := math.Float32bits(x)
	e := float32(int32(bits>>23) - 127)
	m := math.Float32frombits(bits&(1<<23-1) | 127<<23)
	p := float32(-0.08209703*m) + 0.6447037
	p = float32(p*m) - 2.119684
	p = float32(p*m) + 4.0703278
	return e + float32(p*m) - 2.5132502
}
