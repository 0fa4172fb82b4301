package load

import (
	"math"
	"sort"
)

// charts say how popular tracks are: for each rank the part of plays of it and those
// above it.
type charts []float64

func newCharts(tracks int, exponent float64) charts {
	c := make(charts, tracks)
	var sum float64
	for r := range c {
		sum += math.Pow(float64(r+1), -exponent)
		c[r] = sum
	}
	for r := range c {
		c[r] /= sum
	}
	return c
}

// pick returns the rank, from 0, that a throw of the dice in [0, 1) falls on.
func (c charts) pick(throw float64) int {
	return min(sort.SearchFloat64s(c, throw), len(c)-1)
}
