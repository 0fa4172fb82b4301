package aac

// The sound after the end is foretold from the sound before it, so that the last
// access unit holds no cut whose noise would reach back into what is heard: the
// next track of an album may follow without a click.
const (
	foretold   = 2 * FrameSize // samples after the end that windows reach
	remembered = 2 * FrameSize // samples before the end that foretell them
	predictors = 32            // order of the prediction
)

// continueSound appends foretold samples to x, whose last n are of the sound.
func continueSound(x []float64, n int) []float64 {
	past := x[len(x)-min(n, remembered):]
	a := burg(past, min(predictors, len(past)/4))
	for range foretold {
		v := 0.0
		for k, c := range a {
			v -= float64(c * x[len(x)-1-k])
		}
		x = append(x, min(max(v, -1), 1))
	}
	fade(x[len(x)-foretold/2:])
	return x
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
