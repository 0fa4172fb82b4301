package quality

import (
	"math"
	"math/bits"

	"github.com/tphakala/simd/f32"

	"github.com/melodyud/melodyud/transcode/pcm"
)

const (
	step16   = 1.0 / (1 << 15)
	quiet    = 1.5 * step16 // what dither makes of silence
	loud     = 0.89         // -1 dBFS: below, a flat top was made on purpose
	flatRun  = 3            // samples at the same level that make a flat top
	flatDrop = 8 * step16   // less around it, and it is the round top of a low note
	sameStep = 1.5 * step16 // how far two channels may differ and be the same
)

// channel is what one channel has shown.
type channel struct {
	sum   float64
	top   float32 // the level of a flat top that may be going on
	run   int     // samples at it
	rise  float32 // from the sample before them
	last  float32
	flat  int64  // samples in flat tops
	whole bool   // all samples are whole numbers of 24 bits
	used  uint32 // bits of those that were ever set
}

// scan takes the next samples, which begin at the position at, and calls clipped
// with the bounds of every flat top that ends in them.
func (c *channel) scan(x []float32, at int64, clipped func(from, to int64)) {
	c.sum += float64(f32.Sum(x))
	if c.run == 0 && f32.MaxAbs(x) < loud {
		c.last = x[len(x)-1]
		return
	}
	for i, v := range x {
		if v == c.top && c.run > 0 {
			c.run++
		} else {
			c.endTop(v, at+int64(i), clipped)
			if v >= loud || v <= -loud {
				c.top, c.run, c.rise = v, 1, away(c.last, v)
			}
		}
		c.last = v
	}
}

// endTop ends a run of equal samples at the position at, where v follows.
func (c *channel) endTop(v float32, at int64, clipped func(from, to int64)) {
	if c.run >= flatRun && c.rise > flatDrop && away(v, c.top) > flatDrop {
		c.flat += int64(c.run)
		clipped(at-int64(c.run), at)
	}
	c.run = 0
}

// away returns how far v lies from the level top, towards zero.
func away(v, top float32) float32 {
	if top < 0 {
		return v - top
	}
	return top - v
}

// note keeps which bits the samples use.
func (c *channel) note(x []float32, all uint32) {
	if !c.whole || c.used == all {
		return
	}
	for _, v := range x {
		wide := v * (1 << 23)
		n := int32(wide)
		if float32(n) != wide {
			c.whole = false
			return
		}
		c.used |= uint32(n)
	}
}

// stereo is what two channels have in common.
type stereo struct {
	xx, yy, xy float64
	apart, sum float32 // most that they ever differ, and that they add up to
	work       []float32
}

func (s *stereo) write(b pcm.Block) {
	x, y := b.Samples[0], b.Samples[1]
	s.xx += float64(f32.DotProduct(x, x))
	s.yy += float64(f32.DotProduct(y, y))
	s.xy += float64(f32.DotProduct(x, y))
	s.work = append(s.work[:0], x...)
	f32.Sub(s.work, s.work, y)
	s.apart = max(s.apart, f32.MaxAbs(s.work))
	f32.Add(s.work, x, y)
	s.sum = max(s.sum, f32.MaxAbs(s.work))
}

// correlation is -1..1; false when a channel is silent.
func (s *stereo) correlation() (float64, bool) {
	norm := math.Sqrt(s.xx * s.yy)
	if norm == 0 {
		return 0, false
	}
	return max(-1, min(1, s.xy/norm)), true
}

// silence finds where the sound begins and ends.
type silence struct {
	first, last int64 // samples that are not silent; -1: none yet
}

func (s *silence) write(b pcm.Block, at int64) {
	for _, x := range b.Samples {
		if f32.MaxAbs(x) <= quiet {
			continue
		}
		if s.first < 0 || s.first > at {
			for i, v := range x {
				if v > quiet || v < -quiet {
					if n := at + int64(i); s.first < 0 || n < s.first {
						s.first = n
					}
					break
				}
			}
		}
		for i := len(x) - 1; i >= 0; i-- {
			if v := x[i]; v > quiet || v < -quiet {
				s.last = max(s.last, at+int64(i))
				break
			}
		}
	}
}

// usedBits returns how many bits of depth the channels ever use, at most depth.
func usedBits(channels []channel, depth int) (int, bool) {
	used := uint32(0)
	for i := range channels {
		if !channels[i].whole {
			return 0, false
		}
		used |= channels[i].used
	}
	if used == 0 || depth <= 0 || depth > 24 {
		return 0, false
	}
	return min(depth, 24-bits.TrailingZeros32(used)), true
}
