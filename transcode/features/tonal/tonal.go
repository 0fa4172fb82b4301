// Package tonal hears which notes a track is made of: its tuning, its chroma and
// its key.
//
// What sounds on through neighbouring frames counts, what is struck does not: a
// median over three frames goes before the search for spectral peaks. The
// strongest peaks of a frame, with the fundamentals they may be overtones of, are
// folded into one octave of 60 bins. At the end the peaks' distances from the
// nearest semitone give the tuning, the bins become 12 pitch classes, and the
// mean of these is compared with the profiles of all 24 keys.
package tonal

import (
	"slices"

	"github.com/melodyud/melodyud/transcode/features/spectrum"
)

// Where notes are looked for. Above 1,200 Hz there are overtones more than notes.
const (
	lowestHz  = 60
	highestHz = 1200
	lowest    = lowestHz * spectrum.SizeT / spectrum.RateT  // bin
	highest   = highestHz*spectrum.SizeT/spectrum.RateT + 1 // bin
	hertz     = float32(spectrum.RateT) / spectrum.SizeT    // per bin
	step      = float64(spectrum.HopT) / spectrum.RateT     // seconds between frames
	maxPeaks  = 30
	bins      = highest - lowest + 3 // of a spectrum that are kept: one more on each side
)

// silence is the power under which a frame holds no notes: -90 dB under a full
// scale sine.
const silence = 1e-9

// maxFrames bounds what is kept: 25 minutes of single frames. When they are used
// up, neighbours are joined in pairs.
const maxFrames = 1 << 13

// Listener hears one stream of sound. It keeps 250 bytes for a frame, at most
// 2 MB, and allocates only to make room for them. It is for one goroutine.
type Listener struct {
	recent  [3]spectral // the last three frames' spectra, by turns
	taken   int         // frames
	steady  spectral    // the median of three frames
	peaks   []peak
	frames  []frame
	joined  int // frames in one of frames
	filled  int // frames in the last of frames
	cents   [100]float32
	flushed bool
}

// spectral is the part of a power spectrum where notes are looked for, from bin
// lowest-1 on.
type spectral [bins]float32

// frame is what is kept of one frame, or of several joined ones.
type frame struct {
	chroma octave  // each frame's largest is 1 before frames are added
	energy float32 // the power of everything between lowest and highest
	held   float32 // the power of the peaks
}

// New returns a Listener.
func New() *Listener {
	return &Listener{joined: 1, filled: 1, peaks: make([]peak, 0, bins)}
}

// Frame takes the power spectrum of the next frame: spectrum.SizeT/2+1 bins of an
// STFT of spectrum.SizeT, spectrum.HopT at spectrum.RateT. Values that are not
// finite count as 0.
func (l *Listener) Frame(power []float32) {
	l.recent[l.taken%3].fill(power)
	l.taken++
	switch l.taken {
	case 1: // wait for its neighbour
	case 2:
		l.hear(&l.recent[0], &l.recent[0], &l.recent[1])
	default:
		l.hear(&l.recent[(l.taken-3)%3], &l.recent[(l.taken-2)%3], &l.recent[(l.taken-1)%3])
	}
}

// loudest is more power than sound can have; it keeps sums finite.
const loudest = 1e12

func (s *spectral) fill(power []float32) {
	for i, p := range power[lowest-1 : highest+2] {
		if !(p >= 0 && p <= loudest) {
			p = 0
		}
		s[i] = p
	}
}

// flush hears the last frame, which has no neighbour after it.
func (l *Listener) flush() {
	if l.flushed || l.taken == 0 {
		return
	}
	l.flushed = true
	last := &l.recent[(l.taken-1)%3]
	before := last
	if l.taken > 1 {
		before = &l.recent[(l.taken-2)%3]
	}
	l.hear(before, last, last)
}

// hear keeps the notes of the frame now.
func (l *Listener) hear(before, now, after *spectral) {
	var f frame
	for _, p := range now[1 : bins-1] {
		f.energy += p
	}
	if f.energy > silence {
		l.steady.median(before, now, after)
		l.find()
		l.fold(&f)
	}
	l.keep(f)
}

// median sets s to the middle one of three spectra, bin by bin.
func (s *spectral) median(a, b, c *spectral) {
	for i := range s {
		s[i] = max(min(a[i], b[i]), min(max(a[i], b[i]), c[i]))
	}
}

// peak is one partial of the sound.
type peak struct {
	power float32
	pitch float32 // semitones above C of any octave, below 12
	cents float32 // -50..50, from the nearest semitone
	sharp bool    // is high enough for its cents to be believed
}

// sharpHz is from where on a semitone is wide enough to tell cents.
const sharpHz = 120

// find sets peaks to the strongest peaks of the steady spectrum, strongest first.
func (l *Listener) find() {
	l.peaks = l.peaks[:0]
	s := &l.steady
	for i := 1; i < bins-1; i++ {
		if s[i] > s[i-1] && s[i] >= s[i+1] {
			// Hann's main lobe is told by its three largest bins.
			l.peaks = append(l.peaks, peak{power: s[i-1] + s[i] + s[i+1], pitch: float32(i)})
		}
	}
	slices.SortStableFunc(l.peaks, func(a, b peak) int {
		switch {
		case a.power > b.power:
			return -1
		case a.power < b.power:
			return 1
		}
		return 0
	})
	l.peaks = l.peaks[:min(len(l.peaks), maxPeaks)]
	for i := range l.peaks {
		l.peaks[i].place(s, int(l.peaks[i].pitch))
	}
}

// place finds the pitch of the peak at s[i], between the bins by the parabola
// through the logarithms of three.
func (p *peak) place(s *spectral, i int) {
	a, b, c := spectrum.Log(s[i-1]), spectrum.Log(s[i]), spectrum.Log(s[i+1])
	var shift float32
	if bend := a - 2*b + c; bend < 0 {
		shift = min(max(0.5*(a-c)/bend, -0.5), 0.5)
	}
	hz := float32((float32(i+lowest-1) + shift) * hertz)
	p.pitch = pitch(hz)
	p.cents = 100 * (p.pitch - float32(int(p.pitch+0.5)))
	p.sharp = hz > sharpHz
}

// pitch returns how many semitones f lies above the next lower C of equal
// temperament at A = 440 Hz.
func pitch(hz float32) float32 {
	const (
		c0        = 16.351597831287414 // Hz
		semitones = 17.31234049066756  // 12/ln 2
	)
	return wrap(float32(semitones * spectrum.Log(hz*(1/float32(c0)))))
}

// wrap brings semitones into one octave.
func wrap(semitones float32) float32 {
	for semitones < 0 {
		semitones += 12
	}
	for semitones >= 12 {
		semitones -= 12
	}
	return semitones
}

// partials says how a peak counts for the notes it may be an overtone of: so
// many semitones lower, with a weight of 0.6 to the power of the overtone.
var partials = [...]struct{ below, weight float32 }{
	{0, 1}, {12, 0.6}, {19.01955, 0.36}, {24, 0.216},
}

// fold adds the peaks to f's octave, the largest bin of which becomes 1, and to
// the histogram of cents.
func (l *Listener) fold(f *frame) {
	var sharp float32
	for _, p := range l.peaks {
		f.held += p.power
		if p.sharp {
			sharp += p.power
		}
		for _, h := range partials {
			f.chroma.add(wrap(p.pitch-h.below+24), float32(p.power*h.weight))
		}
	}
	f.chroma.normalise()
	weight := f.share()
	for _, p := range l.peaks {
		if p.sharp {
			l.cents[min(int(p.cents+50), 99)] += float32(weight * p.power / sharp)
		}
	}
}

// keep stores f, joining frames in pairs when there is no more room.
func (l *Listener) keep(f frame) {
	if l.filled == l.joined {
		if len(l.frames) == maxFrames {
			l.join()
		}
		l.frames = append(l.frames, frame{})
		l.filled = 0
	}
	l.filled++
	l.frames[len(l.frames)-1].add(&f)
}

// join halves the number of frames that are kept.
func (l *Listener) join() {
	for i := range maxFrames / 2 {
		pair := l.frames[2*i]
		pair.add(&l.frames[2*i+1])
		l.frames[i] = pair
	}
	l.frames = l.frames[:maxFrames/2]
	l.joined *= 2
}

func (f *frame) add(g *frame) {
	for i, v := range g.chroma {
		f.chroma[i] += v
	}
	f.energy += g.energy
	f.held += g.held
}

// share is how much of a frame's power its steady peaks have, 0..1: little where
// something is struck.
func (f *frame) share() float32 {
	const lobe = 1.5 // Hann's three largest bins, of a peak on a bin
	if f.energy <= 0 {
		return 0
	}
	return min(1, f.held/(lobe*f.energy))
}
