package perceptual

import "math"

// logistic takes a sum of evidence to 0..1; none either way is 0.5.
func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// energy is how intense a track is: loud, dense, bright and steady rather than
// quiet and sparse.
func energy(h *heard) float64 {
	return logistic(0.8*h.loudness + 0.5*h.onsets + 0.5*h.noise + 0.4*h.change - 0.3*h.dynamics)
}

// danceability is the geometric mean of how firm the beat is, how near its tempo
// is to one that people dance to, and how much the bass pulses. Without a beat it
// is 0.
func danceability(h *heard) float64 {
	if h.beat.tempo == 0 {
		return 0
	}
	firm := 0.6*h.beat.strength + 0.4*within((h.beat.stability-0.9)/0.1)
	octaves := math.Log2(h.beat.tempo/118) / 0.6
	pulse := h.pulse / (h.pulse + 1.5)
	return math.Cbrt(within(firm) * math.Exp(-octaves*octaves/2) * pulse)
}

func within(x float64) float64 { return min(1, max(0, x)) }

// acousticness is low for noise, for much treble and for fast attacks.
func acousticness(h *heard) float64 {
	return logistic(-0.8*h.noise - 0.9*h.treble - 0.6*h.attack)
}

// speech is the evidence for speech: pauses between words, syllables, consonants
// against vowels, and no steady beat.
func speech(h *heard) float64 {
	unsteady := 0.025
	if h.beat.tempo > 0 {
		unsteady = 0.955 - h.beat.stability
	}
	return 12*(min(h.gaps, 0.45)-0.36) + 2.5*(h.syllables-2) + (h.consonants + 2.5) + 15*unsteady - 0.4
}

func speechiness(h *heard) float64 { return logistic(speech(h)) }

// instrumentalness is high where nothing moves like a voice.
func instrumentalness(h *heard) float64 {
	return logistic(-4*(h.middle-1.35) - 0.8*(speech(h)+0.9))
}

// liveness is high where even quiet frames have noise in them, as of a crowd, and
// the beat is not a machine's.
func liveness(h *heard) float64 {
	x := 1.5*h.floor + 0.5*h.noise - 2
	if h.beat.tempo > 0 {
		x += 60 * (0.965 - h.beat.stability)
	}
	return logistic(x)
}

// valence is high for a bright sound, a fast beat and a major key.
func valence(h *heard) float64 {
	x := 1.2*h.major + 0.5*h.brightness
	if h.beat.tempo > 0 {
		x += 0.8 * math.Log2(h.beat.tempo/112)
	}
	return logistic(x)
}
