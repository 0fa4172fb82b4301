package fingerprint

import (
	"math"
	"slices"
)

const (
	classes   = 12 // pitch classes
	smoothing = 5  // frames under the smoothing filter
	width     = 16 // frames under the widest of filters
	lowest    = 28.0
	highest   = 3520.0
	base      = 27.5 // Hz: where the pitch classes are counted from
	faintest  = 0.01 // rows of less are taken for silence
	rows      = 32   // of the integral image that are kept: more than width, a power of two
)

// smooth are the weights of successive frames.
var smooth = [smoothing]float64{0.25, 0.75, 1, 0.75, 0.25}

// run is a stretch of bins of one pitch class.
type run struct{ class, from, to int }

// picture is the sound's pitch classes over time, and the items they give.
// Arithmetic is in float64, in Chromaprint's order.
type picture struct {
	runs   []run
	recent [smoothing][classes]float64 // the last frames, oldest first
	frames int
	sums   [rows][classes + 1]float64 // the integral image: row r of the picture is at (r+1)%rows, before it zeros
	rows   int
	heard  bool // something was louder than silence
	items  []uint32
}

func newPicture() *picture {
	p := &picture{}
	for bin := index(lowest); bin < index(highest); bin++ {
		octave := math.Log2(float64(bin) * Rate / size / base)
		class := int(classes * (octave - math.Floor(octave)))
		if n := len(p.runs); n > 0 && p.runs[n-1].class == class {
			p.runs[n-1].to = bin + 1
			continue
		}
		p.runs = append(p.runs, run{class, bin, bin + 1})
	}
	return p
}

func index(hz float64) int { return int(math.Round(size * hz / Rate)) }

// add takes the power of the next frame.
func (p *picture) add(power []float32) {
	copy(p.recent[:], p.recent[1:])
	now := &p.recent[smoothing-1]
	*now = [classes]float64{}
	for _, r := range p.runs {
		sum := now[r.class]
		for _, v := range power[r.from:r.to] {
			sum += float64(v)
		}
		now[r.class] = sum
	}
	if p.frames++; p.frames < smoothing {
		return
	}
	row := p.smoothed()
	p.normalise(&row)
	p.integrate(&row)
	if p.rows >= width {
		p.items = append(p.items, p.item())
	}
}

func (p *picture) smoothed() (row [classes]float64) {
	for c := range row {
		for i, weight := range smooth {
			row[c] += float64(p.recent[i][c] * weight)
		}
	}
	return row
}

// normalise brings a row to length 1, or to zeros if it is as good as silent.
func (p *picture) normalise(row *[classes]float64) {
	squares := 0.0
	for _, v := range row {
		squares += float64(v * v)
	}
	norm := math.Sqrt(squares)
	if !(norm >= faintest) || math.IsInf(norm, 0) {
		*row = [classes]float64{}
		return
	}
	p.heard = true
	for c := range row {
		row[c] /= norm
	}
}

func (p *picture) integrate(row *[classes]float64) {
	last, sums := &p.sums[p.rows%rows], &p.sums[(p.rows+1)%rows]
	sum := 0.0
	for c, v := range row {
		sum += v
		sums[c+1] = last[c+1] + sum
	}
	p.rows++
}

// area sums the picture over frames [x1, x2) of the last width and classes [y1, y2).
func (p *picture) area(x1, y1, x2, y2 int) float64 {
	first := p.rows - width
	a, b := &p.sums[(first+x1)%rows], &p.sums[(first+x2)%rows]
	return b[y2] - a[y2] - b[y1] + a[y1]
}

// item asks all filters about the last frames.
func (p *picture) item() uint32 {
	var bits uint32
	for i := range filters {
		f := &filters[i]
		a, b := p.apply(f)
		level := levels(math.Log((1+a)/(1+b)), f.thresholds)
		bits = bits<<2 | level
	}
	return bits
}

// levels tells between which thresholds v lies, in Gray's code.
func levels(v float64, thresholds [3]float64) uint32 {
	n, _ := slices.BinarySearchFunc(thresholds[:], v, func(t, v float64) int {
		if v < t {
			return 1
		}
		return -1
	})
	return [4]uint32{0, 1, 3, 2}[n]
}
