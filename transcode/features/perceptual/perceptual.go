// Package perceptual gives a track the scores that people are used to: energy,
// danceability and five more, by formulas that docs/guide.md explains. Nobody has
// compared them with what listeners say, so none is marked as calibrated. Some
// are better founded than others: energy, danceability, acousticness and
// speechiness follow what is heard; instrumentalness, liveness and valence are
// weak guesses.
package perceptual

import (
	"math"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/features/timbre"
)

// Model names the formulas; it changes with every one of them.
const Model = "formula-v1"

const (
	shortest       = 43 // frames: a second
	reasonTooShort = "too_short"
)

// Track is what the scores are made of. What is unknown in it counts as usual.
type Track struct {
	Loudness melodyud.Loudness
	Rhythm   melodyud.Rhythm
	Tonal    melodyud.Tonal
	Timbre   timbre.Result
}

// Scores returns the seven scores, each 0..1 to three digits. All are nil, with the
// Reason, for silence and for less than a second of sound.
func Scores(t Track) melodyud.Perceptual {
	reason := t.Timbre.Timbre.Reason
	if reason == "" && t.Timbre.Statistics.Frames < shortest {
		reason = reasonTooShort
	}
	score := func(formula func(*heard) float64) melodyud.Score {
		s := melodyud.Score{Model: Model}
		if reason == "" {
			v := math.Round(formula(hear(&t))*1000) / 1000
			s.Value = &v
		}
		return s
	}
	return melodyud.Perceptual{
		Energy:           score(energy),
		Danceability:     score(danceability),
		Acousticness:     score(acousticness),
		Instrumentalness: score(instrumentalness),
		Valence:          score(valence),
		Speechiness:      score(speechiness),
		Liveness:         score(liveness),
		Reason:           reason,
	}
}

// heard is what the formulas look at: for music the usual value is 0 and most
// values are within -1..1, except where another unit is given.
type heard struct {
	loudness   float64
	dynamics   float64 // range of loudness
	onsets     float64 // how many a second
	noise      float64 // flatness, as a logarithm
	change     float64 // flux, as a logarithm
	brightness float64 // centroid, octaves
	treble     float64 // level over 5 kHz against 0.3 to 2 kHz
	attack     float64 // swings over 4 Hz, in all bands
	gaps       float64 // share of faint frames
	syllables  float64 // swings of 2 to 8 Hz between 0.6 and 5.6 kHz, as a logarithm
	consonants float64 // deviation of zero crossings, as a logarithm
	middle     float64 // such swings against those of bass and treble: a ratio, usually 1
	floor      float64 // what is still there in quiet frames
	pulse      float64 // swings of 1 to 4 Hz in the bass, dB
	beat       beat
	major      float64 // -1..1: confidence of a minor or a major key
}

// beat is what is known of the pulse; zero if there is none.
type beat struct {
	tempo     float64 // BPM
	strength  float64 // 0..1
	stability float64 // 0..1
}

func hear(t *Track) *heard {
	s := &t.Timbre.Statistics
	loudness := or(t.Loudness.Integrated, -16)
	return &heard{
		loudness:   (loudness + 16) / 5,
		dynamics:   (or(t.Loudness.Range, 7) - 7) / 5,
		onsets:     (or(t.Rhythm.OnsetRate, 3.9) - 3.9) / 1.5,
		noise:      (math.Log(s.Flatness+1e-4) + 4.4) / 1.3,
		change:     math.Log((s.Flux+0.01)/0.42) / 0.3,
		brightness: math.Log2((s.Centroid + 20) / 1750),
		treble:     (average(s.Level[30:]) - average(s.Level[4:20]) + 17) / 10,
		attack:     (average(octaves(s, 0, timbre.Groups, 3, 5)) - 1.7) / 0.9,
		gaps:       s.Faint,
		syllables:  math.Log(2*average(octaves(s, 2, 8, 2, 4)) + 1),
		consonants: math.Log(s.ZCRStd + 0.005),
		middle:     middle(s),
		floor:      (average(s.Level[12:30]) - 2*average(s.LevelStd[12:30]) - loudness + 56) / 20,
		pulse:      average(octaves(s, 0, 2, 1, 3)),
		beat:       beatOf(&t.Rhythm),
		major:      major(&t.Tonal),
	}
}

func or(v *float64, otherwise float64) float64 {
	if v == nil {
		return otherwise
	}
	return *v
}

func average(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

// octaves returns the swings of groups of bands from g to less than h, in octaves
// of swings from o to less than p.
func octaves(s *timbre.Statistics, g, h, o, p int) (x []float64) {
	for _, group := range s.Swing[g:h] {
		x = append(x, group[o:p]...)
	}
	return x
}

func middle(s *timbre.Statistics) float64 {
	around := append(octaves(s, 0, 2, 2, 4), octaves(s, 8, 10, 2, 4)...)
	return (average(octaves(s, 3, 7, 2, 4)) + 0.1) / (average(around) + 0.1)
}

func beatOf(r *melodyud.Rhythm) beat {
	if r.Tempo == nil || *r.Tempo <= 0 {
		return beat{}
	}
	return beat{tempo: *r.Tempo, strength: or(r.BeatStrength, 0), stability: or(r.TempoStability, 0)}
}

func major(t *melodyud.Tonal) float64 {
	if t.Mode == nil {
		return 0
	}
	return min(1, or(t.KeyConfidence, 0)) * float64(2**t.Mode-1)
}
