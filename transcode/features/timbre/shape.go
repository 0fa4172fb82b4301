package timbre

import (
	"math"

	"github.com/melodyud/melodyud/transcode/features/spectrum"
)

const (
	rolloffShare   = 0.85
	contrastEvery  = 4   // of the frames that are looked at
	contrastShare  = 0.2 // of a band's bins are its peaks, as many its valleys
	contrastLowest = 200 // Hz
)

// shape measures what the spectrum of each frame looks like.
type shape struct {
	magnitudes, before [bins]float32 // of length 1
	linked             bool
	frames             int

	centroid, rolloff, flatness, flux moments
	contrast                          [Contrasts]moments
	edges                             [Contrasts + 1]int
	sorted                            []float32
}

func newShape() *shape {
	s := &shape{sorted: make([]float32, 0, bins)}
	for i := range s.edges {
		s.edges[i] = min(bins, int(math.Round(contrastLowest*float64(int(1)<<i)/binHz)))
	}
	return s
}

// skip is for a frame of silence.
func (s *shape) skip() { s.linked = false }

// frame measures a spectrum whose bins add up to total, which is not 0.
func (s *shape) frame(power []float32, total float32) {
	s.measureMagnitudes(power, total)
	s.flatness.add(flatness(power, total))
	if s.frames%contrastEvery == 0 {
		s.measureContrast(power)
	}
	s.frames++
	s.before, s.linked = s.magnitudes, true
}

// measureMagnitudes measures centroid, roll-off and flux.
func (s *shape) measureMagnitudes(power []float32, total float32) {
	var sum, moment, distance float32
	scale := 1 / total
	for k, p := range power[:bins] {
		v := float32(math.Sqrt(float64(p * scale)))
		d := v - s.before[k]
		s.magnitudes[k] = v
		sum += v
		moment += float32(v * float32(k))
		distance += float32(d * d)
	}
	s.centroid.add(float64(moment/sum) * binHz)
	s.rolloff.add(float64(rolloff(&s.magnitudes, sum)) * binHz)
	if s.linked {
		s.flux.add(math.Sqrt(float64(distance)))
	}
}

// rolloff returns the bin below which, itself included, most of the sum lies.
func rolloff(magnitudes *[bins]float32, sum float32) int {
	left := sum * (1 - rolloffShare)
	k := bins - 1
	for ; k > 0; k-- {
		left -= magnitudes[k]
		if left < 0 {
			break
		}
	}
	return k
}

// flatness is the geometric mean of the bins over their mean: 0 for a tone, more
// than 0.5 for white noise.
func flatness(power []float32, total float32) float64 {
	const together = 8 // bins a logarithm
	scale := bins / total
	var logs float32
	for rest := power[:bins]; len(rest) > 0; {
		n := min(together, len(rest))
		product := float32(1)
		for _, p := range rest[:n] {
			product *= max(float32(p*scale), flatFloor)
		}
		logs += spectrum.Log(product)
		rest = rest[n:]
	}
	return exp(float64(logs) / bins)
}

// exp is e^x for x in -20..1, the same bits on every machine, which math.Exp does
// not promise.
func exp(x float64) float64 {
	halvings := int(math.Ceil(max(0, -x) / math.Ln2))
	x += float64(float64(halvings) * math.Ln2) // 0..ln 2
	sum := 1.0
	for i := 18; i > 0; i-- {
		sum = 1 + float64(sum*x)/float64(i)
	}
	return sum / float64(int(1)<<halvings)
}

// flatFloor is the least a bin counts against the mean, so that one empty bin
// does not make a frame of noise a tone: -40 dB.
const flatFloor = 1e-4

// measureContrast measures how far the peaks of each octave stand above its
// valleys.
func (s *shape) measureContrast(power []float32) {
	for i := range s.contrast {
		band := append(s.sorted[:0], power[s.edges[i]:s.edges[i+1]]...)
		n := max(1, int(math.Round(contrastShare*float64(len(band)))))
		divide(band, n)
		divide(band[n:], len(band)-2*n)
		s.contrast[i].add(decibels(mean(band[len(band)-n:])) - decibels(mean(band[:n])))
	}
}

// divide moves the n least of x, which holds numbers only, before all others.
func divide(x []float32, n int) {
	for len(x) > 1 && n > 0 && n < len(x) {
		pivot := max(min(x[0], x[len(x)/2]), min(max(x[0], x[len(x)/2]), x[len(x)-1])) // the median
		i, j := 0, len(x)-1
		for i <= j {
			for x[i] < pivot {
				i++
			}
			for x[j] > pivot {
				j--
			}
			if i <= j {
				x[i], x[j] = x[j], x[i]
				i, j = i+1, j-1
			}
		}
		switch { // x[:j+1] <= pivot <= x[i:], what lies between equals it
		case n <= j:
			x = x[:j+1]
		case n > i:
			x, n = x[i:], n-i
		default:
			return
		}
	}
}

func mean(x []float32) float32 {
	sum := float32(0)
	for _, v := range x {
		sum += v
	}
	return sum / float32(len(x))
}

func decibels(power float32) float64 {
	return 10 / math.Ln10 * float64(spectrum.Log(max(power, floor)))
}
