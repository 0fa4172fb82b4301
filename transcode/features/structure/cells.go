package structure

import (
	"math"
	"slices"
)

// What a cell is described by.
const (
	colours = 12               // cepstra 1..12
	dims    = colours + 1 + 12 // and the level, and the chroma
)

// cell is a beat, or half a second.
type cell struct {
	start float64
	of    [dims]float32
}

// cells are a track's, in order.
type cells []cell

// What the grid of cells may be like.
const (
	plain     = 0.5  // seconds of a cell where there are no beats
	fewest    = 8    // beats that make a grid
	narrowest = 0.25 // seconds; where beats are closer, every second counts, and so on
	mostCells = 1 << 14
)

// grid returns where cells begin. Beats go on at their median distance to both
// ends of the track, and through gaps.
func (in *Input) grid() []float64 {
	var times []float64
	if len(in.Beats) >= fewest {
		gaps := make([]float64, 0, len(in.Beats))
		for i := 1; i < len(in.Beats); i++ {
			gaps = append(gaps, in.Beats[i]-in.Beats[i-1])
		}
		if m := median(gaps); m > 0 && m < 4 {
			times = in.beaten(max(m, in.Duration/mostCells))
		}
	}
	if times == nil {
		times = steps(0, in.Duration, max(plain, in.Duration/mostCells))
	}
	for len(times) > mostCells {
		times = every(times, 2)
	}
	return times
}

// beaten is the grid by beats a median distance apart.
func (in *Input) beaten(distance float64) []float64 {
	times := []float64{0}
	for _, b := range append(slices.Clone(in.Beats), in.Duration) {
		last := times[len(times)-1]
		if n := math.Round((b - last) / distance); n > 1 {
			times = append(times, steps(last+(b-last)/n, b-(b-last)/n/2, (b-last)/n)...)
		}
		if b-times[len(times)-1] > distance/2 && b < in.Duration-distance/2 {
			times = append(times, b)
		}
	}
	if n := int(math.Ceil(narrowest / distance)); n > 1 {
		times = every(times, n)
	}
	return times
}

func every(times []float64, n int) []float64 {
	kept := times[:0]
	for i := 0; i < len(times); i += n {
		kept = append(kept, times[i])
	}
	return kept
}

func steps(from, to, by float64) (times []float64) {
	for i := 0; from+float64(float64(i)*by) < to; i++ {
		times = append(times, from+float64(float64(i)*by))
	}
	return times
}

// cells describes the track beat by beat.
func (in *Input) cells() cells {
	times := in.grid()
	cs := make(cells, len(times))
	for i, start := range times {
		end := in.Duration
		if i+1 < len(times) {
			end = times[i+1]
		}
		cs[i].start = start
		in.describe(&cs[i].of, start, end)
	}
	return cs
}

// Scales that weigh what describes a cell. The chroma's length is chromaScale.
const (
	colourScale = 1.0 / 35 // of cepstra, in dB
	levelScale  = 1.0 / 80 // of the first, in dB
	chromaScale = 1.5
	loudestDB   = 400.0
)

func (in *Input) describe(of *[dims]float32, start, end float64) {
	first, last := span(start, end, in.CepstraStep, len(in.Cepstra))
	for _, c := range in.Cepstra[first:last] {
		for k := range colours + 1 {
			of[k] += bounded(c[k]) / float32(last-first)
		}
	}
	of[0] *= levelScale
	for k := 1; k <= colours; k++ {
		of[k] *= colourScale
	}
	p := in.pitches(start, end)
	var length float64
	for _, v := range p {
		length += float64(v * v)
	}
	for k, v := range p {
		if length > 0 {
			of[colours+1+k] = float32(chromaScale * v / math.Sqrt(length))
		}
	}
}

// bounded keeps a level finite.
func bounded(db float32) float32 {
	if !(db >= -loudestDB) {
		return -loudestDB
	}
	return min(db, loudestDB)
}

func median(x []float64) float64 {
	s := slices.Clone(x)
	slices.Sort(s)
	return s[len(s)/2]
}
