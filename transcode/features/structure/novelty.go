package structure

import "math"

// Foote's kernel and what counts as a boundary.
const (
	reach     = 12.0 // seconds to each side
	apart     = 8.0  // seconds between boundaries, and from either end
	threshold = 0.6  // the least novelty of a boundary: half of what one song has within
	relative  = 0.2  // and of the track's highest
	sure      = 1.5  // the novelty that gives a confidence of a half
)

// bound is where a section begins.
type bound struct {
	at, confidence float64
}

// bounds returns where sections begin: always at 0, and where novelty peaks.
func (cs cells) bounds(duration float64) []bound {
	all := []bound{{0, 1}}
	if len(cs) < 4 {
		return all
	}
	cell := duration / float64(len(cs))
	n := max(2, int(math.Round(reach/cell)))
	novelty := cs.novelty(n)
	highest := 0.0
	for _, v := range novelty {
		highest = max(highest, v)
	}
	floor := max(threshold, relative*highest)
	near := max(1, int(apart/cell))
	for i, v := range novelty {
		at := cs[i].start
		if v < floor || at < apart || at > duration-apart || !peaks(novelty, i, near) {
			continue
		}
		all = append(all, bound{at, v / (v + sure)})
	}
	return all
}

// peaks reports whether x[i] is the highest within near on both sides, the first
// of equals.
func peaks(x []float64, i, near int) bool {
	for k := max(0, i-near); k < min(len(x), i+near+1); k++ {
		if x[k] > x[i] || x[k] == x[i] && k < i {
			return false
		}
	}
	return true
}

// novelty correlates the similarity of cells with a checkerboard of n cells to
// each side, under a bell. With the dot product as similarity that is the squared
// distance between the weighted means of both sides, which is what is computed.
// Element i is about the beginning of cell i. At the ends the board is cut, and
// what is cut off counts as no change.
func (cs cells) novelty(n int) []float64 {
	bell := taper(n)
	novelty := make([]float64, len(cs))
	for i := 1; i < len(cs); i++ {
		var before, after side
		for k := range min(n, i) {
			before.add(&cs[i-1-k].of, bell[k])
		}
		for k := range min(n, len(cs)-i) {
			after.add(&cs[i+k].of, bell[k])
		}
		whole := float64(min(n, i)+min(n, len(cs)-i)) / float64(2*n)
		novelty[i] = whole * before.distance(&after)
	}
	return novelty
}

// side is a weighted sum of cells.
type side struct {
	sum    [dims]float32
	weight float32
}

func (s *side) add(of *[dims]float32, weight float32) {
	for k, v := range of {
		s.sum[k] += float32(weight * v)
	}
	s.weight += weight
}

// distance is the squared distance of two means.
func (s *side) distance(o *side) (square float64) {
	for k := range s.sum {
		d := s.sum[k]/s.weight - o.sum[k]/o.weight
		square += float64(d * d)
	}
	return square
}

// taper falls from 1 over n cells to 0.14, as a bell.
func taper(n int) []float32 {
	t := make([]float32, n)
	for i := range t {
		x := (float64(i) + 0.5) / float64(n)
		t[i] = float32(math.Exp(-2 * x * x))
	}
	return t
}
