package rhythm

import (
	"math"
	"slices"

	"github.com/melodyud/melodyud/transcode/features/spectrum"
)

// The bands in which onsets are followed.
const (
	bandLow  = iota // kick drum and bass, below about 200 Hz
	bandMid         // voices, snare drum, most tones
	bandHigh        // hats and attacks, above about 3 kHz
	bandCount
)

// How onsets are found.
const (
	melBands = 40
	melLow   = 30.0 // Hz
	melHigh  = 10_000.0
	lowBands = 3      // mel bands in bandLow
	highFrom = 26     // first mel band of bandHigh
	lag      = 2      // frames back that a rise is measured against
	loudness = 2000   // a band as loud as the loudest frames is this far above where log begins
	forget   = 0.9985 // the share of the reference level kept by each frame: half of it in 5 s
	silence  = 1e-9   // power of a frame, -90 dB, below which nothing is heard
)

// detector measures how much sound begins in each frame: the rise of each mel
// band's logarithm over two frames, against the loudest of three neighbouring bands
// before, so that vibrato counts little.
type detector struct {
	mel     *spectrum.Mel
	bands   [melBands]float32
	past    [lag + 1][melBands]float32 // logarithms, newest first
	level   float32
	heard   bool
	started int
}

func newDetector() detector {
	return detector{mel: spectrum.NewMel(spectrum.RateR, spectrum.SizeR, melBands, melLow, melHigh)}
}

// frame reports false, and forgets the frame, where its power is not a number.
func (d *detector) frame(power []float32) (flux [bandCount]float32, ok bool) {
	d.mel.Bands(d.bands[:], power)
	var sum float32
	for _, v := range d.bands {
		sum += v
	}
	if !(sum <= math.MaxFloat32/loudness) {
		return flux, false
	}
	d.heard = d.heard || sum > silence
	d.level = max(float32(d.level*forget), sum, silence)
	scale := loudness / d.level
	copy(d.past[1:], d.past[:lag])
	for b, v := range d.bands {
		d.past[0][b] = spectrum.Log(1 + float32(v*scale))
	}
	if d.started < lag {
		d.started++
		return flux, true
	}
	return rises(&d.past[0], &d.past[lag]), true
}

func rises(now, before *[melBands]float32) (flux [bandCount]float32) {
	for b, v := range now {
		ref := before[b]
		if b > 0 {
			ref = max(ref, before[b-1])
		}
		if b < melBands-1 {
			ref = max(ref, before[b+1])
		}
		if rise := v - ref; rise > 0 {
			flux[bandOf(b)] += rise
		}
	}
	return flux
}

func bandOf(mel int) int {
	switch {
	case mel < lowBands:
		return bandLow
	case mel < highFrom:
		return bandMid
	default:
		return bandHigh
	}
}

// How the strength of onsets is made of the bands' rises.
const localMean = 43 // frames on each side: half a second

// strength returns how strongly something begins in each frame, 0 or more: the
// sum of the bands, less its mean over the second around, smoothed.
func (t *Tracker) strength() []float32 { return t.weighted(2) }

// weighted is strength where the bass counts so many times.
func (t *Tracker) weighted(bass float32) []float32 {
	sum := make([]float32, len(t.fluxes[0]))
	for i := range sum {
		sum[i] = float32(t.fluxes[bandLow][i]*bass) + t.fluxes[bandMid][i] + t.fluxes[bandHigh][i]
	}
	return smooth(aboveMean(sum))
}

// aboveMean returns x less its local mean, where that is positive.
func aboveMean(x []float32) []float32 {
	out := make([]float32, len(x))
	sum := 0.0
	for i := range x[:min(localMean, len(x))] {
		sum += float64(x[i])
	}
	for i := range x {
		if i+localMean < len(x) {
			sum += float64(x[i+localMean])
		}
		if i-localMean > 0 {
			sum -= float64(x[i-localMean-1])
		}
		n := min(i+localMean+1, len(x)) - max(0, i-localMean)
		out[i] = max(0, x[i]-float32(sum/float64(n)))
	}
	return out
}

// smooth is a five-tap triangle.
func smooth(x []float32) []float32 {
	out := make([]float32, len(x))
	at := func(i int) float32 {
		if i < 0 || i >= len(x) {
			return 0
		}
		return x[i]
	}
	for i := range x {
		out[i] = (at(i-2) + at(i+2) + float32(2*(at(i-1)+at(i+1))) + float32(3*at(i))) * (1. / 9)
	}
	return out
}

// What counts as an onset.
const (
	peakReach   = 3    // frames on each side that an onset must top
	peakShare   = 0.07 // of the strongest onsets
	strongShare = 0.98 // quantile of the peaks that counts as the strongest
)

// pick returns the onsets: peaks of strength.
func pick(strength []float32) []Onset {
	var at []int
	var heights []float32
	for i, v := range strength {
		if v > 0 && isPeak(strength, i) {
			at, heights = append(at, i), append(heights, v)
		}
	}
	if len(at) == 0 {
		return nil
	}
	slices.Sort(heights)
	top := heights[int(float64(len(heights)-1)*strongShare)]
	var onsets []Onset
	for _, i := range at {
		if v := strength[i]; v >= peakShare*top {
			onsets = append(onsets, Onset{frameTime(vertex(strength, i)), float64(min(1, v/top))})
		}
	}
	return onsets
}

// isPeak reports whether x[i] is the first of the highest around it.
func isPeak(x []float32, i int) bool {
	for k := max(0, i-peakReach); k < min(len(x), i+peakReach+1); k++ {
		if x[k] > x[i] || x[k] == x[i] && k < i {
			return false
		}
	}
	return true
}

// vertex is the top of the parabola through x[i] and its neighbours.
func vertex(x []float32, i int) float64 {
	if i <= 0 || i >= len(x)-1 {
		return float64(i)
	}
	a, b, c := float64(x[i-1]), float64(x[i]), float64(x[i+1])
	if bend := a - 2*b + c; bend < 0 {
		return float64(i) + min(max((a-c)/(2*bend), -0.5), 0.5)
	}
	return float64(i)
}

// delay is how many frames the strength's peak comes after the sound's beginning.
const delay = 1.3

// frameTime returns when what shows in a frame begins, in seconds.
func frameTime(frame float64) float64 { return max(0, (frame-delay)/FrameRate) }
