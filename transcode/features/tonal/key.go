package tonal

import (
	"math"
	"strconv"

	melodyud "github.com/melodyud/melodyud"
)

// profiles holds, for minor and major, how much each degree from the tonic
// sounds. The first two are published: Krumhansl and Kessler's probe tones
// (1982) and Temperley's of 2005. The third is the mean chroma of songs, folk
// tunes and pieces by Bach of known key as this package hears them, its four
// weakest degrees left out. Their votes are added, the third's twice: the first
// knows pop best, the second drums and counterpoint, the third how instruments
// sound.
var profiles = [...][2][12]float64{
	{
		{6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17},
		{6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88},
	},
	{
		{.712, .084, .474, .618, .049, .460, .105, .747, .404, .067, .133, .330},
		{.748, .060, .488, .082, .670, .460, .096, .715, .104, .366, .057, .400},
	},
	{
		{1.00, 0, .45, .67, 0, .66, 0, .96, .33, 0, .51, .12},
		{1.00, 0, .69, 0, .75, .49, 0, .94, 0, .64, .11, .36},
	},
}

// shares are the profiles' shares of the vote.
var shares = [len(profiles)]float64{0.25, 0.25, 0.5}

// votes are the scores of all keys, minor and major.
type votes [2][12]float64

// vote compares a chroma with every profile at every tonic. Each profile's
// correlations are brought to mean 0 and deviation 1 over the 24 keys before
// they are added. fit is the mean correlation at the best key, -1..1.
func vote(chroma *[12]float64) (sum votes, fit float64) {
	var fits votes
	c := standard(*chroma)
	for i := range profiles {
		v := correlations(&c, &profiles[i])
		for m := range v {
			for k := range v[m] {
				fits[m][k] += float64(shares[i] * v[m][k])
			}
		}
		v.standardise()
		for m := range v {
			for k := range v[m] {
				sum[m][k] += float64(shares[i] * v[m][k])
			}
		}
	}
	best, _ := sum.best()
	return sum, fits[best.Mode][best.Key]
}

func correlations(c *[12]float64, profile *[2][12]float64) (v votes) {
	for m := range profile {
		p := standard(profile[m])
		for k := range 12 {
			for i := range 12 {
				v[m][k] += float64(p[i]*c[(i+k)%12]) / 12
			}
		}
	}
	return v
}

// standard brings x to mean 0 and deviation 1, or to 0 if it is flat.
func standard(x [12]float64) [12]float64 {
	var mean, square float64
	for _, v := range x {
		mean += v / 12
	}
	for i := range x {
		x[i] -= mean
		square += float64(x[i]*x[i]) / 12
	}
	for i := range x {
		if square > 0 {
			x[i] /= math.Sqrt(square)
		}
	}
	return x
}

func (v *votes) standardise() {
	var square float64 // the mean over all tonics is 0 already
	for m := range v {
		for _, x := range v[m] {
			square += float64(x*x) / 24
		}
	}
	for m := range v {
		for k := range v[m] {
			if square > 0 {
				v[m][k] /= math.Sqrt(square)
			}
		}
	}
}

// best returns the two keys with the most votes.
func (v *votes) best() (first, second melodyud.KeyGuess) {
	at := func(g melodyud.KeyGuess) float64 { return v[g.Mode][g.Key] }
	first, second = melodyud.KeyGuess{Mode: 1}, melodyud.KeyGuess{}
	if at(second) > at(first) {
		first, second = second, first
	}
	for k := 1; k < 12; k++ {
		for m := 1; m >= 0; m-- {
			g := melodyud.KeyGuess{Key: k, Mode: m}
			switch {
			case at(g) > at(first):
				first, second = g, first
			case at(g) > at(second):
				second = g
			}
		}
	}
	return first, second
}

// Guess is a key with how far it can be trusted.
type Guess struct {
	Key        melodyud.KeyGuess
	Alt        melodyud.KeyGuess // the second best
	Confidence float64           // 0..1
	Fit        float64           // -1..1: how like the profile of its key the chroma is
}

// KeyOf names the key of a chroma: 12 pitch classes from C, on any scale. ok is
// false if the chroma is flat, or has fewer than three pitch classes.
func KeyOf(chroma [12]float64) (g Guess, ok bool) {
	if voices(&chroma) < 3 {
		return Guess{}, false
	}
	v, fit := vote(&chroma)
	g.Key, g.Alt = v.best()
	margin := v[g.Key.Mode][g.Key.Key] - v[g.Alt.Mode][g.Alt.Key]
	g.Fit = fit
	g.Confidence = confidence(margin)
	return g, fit > 0
}

// confidence maps the margin between the best and the second best key, in
// deviations of the votes, to 0..1. Of songs at 0 some two thirds have the right
// key, from 0.6 on nearly all.
func confidence(margin float64) float64 {
	const half = 0.5
	rest := half / (half + max(0, margin))
	return 1 - float64(rest*rest)
}

// voices counts the pitch classes that are more than a tenth of the strongest.
func voices(chroma *[12]float64) (n int) {
	var most float64
	for _, v := range chroma {
		most = max(most, v)
	}
	for _, v := range chroma {
		if v > most/10 {
			n++
		}
	}
	return n
}

// Camelot returns a key's code on the Camelot wheel, on which keys that mix well
// are neighbours: 1..12 and A for minor, B for major. C major is 8B, A minor 8A.
func Camelot(g melodyud.KeyGuess) string {
	tonic, letter := g.Key, "B"
	if g.Mode == 0 {
		tonic, letter = g.Key+3, "A" // the relative major's
	}
	return strconv.Itoa((tonic*7+7)%12+1) + letter
}
