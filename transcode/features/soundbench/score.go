package main

import "math"

const (
	tempoTolerance = 0.04
	beatTolerance  = 0.07 // seconds
	beatsFrom      = 5.0  // seconds; beats before are not judged
)

// tempoRight reports whether a tempo is the truth within 4 %, and whether it is
// one of its simple multiples (Accuracy1, Accuracy2).
func tempoRight(got, truth float64) (one, two bool) {
	one = near(got, truth)
	for _, m := range []float64{1. / 3, 1. / 2, 1, 2, 3} {
		two = two || near(got, truth*m)
	}
	return one, two
}

func near(got, truth float64) bool { return math.Abs(got-truth) <= tempoTolerance*truth }

// octaveError is how far a tempo is from the truth in BPM when the octave is
// forgiven: scaled to that of the truth.
func octaveError(got, truth float64) float64 {
	if got <= 0 {
		return math.Inf(1)
	}
	return math.Abs(got*math.Exp2(math.Round(math.Log2(truth/got))) - truth)
}

// beatF is the F measure of beats by mir_eval's rules: those before 5 s are left
// out, and as many pairs are made as can be within 70 ms, each beat in one.
func beatF(got, truth []float64) float64 {
	return pairF(from(got, beatsFrom), from(truth, beatsFrom), beatTolerance)
}

func from(times []float64, start float64) []float64 {
	for len(times) > 0 && times[0] < start {
		times = times[1:]
	}
	return times
}

// pairF is the F measure of ascending times. With equal reaches on a line, taking
// the first that fits makes the most pairs.
func pairF(got, truth []float64, reach float64) float64 {
	if len(got) == 0 || len(truth) == 0 {
		return 0
	}
	pairs := 0
	for i, j := 0, 0; i < len(got) && j < len(truth); {
		switch d := got[i] - truth[j]; {
		case d < -reach:
			i++
		case d > reach:
			j++
		default:
			pairs, i, j = pairs+1, i+1, j+1
		}
	}
	return 2 * float64(pairs) / float64(len(got)+len(truth))
}
