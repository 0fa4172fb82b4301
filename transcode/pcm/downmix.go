package pcm

import "math"

// Downmix folds more than two channels to stereo by ITU-R BS.775: centre and
// surrounds at -3 dB, LFE dropped. All gains are scaled so that the sum cannot
// clip. Mono and stereo pass unchanged.
//
// Channels are in WAV order: L R C (3), L R Ls Rs (4), L R C Ls Rs (5),
// L R C LFE Ls Rs (6), L R C LFE Cs Ls Rs (7), L R C LFE Lb Rb Ls Rs (8).
type Downmix struct {
	gains [][2]float32 // nil when nothing is to be done
	give  [][]float32
}

const (
	full = 1
	m3dB = math.Sqrt2 / 2
	m6dB = 0.5 // the centre surround, -3 dB into each surround at -3 dB
)

// foldings holds the gains into left and right, by number of channels.
var foldings = map[int][][2]float64{
	3: {{full, 0}, {0, full}, {m3dB, m3dB}},
	4: {{full, 0}, {0, full}, {m3dB, 0}, {0, m3dB}},
	5: {{full, 0}, {0, full}, {m3dB, m3dB}, {m3dB, 0}, {0, m3dB}},
	6: {{full, 0}, {0, full}, {m3dB, m3dB}, {}, {m3dB, 0}, {0, m3dB}},
	7: {{full, 0}, {0, full}, {m3dB, m3dB}, {}, {m6dB, m6dB}, {m3dB, 0}, {0, m3dB}},
	8: {{full, 0}, {0, full}, {m3dB, m3dB}, {}, {m3dB, 0}, {0, m3dB}, {m3dB, 0}, {0, m3dB}},
}

// NewDownmix returns the Downmix for a number of channels, 1 to 8.
func NewDownmix(channels int) *Downmix {
	d := &Downmix{}
	fold := foldings[channels]
	sum := 0.0
	for _, g := range fold {
		sum += g[0] // left and right are symmetrical
	}
	for _, g := range fold {
		d.gains = append(d.gains, [2]float32{float32(g[0] / sum), float32(g[1] / sum)})
	}
	if fold != nil {
		d.give = make([][]float32, 2)
	}
	return d
}

// Channels returns how many channels n input channels become: 1 or 2.
func (d *Downmix) Channels(n int) int { return min(n, 2) }

// Process returns b folded down, valid until the next call.
func (d *Downmix) Process(b Block) Block {
	if d.gains == nil {
		return b
	}
	n := b.Len()
	for side := range d.give {
		if cap(d.give[side]) < n {
			d.give[side] = make([]float32, n)
		}
		d.give[side] = d.give[side][:n]
		clear(d.give[side])
		for c, gain := range d.gains {
			addScaled(d.give[side], b.Samples[c], gain[side])
		}
	}
	return Block{d.give}
}

func addScaled(dst, src []float32, gain float32) {
	if gain == 0 {
		return
	}
	for i, v := range src[:len(dst)] {
		dst[i] += float32(v * gain) // not fused: the same on every machine
	}
}
