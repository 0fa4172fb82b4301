package aac

import (
	"fmt"
	"math"
	"slices"
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
	bank     *filterbank
	input    [2][]float64
	taken    int // samples of input that came from the caller
	closed   bool
	units    int
	next     blocks // window sequence of the next frame, unless the one after changes it
	where    int    // sub-block of the next frame's attack
	detect   [2]transients
	kbd      bool // window shape of the last frame
	raw      [2][FrameSize]float64
	masks    [2][bandsMost]float32
	past     [2][bandsMost]float32 // masks of the last frame
	sparse   bool                  // the last frame held a tone or a few
	steady   bool                  // the last frame had long windows
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
		bank:     newFilterbank(),
	}
	for c := range a.channels {
		a.input[c] = make([]float64, Priming, 8*FrameSize)
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
func (a *Analyzer) Close() {
	a.closed = true
	for c := range a.channels {
		a.input[c] = continueSound(a.input[c], a.taken)
	}
}

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
	if a.units == 0 {
		for c := range a.channels {
			precedeSound(a.input[c], a.taken)
		}
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
		a.bank.transform(a.raw[c][:], a.input[c][:2*FrameSize], f.sequence, a.bank.shape(a.kbd), a.bank.shape(f.kbd))
		a.interleave(f, c)
	}
	a.kbd = f.kbd
	a.weigh(f)
	for c := range f.channels {
		f.channel[c].shape(f.edges)
	}
	a.sparse = f.sparse()
}

// sparse reports whether the sound is a tone or a few. A channel 40 dB under the
// other has no say.
func (f *Frame) sparse() bool {
	var energy [2]float32
	for c := range f.channels {
		for _, e := range f.channel[c].energy[:f.bandCount()] {
			energy[c] += e
		}
	}
	for c := range f.channels {
		total := f.channel[c].total
		if total*total > few*energy[c] && energy[c] > 1e-4*energy[1-c] {
			return false
		}
	}
	return f.sequence != eightShort
}

// switchBlocks chooses the window sequence of f.
func (a *Analyzer) switchBlocks(f *Frame) {
	if a.units == 0 {
		a.next, a.where = a.look(attackFrom)
	}
	after, at := a.look(FrameSize + attackFrom)
	kind, where := a.next, a.where
	switch {
	case after != eightShort || kind == eightShort:
	case kind == longStop:
		kind, where = eightShort, 7 // no window both rises short and falls short but these
	default:
		kind = longStart
	}
	f.setSequence(kind, a.long, a.short, where)
	// Short slopes and lone tones gain from the KBD window's shape, all else from
	// the sine's.
	f.kbd = kind == longStart || kind == eightShort || a.sparse
	a.next, a.where = after, at
	if kind == eightShort && after != eightShort {
		a.next = longStop
	}
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

// setSequence lays out the bands of a window sequence with its attack at where.
func (f *Frame) setSequence(kind blocks, long, short *bandTable, where int) {
	f.sequence, f.layout, f.groups = kind, long, oneGroup
	if kind == eightShort {
		f.layout, f.groups = short, groupings[where]
	}
	f.edges = append(f.edges[:0], 0)
	at := int16(0)
	for _, n := range f.groups {
		for b := range f.layout.bands() {
			at += int16(n) * (f.layout.edges[b+1] - f.layout.edges[b])
			f.edges = append(f.edges, at)
		}
	}
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
			s.weight[b] = width * s.tonality(f.edges, b) / a.held(f, c, b)
		}
		a.remember(f, c)
	}
	f.side = slices.Grow(f.side[:0], bands)[:bands]
	clear(f.side)
	f.sides = false
	if f.channels == 2 {
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

// Pre-echo control: noise of a long window spreads over all of it, so a threshold
// may not outgrow the last frame's at once.
const (
	echoGrowth = 3   // over the last frame's threshold
	echoLeast  = 0.1 // of the frame's own threshold that always counts
)

// few is how many equal lines a sparse spectrum has at most.
const few = 5

// held returns the threshold of band b, held down where the last frame was quiet.
func (a *Analyzer) held(f *Frame, c, b int) float32 {
	own := a.masks[c][b]
	if f.sequence == eightShort || !a.steady {
		return own
	}
	return min(own, max(a.past[c][b]*echoGrowth, own*echoLeast))
}

// remember keeps the thresholds of channel c for the next frame.
func (a *Analyzer) remember(f *Frame, c int) {
	a.past[c] = a.masks[c]
	if c == f.channels-1 {
		a.steady = f.sequence != eightShort
	}
}

// tonality returns what tones in or beside band b raise the cost of noise by, from
// 1 to 8: noise is heard better beside tones than beside noise, whose lines are more
// alike.
func (s *spectrum) tonality(edges []int16, b int) float32 {
	const width, ofNoise = 16, math.Pi / 2 // lines that tell tones from noise
	from, to := int(edges[b]), int(edges[b+1])
	beside := max(0, width-(to-from)) / 2
	lines := s.lines[max(from-beside, 0):min(to+beside, FrameSize)]
	sum, energy := float32(0), float32(0)
	for _, v := range lines {
		sum += abs32(v)
		energy += float32(v * v)
	}
	if sum == 0 {
		return 1
	}
	peaky := min(max(energy*float32(len(lines))/(sum*sum)/ofNoise, 1), 16)
	return sqrt32(peaky * sqrt32(peaky))
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
	s.total = 0
	for b, from := range edges[:len(edges)-1] {
		form, peak := float32(0), float32(0)
		sum := float32(0)
		for i := int(from); i < int(edges[b+1]); i++ {
			v := abs32(s.lines[i])
			root := sqrt32(v)
			p := sqrt32(v * root)
			s.sizes[i] = size{v, p}
			form += root
			sum += v
			peak = max(peak, p)
		}
		s.form[b], s.peak[b] = form, peak
		s.total += sum
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
