package fingerprint

import (
	"math"
	"slices"

	"github.com/melodyud/melodyud/transcode/pcm"
)

// mono folds sound to one channel of 16 bits.
type mono struct {
	mix      *pcm.Downmix
	truncate bool // deeper integers lose their low bits, everything else is rounded
	give     []int16
}

func newMono(f pcm.Format) *mono {
	return &mono{mix: pcm.NewDownmix(f.Channels), truncate: f.BitDepth > 16}
}

// fold returns b in mono, valid until the next call.
func (m *mono) fold(b pcm.Block) []int16 {
	b = m.mix.Process(b)
	n := b.Len()
	m.give = slices.Grow(m.give[:0], n)[:n]
	bias := float32(0.5)
	if m.truncate {
		bias = 0
	}
	left := b.Samples[0]
	if len(b.Samples) == 1 {
		for i, v := range left {
			m.give[i] = sixteen(float32(v*full) + bias)
		}
		return m.give
	}
	for i, v := range b.Samples[1][:n] {
		m.give[i] = sixteen(float32((left[i]+v)*(full/2)) + bias)
	}
	return m.give
}

const full = 1 << 15

// sixteen returns the integer at or below v, within 16 bits.
func sixteen(v float32) int16 {
	if !(v > math.MinInt16) { // not a number, too
		return math.MinInt16
	}
	if v >= math.MaxInt16 {
		return math.MaxInt16
	}
	return int16(int32(v+full) - full)
}
