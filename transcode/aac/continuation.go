package aac

import "slices"

// The sound before the start and after the end is foretold from the sound beside
// it, so that no access unit holds a cut whose noise would reach into what is
// heard: the tracks of an album may follow each other without a click. Players cut
// both away.
const (
	remembered = 2 * FrameSize // samples that foretell
	foretold   = 2 * FrameSize // samples after the end that windows reach
	predictors = 32            // order of the prediction
)

// continueSound appends foretold samples to x, whose last n are of the sound.
func continueSound(x []float64, n int) []float64 {
	next := foretell(x[len(x)-min(n, remembered):], foretold)
	fade(next[foretold/2:])
	return append(x, next...)
}

// precedeSound writes the sound before x[Priming:], whose first n samples are of
// the sound, to x[:Priming].
func precedeSound(x []float64, n int) {
	past := append([]float64(nil), x[Priming:Priming+min(n, remembered)]...)
	slices.Reverse(past)
	before := foretell(past, Priming)
	fade(before)
	slices.Reverse(before)
	copy(x, before)
}

// foretell returns count samples that go on after past.
func foretell(past []float64, count int) []float64 {
	a := burg(past, min(predictors, len(past)/4))
	x := append(make([]float64, 0, len(past)+count), past...)
	for range count {
		v := 0.0
		for k, c := range a {
			v -= float64(c * x[len(x)-1-k])
		}
		x = append(x, min(max(v, -1), 1))
	}
	return x[len(past):]
}

// fade brings x to silence.
func fade(x []float64) {
	for i := range x {
		x[i] *= float64(len(x)-i) / float64(len(x))
	}
}

// burg returns the coefficients of a stable linear predictor of x: the sample after
// x is -Σ a[k]·x[len-1-k] (Burg, 1967).
func burg(x []float64, order int) []float64 {
	forward, backward := append([]float64(nil), x...), append([]float64(nil), x...)
	a := make([]float64, 0, order)
	for m := range order {
		cross, power := 0.0, 0.0
		for i := m + 1; i < len(x); i++ {
			f, b := forward[i], backward[i-1]
			cross += float64(f * b)
			power += float64(f*f) + float64(b*b)
		}
		if power <= 0 {
			break
		}
		k := -2 * cross / power
		for i := len(x) - 1; i > m; i-- {
			f, b := forward[i], backward[i-1]
			forward[i], backward[i] = f+float64(k*b), b+float64(k*f)
		}
		a = append(a, 0)
		for i, j := 0, m-1; i <= j; i, j = i+1, j-1 {
			p, q := a[i], a[j]
			a[i], a[j] = p+float64(k*q), q+float64(k*p)
		}
		a[m] = k
	}
	return a
}
