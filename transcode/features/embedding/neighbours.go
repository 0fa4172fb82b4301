package embedding

import (
	"cmp"
	"math"
	"slices"
)

// Cosine returns how alike two vectors of length 1 and of the same model are:
// -1..1. Vectors of different length are not of the same model: 0.
func Cosine(a, b []float32) float64 {
	if len(a) != len(b) {
		return 0
	}
	sum := 0.0
	for i, v := range a {
		sum += float64(v) * float64(b[i]) // exact, fused or not
	}
	return sum
}

// Crowd is how far a track is from others: the mean and the deviation of 1 less
// the cosine over the collection, or over a fair sample of it.
type Crowd struct{ Mean, Deviation float64 }

// CrowdOf returns the Crowd of v among others. One that is v itself, the same
// slice, is left out.
func CrowdOf(v []float32, others [][]float32) Crowd {
	n, sum, power := 0.0, 0.0, 0.0
	for _, o := range others {
		if len(o) > 0 && len(v) > 0 && &o[0] == &v[0] {
			continue
		}
		d := 1 - Cosine(v, o)
		n, sum, power = n+1, sum+d, power+float64(d*d)
	}
	if n == 0 {
		return Crowd{}
	}
	mean := sum / n
	return Crowd{Mean: mean, Deviation: math.Sqrt(max(0, power/n-float64(mean*mean)))}
}

// Proximity returns the mutual proximity, 0..1, of two tracks from the cosine of
// their vectors: how likely it is that each is nearer to the other than to what
// else there is. It is for building lists of neighbours: by the cosine alone some
// tracks, hubs, are near to everything and would be on too many of them.
func Proximity(cosine float64, a, b Crowd) float64 {
	return a.beyond(1-cosine) * b.beyond(1-cosine)
}

// beyond returns the share of the crowd that is further away than d, as if
// distances were normally distributed.
func (c Crowd) beyond(d float64) float64 {
	if c.Deviation <= 0 {
		return 0.5
	}
	return 0.5 * math.Erfc((d-c.Mean)/(c.Deviation*math.Sqrt2))
}

// Neighbour is a track of a collection and how near it is.
type Neighbour struct {
	Index     int
	Proximity float64 // 0..1
}

// Neighbours returns the k tracks with the highest Proximity to each one of a
// collection, nearest first; of equals the first in the collection. It compares
// all with all: for thousands of tracks, not for millions.
func Neighbours(vectors [][]float32, k int) [][]Neighbour {
	crowds := make([]Crowd, len(vectors))
	for i, v := range vectors {
		crowds[i] = CrowdOf(v, vectors)
	}
	lists := make([][]Neighbour, len(vectors))
	for i, v := range vectors {
		list := make([]Neighbour, 0, len(vectors))
		for j, w := range vectors {
			if i != j {
				list = append(list, Neighbour{Index: j, Proximity: Proximity(Cosine(v, w), crowds[i], crowds[j])})
			}
		}
		slices.SortStableFunc(list, func(a, b Neighbour) int { return cmp.Compare(b.Proximity, a.Proximity) })
		lists[i] = slices.Clone(list[:min(k, len(list))])
	}
	return lists
}
