package timbre

import (
	"math"

	"github.com/melodyud/melodyud/transcode/features/spectrum"
)

// How levels swing is measured in groups of neighbouring bands, over windows of
// 6 s that overlap by half, in octaves of swings a second.
const (
	Groups   = 10 // of bands
	Swings   = 5  // octaves: 0.5, 1, 2, 4, 8 Hz, each up to twice that
	inGroup  = Bands / Groups
	window   = 256 // frames
	slowest  = 0.5 // Hz
	quietest = -80 // dB: what swings below that nobody hears
	second   = float64(spectrum.RateR) / FrameHop
)

// swing measures how much and how fast each group of bands rises and falls.
type swing struct {
	levels [Groups][window]float32 // dB
	filled int
	hann   [window]float32
	fft    *spectrum.FFT
	cut    [window]float32
	power  [window/2 + 1]float32
	found  [Groups][Swings]moments // dB
}

func newSwing() *swing {
	s := &swing{fft: spectrum.NewFFT(window)}
	for i := range s.hann {
		s.hann[i] = float32(0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/window))
	}
	return s
}

// frame takes the levels of one frame's bands.
func (s *swing) frame(bands *[Bands]float32) {
	for g := range s.levels {
		sum := float32(0)
		for _, v := range bands[g*inGroup:][:inGroup] {
			sum += max(v, quietest)
		}
		s.levels[g][s.filled] = sum / inGroup
	}
	if s.filled++; s.filled < window {
		return
	}
	s.measure()
	for g := range s.levels {
		copy(s.levels[g][:], s.levels[g][window/2:])
	}
	s.filled = window / 2
}

// finish measures a track too short for a window.
func (s *swing) finish() {
	if s.found[0][0].n == 0 && s.filled > 0 {
		s.measure()
	}
}

// measure finds the swings in the frames that are there.
func (s *swing) measure() {
	for g := range s.levels {
		levels := s.levels[g][:s.filled]
		middle := mean(levels)
		clear(s.cut[:])
		for i, v := range levels {
			s.cut[i] = (v - middle) * s.hann[i*window/s.filled]
		}
		s.fft.Power(s.power[:], s.cut[:])
		for o := range s.found[g] {
			s.found[g][o].add(s.octave(o))
		}
	}
}

// octave returns the deviation, in dB, that one octave of swings makes.
func (s *swing) octave(o int) float64 {
	perBin := second / window
	from := int(math.Ceil(slowest * float64(int(1)<<o) / perBin))
	to := int(math.Ceil(slowest * float64(int(2)<<o) / perBin))
	sum := float32(0)
	for _, p := range s.power[from:min(to, len(s.power))] {
		sum += p
	}
	// Half of the power is at negative frequencies; a Hann window lets 3/8 through.
	return math.Sqrt(2 * float64(sum) / (window * float64(s.filled) * 3 / 8))
}

// course is how the cepstra go through the track, in stretches whose number is
// bounded: when there are too many, every two become one.
type course struct {
	stretches [][Cepstra]float32 // sums; the last one may be unfinished
	per       int                // frames a stretch
	in        int                // frames in the last one
}

const (
	firstStretch = 4 // frames: 93 ms
	maxStretches = 1 << 14
)

func (c *course) add(cepstra *[Cepstra]float32) {
	if c.per == 0 {
		c.per, c.in = firstStretch, firstStretch
	}
	if c.in == c.per {
		if len(c.stretches) == maxStretches {
			c.halve()
		}
		c.stretches = append(c.stretches, [Cepstra]float32{})
		c.in = 0
	}
	last := &c.stretches[len(c.stretches)-1]
	for i, v := range cepstra {
		last[i] += v
	}
	c.in++
}

func (c *course) halve() {
	for i := range maxStretches / 2 {
		for j, v := range &c.stretches[2*i+1] {
			c.stretches[i][j] = c.stretches[2*i][j] + v
		}
	}
	c.stretches = c.stretches[:maxStretches/2]
	c.per *= 2
}

// means returns the stretches, each the mean of its frames.
func (c *course) means() [][Cepstra]float32 {
	means := make([][Cepstra]float32, len(c.stretches))
	for i, sums := range c.stretches {
		n := c.per
		if i == len(means)-1 {
			n = c.in
		}
		for j, v := range sums {
			means[i][j] = v / float32(n)
		}
	}
	return means
}

// crossings counts where the sound changes its sign, in hops of FrameHop samples.
type crossings struct {
	hop         int // samples in the hop at hand
	changes     int
	power       float32
	negative    int     // 1 where the last sample was
	rates       moments // of hops above the gate
	powers      [recent]float32
	hops        int
	loud, faint int
}

// recent is how many hops a hop's level is compared with: one second.
const recent = 43

func (c *crossings) write(mono []float32) {
	for len(mono) > 0 {
		n := min(len(mono), FrameHop-c.hop)
		c.count(mono[:n])
		mono = mono[n:]
		if c.hop += n; c.hop == FrameHop {
			c.end()
		}
	}
}

func (c *crossings) count(x []float32) {
	last, power := c.negative, c.power
	for _, v := range x {
		negative := 0
		if v < 0 {
			negative = 1
		}
		c.changes += negative ^ last
		last = negative
		power += float32(v * v)
	}
	c.negative, c.power = last, power
}

// end closes a hop. A hop is faint if it has less than half the level of the
// second it ends.
func (c *crossings) end() {
	power := c.power / FrameHop
	if !(power < loud) {
		power = 0
	}
	c.powers[c.hops%recent] = power
	c.hops++
	if power > gate {
		c.rates.add(float64(c.changes) / FrameHop)
	}
	if c.hops >= recent {
		if around := mean(c.powers[:]); around > gate {
			c.loud++
			if power < around/4 {
				c.faint++
			}
		}
	}
	c.hop, c.changes, c.power = 0, 0, 0
}
