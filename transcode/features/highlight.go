package features

import (
	"math"
	"slices"
)

// What Highlight looks for, in windows of short-term loudness: they last 3 s and
// begin 100 ms apart.
const (
	windowsPerSecond = 10
	windowSeconds    = 3
	highlightSeconds = 30
	riseWeight       = 0.5 // LU of loudness that one LU of rise is worth
	riseFloor        = 3.0 // LU below the track's mean: a rise out of silence proves nothing
	alike            = 0.1 // LU that nobody hears; of starts rated so close the earliest is taken
	faintest         = 1e-12
)

// Highlight returns where the 30 seconds begin that a listener should hear first,
// in seconds, from mean weighted squares as pcm.Meter measures them. It looks for
// a chorus by what most of them have in common: they are the loudest part, and
// something enters where they begin. Each start is rated by the loudness of the 30
// seconds from there, and half of the rise from the 3 seconds before to the 3 after,
// where nothing before counts as fainter than 3 LU below the track's mean. The
// earliest start within 0.1 LU of the highest rating wins.
// It reports false for silence and for less than 30 seconds.
func Highlight(shortTerm []float64) (start float64, ok bool) {
	const (
		whole = (highlightSeconds - windowSeconds) * windowsPerSecond
		side  = windowSeconds * windowsPerSecond
	)
	sums := make([]float64, len(shortTerm)+1)
	for i, v := range shortTerm {
		sums[i+1] = sums[i] + v
	}
	// loudness of the windows that begin in [from, from+n]
	loudness := func(from, n int) float64 {
		return 10 * math.Log10(max((sums[from+n+1]-sums[from])/float64(n+1), faintest))
	}
	if len(shortTerm) <= whole || loudness(0, len(shortTerm)-1) <= 10*math.Log10(faintest) {
		return 0, false
	}
	floor := loudness(0, len(shortTerm)-1) - riseFloor
	ratings := make([]float64, len(shortTerm)-whole)
	for i := range ratings {
		ratings[i] = loudness(i, whole)
		if i >= side {
			ratings[i] += riseWeight * max(0, loudness(i, 0)-max(floor, loudness(i-side, 0)))
		}
	}
	best := slices.Max(ratings)
	first := slices.IndexFunc(ratings, func(r float64) bool { return r >= best-alike })
	return float64(first) / windowsPerSecond, true
}
