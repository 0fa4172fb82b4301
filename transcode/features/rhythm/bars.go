package rhythm

import (
	"math"

	"github.com/melodyud/melodyud/transcode/features/spectrum"
)

// The harmony that changes with bars is followed in semitones.
const (
	tones      = 36 // three octaves
	toneLow    = 196.0
	toneFrames = 8 // frames in one mean: 93 ms
)

// collector keeps how the tones' power goes.
type collector struct {
	tone  []int8 // by bin; -1 for none
	first int
	sums  [tones]float32
	n     int
	means [][tones]float32
}

func newCollector() collector {
	c := collector{}
	for k := range spectrum.SizeR/2 + 1 {
		hz := float64(k) * spectrum.RateR / spectrum.SizeR
		tone := math.Round(12 * math.Log2(hz/toneLow))
		if tone < 0 || tone >= tones {
			if len(c.tone) > 0 {
				break
			}
			c.first = k + 1
			continue
		}
		c.tone = append(c.tone, int8(tone))
	}
	return c
}

// frame takes the next spectrum; nil counts as silence.
func (c *collector) frame(power []float32) {
	if power != nil {
		p := power[c.first:][:len(c.tone)]
		for k, tone := range c.tone {
			c.sums[tone] += p[k]
		}
	}
	if c.n++; c.n == toneFrames {
		c.means = append(c.means, c.sums)
		c.sums, c.n = [tones]float32{}, 0
	}
}

// bars is where bars begin.
type bars struct {
	downbeats  []int
	meter      int
	confidence float64
}

// findBars chooses the bars whose first beats stand out most: by what begins there,
// in the bass above all, and by the harmony that changes there.
func (t *Tracker) findBars(beats []int) bars {
	accents := t.accents(beats)
	best, second := bars{meter: 4}, 0.0
	top := math.Inf(-1)
	for _, meter := range []int{4, 3, 6, 5, 7} {
		if len(beats) < 2*meter {
			continue
		}
		phase, score := bestPhase(accents, meter)
		score *= meterPrior[meter]
		if score > top {
			second, top = max(top, second), score
			best = bars{downbeats: downbeats(phase, meter, len(beats)), meter: meter}
		} else {
			second = max(second, score)
		}
	}
	if top > 0 {
		margin := 1 - max(0, second)/top
		evidence := (top*math.Sqrt(float64(len(best.downbeats))) - chanceAccent) / (sureAccent - chanceAccent)
		best.confidence = max(0, min(1, margin)) * max(0, min(1, evidence))
	}
	return best
}

// Standard errors by which the first beats of bars stand out: by chance alone, since
// the best of several phases was taken; and so clearly that only the margin to the
// next best meter counts.
const (
	chanceAccent = 2.0
	sureAccent   = 6.0
)

// meterPrior is how much each meter's score counts.
var meterPrior = map[int]float64{3: 0.9, 4: 1, 5: 0.5, 6: 0.65, 7: 0.5}

func downbeats(phase, meter, beats int) []int {
	var at []int
	for i := phase; i < beats; i += meter {
		at = append(at, i)
	}
	return at
}

// bestPhase returns the phase whose beats have the most accent over the others'.
func bestPhase(accents []float64, meter int) (phase int, score float64) {
	score = math.Inf(-1)
	for p := range meter {
		on, off, n, m := 0.0, 0.0, 0.0, 0.0
		for i, a := range accents {
			if i%meter == p {
				on, n = on+a, n+1
			} else {
				off, m = off+a, m+1
			}
		}
		if s := on/max(1, n) - off/max(1, m); s > score {
			phase, score = p, s
		}
	}
	return phase, score
}

// accents rates how much every beat sounds like the first of a bar.
func (t *Tracker) accents(beats []int) []float64 {
	low, change := make([]float64, len(beats)), make([]float64, len(beats))
	for i, b := range beats {
		for k := max(0, b-3); k <= min(b+3, len(t.fluxes[0])-1); k++ {
			low[i] = max(low[i], float64(t.fluxes[bandLow][k]))
		}
		if i > 0 && i+1 < len(beats) {
			change[i] = t.harmony.change(beats[i-1], b, beats[i+1])
		}
	}
	standardise(low, evenAccent)
	standardise(change, evenChange)
	for i := range low {
		low[i] = low[i] + 1.5*change[i]
	}
	return low
}

// change is how much harmony between frames a and b differs from that between b
// and c: 1 less the cosine.
func (c *collector) change(a, b, end int) float64 {
	x, y := c.mean(a, b), c.mean(b, end)
	xy, xx, yy := 0.0, 0.0, 0.0
	for i := range x {
		xy += x[i] * y[i]
		xx += x[i] * x[i]
		yy += y[i] * y[i]
	}
	if xx == 0 || yy == 0 {
		return 0
	}
	return 1 - xy/math.Sqrt(xx*yy)
}

// mean is the compressed power of tones between two frames.
func (c *collector) mean(from, to int) (mean [tones]float64) {
	a := min(from/toneFrames, max(0, len(c.means)-1))
	b := min(max(a+1, to/toneFrames), len(c.means))
	for _, m := range c.means[a:max(a, b)] {
		for i, v := range m {
			mean[i] += math.Sqrt(float64(v))
		}
	}
	return mean
}

// Deviations of accents that nobody hears: bars are not counted by them.
const (
	evenAccent = 0.3  // of the logarithms' rises in the bass
	evenChange = 0.01 // of 1 less the harmonies' cosine
)

// standardise shifts and scales x to a mean of 0 and a deviation of 1, or less where
// it is even.
func standardise(x []float64, even float64) {
	sum, squares := 0.0, 0.0
	for _, v := range x {
		sum += v
		squares += v * v
	}
	n := float64(max(1, len(x)))
	mean := sum / n
	deviation := max(even, math.Sqrt(max(0, squares/n-mean*mean)))
	for i := range x {
		x[i] = (x[i] - mean) / deviation
	}
}
